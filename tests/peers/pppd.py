"""pppd on a serial line of a guest, alone or behind an AT modem."""

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
    return ["noauth", f"user {user}", f"password {password}", "ipcp-accept-local", "ipcp-accept-remote", "usepeerdns"]


def server_options(auth):
    return [f"require-{auth}" if auth != "none" else "noauth", "name server", f"{SERVER}:{CLIENT}", f"ms-dns {SERVER}"]


class _Line:
    """A program on a tty of a guest that ends in a pppd."""

    def __init__(self, place, tty, name):
        self.place = place
        self.tty = tty
        self.name = name
        self.process = None

    def _file(self, name):
        return f"{self.place.directory}/{self.name}/{name}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def stop(self):
        self.process.stop()
        self.place.no_interface("ppp[0-9]+")

    def pppd_text(self):
        """What pppd has logged, with every packet."""
        return self.place.read(self._file("pppd.log"))

    def pppd_said(self, pattern, timeout=10.0, count=1):
        return self.place.until("log", self._file("pppd.log"), pattern, count, timeout=timeout)

    def up(self, timeout=20.0):
        """Wait for addresses: (interface, own address, peer's address)."""
        return self.place.interface("ppp[0-9]+", timeout)

    def down(self, timeout=20.0):
        self.place.no_interface("ppp[0-9]+", timeout)


class PppdSerial(_Line):
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
        self.options += ["noccp", "lcp-echo-interval 30", "lcp-echo-failure 4", *pppd]

    def start(self):
        if self.users:
            write_secrets(self.place, self.users)
        self.place.write(self._file("pppd.log"), "")
        self.place.write(self._file("options"), pppd_options(*self.options, log=self._file("pppd.log")))
        self.process = self.place.spawn(
            *["pppd", f"/dev/{self.tty}", "115200", "local", "nocrtscts", "nodetach", "file", self._file("options")],
            log=f"{self.name}/output.log",
        )
        return self


class AtModem(_Line):
    """An AT modem on a tty of a guest, with a pppd at the far end of the telephone line.

    It answers ATD with CONNECT, and then pppd answers (server); `ring()` calls our side: RING until ATA, then CONNECT,
    and pppd dials in (client). It hears the escape sequence and ATH; NO CARRIER when pppd has ended.
    """

    def __init__(self, place, tty="ttyS0", auth="chap", user="user", password="secret", pppd=(), name="modem"):
        super().__init__(place, tty, name)
        self.users = {user: password}
        common = ["noccp", "lcp-echo-interval 30", "lcp-echo-failure 4", *pppd]
        self.answering = [*server_options(auth), "silent", *common]
        self.calling = [*client_options(user, password), *common]

    def start(self):
        self.place.write(self._file("pppd.log"), "")
        for role, options in (("answer", self.answering), ("call", self.calling)):
            self.place.write(self._file(role), pppd_options(*options, log=self._file("pppd.log")))
        self.process = self.place.spawn_python(
            "modem.py",
            f"/dev/{self.tty}",
            self._file("orders"),
            self._file("answer"),
            self._file("call"),
            log=f"{self.name}/modem.log",
        )
        self.process.said("^ready")
        write_secrets(self.place, self.users)
        return self

    def _order(self, text):
        self.place.run(f"echo '{text}' > {self._file('orders')}")

    def ring(self, caller=""):
        """Somebody calls; with `caller` the modem reports the number between the rings."""
        self._order(f"ring {caller}")

    def hang_up(self):
        """The far end hangs up: its pppd ends in good order."""
        self._order("hangup")

    def cut(self):
        """The carrier is lost: nothing is sent but NO CARRIER."""
        self._order("cut")

    def said(self, pattern, timeout=10.0, count=1):
        """Wait for a line of the modem's own log: "< ATA", "> CONNECT 115200", "hung up" …"""
        return self.process.said(pattern, timeout, count)
