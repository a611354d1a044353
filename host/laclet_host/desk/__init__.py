"""The engineer's desk: test parts that stand where a modem, a PPP host or an LNS would."""
