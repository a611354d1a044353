"""L2TP over IPsec (RFC 3193). A datagram goes down through the files, and what arrives comes up again:

    machine    the carrier: L2TP above, UDP 500, UDP 4500 and ESP below; whose message is it?
    policy     what is offered and accepted; a way in from a socket
    callers    strangers: what they may cost us, and when they become peers
    peer       one far end: its SAs, when they are renewed, and how they end
    inform     what is told aside: notifications, deletions, is the peer alive
    tables     every transition of phase 1 and quick mode
    exchange   a step through the tables, repetition, patience
    phase1     main and aggressive mode: who are you? nat: and what stands between us?
    phase2     quick mode: a pair of ESP SAs
    keys       what the secret becomes, and messages under it
    proposals  strongSwan's notation, and SA payloads
    payload    the bytes of ISAKMP; fragments: of those that are too long
    esp        the bytes of data: seal, open, replay window

Where a kernel does ESP, it stands in the place of ``esp``: ``Ipsec.kernel``.
"""
