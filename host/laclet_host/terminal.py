"""A terminal at a board's port: keys go there as they are, for line editing, Tab and history live on the board."""

import os
import signal
import threading

import serial
from serial.tools.miniterm import Console

from .device.ports import Absent

EXIT = "\x1d"  # Ctrl-], as of mpremote, telnet and miniterm


def serve(line: serial.SerialBase, port: str) -> None:
    """Connect this process's terminal with an open port, until somebody presses ``EXIT``.

    Raises ``Absent`` when the port goes away.
    """
    console = Console()  # miniterm's: POSIX and Windows
    ended = threading.Event()
    failure: list[BaseException] = []

    def show() -> None:
        try:
            while not ended.is_set():
                data = line.read(max(1, line.in_waiting))  # pyright: ignore[reportAttributeAccessIssue]
                if data:
                    console.write_bytes(data)
        except (serial.SerialException, OSError, TypeError) as error:
            if not ended.is_set():
                failure.append(error)
                _wake(console)

    reader = threading.Thread(target=show, name="port", daemon=True)
    console.setup()
    try:
        reader.start()
        line.write(b"\r")  # for the board to show where it is
        _keys(console, line, failure)
    except (serial.SerialException, OSError) as error:
        failure.append(error)
    finally:
        ended.set()
        reader.join(1)
        console.cleanup()
        console.write("\n")
    if failure:
        raise Absent(f"{port}: has gone; plug it in again")


def _keys(console: Console, line: serial.SerialBase, failure: list) -> None:
    """Send what is typed."""
    while not failure:
        try:
            key = console.getkey()
        except KeyboardInterrupt:  # Windows; or we were woken
            if failure:
                return
            key = "\x03"
        if key in (EXIT, ""):  # the terminal itself may be gone
            return
        line.write(key.replace("\n", "\r").encode())


def _wake(console: Console) -> None:
    """Let ``getkey`` return: what miniterm does for that, newer kernels forbid."""
    if os.name == "posix":
        thread = threading.main_thread().ident
        assert thread is not None
        signal.pthread_kill(thread, signal.SIGINT)
    else:
        console.cancel()
