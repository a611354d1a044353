"""ESP packets in place: every algorithm, every cut, the window, and what it costs."""

import gc

from laclet.carrier.ipsec import proposals
from laclet.carrier.ipsec.esp import HEADER, Pair
from laclet.crypto import aes
from laclet.crypto.dh import DiffieHellman, prime
from laclet.crypto.hashes import hmac, sha1, sha256
from laclet.crypto.prf import Mac, stretch
from laclet.port import HEADROOM, TAILROOM, frame_buffer


def seeded(n):
    """Bytes that look random enough."""
    return bytes([(i * 167 + 13) & 0xFF for i in range(n)])


def pair(name="aes128-sha1"):
    """A Pair that talks to itself."""
    proposal = proposals.parse("ipsec_esp", name)[0][0]
    keys = seeded(proposal.keymat)
    made = Pair(proposal, b"\x01\x02\x03\x04", keys, b"\x01\x02\x03\x04", keys, 3600, True)
    made.activate(seeded)
    return made


def datagram(size):
    """A UDP datagram of ``size`` bytes in a buffer with room around: (buf, start, end, its bytes)."""
    buf = frame_buffer(size)
    start = HEADROOM
    for i in range(size):
        buf[start + i] = i * 7 & 0xFF
    return buf, start, start + size, bytes(buf[start : start + size])


NAMES = ["aes128-sha1", "aes256-sha1", "aes128-sha256", "aes256-sha256", "aes128-sha256_96"]
if aes.HAVE_GCM:
    NAMES += ["aes128gcm16", "aes256gcm16"]
if aes.HAVE_3DES:
    NAMES += ["3des-sha1", "3des-sha256"]


def test_there_and_back():
    for name in NAMES:
        p = pair(name)
        for size in list(range(8, 60)) + [1400]:
            buf, start, end, data = datagram(size)
            stop = p.outbound.seal(buf, start, end)
            first = start - p.outbound.overhead
            assert first >= HEADROOM - 32 and stop <= end + TAILROOM, name
            assert data not in bytes(buf[first:stop])
            assert bytes(buf[first : first + 4]) == p.spi_out
            assert p.inbound.open(buf, first, stop) == end, (name, size)
            assert bytes(buf[start:end]) == data, (name, size)


def test_every_changed_bit_is_seen():
    for name in NAMES:
        p = pair(name)
        buf, start, end, _ = datagram(40)
        stop = p.outbound.seal(buf, start, end)
        first = start - p.outbound.overhead
        for at in range(first + 4, stop):
            copy = bytearray(buf)
            copy[at] ^= 0x40
            assert p.inbound.open(copy, first, stop) == -1, (name, at)
            assert p.inbound.why in ("forged", "replayed")
        assert p.inbound.open(buf, first, stop) == end


def test_every_truncation():
    for name in NAMES:
        p = pair(name)
        buf, start, end, _ = datagram(40)
        stop = p.outbound.seal(buf, start, end)
        first = start - p.outbound.overhead
        for cut in range(first + 8, stop):
            assert p.inbound.open(bytearray(buf), first, cut) == -1
            assert p.inbound.why in ("short", "forged")


def test_window():
    p = pair()
    order = [0, 2, 1, 5, 3, 4, 70, 7, 8, 6, 199, 136, 135, 198]
    packets = {}
    for i in range(200):
        buf, start, end, _ = datagram(20)
        stop = p.outbound.seal(buf, start, end)
        if i in order:
            packets[i] = (buf, start - p.outbound.overhead, stop)
    taken = [i for i in order if p.inbound.open(bytearray(packets[i][0]), packets[i][1], packets[i][2]) > 0]
    assert taken == [0, 2, 1, 5, 3, 4, 70, 7, 8, 199, 136, 198]  # 6 and 135 are 64 behind the highest
    for i in taken:
        assert p.inbound.open(bytearray(packets[i][0]), packets[i][1], packets[i][2]) == -1
        assert p.inbound.why == "replayed"


def test_a_forged_number_does_not_move_the_window():
    p = pair()
    buf, start, end, _ = datagram(20)
    stop = p.outbound.seal(buf, start, end)
    first = start - p.outbound.overhead
    wrong = bytearray(buf)
    wrong[first + 4] = 0x3F
    assert p.inbound.open(wrong, first, stop) == -1 and p.inbound.why == "forged"
    assert p.inbound.highest == 0
    assert p.inbound.open(buf, first, stop) == end


