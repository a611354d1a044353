"""Circuits of a configuration made of sockets: frame relay, ATM and X.25 under an L2TP endpoint."""

from laclet.carrier.aal5 import Aal5, Llc
from laclet.carrier.circuit import address
from laclet.carrier.framerelay import FrameRelay

from .packet import CELLS, FRAME_RELAY, Packet, Socket, atm_socket
from .xot import X25Carrier, XotCarrier


def open_circuit(loop, endpoint, circuit, listen, events):
    """A carrier for ``circuit`` as ``laclet.carrier.circuit.parse()`` returns it; OSError where there is none."""
    kind = circuit[0]
    if kind == "xot":
        return XotCarrier(loop, endpoint, circuit, listen, events)
    if kind == "x25":
        return X25Carrier(loop, endpoint, circuit, listen, events)
    if kind == "fr":
        carrier = FrameRelay(circuit[1], (circuit[2],))
        carrier.carrier = Packet(loop, carrier, circuit[1], FRAME_RELAY)
    else:
        _, name, vpi, vci, vc_mux = circuit
        carrier = Llc(vc_mux)
        if kind == "atm":
            carrier.carrier = Socket(loop, carrier, atm_socket(int(name), vpi, vci), address(circuit))
        else:
            carrier.carrier = Aal5(name)
            carrier.carrier.endpoint = carrier
            carrier.carrier.carrier = Packet(loop, carrier.carrier, name, CELLS)
    carrier.endpoint = endpoint
    carrier.local = circuit[:2]
    return carrier
