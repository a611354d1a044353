"""Multilink (RFC 1990 §3, §4): packets cut into fragments for several links, and put together again."""

import sys

from .. import ticks
from ..port import HEADROOM, TAILROOM, frame_buffer
from ..wire import mp

MIN_FRAGMENT = 128  # bytes; a packet of less than two of these goes whole
PATIENCE = 500  # ms to wait for a missing fragment; links may differ by as much in their delays
MAX_HELD = 256  # fragments kept while one before them is missing
MAX_HELD_BYTES = (1 << 14) if sys.implementation.name == "micropython" else (1 << 18)
MAX_LATE = 64  # fragments in a row from before the one expected: the peer's numbers have begun anew
NUMBERS = 1 << 28  # numbers are counted without wrapping up to here: small ints on every board


class Member:
    """A link of a bundle. ``share``: its part of 1024; ``limit``: bytes of a fragment that the peer takes on it."""

    def __init__(self, link, receiver, limit):
        self.link = link
        self.share = 0
        self.limit = limit
        self.credit = 0  # bytes it may send before others
        self.last = receiver.expected - 1  # the highest number that came through it
        self._receiver = receiver

    def receive(self, buf, at, end, now):
        """A fragment came out of this link."""
        self._receiver.take(self, buf, at, end, now)


class Sender:
    """Takes the frames of a bundle and spreads them over its ``members``, each by its share."""

    def __init__(self, bundle, members):
        self._bundle = bundle
        self._members = members
        self.short = False  # the peer wants short headers
        self.number = 0  # of the next fragment

    def carry(self, buf, start, end, now):
        """Send a bare frame in as many fragments as are useful; whole, with a single link that can take it so."""
        members = self._members
        if not members:
            self._bundle.drop("no link in the bundle")
        elif len(members) == 1 and end - start - 2 <= members[0].link.lcp.peer_mru():
            members[0].link.joined.carry(buf, start, end, now)
        else:
            self._deal(buf, start, end, now)

    def _deal(self, buf, start, end, now):
        self._fund(end - start)
        flags = mp.BEGIN
        while not flags & mp.END:
            member = self._richest()
            size = self._size(member, end - start)
            stop = start + size
            if stop == end:
                flags |= mp.END
            # The layers below write their trailers where the next fragment begins.
            behind = buf[stop : stop + TAILROOM] if stop < end else None
            at = mp.put(buf, start, flags, self.number, self.short)
            self.number = (self.number + 1) & mp.LONG_MASK
            member.credit -= size
            member.link.joined.carry(buf, at, stop, now)
            if behind is not None:
                buf[stop : stop + TAILROOM] = behind
            start = stop
            flags &= ~mp.BEGIN

    def _fund(self, size):
        """Give every member its share of a packet to come; what others used, it may use now."""
        left = size
        for member in self._members:
            part = size * member.share >> 10
            member.credit += part
            left -= part
        self._members[0].credit += left

    def _richest(self):
        best = self._members[0]
        for member in self._members:
            if member.credit > best.credit:
                best = member
        return best

    def _size(self, member, left):
        """Bytes of the next fragment, for this member, of a packet of which so many are left."""
        size = left
        if left >= 2 * MIN_FRAGMENT:
            size = max(MIN_FRAGMENT, member.credit)
            if left - size < MIN_FRAGMENT:
                size = left
        return min(size, member.limit)


