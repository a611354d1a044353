"""Unix MicroPython without a virtual board around it, but with its ROM image: ``run.py MODULE ARGUMENTS…``.

Calls ``main(argv)`` of the module, which is ``laclet_mcu.main`` for the service itself.
"""

import sys

import rom

rom.mount()
del rom, sys.modules["rom"]  # on a board the firmware does this
sys.path.pop(0)  # this folder: its machine.py is for the virtual board
sys.argv.pop(0)
__import__(sys.argv[0], None, None, ("main",)).main(sys.argv)
