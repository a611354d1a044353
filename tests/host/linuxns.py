"""Run a function in a network namespace of its own: as root, in a child process, with nothing left behind."""

import contextlib
import ctypes
import functools
import os
import signal
import sys
import traceback

import pytest

_CLONE_NEWNET = 0x40000000


def can_make_namespaces():
    """True as root where /dev/net/tun is."""
    return sys.platform == "linux" and os.geteuid() == 0 and os.path.exists("/dev/net/tun")


def in_namespace(test):
    """Decorate a test: its body runs in a child process with only a loopback interface, which is down."""

    @pytest.mark.root
    @pytest.mark.skipif(not can_make_namespaces(), reason="needs root and /dev/net/tun")
    @functools.wraps(test)
    def run(*args, **kwargs):
        read, write = os.pipe()
        child = os.fork()
        if not child:
            failed = 1
            try:
                os.close(read)
                os.setpgid(0, 0)
                if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "unshare")
                test(*args, **kwargs)
                failed = 0
            except BaseException:
                os.write(write, traceback.format_exc().encode()[-60000:])
            finally:
                os._exit(failed)
        os.close(write)
        with os.fdopen(read, "rb") as pipe:
            report = pipe.read().decode()
        os.waitpid(child, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # what a test that failed has left running
        if report:
            pytest.fail(report, pytrace=False)

    return run
