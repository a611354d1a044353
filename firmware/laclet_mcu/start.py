"""What main.py of a board calls: the service and its console, boots counted, the watchdog fed."""

import gc
import sys
import time

from laclet import ticks
from micropython import const

from . import boots, cycles

_FAILED_MAX = const(10)  # boots in a row; then safe mode: the console and nothing else
_GOOD = const(60_000)  # ms after which a boot was a good one, and an update, too
_TICK = const(1000)  # ms between meals of the watchdog
_CALM = const(5000)  # ms after which switching it off is no sign
_LOW = const(2304)  # bytes in one piece: a datagram needs them
_LOOKS = const(8)  # ticks between looks at the memory
_REST = const(5000)  # ms before a restart after a crash: time for Ctrl-C


class Keeper:
    """A machine of the node: while all is well the watchdog is fed; after a minute the boot was good.

    ``trial``: of an update that this boot tries, or None. ``path``: of the configuration, which the button forgets.
    """

    def __init__(self, shell, journal, path, trial=None, good=_GOOD):
        self.armed = None  # for Timers
        self.machines = []  # others that every new node has to serve
        self.watchdog = None
        self.button = None
        self._shell = shell
        self._journal = journal
        self._path = path
        self._trial = trial
        self._node = None
        self._well = True  # there was memory at the last look
        self._ticks = 0
        self._good = ticks.add(shell.now(), good)
        self._calm = ticks.add(shell.now(), _CALM)
        self._at = shell.now()

    def poll_at(self):
        """The next look."""
        return self._at

    def watch(self):
        """Be called by the node that runs now."""
        if self._node is not self._shell.node:
            self._node = self._shell.node
            for each in self.machines + [self]:
                each.armed = None
                self._node.timers.update(each, self._shell.now())

    def on_timer(self, now):
        """The loop turns, or we were not called."""
        if not ticks.due(self._at, now):
            return
        self._at = ticks.add(now, _TICK)
        if self.watchdog is not None:
            self._ticks += 1
            if self._ticks % _LOOKS == 0:
                self._well = healthy()
            if self._well:
                self.watchdog.feed()
        if self._calm is not None and ticks.due(self._calm, now):
            self._calm = None
            cycles.calm()
        if self._good is not None and ticks.due(self._good, now):
            self._good = None
            boots.good()
        if self._trial is not None and self._trial.looked(self._good is None, now):
            if self._trial.failed:
                self._journal.flush()
                restart(self._shell)
            self._trial = None
        if self.button is not None and self.button.held():
            from .factory import reset

            self._shell.log("warning", "board", "factory reset by the button")
            reset(self._path)
            restart(self._shell)
        self._journal.flush(now)


def healthy():
    """False when there is no memory left, or only splinters: a restart mends it."""
    for _ in range(2):
        try:
            bytearray(_LOW)
            return True
        except MemoryError:
            gc.collect()
    return False


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

    ``watchdog``: ms of silence after which the hardware restarts the board, 0 for what the configuration says. It
    cannot be stopped: at the prompt the board restarts, too, so it is for boards that nobody works at. ``good``: ms
    after which a boot, and the code of an update, has shown that it works.
    """
    import machine

    from .main import shell

    cause = machine.reset_cause()
    if cause == machine.PWRON_RESET and cycles.cycled():
        from .factory import reset

        reset(path)
        print("factory reset by switching on and off")
    failed = boots.begin()
    safe = failed >= _FAILED_MAX
    if safe:
        print("safe mode: %d boots in a row have failed; press Enter for the console" % failed)
    served = shell(path, safe, True)
    from .journal import Journal  # not before: what checks a configuration needs the room

    journal = Journal(served, cause)
    keeper = served.keeper = Keeper(served, journal, path, on_trial(served), good)
    equip(served, path, keeper, journal, safe, watchdog)
    keeper.watch()
    try:
        served.run()
    except KeyboardInterrupt:
        boots.good()
        cycles.calm()
        raise
    except Exception as error:
        sys.print_exception(error)
        served.node = served.keeper = keeper = None  # the record needs memory
        journal.crashed(error)
    print("restarting in %d s; Ctrl-C for the prompt" % (_REST // 1000))
    time.sleep_ms(_REST)
    machine.reset()


def equip(served, path, keeper, journal, safe, watchdog):
    """Terminals, and what the configuration and /board.json have beside the service."""
    from .door import Desk, Door
    from .hardware import about
    from .store import forget
    from .terminal import Uart, Usb

    found = about()
    board = served.node.config["board"] or {}
    desk = Desk(journal)
    Door(served, path, desk, Usb())
    line = board.get("console_line")
    if line is not None:
        try:
            Door(served, path, desk, Uart(served.node.config["line"][line]))
        except (OSError, ValueError) as error:
            served.log("error", "console", "line %s: %s" % (line, error))
    if "led" in found and board.get("led", True):
        from .led import Led

        keeper.machines.append(Led(served, found["led"], safe))
    if "button" in found:
        from .factory import Button

        keeper.button = Button(found["button"])
    if board.get("ntp"):
        from .clock import Clock

        keeper.machines.append(Clock(served, board["ntp"]))
    watchdog = watchdog or int(board.get("watchdog", 0) * 1000)
    if watchdog:
        from machine import WDT

        keeper.watchdog = WDT(timeout=min(watchdog, found.get("watchdog", watchdog)))
    forget("laclet_mcu", "hardware")
