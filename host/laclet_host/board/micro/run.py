"""laclet on unix MicroPython without a virtual board around it, from the ROM image: ``run.py config.json``."""

import sys

import rom

rom.mount()
sys.path.pop(0)  # this folder: its machine.py is for the virtual board

from laclet_mcu.main import main  # noqa: E402

main(sys.argv)
