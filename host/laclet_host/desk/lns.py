"""The test LNS: our service with a network of faults below it, and a will of its own."""

from laclet.fault import SESSION, TUNNEL, Fault
from laclet_linux.service import Service

from .faults import BadFault, Faults, parse


class DeskLns(Service):
    """A ``Service`` that does what ``faults`` say; ``script``: ``[(seconds, fault)]`` from its start on."""

    def __init__(self, name, config, log, faults: Faults, script=()):
        self.faults = faults
        self._script = script
        super().__init__(name, config, log)

    def _start(self):
        if not super()._start():
            return False
        lns = self.node.lns
        self._users = lns.secret_of
        lns.secret_of = self._secret_of
        self._on_lns_event, lns.on_event = lns.on_event, self._on_event
        for seconds, text in self._script:
            self._loop.after(int(seconds * 1000), lambda now, text=text: self._do(text, now))
        return True

    def open_udp(self, endpoint, address, port, peer):
        """A socket behind the faults."""
        network = Network(self._loop, self.faults, endpoint)
        network.carrier = super().open_udp(network, address, port, peer)
        return network

    def status(self):
        return {**super().status(), "faults": self.faults.shown()}

    def _command(self, command, now):
        if command.get("do") != "fault":
            return super()._command(command, now)
        try:
            for text in command.get("faults", ()):
                self._do(str(text), now)
        except BadFault as error:
            return {"ok": False, "error": str(error)}
        return {"ok": True, "faults": self.faults.shown()}

    def _do(self, text, now):
        word, number = parse(text)
        self.faults.put(word, number)
        self.log("info", "desk", f"from now on: {text}")
        callers = list(self.node.lns.callers.values())
        for caller in callers if word == "hang-up" else ():
            caller.session.close(Fault(SESSION, "hung up at the desk"), now)
        for caller in callers if word == "renegotiate" else ():
            caller.link.lcp.down(now)
            caller.link.lcp.up(now)
            self.node.timers.update(caller.link, now)
        self.node.settle(now)

    def _secret_of(self, name):
        """The password of a user, or one that nobody has."""
        return b"\0" if self.faults.get("wrong-password") else self._users(name)

    def _on_event(self, name, source, detail, now):
        """What the LNS is told of tunnels and calls, unless the desk has other plans."""
        if name == "tunnel-up" and self.faults.get("refuse-tunnel"):
            source.close(Fault(TUNNEL, "refused at the desk"), now, self.faults.get("refuse-tunnel"))
        elif name == "call-offered" and self.faults.get("refuse-call"):
            source.close(Fault(SESSION, "refused at the desk"), now, self.faults.get("refuse-call"))
        else:
            self._on_lns_event(name, source, detail, now)


class Network:
    """Between an endpoint and its ``carrier``: datagrams lost, doubled, delayed, damaged, both ways."""

    def __init__(self, loop, faults: Faults, endpoint):
        self.carrier = None
        self._loop = loop
        self._faults = faults
        self._endpoint = endpoint

    @property
    def local(self):
        return self.carrier.local

    @property
    def drops(self):
        return self.carrier.drops

    def receive(self, buf, start, end, addr, now):
        """A datagram from the network."""

        def arrive(buf, start, end, now):
            self._endpoint.receive(buf, start, end, addr, now)

        self._pass(arrive, buf, start, end, now)

    def send(self, buf, start, end, addr):
        """A datagram to the network."""

        def leave(buf, start, end, now):
            if self.carrier.sock.fileno() >= 0:
                self.carrier.send(buf, start, end, addr)

        self._pass(leave, buf, start, end, None)

    def _pass(self, go_on, buf, start, end, now):
        for ms, changed in self._faults.ways(end - start):
            if not ms and changed is None:
                go_on(buf, start, end, now)
                continue
            copy = bytearray(buf)
            if changed is not None:
                copy[start + changed] ^= 0x55
            if ms:
                self._loop.after(ms, lambda now, copy=copy: go_on(copy, start, end, now))
            else:
                go_on(copy, start, end, now)

    def settle(self, addr):
        """See docs/architecture.md."""
        self.carrier.settle(addr)

    def source(self, addr):
        """See UdpCarrier."""
        return self.carrier.source(addr)

    def close(self):
        """Close the socket."""
        self.carrier.close()
