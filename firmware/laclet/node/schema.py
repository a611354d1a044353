"""Every configuration key there is: one table for TOML on Linux, JSON on boards, the checks and the documentation.

``SECTIONS`` is a tuple of ``(section, many, keys, help)``: ``many`` tells ``[tunnel.NAME]`` from ``[lns]``; the section
``""`` is the top of the file. A key is ``(name, kind, limits, default, flags, help)``; times are in seconds.

Kinds, and what the checked configuration holds for each:

``bool``            True or False
``int``             int within ``limits = (low, high)``
``seconds``         int or float within ``limits = (low, high)``
``text`` ``secret`` printable string of ``limits = (shortest, longest)`` bytes; a secret is never shown
``texts``           list of such strings
``secrets``         table of name -> secret, ``limits`` for the secret
``choice``          one of ``limits``
``choices``         list of some of ``limits``, each once
``ref``             name of a section ``[limits.NAME]``
``refs``            list of such names, each once
``ipv4`` ``ip``     address as a string; ``ip`` takes IPv6 too
``ipv4s``           list of IPv4 addresses as strings
``pool``            tuple of first and last IPv4 address as strings, from ``"first-last"``
``cidrs``           list of IPv4 networks ``"192.0.2.0/24"``
``circuit``         string that carrier.circuit.parse() takes; ``circuits`` a list of these
``proposals``       string of IPsec proposals; ``limits`` is ``ipsec_ike`` or ``ipsec_esp``
``hosts``           list of ``(host, port)``, from one string or a list of ``"host"``, ``"host:port"``, ``"[v6]:port"``;
                    ``limits`` is the port when none is given
"""

MUST = 1  # has to be given
LINUX = 2  # means nothing on a board
PPP = 4  # belongs to a LAC client: not for a call that has a line
BOARD = 8  # means nothing on Linux

_AUTH = ("chap", "pap", "mschap-v2", "mschap", "eap")  # those of laclet.ppp.auth
_AUTH_DEFAULT = ("chap", "pap")


# Of [call.NAME] and [lns] alike; the flags differ.
def _ncps(flags):
    return (
        (
            "ipv6",
            "bool",
            None,
            False,
            flags | LINUX,
            "Negotiate IPv6, too; link-local addresses and what routers tell.",
        ),
        (
            "mppe",
            "choice",
            ("none", "prefer", "require"),
            "none",
            flags,
            "Encrypt with MPPE, whose keys come from mschap-v2, mschap or eap; require: nothing passes in clear.",
        ),
        ("mppe_bits", "choices", ("128", "56", "40"), ("128",), flags, "Key lengths that will do."),
        (
            "mppe_stateful",
            "bool",
            None,
            False,
            flags,
            "Let the peer change keys seldom; a lost packet then costs more.",
        ),
    )


# Linux alone has several ways for packets.
def _planes(flags):
    return (
        (
            "data_plane",
            "choice",
            ("auto", "kernel", "tun", "stream"),
            "auto",
            flags | LINUX,
            "Who moves packets: the kernel; tun, many at a time; stream, one by one; auto: the first that can.",
        ),
    )


def _mss(flags):
    return (
        (
            "mss_clamp",
            "bool",
            None,
            True,
            flags | LINUX,
            "Lower the segment size of TCP connections that pass to what the MTU lets through.",
        ),
    )


def _extras(flags):
    return (
        ("identification", "text", (1, 128), None, flags, "What we call ourselves in LCP (RFC 1570)."),
        ("lqr_interval", "seconds", (0, 3600), 0, flags, "Time between reports of what was lost; 0 for none."),
    )


def _multilink(flags):
    return (
        (
            "multilink",
            "bool",
            None,
            False,
            flags,
            "Several links to one peer carry packets and their fragments together (RFC 1990).",
        ),
        ("mrru", "int", (1500, 9000), 1500, flags, "Largest packet put together from fragments."),
    )


