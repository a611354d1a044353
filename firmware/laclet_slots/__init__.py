"""Which code a board runs: of its slots /a and /b the good one, or the one on trial. See docs/update.md.

boot.py calls ``choose()``. It stands outside of the slots, for no update may break it: keep it small.
"""

import json
import os
import sys
import time

_TRIES = 3  # boots that a slot on trial has
_CODE = "/code"  # where an image is mounted
_BLOCK = 256  # bytes; of its LittleFS
_REST = 2  # s before a restart: time for Ctrl-C

running = ""  # the slot that was chosen; "": the factory's code, which is frozen, in ROMFS or in /lib
trial = None  # the state, while the slot that was chosen is on trial


def read(root="/"):
    """The state: ``good``, and ``trial``, ``left``, ``tunnel``, ``failed`` where they apply."""
    for suffix in (".json", ".new"):  # where a rename does not replace, .new may be all there is
        try:
            with open(root + "slots" + suffix) as file:
                state = json.load(file)
            if state["good"] in ("", "a", "b") and (not state.get("trial") or state["left"] >= 0):
                return state
        except (OSError, ValueError, TypeError, KeyError):
            pass
    return {"good": ""}


def write(state, root="/"):
    """Keep the state, all or nothing; raises OSError."""
    new = root + "slots.new"
    with open(new, "w") as file:
        json.dump(state, file)
    try:
        os.rename(new, root + "slots.json")
    except OSError:  # FAT does not replace
        os.remove(root + "slots.json")
        os.rename(new, root + "slots.json")


def fits(slot, root="/"):
    """True when the slot has a manifest, for this kind of MicroPython."""
    try:
        with open(root + slot + "/manifest") as file:
            file.readline()
            return file.readline().split()[1:3] == ["mpy", str(sys.implementation._mpy)]
    except (OSError, ValueError):
        return False


def propose(slot, tunnel, root="/"):
    """Have a slot tried from the next boot on; ``tunnel``: one has to come up then. Raises OSError."""
    write({"good": read(root)["good"], "trial": slot, "left": _TRIES, "tunnel": tunnel}, root)


def choose(root="/"):
    """Put the slot to run in front of sys.path; a boot of one on trial is counted before."""
    global running, trial
    state = read(root)
    slot = state.get("trial")
    try:
        if slot and (not state["left"] or not fits(slot, root)):
            state = {"good": state["good"], "failed": slot}
            slot = None
            write(state, root)
        elif slot:
            state["left"] -= 1
            write(state, root)
    except OSError:  # what cannot be counted is not tried
        slot = None
    running = slot or state["good"]
    trial = state if slot else None
    if running and not fits(running, root):
        running = ""
    if running:
        sys.path.insert(0, place(root + running))


def place(slot):
    """Where the code of a slot is: in it, or in its image, which is mounted."""
    try:
        image = Image(slot + "/code.img")
    except OSError:
        return slot
    try:
        import vfs
    except ImportError:  # MicroPython 1.22 has it all in os
        vfs = __import__("os")
    try:
        vfs.mount(vfs.VfsLfs2(image, readsize=64, progsize=64), _CODE, readonly=True)
    except OSError as error:  # a trial counts it as a boot that failed
        print("laclet:", slot, "cannot be mounted:", error)
    return _CODE


class Image:
    """A file as a block device that is only read: small files need no block of flash each."""

    def __init__(self, path):
        self._file = open(path, "rb")  # noqa: SIM115
        self._blocks = self._file.seek(0, 2) // _BLOCK

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buf)

    def ioctl(self, op, _):
        return {4: self._blocks, 5: _BLOCK}.get(op, 0)


def failed(error):
    """main.py has ended with an exception: code on trial makes the board restart; any other raises it again."""
    if trial is None:
        raise error
    import machine

    sys.print_exception(error)
    print("the update does not start; restarting in %d s, Ctrl-C for the prompt" % _REST)
    time.sleep(_REST)
    machine.reset()
