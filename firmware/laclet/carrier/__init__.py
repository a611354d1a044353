"""What carries the datagrams of a tunnel beside UDP.

ipsec/                    IKEv1 and ESP (RFC 3193)
framerelay                RFC 3070, in frames of an interface, or in HDLC on a serial line by ``line``
aal5                      RFC 3355: PDUs in cells; ``Llc`` where a kernel makes those
x25 x25table x25wire xot  packet layer, its transitions, its packets; in TCP (RFC 1613)
snap                      the SNAP header that all of these share, and what they have in common
circuit                   how a configuration names them
"""