# Of [tunnel.NAME] and [lns] alike.
_IPSEC = (
    (
        "ipsec_psk",
        "secret",
        (1, 128),
        None,
        0,
        "Pre-shared key of IKE; with it everything travels in IPsec, nothing in clear.",
    ),
    (
        "ipsec_ike",
        "proposals",
        "ipsec_ike",
        None,
        0,
        "IKE proposals as strongSwan writes them, like aes256-sha256-modp2048. Default: AES.",
    ),
    (
        "ipsec_esp",
        "proposals",
        "ipsec_esp",
        None,
        0,
        "ESP proposals, like aes128-sha256 or aes128gcm16; a group at the end is PFS. Default: AES.",
    ),
    ("ipsec_ikelifetime", "int", (30, 500000), 28800, 0, "Seconds until IKE is negotiated anew."),
    ("ipsec_salifetime", "int", (30, 500000), 3600, 0, "Seconds until ESP gets new keys."),
    ("ipsec_forceencaps", "bool", None, False, 0, "Put ESP in UDP even where there is no NAT."),
    ("ipsec_aggressive", "bool", None, False, 0, "Aggressive mode: faster, but it shows a hash of the key."),
    (
        "ipsec_plane",
        "choice",
        ("auto", "user", "kernel"),
        "auto",
        LINUX,
        "Who does ESP: the kernel, or laclet itself; auto: the kernel when we call and it can, else laclet.",
    ),
    (
        "ipsec",
        "choice",
        ("laclet", "strongswan"),
        "laclet",
        LINUX,
        "Who does IPsec: laclet itself, or the strongSwan of this machine, by its vici.",
    ),
    ("ipsec_cert", "text", (1, 255), None, LINUX, "With strongSwan: file of our certificate, instead of ipsec_psk."),
    ("ipsec_key", "text", (1, 255), None, LINUX, "File of the private key of ipsec_cert."),
    ("ipsec_ca", "text", (1, 255), None, LINUX, "File of the certificate of who signs the peer's."),
    ("ipsec_peer_id", "text", (1, 128), None, LINUX, "With strongSwan: who the peer must be, like the subject it has."),
    ("ipsec_id", "text", (1, 128), None, 0, "Who we say we are in IKE: address, name, @name, keyid:group."),
)

_TUNNEL = (
    ("hidden_avps", "bool", None, False, 0, "Hide what may be hidden in control messages; needs a tunnel_secret."),
    ("sequencing", "bool", None, False, 0, "Number data packets, and put them in order again on arrival."),
    ("dscp", "int", (0, 63), None, LINUX, "Class of service to agree on with the peer (RFC 3308), and to send with."),
)

