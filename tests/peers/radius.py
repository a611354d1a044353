"""freeradius in a namespace: PAP, CHAP, MS-CHAP of both versions with keys, EAP; accounting in a file."""

from peers.lab import Daemon

SECRET = "radsecret"
CONFIGURATION = """
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
client lns {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = yes
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
    mschap {{
        use_mppe = yes
    }}
    eap {{
        default_eap_type = mschapv2
        md5 {{
        }}
        mschapv2 {{
        }}
    }}
    detail {{
        filename = {folder}/detail
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
        mschap
        eap {{
            ok = return
        }}
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
        Auth-Type MS-CHAP {{
            mschap
        }}
        eap
    }}
    accounting {{
        detail
    }}
}}
"""
DICTIONARY = "$INCLUDE /usr/share/freeradius/dictionary\n"


class FreeRadius(Daemon):
    """It listens at 127.0.0.1 of its place. `users`: name -> (password, lines of attributes for the reply)."""

    def __init__(self, place, users):
        self.place = place
        self.users = users

    @property
    def _folder(self):
        return f"{self.place.directory}/raddb"

    def start(self):
        """Start it and wait until it listens; self."""
        folder = self._folder
        self.place.write(f"{folder}/radiusd.conf", CONFIGURATION.format(folder=folder, secret=SECRET))
        self.place.write(f"{folder}/dictionary", DICTIONARY)
        users = []
        for name, (password, reply) in self.users.items():
            users.append(f'{name}\tCleartext-Password := "{password}"')
            users.append(",\n".join(f"\t{line}" for line in ("Service-Type = Framed-User", *reply)))
        self.place.write(f"{folder}/users", "\n".join([*users, ""]))
        self.place.write(f"{folder}/detail", "")
        self.process = self.place.spawn("freeradius", "-X", "-d", folder, "-n", "radiusd", log="freeradius.log")
        self.place.until("udp_port", 1813, pid=self.process.pid)
        return self

    def stop(self):
        self.process.stop(timeout=3.0)

    def accounted(self, pattern, count=1, timeout=10.0):
        """Wait for the `count`-th line like `pattern` of what was accounted."""
        return self.place.until("log", f"{self._folder}/detail", pattern, count, timeout=timeout)
