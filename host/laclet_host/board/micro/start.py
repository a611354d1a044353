"""What runs first on a virtual board: its file system is mounted over the host's, then boot.py and main.py run.

Ctrl-C is off until that is done: an interrupted mount would leave the host's files at ``/``, for any tool to remove.
"""


def _mount(machine, about):
    """Put the board's own file system at ``/``."""
    import os
    import sys

    import rom
    import vfs

    if about["flash"]:
        import blocks

        device = blocks.Blocks(machine, about["flash"], about["blocks"], about["cut"])
        try:
            flash = vfs.VfsLfs2(device, progsize=256)
        except OSError:  # as delivered: no file system yet
            vfs.VfsLfs2.mkfs(device, progsize=256)
            flash = vfs.VfsLfs2(device, progsize=256)
    else:
        flash = vfs.VfsPosix(about["root"])
    vfs.umount("/")
    vfs.mount(flash, "/")
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    rom.mount()
    sys.argv[:] = []


def _ctrl_c():
    """From now on the tty makes Ctrl-C a signal while code runs; at the prompt MicroPython turns that off."""
    import termios

    settings = termios.tcgetattr(0)
    settings[3] |= 1  # c_lflag: ISIG
    termios.tcsetattr(0, termios.TCSANOW, settings)


def _start():
    import gc
    import json
    import os
    import sys

    about = json.loads(os.getenv("LACLET_BOARD"))
    sys.path.insert(0, about["micro"])
    import machine  # stays in sys.modules: the board's own file system has no such file

    machine.plug(about)
    scripts = ["boot.py", "main.py"] if about["main"] else ["boot.py"]
    try:
        _mount(machine, about)
    except Exception as error:
        sys.print_exception(error)
        machine.tell("dead")
        machine.halt()  # a REPL would be on the host's files
    del about
    gc.collect()
    _ctrl_c()
    machine.tell("ready")
    for script in scripts:
        try:
            os.stat(script)
        except OSError:
            continue
        try:
            execfile(script)  # noqa: F821
        except SystemExit:
            machine.tell("restart")
            machine.halt()
        except BaseException as error:
            sys.print_exception(error)
            if isinstance(error, KeyboardInterrupt):
                break  # to the prompt


del globals()["__file__"]
_start()