class Receiver:
    """Puts fragments together and brings the frames to ``bundle.carry``, in order; ``unit``: bytes of the longest one.

    Numbers are unwrapped: they only grow, until ``_rebase``.
    """

    def __init__(self, bundle, members, unit):
        self._bundle = bundle
        self._members = members
        self._buf = frame_buffer(unit)
        self._unit = unit
        self.short = False  # we asked for short headers
        self.expected = 0  # the number that begins the next packet
        self.lost = 0  # fragments that never came
        self._held = {}  # number -> header and data of a fragment
        self._bytes = 0  # of them
        self._late = 0  # fragments in a row that came too late
        self._top = 0  # the highest number held when we began to wait
        self._given_up = 0  # below this number whatever is missing is lost
        self._deadline = None  # end of the waiting

    def reset(self):
        """The bundle begins anew."""
        self.expected = 0
        self._late = 0
        self._given_up = 0
        self._clear()

    def _clear(self):
        self._held.clear()
        self._bytes = 0
        self._deadline = None

    def poll_at(self):
        """Until when a missing fragment is waited for."""
        return self._deadline

    def on_timer(self, now):
        """What is missing will not come."""
        if ticks.due(self._deadline, now):
            self._deadline = None
            self._given_up = self._top + 2  # the number behind the last may be the missing one
            self.settle(now)

    def take(self, member, buf, at, end, now):
        """A fragment from a member; ``at`` is its header."""
        size = mp.SHORT if self.short else mp.LONG
        if end - at < size:
            self._bundle.drop("fragment without a header")
            return
        if self.expected > NUMBERS and not self._held:
            self._rebase()
        expected = self.expected
        half = (mp.SHORT_MASK + 1 if self.short else mp.LONG_MASK + 1) >> 1
        number = expected + ((mp.number(buf, at, self.short) - expected + half) & (2 * half - 1)) - half
        if number < expected:
            self._too_late(number)
            return
        self._late = 0
        if number > member.last:
            member.last = number
        if number == expected and buf[at] & mp.WHOLE == mp.WHOLE and not self._held:
            self.expected = number + 1
            self._deliver(buf, at + size, end, now)
        elif number in self._held:
            self._bundle.drop("fragment received twice")
        else:
            fragment = bytes(buf[at:end])
            self._held[number] = fragment
            self._bytes += len(fragment)
            self.settle(now)

    def _too_late(self, number):
        self._bundle.drop("late fragment")
        self._late += 1
        if self._late >= MAX_LATE:
            self._clear()
            self._late = 0
            self._given_up = 0
            self.expected = number & mp.LONG_MASK
            for member in self._members:
                member.last = self.expected - 1

    def _rebase(self):
        """Count from lower numbers."""
        self.expected -= NUMBERS
        self._given_up = 0
        for member in self._members:
            member.last = max(member.last - NUMBERS, -1)

    def settle(self, now):
        """Deliver what is complete, give up what is lost; then wait for the rest, if there is any."""
        before = self.expected
        held = self._held
        while held:
            hole = self._next(now)
            if hole < 0:
                continue
            full = len(held) > MAX_HELD or self._bytes > MAX_HELD_BYTES
            if not full and hole >= self._lost_below():
                break
            self._skip(hole)
        if not held:
            self._deadline = None
        elif self._deadline is None or self.expected != before:
            self._deadline = ticks.add(now, PATIENCE)
            self._top = max(held)
            self._bundle.rearm()

    def _lost_below(self):
        """§4.1: on every link numbers only grow, so what is below the least of the last ones will not come."""
        least = None
        for member in self._members:
            if least is None or member.last < least:
                least = member.last
        return self._given_up if least is None else max(least, self._given_up)

    def _next(self, now):
        """Look at the packet that begins at ``expected``: the first number missing, or -1 when it was dealt with."""
        held = self._held
        first = number = self.expected
        fragment = held.get(number)
        if fragment is not None and not fragment[0] & mp.BEGIN:
            self._bundle.drop("fragment without a beginning")
            self._discard(first, number + 1)
            return -1
        while fragment is not None:
            if fragment[0] & mp.BEGIN and number > first:  # so the one before should have been an end
                self._bundle.drop("fragments without an end")
                self._discard(first, number)
                return -1
            number += 1
            if fragment[0] & mp.END:
                self._join(first, number, now)
                return -1
            fragment = held.get(number)
        return number

    def _skip(self, hole):
        """The fragment with this number is lost, and with it its packet."""
        if hole > self.expected:
            self._bundle.drop("packet with a lost fragment")
            self._discard(self.expected, hole)
        if self._held:  # else it is the end that is missing, and may yet come
            self.expected = min(self._held)
            self.lost += self.expected - hole

    def _discard(self, first, stop):
        for number in range(first, stop):
            self._bytes -= len(self._held.pop(number))
        self.expected = stop

    def _join(self, first, stop, now):
        """All fragments of a packet are there."""
        buf = self._buf
        header = mp.SHORT if self.short else mp.LONG
        at = HEADROOM
        for number in range(first, stop):
            fragment = self._held[number]
            size = len(fragment) - header
            if at + size <= HEADROOM + self._unit:
                buf[at : at + size] = memoryview(fragment)[header:]
            at += size
        self._discard(first, stop)
        if at > HEADROOM + self._unit:
            self._bundle.drop("packet above our MRRU")
        else:
            self._deliver(buf, HEADROOM, at, now)

    def _deliver(self, buf, start, end, now):
        if end > start:  # an empty one only tells that nothing is lost (§4.1)
            self._bundle.carry(buf, start, end, now)
