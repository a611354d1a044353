"""xl2tpd with pppd and the kernel's L2TP, in a guest: as LNS and as client."""

from peers.lab import Daemon
from peers.pppd import pppd_options, write_secrets

SECRET = "tunnelsecret"
USERS = {"user": "secret"}
UDP_PORT = 1701


class _Xl2tpd(Daemon):
    """One daemon with its files in a folder of its own."""

    def __init__(self, place, name, pppd):
        self.place = place
        self.name = name  # of the folder; two daemons in one guest need two
        self.pppd = tuple(pppd)  # further options of pppd
        self.port = UDP_PORT

    def _file(self, name):
        return f"{self.place.directory}/{self.name}/{name}"

    def start(self):
        """Start the daemon and wait until it listens; self."""
        self.place.lab.logs.append((self.place, self.place.write(self._file("pppd.log"), "")))
        self.place.write(self._file("xl2tpd.conf"), self._configuration())
        self.place.write(self._file("options"), self._options())
        # client's name, our name, secret; without quotes, which xl2tpd would take for a part of the secret
        self.place.write(self._file("l2tp-secrets"), f"* * {self.secret or SECRET}\n")
        self.process = self.place.spawn(
            *["xl2tpd", "-D", "-c", self._file("xl2tpd.conf")],
            *["-C", self._file("control"), "-p", self._file("pid")],
            log=f"{self.name}/xl2tpd.log",
        )
        self.place.until("udp_port", self.port)
        self.place.until("exists", self._file("control"))
        return self

    def stop(self):
        """Stop it and its pppd, and wait until their interfaces are gone. A StopCCN is sent."""
        self.process.stop()
        self.place.no_interface("ppp[0-9]+")

    def kill(self):
        """End it and its pppd as a power cut does: nothing is sent."""
        self.process.stop(9)
        self.place.no_interface("ppp[0-9]+")

    def text(self):
        """What xl2tpd has logged."""
        return self.process.text()

    def pppd_text(self):
        """What its pppd have logged, with every packet."""
        return self.place.read(self._file("pppd.log"))

    def pppd_said(self, pattern, timeout=10.0, count=1):
        return self.place.until("log", self._file("pppd.log"), pattern, count, timeout=timeout)

    def up(self, timeout=20.0):
        """Wait for a session with addresses: (interface, own address, peer's address)."""
        return self.place.interface("ppp[0-9]+", timeout)

    def down(self, timeout=20.0):
        """Wait until there is no session."""
        self.place.no_address("ppp[0-9]+", timeout)

    def _control(self, command):
        self.place.run(f"echo '{command}' > {self._file('control')}")


class Xl2tpdLns(_Xl2tpd):
    """An LNS that gives addresses from 10.9.0.10 on, 10.9.0.1 being its own.

    `auth`: what its pppd requires, "pap", "chap", "mschap", "mschap-v2", "eap" or "none". `secret`: of the tunnel, or
    None. Without "silent" pppd's first Configure-Request meets a client that is not ready, and 3 s are lost.
    """

    local = "10.9.0.1"

    def __init__(self, place, auth="chap", secret=None, users=None, pppd=("silent",), name="lns", conf=()):
        super().__init__(place, name, pppd)
        self.auth = auth
        self.secret = secret
        self.users = USERS if users is None else users
        self.conf = tuple(conf)  # further lines of the [lns default] section

    def _configuration(self):
        return "\n".join(
            [
                "[global]",
                f"port = {self.port}",
                f"auth file = {self._file('l2tp-secrets')}",
                "access control = no",
                "debug tunnel = yes",
                "[lns default]",
                "ip range = 10.9.0.10-10.9.0.100",
                f"local ip = {self.local}",
                "name = lns",
                "hostname = lns",
                f"pppoptfile = {self._file('options')}",
                "length bit = yes",
                "flow bit = no",
                *(["challenge = yes"] if self.secret else []),
                *(["require authentication = no"] if self.auth == "none" else []),
                *self.conf,
                "",
            ]
        )

    def _options(self):
        write_secrets(self.place, self.users)
        return pppd_options(
            "noauth" if self.auth == "none" else f"require-{self.auth}",
            *["name lns", "mtu 1400", "mru 1400", "lcp-echo-interval 30", "lcp-echo-failure 4", "ms-dns 10.9.0.1"],
            *self.pppd,
            log=self._file("pppd.log"),
        )


class Xl2tpdClient(_Xl2tpd):
    """A client that dials `lns` (an address) when told to."""

    def __init__(self, place, lns, user="user", password="secret", secret=None, pppd=(), name="client", port=UDP_PORT):
        super().__init__(place, name, pppd)
        self.lns = lns
        self.user = user
        self.password = password
        self.secret = secret
        self.port = port  # its own

    def _configuration(self):
        return "\n".join(
            [
                "[global]",
                f"port = {self.port}",
                f"auth file = {self._file('l2tp-secrets')}",
                "access control = no",
                "debug tunnel = yes",
                "[lac v]",
                f"lns = {self.lns}",
                "name = client",
                "hostname = client",
                f"pppoptfile = {self._file('options')}",
                "length bit = yes",
                "require authentication = no",
                "autodial = no",
                *(["challenge = yes"] if self.secret else []),
                "",
            ]
        )

    def _options(self):
        return pppd_options(
            *[f"user {self.user}", f"password {self.password}", "noauth", "ipcp-accept-local", "ipcp-accept-remote"],
            *["mtu 1400", "mru 1400", "usepeerdns"],
            *([] if any("mppe" in option for option in self.pppd) else ["noccp"]),
            *self.pppd,
            log=self._file("pppd.log"),
        )

    def dial(self):
        self._control("c v")

    def hang_up(self):
        self._control("d v")
