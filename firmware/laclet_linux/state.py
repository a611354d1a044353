"""What a service has put into the system and would outlive it, in a file beside its control socket.

A service that is killed takes back nothing: its sockets and interfaces go with it, but not what it wrote into tables of
the kernel or gave to other programs. The next one of its name finds the file, and takes that back.
"""

import contextlib
import json
import os
import threading

_NAMESPACE = "/proc/self/ns/net"


class State:
    """Things of ours as pairs of kind and what it is, plain values both; each change is written at once."""

    def __init__(self, path):
        self._path = path
        self._things = []  # [kind, what]
        self._lock = threading.Lock()  # name servers are taken back in a thread
        self._namespace = os.stat(_NAMESPACE).st_ino

    def find(self):
        """What a killed service of that name has left behind, if it was in this network namespace: it is ours now."""
        left = []
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            with open(self._path, encoding="utf-8") as file:
                found = json.load(file)
            if found["netns"] == self._namespace:
                left = [[kind, what] for kind, what in found["things"]]
        self._things += left
        return left

    def add(self, kind, what):
        """This is there from now on: to be said before it is made."""
        with self._lock:
            self._things.append([kind, what])
            self._write()

    def discard(self, kind, what):
        """This is no longer there."""
        with self._lock:
            if [kind, what] in self._things:
                self._things.remove([kind, what])
                self._write()

    def close(self):
        """Nothing is left; or there is, when somebody could not take it back."""
        if not self._things:
            with contextlib.suppress(OSError):
                os.unlink(self._path)

    def _write(self):
        new = self._path + ".new"
        with open(new, "w", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            json.dump({"netns": self._namespace, "things": self._things}, file)
        os.replace(new, self._path)
