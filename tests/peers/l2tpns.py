"""l2tpns, an LNS in user space on the machine's own TUN, with freeradius behind it, in a namespace."""

from peers.lab import Daemon
from peers.xl2tpd import USERS

RADIUS_SECRET = "radsecret"
RADIUS = """
prefix = /usr
libdir = /usr/lib/freeradius
raddbdir = {folder}
logdir = {folder}
run_dir = {folder}
modconfdir = {folder}
pidfile = {folder}/freeradius.pid
max_requests = 1024
log {{
    destination = files
    file = {folder}/radius.log
    auth = yes
}}
security {{
    allow_vulnerable_openssl = yes
}}
thread pool {{
    start_servers = 1
    max_servers = 2
    min_spare_servers = 1
    max_spare_servers = 2
}}
client l2tpns {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = no
}}
modules {{
    files {{
        usersfile = {folder}/users
        acctusersfile = {folder}/users
        preproxy_usersfile = {folder}/users
    }}
    pap {{
    }}
    chap {{
    }}
    always ok {{
        rcode = ok
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = 1812
    }}
    listen {{
        type = acct
        ipaddr = 127.0.0.1
        port = 1813
    }}
    authorize {{
        chap
        files
        pap
    }}
    authenticate {{
        Auth-Type PAP {{
            pap
        }}
        Auth-Type CHAP {{
            chap
        }}
    }}
    accounting {{
        ok
    }}
}}
"""


class L2tpns(Daemon):
    """An LNS that gives addresses from 10.8.0.64/26 and has 10.8.0.1 itself. `auth`: "pap" or "chap".

    It answers a challenge of the tunnel but makes none; it becomes master of its cluster of one about 3 s after the
    start, and takes calls from then on.
    """

    local = "10.8.0.1"

    def __init__(self, place, auth="chap", secret=None, users=None):
        self.place = place
        self.auth = auth
        self.secret = secret
        self.users = USERS if users is None else users
        self._radius = None

    def _start_radius(self):
        folder = f"{self.place.directory}/raddb"
        self.place.write(f"{folder}/radiusd.conf", RADIUS.format(folder=folder, secret=RADIUS_SECRET))
        self.place.write(f"{folder}/dictionary", "$INCLUDE /usr/share/freeradius/dictionary\n")
        users = [f'{name}\tCleartext-Password := "{password}"\n' for name, password in self.users.items()]
        self.place.write(f"{folder}/users", "\tService-Type = Framed-User\n".join([*users, ""]))
        self._radius = self.place.spawn("freeradius", "-f", "-d", folder, "-n", "radiusd", log="freeradius.log")
        self.place.until("udp_port", 1812)

    def start(self):
        """Start both and wait until l2tpns takes calls; self."""
        self._start_radius()
        self.place.spare("/etc/l2tpns")
        settings = {
            "debug": 3,
            "log_file": f'"{self._log}"',
            "pid_file": f'"{self.place.directory}/l2tpns.pid"',
            "hostname": '"l2tpns"',
            **({"l2tp_secret": f'"{self.secret}"'} if self.secret else {}),
            "l2tp_mtu": 1462,
            "primary_dns": self.local,
            "primary_radius": "127.0.0.1",
            "primary_radius_port": 1812,
            "radius_secret": f'"{RADIUS_SECRET}"',
            "radius_authtypes": f'"{self.auth}"',
            "bind_address": self.place.address,
            "iftun_address": self.local,
            "peer_address": self.local,
            "cli_bind_address": "127.0.0.1",
            "cluster_interface": '"eth0"',
            "cluster_hb_interval": 5,
            "cluster_hb_timeout": 11,
            "send_garp": "no",
            "allow_duplicate_users": "yes",
        }
        lines = "".join(f"set {key} {value}\n" for key, value in settings.items())
        self.place.write("/etc/l2tpns/startup-config", lines)
        self.place.write("/etc/l2tpns/ip_pool", "10.8.0.64/26\n")
        self.place.write("/etc/l2tpns/users", "")
        self.place.write(self._log, "")
        self.process = self.place.spawn("l2tpns", "-c", "/etc/l2tpns/startup-config", log="l2tpns-output.log")
        self.place.until("udp_port", 1701)
        self.place.until("log", self._log, "declaring myself the master", 1, timeout=15.0)
        return self

    @property
    def _log(self):
        return f"{self.place.directory}/l2tpns.log"

    def text(self):
        """What l2tpns has logged."""
        return self.place.read(self._log)

    def said(self, pattern, timeout=10.0, count=1):
        return self.place.until("log", self._log, pattern, count, timeout=timeout)

    def stop(self):
        if self.process:
            self.process.stop(timeout=3.0)
        self._radius.stop()
        self.place.run("umount", "/etc/l2tpns")
