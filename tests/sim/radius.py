"""A RADIUS server for the LNS of a simulation: it knows passwords, grants what it is told, and counts."""

from laclet.ppp.auth.chap import chap_md5


class Radius:
    """``users``: name -> (password, what a verdict grants); answers come ``delay`` ms later, None: never."""

    def __init__(self, world):
        self.world = world
        self.users = {}
        self.delay = 40
        self.asked = []
        self.counted = []  # ("start", about) and ("stop", about, cause)
        self.closed = False

    def authenticate(self, evidence, about, done):
        self.asked.append((evidence, about))
        password, granted = self.users.get(evidence["name"], (None, {}))
        right = password is not None and evidence["response"] == chap_md5(
            evidence["identifier"], password, evidence["challenge"]
        )
        if self.delay is not None:
            self.world.later(self.delay, done, dict(granted, right=right))

    def start(self, about):
        self.counted.append(("start", about))
        return len(self.counted)

    def stop(self, call, about, fault):
        self.counted.append(("stop", about, str(fault)))

    def close(self):
        self.closed = True
