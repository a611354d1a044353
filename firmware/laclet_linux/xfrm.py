"""ESP in the kernel (XFRM) under our IKE: policies that let L2TP out and in through ESP only, and the SAs for them.

All goes through ``ip -batch -``, whose standard input nobody else sees: keys stand on no command line and in no log.
"""

import itertools
import os
import subprocess

_TIMEOUT = 10  # s
_WINDOW = 64
# What belongs to L2TP at our port, whoever the peer is and whatever its port: all sockets of this machine obey.
_OUT = "dir out src {0} dst {1} proto udp sport {2}"
_IN = "dir in src {1} dst {0} proto udp dport {2}"
# A state that is made and taken away to see whether this kernel does ESP, with the algorithms that everybody has.
_PROBE = "src 127.0.0.1 dst 127.0.0.1 proto esp spi 0x1ac1e701"
_PROBE_KEYS = "mode transport auth-trunc hmac(sha1) 0x{} 96 enc cbc(aes) 0x{}".format("01" * 20, "01" * 16)

_requests = itertools.count(os.getpid() << 8 & 0x3FFFFF00)  # reqid: what ties states to policies


def _ip(lines):
    """Run commands of ``ip``; OSError in plain words, without the commands, when one fails."""
    text = "".join(line + "\n" for line in lines)
    try:
        done = subprocess.run(
            ["ip", "-batch", "-"], input=text, capture_output=True, text=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise OSError(f"ip: {error}") from None
    if done.returncode:
        words = done.stderr.strip().splitlines() or ["failed"]
        raise OSError("ip xfrm: " + words[0])


class Guard:
    """Two policies for all that belongs to L2TP at our port, whoever the peer is.

    They stand from before the socket is opened until after it is closed, and outlive a service that is killed:
    ``state`` (a State) remembers them.
    """

    def __init__(self, state):
        self._state = state
        self._policies = []  # commands that delete them, without the verb's prefix

    def up(self, address, v6, port, demand):
        """From now on nothing passes but as ``demand``, in words of ``ip xfrm policy``, wants it. Raises OSError."""
        everywhere = "::/0" if v6 else "0.0.0.0/0"
        here = everywhere if address in (None, "::", "0.0.0.0") else address
        for selector in (_OUT, _IN):
            selector = selector.format(here, everywhere, port)
            self._policies.append("policy delete " + selector)
            self._state.add("xfrm", self._policies[-1])
            _ip([f"xfrm policy update {selector} {demand}"])

    def down(self, log):
        """Take them back; what cannot be, is told."""
        for policy in self._policies:
            try:
                remove(policy)
            except OSError as error:
                log("error", "ipsec", str(error))
            self._state.discard("xfrm", policy)


def remove(thing):
    """Take back what a killed service has left: a policy or a state, as State keeps it."""
    _ip([f"xfrm {thing}"])


def open_kernel(shell, ipsec, address, peer, state):
    """An ``Xfrm`` for an ``Ipsec`` that calls ``peer``, or listens at ``address``; ``state`` (a State) remembers it.

    OSError where this kernel does no ESP, or will not for us.
    """
    _ip([f"xfrm state add {_PROBE} {_PROBE_KEYS}", f"xfrm state delete {_PROBE}"])
    made = Xfrm(ipsec, shell.log, state)
    try:
        made.guard(address, ":" in (address or peer[0]), ipsec.policy.port)
        made.carrier = shell.open_udp(made, address, ipsec.policy.port, peer)
        ipsec.natt.carrier.take_esp()
    except OSError:
        made.close()
        raise
    return made


def _algorithms(proposal, keymat):
    """The keys of one direction as ``ip xfrm state`` takes them."""
    key, rest = keymat[: proposal.key_size].hex(), keymat[proposal.key_size :].hex()
    if proposal.gcm:
        return f"aead rfc4106(gcm(aes)) 0x{key}{rest} {8 * proposal.icv}"
    cipher = "cbc(des3_ede)" if proposal.triple else "cbc(aes)"
    return f"auth-trunc hmac({proposal.hash_name}) 0x{rest} {8 * proposal.icv} enc {cipher} 0x{key}"


class Xfrm:
    """The kernel under one ``Ipsec``. ``carrier`` is the UDP socket of L2TP, whose datagrams the policies catch."""

    plain = True  # ESP needs no UDP around it here

    def __init__(self, ipsec, log, state):
        self.carrier = None
        self._ipsec = ipsec
        self._log = log
        self._state = state
        self._reqid = next(_requests) & 0x7FFFFFFF
        self._guard = Guard(state)
        self._ways = {}  # Pair -> [the same for its states: in, out; Peer]

    def guard(self, address, v6, port):
        """From now on nothing of L2TP passes at our port but in ESP under our states. Raises OSError."""
        self._guard.up(address, v6, port, f"tmpl proto esp mode transport reqid {self._reqid} level required")

    def install(self, peer, pair):
        """Receive on a pair."""
        self._put("add", peer, pair, False)

    def use(self, peer, pair):
        """Send on a pair: the kernel takes the newest state; one that packets are still in must not go at once."""
        self._put("add", peer, pair, True)

    def remove(self, pair):
        """Neither receive nor send on it."""
        self._forget(self._ways.pop(pair, (None, None))[:2])

    def moved(self, peer):
        """The NAT before the peer has changed its port."""
        for pair, ways in self._ways.items():
            if ways[1] and ways[2] is peer:
                self._put("update", peer, pair, True)

    def send(self, buf, start, end, addr):
        """A datagram of L2TP in clear, for the kernel to seal."""
        self.carrier.send(buf, start, end, addr)

    def receive(self, buf, start, end, addr, now):
        """A datagram of L2TP that the kernel has opened: the policies let no other in."""
        above = self._ipsec.opened(addr)
        if above is not None:
            self._ipsec.endpoint.receive(buf, start, end, above, now)

    def close(self):
        """Close the socket; only then L2TP is no longer guarded."""
        if self.carrier is not None:
            self.carrier.close()
        self._guard.down(self._log)

    def _put(self, verb, peer, pair, out):
        local = self._ipsec.natt.local(peer.addr)
        if local is None:
            self._log("error", "ipsec", "no route to " + peer.addr[0])
            return
        ends = (local[0], peer.addr[0]) if out else (peer.addr[0], local[0])
        spi, keymat = (pair.spi_out, pair.keys_out) if out else (pair.spi_in, pair.keys_in)
        name = "src {} dst {} proto esp spi 0x{}".format(*ends, spi.hex())
        options = f"reqid {self._reqid} mode transport replay-window {_WINDOW} {_algorithms(pair.proposal, keymat)}"
        if peer.esp is self._ipsec.natt:
            ports = (local[1], peer.esp_addr[1]) if out else (peer.esp_addr[1], local[1])
            options += " encap espinudp {} {} {}".format(*ports, "::" if ":" in local[0] else "0.0.0.0")
        ways = self._ways.setdefault(pair, [None, None, peer])
        if verb == "add":
            ways[1 if out else 0] = "state delete " + name
            self._state.add("xfrm", "state delete " + name)
        self._do(f"xfrm state {verb} {name} {options}")

    def _forget(self, things):
        for thing in things:
            if thing:
                self._do("xfrm " + thing)
                self._state.discard("xfrm", thing)

    def _do(self, line):
        """What fails leaves L2TP without a way, not without protection: the policies stay."""
        try:
            _ip([line])
        except OSError as error:
            self._log("error", "ipsec", str(error))
