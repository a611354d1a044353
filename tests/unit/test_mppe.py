"""MPPE: losses, late packets, resets and nonsense, in both modes; a peer that behaves as Linux does."""

from laclet.crypto.mppe_keys import next_key
from laclet.ppp.mppe import MAX_GARBLED, MAX_MISSED, Receiver, Sender

START = bytes(range(100, 116))
CLEAR = b"\x00\x21\x45\0\0\x40" + bytes(range(60))


class Wire:
    """A sender, a receiver, and frames in between as bytes."""

    def __init__(self, stateless=True, bits=128, sender=Sender):
        self.sender = sender(START, bits, stateless)
        self.receiver = Receiver(START, bits, stateless)

    def seal(self, clear=CLEAR):
        buf = bytearray(8) + clear
        start = self.sender.seal(buf, 8, len(buf))
        assert start == 4 and buf[4:6] == b"\x00\xfd"
        return bytes(buf[start:])

    def open(self, frame):
        """The inner frame, or the reason why there is none."""
        buf = bytearray(frame)
        start = self.receiver.open(buf, 2, len(buf))
        return bytes(buf[start:]) if start >= 0 else self.receiver.why

    def pass_(self, n):
        for _ in range(n):
            assert self.open(self.seal()) == CLEAR

    def lose(self, n):
        for _ in range(n):
            self.seal()


def test_every_key_length_in_both_modes_past_the_wrap_of_the_count():
    for bits in (40, 56, 128):
        for stateless in (True, False):
            wire = Wire(stateless, bits)
            frames = 4100 if bits == 128 and not stateless else 600
            wire.pass_(frames)
            assert wire.receiver.garbled == 0


def test_the_first_frame_on_the_wire():
    # Stateless: count 0, flushed, encrypted, and under the second key (RFC 3078 §7.1)
    first = Wire().seal()
    assert first[:4] == b"\x00\xfd\x90\x00"
    # Stateful: not flushed, as every peer has it
    assert Wire(False).seal()[:4] == b"\x00\xfd\x10\x00"
    assert CLEAR[2:] not in first


def test_a_short_key_has_its_known_bytes():
    for bits, known in ((40, b"\xd1\x26\x9e"), (56, b"\xd1")):
        sender = Sender(START, bits, True)
        for _ in range(3):
            assert len(sender._key) == 8 and bytes(sender._key[: len(known)]) == known
            sender.seal(bytearray(20), 8, 20)


def test_stateless_follows_losses():
    wire = Wire()
    for lost in (1, 2, 100, MAX_MISSED - 1):
        wire.lose(lost)
        wire.pass_(2)


def test_stateless_takes_no_late_packet_and_changes_no_key_for_it():
    wire = Wire()
    frames = [wire.seal() for _ in range(5)]
    assert wire.open(frames[3]) == CLEAR
    key = wire.receiver._key
    for late in (0, 1, 2, 3):
        assert wire.open(frames[late]) == "MPPE packet late"
    assert wire.receiver._key is key
    assert wire.open(frames[4]) == CLEAR


def test_a_forged_count_costs_a_bounded_number_of_key_changes_and_no_state():
    wire = Wire()
    wire.pass_(1)
    key = wire.receiver._key
    changes = []
    change_key = wire.receiver._change_key
    wire.receiver._change_key = lambda: (changes.append(1), change_key())
    for count in range(0, 4096, 37):
        answer = wire.open(b"\x00\xfd" + bytes((0x90 | count >> 8, count & 0xFF)) + b"\x55" * 40)
        before = len(changes)
        assert answer in ("MPPE packet late", "MPPE packet too far ahead", "MPPE packet garbled"), answer
        assert len(changes) - before <= MAX_MISSED
    assert wire.receiver._key is key
    wire.receiver._change_key = change_key
    wire.pass_(3)


def test_stateless_insists_on_the_flushed_bit():
    wire = Wire()
    frame = bytearray(wire.seal())
    frame[2] &= 0x7F
    assert wire.open(frame) == "MPPE packet not flushed"


def test_clear_and_short_packets_are_refused():
    for stateless in (True, False):
        wire = Wire(stateless)
        frame = wire.seal()
        for cut in range(2, 12):
            assert wire.open(frame[:cut]) == "MPPE packet cut short"
        assert wire.open(b"\x00\xfd\x80\x00" + CLEAR) == "MPPE packet in clear"
        assert wire.open(frame) == CLEAR


