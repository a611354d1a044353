"""pppd on a serial line of a guest."""

from peers.lab import Daemon

SERVER = "10.20.0.1"  # pppd's own address when it answers
CLIENT = "10.20.0.2"  # the one it gives


def pppd_options(*options, log):
    """The text of a file of pppd options: `options` and what every pppd here needs."""
    return "\n".join([*options, "nodefaultroute", "noproxyarp", "debug", f"logfile {log}", ""])


def write_secrets(place, users):
    """The passwords that the pppd of a guest accept."""
    text = "".join(f'"{name}" * "{password}" *\n' for name, password in users.items())
    for name in ("chap-secrets", "pap-secrets"):
        place.write(f"/etc/ppp/{name}", text)


def client_options(user, password):
    # Behind an LNS whose pppd is just starting the first Configure-Request is lost: 1 s, and not 3.
    log_in = ["noauth", f"user {user}", f"password {password}", "lcp-restart 1"]
    return [*log_in, "ipcp-accept-local", "ipcp-accept-remote", "usepeerdns"]


def server_options(auth):
    return [f"require-{auth}" if auth != "none" else "noauth", "name server", f"{SERVER}:{CLIENT}", f"ms-dns {SERVER}"]


class _Pppd(Daemon):
    """pppd on a tty of a guest, with its files in a folder of its own."""

    def __init__(self, place, tty, name):
        self.place = place
        self.tty = tty
        self.name = name  # of the folder

    def _file(self, name):
        return f"{self.place.directory}/{self.name}/{name}"

    def _spawn(self, options):
        self.place.write(self._file("options"), pppd_options(*options, log=self._file("pppd.log")))
        self.process = self.place.spawn(
            *["pppd", f"/dev/{self.tty}", "115200", "local", "nocrtscts", "nodetach", "file", self._file("options")],
            log=f"{self.name}/output.log",
        )
        return self.process

    def pppd_text(self):
        """What pppd has logged, with every packet."""
        return self.place.read(self._file("pppd.log"))

    def pppd_said(self, pattern, timeout=10.0, count=1):
        return self.place.until("log", self._file("pppd.log"), pattern, count, timeout=timeout)

    def up(self, timeout=20.0):
        """Wait for addresses: (interface, own address, peer's address)."""
        return self.place.interface("ppp[0-9]+", timeout)

    def down(self, timeout=20.0):
        self.place.no_address("ppp[0-9]+", timeout)


class PppdSerial(_Pppd):
    """pppd itself on a tty. `auth` makes it a server that requires it ("none" too); otherwise it is a client.

    A server waits for the other side's first packet, and for the next link when one has ended.
    """

    def __init__(self, place, tty="ttyS0", auth=None, user="user", password="secret", pppd=(), name="serial"):
        super().__init__(place, tty, name)
        if auth:
            self.users = {user: password}
            self.options = [*server_options(auth), "silent", "persist", "maxfail 0", "holdoff 0"]
        else:
            self.users = None
            self.options = client_options(user, password)
        self.options += ["lcp-echo-interval 30", "lcp-echo-failure 4", *pppd]
        if not any("mppe" in option for option in pppd):
            self.options.append("noccp")

    def start(self):
        if self.users:
            write_secrets(self.place, self.users)
        self.place.lab.logs.append((self.place, self.place.write(self._file("pppd.log"), "")))
        self._spawn(self.options)
        return self

    def stop(self):
        self.process.stop()
        self.place.no_interface("ppp[0-9]+")
