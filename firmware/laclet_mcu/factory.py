"""Back to a board as it was delivered."""

from micropython import const

HELD = const(5)  # looks in a row, one a second, at which the button is pressed


def reset(config):
    """Forget the configuration at this path, and what tells of it."""
    from . import boots, journal
    from .store import Store

    Store(config).forget()
    journal.forget()
    boots.good()


class Button:
    """A pin; ``about``: its part of /board.json."""

    def __init__(self, about):
        from machine import Pin

        pressed = about["pressed"]
        self._pin = Pin(about["pin"], Pin.IN, Pin.PULL_DOWN if pressed else Pin.PULL_UP)
        self._pressed = pressed
        self._looks = 0

    def held(self):
        """Look once a second: True when it was pressed at all of the last looks."""
        self._looks = self._looks + 1 if self._pin.value() == self._pressed else 0
        return self._looks >= HELD
