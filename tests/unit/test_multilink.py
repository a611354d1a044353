"""Fragments: headers, spreading, putting together again within bounds (RFC 1990 §3, §4)."""

from laclet import ticks
from laclet.port import HEADROOM, TAILROOM
from laclet.ppp.multilink import MAX_HELD, MAX_LATE, MIN_FRAGMENT, NUMBERS, PATIENCE, Member, Receiver, Sender
from laclet.wire import mp
from sim.net import Random

B, E = mp.BEGIN, mp.END
NOW = ticks.PERIOD - 100


class Port:
    """What a member's link is joined to; scribbles over the room behind a frame, as layers below may."""

    def __init__(self):
        self.frames = []

    def carry(self, buf, start, end, now):
        self.frames.append(bytes(buf[start:end]))
        for i in range(end, min(end + TAILROOM, len(buf))):
            buf[i] = 0xA5


class FakeLink:
    def __init__(self, mru=1500):
        self.joined = Port()
        self.lcp = self
        self._mru = mru

    def peer_mru(self):
        return self._mru


class FakeBundle:
    """Both halves, without LCP."""

    def __init__(self, count, short=False, unit=1500, mru=1500):
        self.frames = []
        self.drops = {}
        self.timers = 0
        self.members = []
        self.sender = Sender(self, self.members)
        self.receiver = Receiver(self, self.members, unit + 4)
        self.sender.short = self.receiver.short = short
        for _ in range(count):
            self.members.append(Member(FakeLink(mru), self.receiver, mru - (2 if short else 4)))
        for member in self.members:
            member.share = 1024 // count

    def carry(self, buf, start, end, now):
        self.frames.append(bytes(buf[start:end]))

    def drop(self, reason):
        self.drops[reason] = self.drops.get(reason, 0) + 1

    def rearm(self):
        self.timers += 1

    def send(self, frame):
        buf = bytearray(HEADROOM) + frame + bytearray(TAILROOM)
        self.sender.carry(buf, HEADROOM, HEADROOM + len(frame), NOW)

    def taken(self):
        """Fragments sent, for each link: a list of frames."""
        out = []
        for member in self.members:
            out.append(member.link.joined.frames)
            member.link.joined.frames = []
        return out

    def take(self, which, fragment, now=NOW):
        """A fragment, with its protocol field, through a link."""
        assert fragment[:2] == b"\x00\x3d"
        buf = bytearray(fragment)
        self.members[which].receive(buf, 2, len(buf), now)

    def put(self, which, flags, number, data, now=NOW):
        """A fragment made by hand."""
        buf = bytearray(8) + data
        at = mp.put(buf, 8, flags, number, self.receiver.short)
        self.take(which, bytes(buf[at:]), now)


def frame(size, seed=1):
    return b"\x00\x21" + Random(seed).bytes(size - 2)


def test_headers():
    buf = bytearray(8)
    assert mp.put(buf, 8, B, 0x123456, False) == 2 and bytes(buf) == b"\0\0\x00\x3d\x80\x12\x34\x56"
    assert mp.number(buf, 4, False) == 0x123456
    assert mp.put(buf, 8, E, 0x456, True) == 4 and bytes(buf[4:]) == b"\x00\x3d\x44\x56"
    assert mp.number(buf, 6, True) == 0x456


def test_what_is_sent_comes_out_again():
    for short in (False, True):
        for count in (1, 2, 3, 5):
            b = FakeBundle(count, short)
            for i in range(40):
                sent = frame(3 + i * 37, i)
                b.send(sent)
                fragments = []
                for which, frames in enumerate(b.taken()):
                    for each in frames:
                        fragments.append((which, each))
                if count == 1:  # whole, without a header
                    assert fragments == [(0, sent)]
                    continue
                for which, each in sorted(fragments, key=lambda f: f[1][-1]):  # in some other order
                    b.take(which, each)
                assert b.frames.pop() == sent and not b.frames, (short, count, i)
            assert b.drops == {} and b.receiver.poll_at() is None