SECTIONS = (
    (
        "",
        False,
        (
            ("hostname", "text", (1, 64), None, 0, "Host Name sent in L2TP. Default: the machine's name."),
            (
                "user",
                "text",
                (1, 32),
                None,
                LINUX,
                "User to become, with the network's capabilities and no others.",
            ),
        ),
        "Keys before the first section.",
    ),
    (
        "tunnel",
        True,
        (
            ("server", "hosts", 1701, None, 0, "Addresses of the LNS, tried in turn."),
            (
                "circuit",
                "circuit",
                None,
                None,
                0,
                "Instead of a server: fr:eth1:100, aal5:eth1:0.100, atm:0.0.100, x25:4711, xot:HOST/4711.",
            ),
            ("tunnel_secret", "secret", (1, 128), None, 0, "Secret shared with the LNS; it is then asked to know it."),
            ("hostname", "text", (1, 64), None, 0, "Host Name for this tunnel. Default: the hostname at the top."),
            ("source_address", "ip", None, None, 0, "Local address to send from. Default: as routed."),
            ("source_port", "int", (0, 65535), 0, 0, "Local UDP port; 0 takes a free one, some servers want 1701."),
            ("hello_interval", "seconds", (0, 86400), 60, 0, "Silence after which HELLO is sent; 0 for never."),
            ("max_retries", "int", (1, 30), 5, 0, "Retransmissions of a control message before giving up."),
            ("retry_timeout", "seconds", (0.1, 60), 1, 0, "Wait before the first retransmission; it doubles."),
            ("rws", "int", (1, 65535), 4, 0, "Receive window offered, in control messages."),
            ("tie_breaker", "bool", None, False, 0, "One tunnel only, when both sides open one at the same time."),
            ("round_robin", "bool", None, False, 0, "Let every dial begin with another server."),
            ("holddown", "seconds", (0, 86400), 60, 0, "Time that a server which failed is tried after all others."),
            ("redial", "bool", None, True, 0, "Dial again after a failure."),
            ("holdoff", "seconds", (0.1, 3600), 1, 0, "Wait before the first redial; it doubles, with jitter."),
            ("redial_timeout", "seconds", (1, 86400), 60, 0, "Longest wait between redials."),
            ("max_redials", "int", (0, 1000000), 0, 0, "Redials in a row before giving up; 0 for no end."),
            (
                "speed",
                "int",
                (0, 1000000000),
                0,
                0,
                "Bits a second of the way to the LNS: multilink divides traffic by it. 0: not known.",
            ),
        )
        + _TUNNEL
        + _IPSEC,
        "A tunnel to an LNS (RFC 2661), with us as LAC.",
    ),
    (
        "line",
        True,
        (
            (
                "device",
                "text",
                (1, 128),
                None,
                MUST,
                "Serial device: /dev/ttyUSB0 on Linux, the UART's number on a board.",
            ),
            ("baud", "int", (300, 6000000), 115200, 0, "Speed in bits a second."),
            ("flow", "choice", ("none", "rtscts"), "none", 0, "Flow control."),
            (
                "modem",
                "choice",
                ("none", "answer", "dial"),
                "none",
                0,
                "none: PPP at once; answer: a modem that takes calls; dial: one that makes them.",
            ),
            ("number", "text", (1, 64), None, 0, "Number to dial."),
            ("init", "texts", (1, 128), (), 0, "AT commands that make the modem ready."),
            ("dial_timeout", "seconds", (1, 600), 60, 0, "Wait for CONNECT."),
            ("answer_rings", "int", (1, 20), 1, 0, "Rings before answering."),
            ("dial_out", "bool", None, False, 0, "Let the LNS place calls: the modem dials the number it asks for."),
            ("channel", "int", (0, 4294967295), None, 0, "Physical Channel ID told to the LNS."),
        ),
        "A serial line that carries PPP (RFC 1662).",
    ),
    (
        "call",
        True,
        (
            ("tunnel", "ref", "tunnel", None, 0, "The tunnel it goes through."),
            (
                "tunnels",
                "refs",
                "tunnel",
                (),
                PPP,
                "Instead of tunnel, for multilink: the tunnels it goes through, one link through each.",
            ),
            (
                "line",
                "ref",
                "line",
                None,
                0,
                "LAC: the line whose PPP is tunnelled. Without it, this device is the PPP host.",
            ),
            (
                "proxy",
                "bool",
                None,
                False,
                0,
                "Negotiate LCP and log-in ahead and tell the LNS; with a line, for the host on it.",
            ),
            ("private_group", "text", (1, 128), None, 0, "Private Group ID told to the LNS; for a line."),
            (
                "error_reports",
                "seconds",
                (0, 3600),
                0,
                0,
                "Time between reports of a line's errors (WEN); 0 for none: xl2tpd and l2tpns hang up over them.",
            ),
            ("username", "text", (1, 128), None, PPP, "Name to log in with."),
            ("password", "secret", (1, 128), None, PPP, "Password to log in with."),
            ("auth", "choices", _AUTH, _AUTH_DEFAULT, PPP, "Protocols we let the LNS ask of us."),
            (
                "peer_auth",
                "choices",
                _AUTH,
                (),
                PPP,
                "Protocols the LNS shall prove itself by, best first.",
            ),
            ("peer_username", "text", (1, 128), None, PPP, "Name the LNS must have. Default: any."),
            ("peer_password", "secret", (1, 128), None, PPP, "Password the LNS must know."),
            ("mtu", "int", (128, 1500), 1450, PPP, "Largest IP packet sent."),
            ("mru", "int", (128, 1500), 1450, PPP, "Largest IP packet we ask to be sent."),
            ("lcp_echo_interval", "seconds", (0, 3600), 30, PPP, "Time between LCP echoes; 0 for none."),
            ("lcp_echo_failure", "int", (1, 100), 4, PPP, "Echoes in a row without an answer before hanging up."),
            ("address", "ipv4", None, None, PPP, "IPv4 address to ask for."),
            ("default_route", "bool", None, False, PPP | LINUX, "Make it the default route."),
            ("metric", "int", (0, 4294967295), 0, PPP | LINUX, "Metric of its routes."),
            ("routes", "cidrs", None, (), PPP | LINUX, "Networks reached through it."),
            ("table", "int", (0, 4294967295), 0, PPP | LINUX, "Routing table for its routes; 0 for the main one."),
            ("rule_from", "cidrs", None, (), PPP | LINUX, "Sources whose packets look in this table."),
            (
                "rule_mark",
                "int",
                (0, 4294967295),
                0,
                PPP | LINUX,
                "Firewall mark of packets that look in this table; 0 for none.",
            ),
            ("use_peer_dns", "bool", None, False, PPP, "Ask the LNS for name servers."),
            (
                "ifname",
                "text",
                (1, 15),
                None,
                PPP | LINUX,
                "Name of the interface. Default: laclet0, laclet1 and so on.",
            ),
        )
        + (("callback", "bool", None, False, PPP, "Let the LNS say in LCP that it will call back."),)
        + (
            (
                "interface",
                "choice",
                ("user", "lwip"),
                "user",
                PPP | BOARD,
                "Whose IP: laclet's own, or the firmware's by network.PPP, on ports where that is safe.",
            ),
        )
        + _planes(0)
        + _mss(PPP)
        + _extras(PPP)
        + _multilink(PPP)
        + _ncps(PPP),
        "A call through a tunnel: of a line (LAC), or of this device itself (LAC client).",
    ),
    (
        "lns",
        False,
        (
            ("listen", "hosts", 1701, (("0.0.0.0", 1701),), 0, "Addresses to listen at."),
            ("circuits", "circuits", None, (), LINUX, "Circuits to listen on, written as in a tunnel."),
            ("hostname", "text", (1, 64), None, 0, "Host Name for callers. Default: the hostname at the top."),
            ("tunnel_secret", "secret", (1, 128), None, 0, "Secret a calling LAC must know."),
            (
                "auth",
                "choices",
                _AUTH,
                _AUTH_DEFAULT,
                0,
                "Protocols callers may log in by, the first one asked first; empty for no log-in.",
            ),
            ("password", "secret", (1, 128), None, 0, "Password we prove ourselves with, when a caller asks."),
            ("address", "ipv4", None, None, 0, "Our end's IPv4 address."),
            ("pool", "pool", None, None, 0, 'IPv4 addresses for callers, "first-last".'),
            ("forward", "ref", "tunnel", None, 0, "Tunnel through which every call goes on, instead of an answer."),
            (
                "proxy",
                "choice",
                ("renegotiate", "accept"),
                "renegotiate",
                0,
                "accept: what a LAC has negotiated with its caller holds, and a log-in it has heard is judged.",
            ),
            ("dns", "ipv4s", None, (), 0, "Name servers told to callers, two at most."),
            ("mtu", "int", (128, 1500), 1450, 0, "Largest IP packet sent."),
            ("mru", "int", (128, 1500), 1450, 0, "Largest IP packet we ask to be sent."),
            (
                "interface",
                "choice",
                ("tun", "echo"),
                "tun",
                LINUX,
                "tun: an interface for each caller; echo: answers pings only, needs no root.",
            ),
            ("hello_interval", "seconds", (0, 86400), 60, 0, "Silence after which HELLO is sent; 0 for never."),
            ("users", "secrets", (1, 128), (), 0, "Table of callers' names and passwords."),
            ("radius", "hosts", 1812, None, LINUX, "RADIUS servers that judge log-ins instead, tried in turn."),
            ("radius_secret", "secret", (1, 128), None, LINUX, "Secret shared with the RADIUS servers."),
            ("radius_accounting", "hosts", 1813, None, LINUX, "RADIUS servers told of begin and end of calls."),
            ("radius_timeout", "seconds", (0.1, 60), 3, LINUX, "Wait for an answer before asking again."),
            ("radius_retries", "int", (0, 10), 2, LINUX, "How often each server is asked again."),
        )
        + _planes(0)
        + _mss(0)
        + _extras(0)
        + _multilink(0)
        + _ncps(0)
        + _TUNNEL
        + _IPSEC,
        "Answer calls, as LNS.",
    ),
    (
        "uplink",
        True,
        (
            ("kind", "choice", ("wifi", "ethernet", "modem"), "wifi", BOARD, "What the board reaches its LNS through."),
            ("ssid", "text", (1, 32), None, BOARD, "Name of the WiFi network."),
            ("password", "secret", (1, 64), None, BOARD, "Key of the WiFi network, or password of the log-in by PPP."),
            ("line", "ref", "line", None, BOARD, "The line of a modem, or of a wire with a PPP host at its end."),
            ("username", "text", (1, 128), None, BOARD, "Name to log in with by PPP."),
            ("auth", "choices", _AUTH, _AUTH_DEFAULT, BOARD, "Protocols the PPP peer may ask of us."),
            ("address", "ipv4", None, None, BOARD, "Own address. Default: asked of DHCP."),
            ("netmask", "ipv4", None, "255.255.255.0", BOARD, "Netmask of that address."),
            ("gateway", "ipv4", None, None, BOARD, "Router, with an address of our own."),
            ("dns", "ipv4s", None, (), BOARD, "Name servers. Default: those of DHCP or of the PPP peer."),
            ("metric", "int", (0, 100), 0, BOARD, "Of several uplinks that work the one with the least is used."),
        ),
        "A way to the network, of a board. Without one the firmware's own is used as it is.",
    ),
    (
        "board",
        False,
        (
            ("watchdog", "seconds", (0, 60), 0, BOARD, "Silence after which the hardware restarts it; 0 for never."),
            ("led", "bool", None, True, BOARD, "Show the state at the LED."),
            ("ntp", "texts", (1, 253), (), BOARD, "Time servers."),
            ("console_password", "secret", (1, 64), None, BOARD, "Asked by the console."),
            ("update_key", "secret", (16, 64), None, BOARD, "Key of the HMAC that updates must have."),
            ("console_line", "ref", "line", None, BOARD, "A line that has the console, beside the USB port."),
        ),
        "The board itself.",
    ),
    (
        "dialout",
        True,
        (
            ("lac", "text", (1, 64), None, MUST, "Host Name of the LAC."),
            ("number", "text", (1, 64), None, MUST, "Number it shall dial."),
            ("sub_address", "text", (1, 64), None, 0, "Sub-Address."),
            ("bearer", "choice", ("any", "analog", "digital"), "any", 0, "Kind of line to dial on."),
            ("minimum_bps", "int", (0, 4294967295), 0, 0, "Least speed in bits a second."),
            ("maximum_bps", "int", (0, 4294967295), 4294967295, 0, "Greatest speed in bits a second."),
            ("holdoff", "seconds", (0.1, 3600), 10, 0, "Wait before the LAC is asked again; it doubles."),
            ("redial_timeout", "seconds", (1, 86400), 600, 0, "Longest such wait."),
        ),
        "As LNS: a call that a LAC shall place while it has a tunnel to us.",
    ),
    (
        "log",
        False,
        (
            ("level", "choice", ("error", "warning", "info", "debug"), "info", 0, "How much is said."),
            ("json", "bool", None, False, LINUX, "One JSON object a line."),
            ("syslog", "bool", None, False, LINUX, "To syslog, not to stderr."),
        ),
        "What is logged.",
    ),
    (
        "hooks",
        False,
        (
            (
                "directory",
                "text",
                (1, 128),
                "/etc/laclet",
                LINUX,
                "Where ip-up.d and ip-down.d are; their programs are run as those of /etc/ppp.",
            ),
            ("timeout", "seconds", (1, 600), 30, LINUX, "Time one program has."),
        ),
        "Programs that are run when an interface comes up and goes down.",
    ),
    (
        "metrics",
        False,
        (("listen", "hosts", 9401, None, LINUX, "Addresses to serve /metrics at. Default: none."),),
        "Counters for Prometheus.",
    ),
)


def section(name):
    """The ``(section, many, keys, help)`` of a section, or None."""
    for row in SECTIONS:
        if row[0] == name:
            return row
    return None