def test_stateful_discards_after_a_loss_until_reset():
    for lost in (1, 3, 300, 1500):
        wire = Wire(False)
        wire.pass_(5)
        wire.lose(lost)
        assert wire.open(wire.seal()) in ("MPPE packet after a loss", CLEAR)
        wire.lose(1)
        assert wire.open(wire.seal()) == "MPPE packet after a loss"
        assert wire.receiver.discarding
        wire.sender.reset()
        wire.pass_(1)
        assert not wire.receiver.discarding
        wire.pass_(300)


def test_stateful_recovers_by_itself_on_a_flag_packet():
    wire = Wire(False)
    wire.pass_(250)
    wire.lose(5)
    wire.pass_(10)  # 255 is a flag packet


def test_stateful_lost_flag_packets_are_made_up_for():
    for before in (254, 255, 256, 4094, 4095):
        for lost in (1, 2, 256, 257, 700):
            wire = Wire(False)
            wire.sender._count = wire.receiver._count = (before - 3) % 4096
            wire.pass_(2)
            wire.lose(lost)
            wire.sender.reset()
            wire.pass_(600)


def test_stateful_late_packets_do_not_disturb():
    wire = Wire(False)
    frames = [wire.seal() for _ in range(4)]
    for frame in frames[:3]:
        assert wire.open(frame) == CLEAR
    assert wire.open(frames[1]) == "MPPE packet late"
    assert not wire.receiver.discarding
    assert wire.open(frames[3]) == CLEAR


def test_a_second_reset_request_costs_one_packet_at_most():
    wire = Wire(False)
    wire.pass_(3)
    wire.sender.reset()
    wire.sender.reset()
    wire.pass_(1)
    wire.sender.reset()
    wire.pass_(300)


class LinuxSender(Sender):
    """Linux's ppp_mppe: a reset flushes the next packet under a changed key, whatever its count."""

    def __init__(self, start_key, bits, stateless):
        Sender.__init__(self, start_key, bits, stateless)
        self.flush = False

    def seal(self, buf, start, end):
        if self.flush and (self._count + 1) & 0xFF != 0xFF:
            self._change_key()
            self._flush()
        start = Sender.seal(self, buf, start, end)
        if self.flush:
            buf[start + 2] |= 0x80
            self.flush = False
        return start


class RfcSender(LinuxSender):
    """RFC 3078 §8.2 to the letter: a reset flushes the next packet under the same key."""

    def _change_key(self):
        if not self.flush or self._count & 0xFF == 0xFF:
            Sender._change_key(self)


def test_a_peer_may_change_its_key_on_a_reset_or_keep_it():
    for kind in (LinuxSender, RfcSender):
        wire = Wire(False, 128, kind)
        wire.pass_(10)
        for lost_flushes in (0, 1, 3):
            wire.lose(2)
            assert wire.open(wire.seal()) == "MPPE packet after a loss"
            for _ in range(lost_flushes):
                wire.sender.flush = True
                wire.lose(1)
            wire.sender.flush = True
            wire.pass_(300)


def test_nonsense_is_counted_until_sense_returns():
    wire = Wire()
    other = Sender(next_key(START, START), 128, True)
    for n in range(1, MAX_GARBLED + 3):
        buf = bytearray(8) + CLEAR
        other.seal(buf, 8, len(buf))
        assert wire.open(buf[4:]) == "MPPE packet garbled"
        assert wire.receiver.garbled == n
    wire.pass_(1)
    assert wire.receiver.garbled == 0


def test_protocols_inside():
    wire = Wire()
    ip4, ip6 = b"\x45\0\0\x14" + bytes(16), b"\x60\0\0\0\0\x04" + bytes(38)
    for clear in (b"\x00\x21" + ip4, b"\x21" + ip4, b"\x00\x57" + ip6, b"\x57" + ip6, b"\x21" + ip4 + b"padding"):
        assert wire.open(wire.seal(clear)) == clear
    for clear in (
        b"\x80\x21" + ip4,
        b"\xc0\x21" + ip4,
        b"\x00\xfd" + ip4,
        b"\x3d" + ip4,
        b"\x21" + ip6,
        b"\x00\x57" + ip4,
        b"\x21" + ip4[:-1],  # the packet would not fit
        b"\x00\x57" + ip6[:-1],
    ):
        assert wire.open(wire.seal(clear)) == "MPPE packet garbled"
