"""strongSwan in a guest or a namespace: IKEv1 with a pre-shared key, ESP in transport mode for L2TP."""

from peers.lab import Daemon

PSK = "ikepsk"
CHARON = "/usr/lib/ipsec/charon"
IKE = "aes128-sha1-modp2048,aes128-sha1-modp1024,3des-sha1-modp1024"
ESP = "aes128-sha1"
MODULES = (
    *("xfrm_user", "esp4", "xfrm_algo", "authenc", "echainiv", "seqiv", "cbc", "hmac", "ctr", "gcm"),
    *("ghash_generic", "sha512_generic"),
)

DAEMON = """
charon {{
  load_modular = yes
  plugins {{
    include /etc/strongswan.d/charon/*.conf
    vici {{
      socket = unix://{folder}/vici
    }}
  }}
  install_routes = no
  fragment_size = {fragment}
  i_dont_care_about_security_and_use_aggressive_mode_psk = yes
  filelog {{
    stderr {{
      default = 1
      ike = {level}
      time_format = %T
    }}
  }}
}}
swanctl {{
  load_modular = no
}}
"""

CONNECTIONS = """
connections {{
  l2tp {{
    version = 1
    proposals = {ike}
    local_addrs = {local}
    remote_addrs = {remote}
    encap = {encap}
    {more}
    local {{
      auth = {auth}
      {cert}
    }}
    remote {{
      auth = {auth}
    }}
    children {{
      l2tp {{
        mode = transport
        esp_proposals = {esp}
        local_ts = {local_ts}
        remote_ts = dynamic[{remote_port}]
        {more_child}
      }}
    }}
  }}
}}
secrets {{
  ike-1 {{
    secret = {psk}
  }}
}}
"""


class StrongSwan(Daemon):
    """charon with one connection "l2tp".

    With `remote` (an address) it can `initiate()`; without, it takes whoever knows `psk`. `encap` puts ESP in UDP as if
    there were a NAT. `ike`, `esp` are proposals in strongSwan's notation, `more` and `more_child` further lines of the
    connection and of its child, `fragment` the bytes of its largest datagrams of IKE. With `cert`, a file in
    `ipsec/x509`, it wants certificates: the key to it is in `ipsec/private`, the one that signs in `ipsec/x509ca`.

    With `connections = False` it has none, and waits for orders at its socket.

    The first use after a guest has booted is slow: modules of cryptography.
    """

    connections = True

    def __init__(
        self,
        place,
        remote=None,
        psk=PSK,
        ike=IKE,
        esp=ESP,
        encap=False,
        level=1,
        more="",
        more_child="",
        port="udp/1701",
        local_ts="dynamic[udp/1701]",
        fragment=1280,
        cert=None,
    ):
        self.place = place
        self.remote = remote
        self._values = {
            "ike": ike,
            "local": place.address,
            "remote": remote or "%any",
            "encap": "yes" if encap else "no",
            "esp": esp,
            "local_ts": local_ts,
            "remote_port": port if remote else "udp",
            "psk": psk,
            "more": more,
            "more_child": more_child,
            "auth": "pubkey" if cert else "psk",
            "cert": f"certs = {cert}" if cert else "",
        }
        self._level = level
        self._fragment = fragment

    def _file(self, name):
        return f"{self.place.directory}/ipsec/{name}"

    def _daemon(self):
        return DAEMON.format(folder=self._file("")[:-1], level=self._level, fragment=self._fragment)

    def start(self):
        """Start the daemon and load its connection; self."""
        self.place.run("modprobe", "-q", "-a", "-d", "/run/mod", *MODULES, check=False)
        self.place.write(self._file("strongswan.conf"), self._daemon())
        self.place.write(self._file("swanctl.conf"), CONNECTIONS.format(**self._values))
        self.process = self.place.spawn(CHARON, log="ipsec/charon.log", env=self._environment)
        self.place.until("exists", self._file("vici"), timeout=20.0)
        if self.connections:
            self.swanctl("--load-all", "--noprompt", "--file", self._file("swanctl.conf"))
        return self

    @property
    def _environment(self):
        return {"STRONGSWAN_CONF": self._file("strongswan.conf"), "SWANCTL_DIR": self._file("")[:-1]}

    def swanctl(self, command, *arguments, timeout=30.0, check=True):
        """Run swanctl, to its end."""
        uri = ["--uri", f"unix://{self._file('vici')}"]
        return self.place.run("swanctl", command, *arguments, *uri, timeout=timeout, check=check, env=self._environment)

    def initiate(self, timeout=20.0):
        """Phase 1 and 2 towards `remote`; LabError when they fail."""
        return self.swanctl("--initiate", "--child", "l2tp", timeout=timeout).out

    def security_associations(self):
        """What `swanctl --list-sas` says."""
        return self.swanctl("--list-sas").out

    def text(self):
        return self.process.text()

    def said(self, pattern, timeout=10.0, count=1):
        return self.process.said(pattern, timeout, count)

    def stop(self):
        """End it; it deletes its associations."""
        self.process.stop()
        self.place.run(
            "ip xfrm state flush; ip xfrm policy flush; rm -f /run/charon.pid " + self._file("vici"), check=False
        )
