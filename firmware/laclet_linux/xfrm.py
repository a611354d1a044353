"""ESP in the kernel (XFRM) under our IKE: policies that let L2TP out and in through ESP only, and the SAs for them.

All goes through ``ip -batch -``, whose standard input nobody else sees: keys stand on no command line and in no log.
"""

import itertools
import os
import subprocess

_TIMEOUT = 10  # s
_WINDOW = 64
_SHIM = "dir {} src {} dst {} proto udp sport {} dport {}"
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


def open_kernel(shell, ipsec, address, peer):
    """An ``Xfrm`` for an ``Ipsec`` that calls ``peer``; OSError where this kernel does no ESP, or will not for us."""
    _ip([f"xfrm state add {_PROBE} {_PROBE_KEYS}", f"xfrm state delete {_PROBE}"])
    made = Xfrm(ipsec, shell.log)
    made.carrier = shell.open_udp(made, address, ipsec.policy.port, peer)
    try:
        ipsec.natt.carrier.take_esp()
    except OSError:
        made.close()
        raise
    return made


def _address(host, local):
    return f"src {local} dst {host}", f"src {host} dst {local}"


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

    def __init__(self, ipsec, log):
        self.carrier = None
        self._ipsec = ipsec
        self._log = log
        self._guards = {}  # Peer -> (reqid, policies)
        self._ways = {}  # Pair -> (commands that delete its states: in, out or None)

    def guard(self, peer):
        """From now on nothing passes between L2TP here and at ``peer`` but in ESP."""
        if peer in self._guards:
            return
        host, port = peer.above[:2]
        local = self._ipsec.natt.host(peer.addr)
        ours = self._ipsec.policy.port
        reqid = next(_requests) & 0x7FFFFFFF
        selectors = (_SHIM.format("out", local, host, ours, port), _SHIM.format("in", host, local, port, ours))
        tail = f"tmpl proto esp mode transport reqid {reqid} level required"
        self._guards[peer] = (reqid, selectors)
        self._do([f"xfrm policy update {selector} {tail}" for selector in selectors])

    def unguard(self, peer):
        """The peer is none any more."""
        _, selectors = self._guards.pop(peer, (0, ()))
        self._do([f"xfrm policy delete {selector}" for selector in selectors])

    def install(self, peer, pair):
        """Receive on a pair."""
        self._add(peer, pair, False)

    def use(self, peer, pair):
        """Send on a pair, and no longer on another."""
        older = [ways for ways in self._ways.values() if ways[1] and ways[2] is peer]
        self._add(peer, pair, True)
        for ways in older:
            self._do([ways[1]])
            ways[1] = None

    def remove(self, pair):
        """Neither receive nor send on it."""
        ways = self._ways.pop(pair, None)
        if ways is not None:
            self._do([command for command in ways[:2] if command])

    def send(self, buf, start, end, addr):
        """A datagram of L2TP in clear, for the kernel to seal."""
        self.carrier.send(buf, start, end, addr)

    def receive(self, buf, start, end, addr, now):
        """A datagram of L2TP that the kernel has opened: the policies let no other in."""
        self._ipsec.heard(addr)
        self._ipsec.endpoint.receive(buf, start, end, addr, now)

    def close(self):
        """Close the socket; policies go with their peers."""
        self.carrier.close()

    def _add(self, peer, pair, out):
        local = self._ipsec.natt.local(peer.addr)
        outward, inward = _address(peer.addr[0], local[0])
        way, spi, keymat = (outward, pair.spi_out, pair.keys_out) if out else (inward, pair.spi_in, pair.keys_in)
        reqid = self._guards[peer][0] if peer in self._guards else 0
        command = f"{way} proto esp spi 0x{spi.hex()}"
        state = f"reqid {reqid} mode transport replay-window {_WINDOW} {_algorithms(pair.proposal, keymat)}"
        if peer.esp is self._ipsec.natt:
            ports = (local[1], peer.esp_addr[1]) if out else (peer.esp_addr[1], local[1])
            state += " encap espinudp {} {} {}".format(*ports, "::" if ":" in local[0] else "0.0.0.0")
        self._do([f"xfrm state add {command} {state}"])
        ways = self._ways.setdefault(pair, [None, None, peer])
        ways[1 if out else 0] = f"xfrm state delete {command}"

    def _do(self, lines):
        if not lines:
            return
        try:
            _ip(lines)
        except OSError as error:
            self._log("error", "ipsec", str(error))
