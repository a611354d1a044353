"""Negotiation of options (RFC 1661 §5.1-5.4): a protocol is the automaton plus a list of ``Option`` objects."""

from ..wire import ppp
from .automaton import MAX_FAILURE, Automaton

MAX_ANSWER = 512  # bytes of options in a Configure-Nak or -Reject; what does not fit is refused in the next round


class Option:
    """One option, both ways: ``ours`` is what we ask, ``peers`` what we let the peer have; None for nothing.

    Values are ``bytes`` as on the wire, without type and length. A subclass overrides what it must.
    """

    def __init__(self, type, name, wish=None):
        self.type = type  # on the wire
        self.name = name  # for people
        self.wish = wish  # what every negotiation begins with
        self.ours = wish
        self.peers = None

    def begin(self):
        """A negotiation begins: ask what is wished."""
        self.ours = self.wish

    def judge(self, value, now):
        """The peer asks ``value``: return it to agree, another value to Nak with, None to reject."""
        return None

    def missing(self, now):
        """The peer did not ask it: a value to Nak with, or None when that is fine."""
        return None

    def naked(self, value, now):
        """The peer wants ``value`` instead of ours."""

    def rejected(self, now):
        """The peer knows no such option: do without."""
        self.ours = None


class Negotiation(Automaton):
    """An automaton whose options are ``Option`` objects, asked in the order in which they were added."""

    def __init__(self, link):
        super().__init__(link)
        self.options = []

    def add(self, option):
        """Negotiate one more option; returns it."""
        self.options.append(option)
        return option

    def find(self, type):
        """The option of this type, or None."""
        for option in self.options:
            if option.type == type:
                return option
        return None

    def begin(self):
        """Forget what was agreed."""
        for option in self.options:
            option.begin()

    def request(self):
        """The options of our next Configure-Request."""
        return b"".join([ppp.option(o.type, o.ours) for o in self.options if o.ours is not None])

    def review(self, options, now):
        """Judge a Configure-Request: ``(code, options)`` of the answer; an Ack's options are the request's own."""
        rejects = []
        naks = []
        refused = []  # the peer's own form of what we Nak: rejected instead once Max-Failure is reached (§4.6)
        for option in self.options:
            option.peers = None
        for type, value in options:
            option = self.find(type)
            wanted = None
            if option is not None and option.peers is None:  # an option stands once in a request (§6)
                wanted = option.judge(value, now)
            if wanted is None:
                rejects.append((type, value))
            elif wanted == value:
                option.peers = value
            else:
                naks.append((type, wanted))
                refused.append((type, value))
        if self._failures < MAX_FAILURE:  # after that the peer goes without
            for option in self.options:
                if option.peers is None and not _contains(options, option.type):
                    wanted = option.missing(now)
                    if wanted is not None:
                        naks.append((option.type, wanted))
        if not rejects and not naks:
            return ppp.CONFIGURE_ACK, b""
        if not rejects:
            self._failures += 1
            if self._failures <= MAX_FAILURE:
                return ppp.CONFIGURE_NAK, _encode(naks)
            rejects = refused
        return ppp.CONFIGURE_REJECT, _encode(rejects)

    def naked(self, options, now):
        """The peer suggests other values."""
        for type, value in options:
            option = self.find(type)
            if option is not None:
                option.naked(value, now)

    def rejected(self, options, now):
        """The peer does without these of our options."""
        for type, _ in options:
            option = self.find(type)
            if option is not None and option.ours is not None:
                option.rejected(now)


def _contains(options, type):
    return any(option[0] == type for option in options)


def _encode(options):
    encoded = b""
    for type, value in options:
        one = ppp.option(type, value)
        if len(encoded) + len(one) > MAX_ANSWER:
            break
        encoded += one
    return encoded
