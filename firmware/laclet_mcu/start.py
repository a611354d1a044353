"""What main.py of a board calls: the service and its console, boots counted, the watchdog fed."""

import sys
import time

from laclet import ticks
from micropython import const

from . import boots

_FAILED_MAX = const(10)  # boots in a row; then safe mode: the console and nothing else
_GOOD = const(60_000)  # ms after which a boot was a good one, and an update, too
_TICK = const(1000)  # ms between meals of the watchdog
_REST = const(5000)  # ms before a restart after a crash: time for Ctrl-C


class Keeper:
    """A machine of the node: while the loop serves timers, the watchdog is fed; after a minute the boot was good.

    ``trial``: of an update that this boot tries, or None.
    """

    def __init__(self, shell, watchdog, trial=None, good=_GOOD):
        self.armed = None  # for Timers
        self._shell = shell
        self._watchdog = watchdog
        self._trial = trial
        self._node = None
        self._good = ticks.add(shell.now(), good)
        self._at = shell.now()

    def poll_at(self):
        """The next look."""
        return self._at

    def watch(self):
        """Be called by the node that runs now."""
        if self._node is not self._shell.node:
            self._node = self._shell.node
            self.armed = None
            self._node.timers.update(self, self._shell.now())

    def on_timer(self, now):
        """All is well: we are called."""
        if self._watchdog is not None:
            self._watchdog.feed()
        if self._good is not None and ticks.due(self._good, now):
            self._good = None
            boots.good()
        if self._trial is not None and self._trial.looked(self._good is None, now):
            if self._trial.failed:
                restart(self._shell)
            self._trial = None
        if self._good is None and self._watchdog is None and self._trial is None:
            self._at = None
        else:
            self._at = ticks.add(now, _TICK)


def restart(shell):
    """Close calls and tunnels in order, and restart the board."""
    import machine

    shell.end()
    machine.reset()


def on_trial(shell):
    """The Trial of an update that this boot tries, or None."""
    slots = sys.modules.get("laclet_slots")  # boot.py has loaded it, where there are slots
    if slots is None or slots.trial is None:
        return None
    from .trial import Trial

    return Trial(shell, slots.trial)


def start(path="/config.json", watchdog=0, good=_GOOD):
    """Serve the configuration at ``path`` until Ctrl-C; without one in order, or in safe mode, the console only.

    ``watchdog``: ms of silence after which the hardware restarts the board, 0 for never. It cannot be stopped: at the
    prompt the board restarts, too, so it is for boards that nobody works at. ``good``: ms after which a boot, and the
    code of an update, has shown that it works.
    """
    from .main import shell

    failed = boots.begin()
    safe = failed >= _FAILED_MAX
    if safe:
        print("safe mode: %d boots in a row have failed; press Enter for the console" % failed)
    served = shell(path, safe, True)
    from .door import Door

    Door(served, path)
    meals = None
    if watchdog:
        from machine import WDT

        meals = WDT(timeout=watchdog)
    served.keeper = Keeper(served, meals, on_trial(served), good)
    served.keeper.watch()
    try:
        served.run()
    except KeyboardInterrupt:
        boots.good()
        raise
    except Exception as error:
        sys.print_exception(error)
    print("restarting in %d s; Ctrl-C for the prompt" % (_REST // 1000))
    time.sleep_ms(_REST)
    import machine

    machine.reset()
