"""Name servers that a peer has told us: handed to systemd-resolved or resolvconf, whichever is here.

Where neither is, hooks are told of them: dnsmasq and netifd have them from there.
"""

import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

_RESOLVED = "/run/systemd/resolve"  # is there while systemd-resolved runs
_PATIENCE = 10  # seconds for a command


class NameServers:
    """``set`` and ``clear`` return at once; commands run one after the other in a thread.

    ``log(level, text)``; ``state`` (a State) knows what would outlive us.
    """

    def __init__(self, log, state):
        self._log = log
        self._state = state
        self._worker = ThreadPoolExecutor(1, "names")
        self._set = set()  # interfaces with name servers of ours

    def set(self, interface, servers, told):
        """Use ``servers`` (addresses as text) for names while ``interface`` is up; ``told``: a hook is told of them."""
        if os.path.exists(_RESOLVED) and shutil.which("resolvectl"):
            self._set.add(interface)
            self._run(["resolvectl", "dns", interface, *servers])
            self._run(["resolvectl", "domain", interface, "~."])
        elif shutil.which("resolvconf"):
            self._set.add(interface)
            self._state.add("resolvconf", interface)
            self._run(["resolvconf", "-a", interface], "".join(f"nameserver {server}\n" for server in servers))
        elif not told:
            why = "no resolvectl, no resolvconf, no program in ip-up.d"
            self._log("warning", f"name servers {', '.join(servers)} are not used: {why}")

    def clear(self, interface):
        """Forget them. systemd-resolved does it by itself when the interface goes."""
        if interface in self._set:
            self._set.discard(interface)
            if os.path.exists(_RESOLVED) and shutil.which("resolvectl"):
                self._run(["resolvectl", "revert", interface])
            else:
                self.remove(interface)

    def remove(self, interface):
        """Take back what was told to resolvconf, by us or by a service that was killed."""
        self._run(["resolvconf", "-d", interface])
        self._worker.submit(self._state.discard, "resolvconf", interface)

    def close(self):
        """Wait for the last command."""
        self._worker.shutdown()

    def _run(self, command, text=""):
        self._worker.submit(self._one, command, text)

    def _one(self, command, text):
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            self._log("warning", f"{command[0]}: {error}")
            return
        if done.returncode:
            words = (done.stderr or done.stdout).strip().split("\n")[-1]
            self._log("warning", f"{command[0]}: {words or done.returncode}")
