"""Tunnels over frame relay, ATM and X.25: a dialer whose LNS is at the far end of a circuit."""

from ..carrier.circuit import address, parse
from ..fault import LINE, Fault
from ..l2tp.endpoint import Endpoint
from .dialer import CONNECTING, Dialer


def circuit_endpoint(node, owner, text, accept=None):
    """An Endpoint over the circuit of a checked configuration; ``owner`` is told what becomes of it. Raises OSError."""
    endpoint = Endpoint(node.shell.random, accept, node.timers, node.events, node.settle)
    circuit = parse(text)
    try:
        line = node.config["line"].get(circuit[1]) if circuit[0] == "fr" else None
        if line is not None:
            endpoint.carrier = _on_line(node.shell, endpoint, circuit, line)
        else:
            endpoint.carrier = node.shell.open_circuit(endpoint, circuit, accept is not None, node.events)
    except OSError as error:
        raise OSError("no circuit %s: %s" % (text, getattr(error, "strerror", None) or error)) from None
    endpoint.carrier.owner = owner
    node.keep(endpoint)
    return endpoint


def _on_line(shell, endpoint, circuit, options):
    """Frame relay on a serial line of the configuration."""
    from ..carrier.framerelay import FrameRelay
    from ..carrier.line import FrameLine

    line = FrameLine()
    carrier = FrameRelay(circuit[1], circuit[2:])
    carrier.carrier = line
    carrier.endpoint = endpoint
    line.endpoint = carrier
    line.wire = shell.open_line(options, line, line)
    return carrier


class CircuitDialer(Dialer):
    """A dialer of a tunnel with ``circuit``: there are no names to be asked for, and one address."""

    def __init__(self, node, name, config):
        Dialer.__init__(self, node, name, config)
        self._endpoint = None

    def start(self, now):
        """Dial."""
        self._open(address(parse(self.config["circuit"])), now)

    def where(self, addr):
        """The circuit, for people."""
        return self.config["circuit"]

    def connect(self, addr, now):
        """Open the tunnel on the circuit."""
        if self._endpoint is None:
            try:
                self._endpoint = circuit_endpoint(self.node, self, self.config["circuit"])
            except OSError as error:
                self._next(Fault(LINE, str(error), "", "is the interface there, and are we allowed?"), now)
                return
        self.open_tunnel(self._endpoint, now)

    def down(self, fault, now):
        """The tunnel is no more: nobody pays for an idle call."""
        if self._endpoint is not None and hasattr(self._endpoint.carrier, "hang_up"):
            self._endpoint.carrier.hang_up(self.addr)
        Dialer.down(self, fault, now)

    def on_event(self, name, source, detail, now):
        """x25-up, x25-down of X.25; tunnel-up, tunnel-down."""
        if name == "x25-up":
            self.node.log("info", self.component, "X.25 call connected")
        elif name != "x25-down":
            Dialer.on_event(self, name, source, detail, now)
        elif self.tunnel is not None and self.state == CONNECTING:
            self.tunnel.cut(detail[1], now)
        elif self.tunnel is not None:
            self.node.fault(self.component, detail[1])  # what L2TP sends next calls again
