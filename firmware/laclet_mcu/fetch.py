"""An update fetched by the board itself, while calls go on. See docs/update.md."""

from laclet import ticks

from .update import MANIFEST, Refused

_PORTS = {"http": 80, "https": 443, "tftp": 69}


def split_url(url):
    """``(scheme, host, port, folder)`` of the address of a manifest; the folder has its slashes. Raises Refused."""
    scheme, mark, rest = url.partition("://")
    place, _, path = rest.partition("/")
    host, colon, port = place.rpartition(":") if place[-1:] != "]" else (place, "", "")
    if not colon:
        host, port = place, str(_PORTS.get(scheme, 0))
    folder, _, name = path.rpartition("/")
    if not mark or scheme not in _PORTS or not host or not port.isdigit() or name != MANIFEST or " " in url:
        raise Refused("is no address of a manifest; write it like http://192.0.2.1/laclet/manifest")
    return scheme, host.strip("[]"), int(port), "/" + folder + "/" if folder else "/"


class Fetch:
    """Fetches the manifest and the files that ``update`` wants; then calls ``done()``. A machine of the shell's node.

    ``path`` is what comes now, None at the end; ``error`` says why it ended, if not well. A file comes by a way:
    ``ask(path, now)``, ``close()``, ``poll_at()``, ``on_timer(now)``, which calls ``take`` and ``ended``.
    """

    def __init__(self, shell, update, url, done):
        """Raises Refused for an address that is none."""
        self.armed = None  # for Timers
        self.error = None
        self.path = MANIFEST
        self._shell = shell
        self._update = update
        self._done = done
        self._paths = [MANIFEST]
        self._before = []  # those of the last round: what is wanted again is not what the manifest says
        self._at = 0  # bytes of the file so far
        self._due = shell.now()  # when to ask for the next one
        scheme, self._host, port, folder = split_url(url)
        if scheme == "tftp":
            from .tftp import Tftp

            self._way = Tftp(shell, self, self._host, port, folder)
        else:
            from .http import Http

            self._way = Http(shell, self, scheme, self._host, port, folder)
        shell.node.timers.update(self, self._due)

    def poll_at(self):
        """When to go on, or to give up."""
        return self._due if self._due is not None else self._way.poll_at()

    def on_timer(self, now):
        """Ask for the next file, or let its way go on."""
        if ticks.due(self._due, now):
            self.guarded(self._next, now)
        elif ticks.due(self.poll_at(), now):
            self.guarded(self._way.on_timer, now)

    def close(self):
        """Give up; harmless at any time."""
        self._due = self.path = None
        self._way.close()

    # -- for the way ----------------------------------------------------------------------------------

    def guarded(self, step, now):
        """Do ``step(now)``: a Refused or OSError ends it all."""
        try:
            step(now)
        except Refused as error:
            self._fail(str(error))
        except OSError as error:
            self._fail("%s: %s; is the address right, and the uplink up?" % (self._host, error))
        self._shell.node.timers.update(self, now)

    def take(self, piece):
        """The next bytes of the file."""
        self._at = self._update.put(self.path, self._at, piece)

    def ended(self, now):
        """The file is complete; the next is asked for in the next turn."""
        if not self._at:
            self.take(b"")
        self._due = now

    # -------------------------------------------------------------------------------------------------

    def _next(self, now):
        if not self._paths:
            self._paths = self._update.want()
            if not self._paths:
                self.close()
                self._done()
                return
            if self._paths[0] in self._before:
                raise Refused(self._paths[0] + " is not as in the manifest; mend the server's files")
            self._before = list(self._paths)
        self.path = self._paths.pop(0)
        self._at = 0
        self._due = None
        self._way.ask(self.path, now)

    def _fail(self, text):
        self.close()
        self.error = text
        self._shell.log("warning", "update", text)
