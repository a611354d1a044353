"""Programs that are run when a link comes up and goes down, in the manner of /etc/ppp/ip-up.d and ip-down.d."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
from concurrent.futures import ThreadPoolExecutor

from laclet.fault import clean
from laclet.wire.address import ipv4_text

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")  # names that run-parts takes: no backups, no packagers' leftovers
_WAITING = 1000  # links that wait for their programs; more are passed over


class Hooks:
    """Runs ``directory``/ip-up.d/* and ip-down.d/* one after the other, in a thread. ``log(level, text)``.

    ``state`` (a State) knows which links are up in the eyes of ip-down.d.
    Each program has ``timeout`` seconds. Both may be changed at any time.
    """

    def __init__(self, directory, timeout, log, state):
        self._state = state
        self.directory = directory
        self.timeout = timeout
        self._log = log
        self._worker = ThreadPoolExecutor(1, "hooks")
        self._waiting = threading.BoundedSemaphore(_WAITING)

    def of_call(self, ipparam, link):
        """The hooks of one link: what they are told of it beside its addresses."""
        return CallHooks(self, ipparam, link)

    def run(self, which, arguments, environment):
        """Run all of ``ip-up.d`` or ``ip-down.d``; returns at once."""
        folder = os.path.join(self.directory, which)
        if not os.path.isdir(folder):
            return
        if self._waiting.acquire(blocking=False):
            self._worker.submit(self._all, folder, arguments, environment)
        else:
            self._log("warning", f"{folder}: passed over, {_WAITING} links wait for their programs already")

    def up(self, told):
        """Run ip-up.d for a link, with ``told``, its arguments and its environment."""
        if os.path.isdir(os.path.join(self.directory, "ip-down.d")):
            self._state.add("hooks", told)
        self.run("ip-up.d", *told)

    def down(self, told, **more):
        """Run ip-down.d for a link of ours, or of a service that was killed."""
        arguments, about = told
        self.run("ip-down.d", arguments, {**about, **more})
        self._state.discard("hooks", told)

    def close(self):
        """Wait for the last program."""
        self._worker.shutdown()

    def _all(self, folder, arguments, environment):
        try:
            for path in programs(folder):
                self._one(path, arguments, environment)
        except OSError as error:
            self._log("warning", f"{folder}: {error.strerror}")
        finally:
            self._waiting.release()

    def _one(self, path, arguments, environment):
        """A file takes what it says: a pipe would be held open by whatever it leaves behind."""
        with tempfile.TemporaryFile() as said:
            try:
                process = subprocess.Popen(
                    [path, *arguments],
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=said,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except OSError as error:
                self._log("warning", f"{path}: {error.strerror}")
                return
            try:
                code = process.wait(self.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                self._log("warning", f"{path}: not done after {self.timeout} s, killed")
                return
            if code:
                said.seek(0)
                words = clean(said.read(4096).strip().split(b"\n")[-1])
                reason = f"exit code {code}" if code > 0 else f"killed by signal {-code}"
                self._log("warning", f"{path}: {reason}" + (f": {words}" if words else ""))
            else:
                self._log("debug", f"{path}: done")


class CallHooks:
    """The hooks of one link; ``down`` is told of only when ``up`` was."""

    def __init__(self, hooks, ipparam, link):
        self._hooks = hooks
        self._ipparam = ipparam
        self._link = link
        self._told = None

    def any(self):
        """Whether there is a program that is told when the link comes up."""
        with contextlib.suppress(OSError):
            return bool(programs(os.path.join(self._hooks.directory, "ip-up.d")))
        return False

    def up(self, interface, settings):
        """The link is up and its interface configured."""
        local, remote = ipv4_text(settings["local"]), ipv4_text(settings["remote"])
        about = {
            "PATH": os.environ.get("PATH", os.defpath),
            "DEVICE": "",
            "IFNAME": interface,
            "IPLOCAL": local,
            "IPREMOTE": remote,
            "PEERNAME": clean(self._link.peer_name),
        }
        for i, server in enumerate(settings["dns"][:2]):
            about[f"DNS{i + 1}"] = ipv4_text(server)
        self._told = [[interface, "", "0", local, remote, self._ipparam], about]
        self._hooks.up(self._told)

    def down(self, seconds, sent, received):
        """The link was up for ``seconds``, and carried so many bytes."""
        if self._told is not None:
            told, self._told = self._told, None
            self._hooks.down(told, CONNECT_TIME=str(seconds), BYTES_SENT=str(sent), BYTES_RCVD=str(received))


def programs(folder):
    """The programs of a folder, in the order of run-parts(8)."""
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder)) if _PLAIN.match(name)]
    return [path for path in paths if os.path.isfile(path) and os.access(path, os.X_OK)]
