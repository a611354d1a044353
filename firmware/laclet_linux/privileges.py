"""Less power once all is open: another user, and of root's capabilities those for the network only."""

import ctypes
import os
import pwd

# linux/capability.h, linux/prctl.h
_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW = 10, 12, 13
_VERSION_3 = 0x20080522
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2

# What a service goes on to need: ports below 1024; interfaces, routes and /dev/ppp; packet sockets.
KEPT = (_NET_BIND_SERVICE, _NET_ADMIN, _NET_RAW)


def find(user):
    """The entry of a user in the password database; raises OSError in plain words."""
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise OSError(f"there is no user {user}") from None


def drop(user, folder):
    """Become ``user`` (of find()) for good, with the capabilities KEPT; programs that are begun get no more than these.

    To be called before there are threads, and before anything is believed that the user could have written. ``folder``
    becomes that user's, with what is in it. Raises OSError when we are not root.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def prctl(*words):
        result = libc.prctl(*words, *[0] * (5 - len(words)))
        if result < 0:
            raise OSError(ctypes.get_errno(), "prctl: " + os.strerror(ctypes.get_errno()))
        return result

    for path in (folder, *(os.path.join(folder, name) for name in os.listdir(folder))):
        if path == folder or os.lstat(path).st_nlink == 1:  # it was the user's before: no way to somebody else's file
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)
    number = 0
    while libc.prctl(_PR_CAPBSET_READ, number, 0, 0, 0) >= 0:  # the first one that this kernel does not know ends it
        if number not in KEPT:
            prctl(_PR_CAPBSET_DROP, number)
        number += 1
    prctl(_PR_SET_KEEPCAPS, 1)
    os.initgroups(user.pw_name, user.pw_gid)
    os.setresgid(user.pw_gid, user.pw_gid, user.pw_gid)
    os.setresuid(user.pw_uid, user.pw_uid, user.pw_uid)
    mask = sum(1 << number for number in KEPT)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(mask, mask, mask, 0, 0, 0)  # effective, permitted, inheritable; low, then high words
    if libc.capset(header, sets):
        raise OSError(ctypes.get_errno(), "capset: " + os.strerror(ctypes.get_errno()))
    for number in KEPT:
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)