def test_every_link_gets_its_share():
    b = FakeBundle(3)
    shares = (512, 341, 171)
    for which in range(3):
        b.members[which].share = shares[which]
    totals = [0, 0, 0]
    for i in range(200):
        b.send(frame(1402, i))
        for which, frames in enumerate(b.taken()):
            totals[which] += sum([len(f) - 6 for f in frames])
    assert sum(totals) == 200 * 1402
    for which in range(3):
        assert abs(totals[which] - 200 * 1402 * shares[which] // 1024) < 3000, totals


def test_small_packets_go_whole_and_in_turn():
    b = FakeBundle(2)
    for i in range(100):
        b.send(frame(2 * MIN_FRAGMENT - 1, i))
    assert [len(frames) for frames in b.taken()] == [50, 50]
    b.send(frame(4 * MIN_FRAGMENT))
    assert [len(frames) for frames in b.taken()] == [1, 1]


def test_no_fragment_is_longer_than_the_peer_takes():
    b = FakeBundle(2, mru=300)
    sent = frame(1502)
    b.send(sent)
    one, other = b.taken()
    assert max([len(f) for f in one + other]) == 302  # the protocol field is not counted
    for which, frames in ((1, other), (0, one)):
        for each in frames:
            b.take(which, each)
    assert b.frames == [sent]
    b = FakeBundle(1, mru=300)
    b.send(sent)
    for each in b.taken()[0]:
        b.take(0, each)
    assert b.frames == [sent]


def test_without_links_nothing_is_sent():
    b = FakeBundle(0)
    b.send(frame(100))
    assert b.drops == {"no link in the bundle": 1}


def test_a_fragment_is_lost_when_every_link_has_gone_on():
    b = FakeBundle(2)
    b.put(0, B, 0, b"lost")
    b.put(1, B | E, 2, b"one")
    assert b.frames == []  # 1 may still come on link 0
    b.put(0, B | E, 3, b"two")
    assert b.frames == [b"one", b"two"] and b.drops == {"packet with a lost fragment": 1}
    assert b.receiver.lost == 1
    b.put(0, E, 1, b"late")
    assert b.drops["late fragment"] == 1 and b.receiver.poll_at() is None


def test_the_beginning_or_the_end_is_lost():
    b = FakeBundle(1)
    b.put(0, 0, 1, b"middle")
    b.put(0, E, 2, b"end")
    b.put(0, B | E, 3, b"one")
    b.put(0, B, 4, b"begins")
    b.put(0, B | E, 6, b"two")
    assert b.frames == [b"one", b"two"]
    assert b.drops == {"fragment without a beginning": 2, "packet with a lost fragment": 1}


def test_a_beginning_ends_what_was_before():
    b = FakeBundle(1)
    b.put(0, B, 0, b"one")
    b.put(0, B, 1, b"two")
    b.put(0, E, 2, b" three")
    assert b.frames == [b"two three"] and b.drops == {"fragments without an end": 1}


def test_a_link_that_says_nothing_does_not_hold_up_for_ever():
    b = FakeBundle(2)
    b.put(0, B | E, 1, b"one")
    b.put(0, B | E, 3, b"two", ticks.add(NOW, 10))
    b.put(0, B, 5, b"three", ticks.add(NOW, 20))
    b.put(0, E, 6, b" four", ticks.add(NOW, 30))
    assert b.timers == 1 and b.receiver.poll_at() == ticks.add(NOW, PATIENCE)
    b.receiver.on_timer(ticks.add(NOW, PATIENCE - 1))
    assert b.frames == []
    b.receiver.on_timer(ticks.add(NOW, PATIENCE))
    assert b.frames == [b"one", b"two"]  # what came while we waited for that is waited for a little longer
    b.receiver.on_timer(ticks.add(NOW, 2 * PATIENCE))
    assert b.frames[2:] == [b"three four"] and b.receiver.poll_at() is None and b.receiver.lost == 3


def test_an_end_that_never_comes():
    b = FakeBundle(2)
    b.put(0, B, 0, b"one")
    b.put(1, 0, 1, b"two")
    b.receiver.on_timer(ticks.add(NOW, PATIENCE))
    b.receiver.on_timer(ticks.add(NOW, 2 * PATIENCE))
    assert b.drops == {"packet with a lost fragment": 1} and b.receiver.poll_at() is None
    b.put(0, E, 2, b"late")
    b.put(0, B | E, 3, b"next")
    assert b.frames == [b"next"]


def test_memory_is_bounded():
    b = FakeBundle(2)
    for number in range(1, 3 * MAX_HELD, 2):  # every other one is missing
        b.put(0, B | E, number, b"x")
        assert len(b.receiver._held) <= MAX_HELD
    assert len(b.frames) == 3 * MAX_HELD // 2 - MAX_HELD and b.receiver.lost == len(b.frames)
    b = FakeBundle(2)
    for number in range(3 * MAX_HELD):
        b.put(0, 0 if number else B, number, b"x")
        assert len(b.receiver._held) <= MAX_HELD
    assert b.frames == []
    b = FakeBundle(1, unit=1500)
    for number in range(4):
        b.put(0, (B, 0, 0, E)[number], number, bytes(500))
    assert b.drops == {"packet above our MRRU": 1} and b.frames == []


def test_numbers_wrap():
    for short, mask in ((True, mp.SHORT_MASK), (False, mp.LONG_MASK)):
        b = FakeBundle(2, short)
        if not short:
            b.receiver.expected = 2 * NUMBERS - 50
            b.sender.number = b.receiver.expected & mask
            for member in b.members:
                member.last = b.receiver.expected - 1
        for i in range(mask // 50 if short else 100):
            b.send(frame(400, i))
            one, two = b.taken()
            b.take(1, two[0])
            b.take(0, one[0])
            assert len(b.frames) == 1 and b.frames.pop() == frame(400, i)
        for _ in range(mask + 10 if short else 0):  # one link only, whole packets: the other falls far behind
            b.put(0, B | E, b.receiver.expected & mask, b"x")
            b.frames.clear()
        assert b.drops == {} and b.receiver.expected < NUMBERS + 300


def test_numbers_that_begin_anew():
    b = FakeBundle(1)
    b.receiver.expected = 70000
    for number in range(MAX_LATE + 2):
        b.put(0, B | E, number, b"x")
    assert len(b.frames) == 2 and b.drops == {"late fragment": MAX_LATE}


def test_malformed_fragments_and_empty_ones():
    b = FakeBundle(1)
    b.take(0, b"\x00\x3d")
    b.take(0, b"\x00\x3d\xc0\x00\x00")
    assert b.drops == {"fragment without a header": 2}
    b.put(0, B | E, 0, b"")
    b.put(0, B, 1, b"")
    b.put(0, E, 2, b"")
    b.put(0, B, 3, b"one")
    b.put(0, B | E, 5, b"later")
    b.put(0, B | E, 5, b"later")
    assert b.frames == [b"later"] and b.receiver.expected == 6