def test_dummies_and_bad_padding():
    for trailer, why in ((b"\x00\x3b", "not UDP"), (b"\xff\x11", "bad padding")):
        p = pair()
        body = bytes(14) + trailer  # sealed by hand, for ``seal`` makes no such thing
        buf = bytearray(HEADER + 16) + bytearray(body) + bytearray(TAILROOM)
        buf[:8] = b"\x01\x02\x03\x04\x00\x00\x00\x01"
        p.outbound._cbc.run(buf, HEADER, HEADER + 32)
        buf[40:52] = p.outbound._mac.over(buf, 0, 40)[:12]
        assert p.inbound.open(buf, 0, 52) == -1
        assert p.inbound.why == why


def test_vectors_never_repeat():
    p = pair()
    seen = []
    for _ in range(50):
        buf, start, end, _ = datagram(20)
        p.outbound.seal(buf, start, end)
        seen.append(bytes(buf[start - 16 : start]))
    assert len(set(seen)) == 50


def test_cbc_of_rfc_3602():
    cases = (  # §4, cases 1 and 2
        (
            "06a9214036b8a15b512e03d534120006",
            "3dafba429d9eb430b422da802c9fac41",
            b"Single block msg",
            "e353779c1079aeb82708942dbe77181a",
        ),
        (
            "c286696d887c9aa0611bbb3e2025a45a",
            "562e17996d093d28ddb3ba695a2e6f58",
            bytes(range(32)),
            "d296cd94c2cccf8a3a863028b5e1dc0a7586602d253cfff91b8266bea6d61ab1",
        ),
    )
    for key, iv, plain, cipher in cases:
        key, iv, cipher = bytes.fromhex(key), bytes.fromhex(iv), bytes.fromhex(cipher)
        buf = bytearray(plain) + bytearray(aes.SLACK)
        aes.Cbc(key, iv).run(buf, 0, len(plain))
        assert bytes(buf[: len(plain)]) == cipher
        aes.Cbc(key, iv, True).run(buf, 0, len(plain))
        assert bytes(buf[: len(plain)]) == plain


def test_mac_is_hmac():
    data = seeded(100)
    for name, hash_ in (("sha1", sha1), ("sha256", sha256)):
        for size in (20, 32, 64):
            assert Mac(name, seeded(size)).over(bytearray(b"xx" + data + b"y"), 2, 102) == hmac(
                hash_, seeded(size), data
            )


def test_stretch():
    first = hmac(sha1, b"key", b"seed")
    second = hmac(sha1, b"key", first + b"seed")
    assert stretch(sha1, b"key", b"seed", b"seed", 40) == first + second
    assert (
        stretch(sha1, b"key", b"\x00", b"", 30)
        == (hmac(sha1, b"key", b"\x00") + hmac(sha1, b"key", hmac(sha1, b"key", b"\x00")))[:30]
    )


def test_groups():
    # The first and last bytes of the primes as RFC 2409 §6.2 and RFC 3526 §2, §3 print them.
    tails = {
        2: "49286651ECE65381FFFFFFFFFFFFFFFF",
        5: "F1746C08CA237327FFFFFFFFFFFFFFFF",
        14: "8AACAA68FFFFFFFFFFFFFFFF",
    }
    for group in tails:
        text = "%x" % prime(group)
        assert text.startswith("ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd1")
        assert text.upper().endswith(tails[group])
        assert len(text) * 4 == {2: 1024, 5: 1536, 14: 2048}[group]
        assert pow(3, prime(group) - 1, prime(group)) == 1  # Fermat


def test_diffie_hellman():
    for group in (2, 5, 14):
        a = DiffieHellman(group, seeded)
        b = DiffieHellman(group, lambda n: bytes(range(n)))
        assert a.shared(b.public) == b.shared(a.public)
        size = len(a.public)
        p = prime(group)
        for bad in (0, 1, p - 1, p):
            assert a.shared(bad.to_bytes(size, "big")) is None
        assert a.shared(b.public[1:]) is None and a.shared(b"\x00" + b.public) is None


def test_heap_per_packet():
    if not hasattr(gc, "mem_alloc"):
        return
    p = pair()
    buf, start, end, data = datagram(1400)
    first = start - p.outbound.overhead
    stop = p.outbound.seal(buf, start, end)
    p.inbound.open(buf, first, stop)
    gc.collect()
    before = gc.mem_alloc()
    for _ in range(10):
        p.inbound.open(buf, first, p.outbound.seal(buf, start, end))
    assert bytes(buf[start:end]) == data
    # Memoryviews, hash objects and digests, as cryptolib and hashlib force them; no copy of the packet.
    assert (gc.mem_alloc() - before) // 20 < 1000, (gc.mem_alloc() - before) // 20
