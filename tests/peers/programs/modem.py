"""An AT modem in front of pppd, on a tty: both ends of a telephone call.

    modem.py TTY ORDERS ANSWER CALL

ORDERS is a FIFO to be made: lines "ring [NUMBER]", "hangup" (pppd ends its link), "cut" (the carrier is lost). ANSWER
and CALL are pppd's options for a call that the tty dials (ATD) and for one that it answers (ATA).

The tty's bytes are carried to a pseudo-terminal on which pppd runs, so that the modem can hear the escape sequence.
Standard library only.
"""

import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
import tty

RING_EVERY = 2.0  # seconds
RINGS = 15
GUARD = 0.9  # seconds of silence before and after the escape sequence; a real modem waits for 1
BUFFER = 16384


def log(text):
    print(text, flush=True)


def raw(descriptor):
    """8 bits, nothing translated, no modem lines: a virtual line has none."""
    tty.setraw(descriptor)
    mode = termios.tcgetattr(descriptor)
    mode[2] = (mode[2] | termios.CLOCAL | termios.CREAD) & ~termios.CRTSCTS
    termios.tcsetattr(descriptor, termios.TCSANOW, mode)


class Modem:
    def __init__(self, line, orders, answer, call):
        self.line = os.open(line, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        raw(self.line)
        os.mkfifo(orders)
        self.orders = os.open(orders, os.O_RDWR | os.O_NONBLOCK)
        self.options = {"answer": answer, "call": call}
        self.echo = True
        self.command = b""
        self.rings = 0  # still to come
        self.ring_at = 0.0
        self.caller = ""
        self.far = None  # pppd
        self.master = None
        self.online = False  # bytes are carried; False with a pppd: escaped
        self.to_line = bytearray()
        self.to_far = bytearray()
        self.heard_at = 0.0  # last byte from the line
        self.pluses = 0  # of an escape sequence, after a silence

    def say(self, text):
        log(f"> {text}")
        self.to_line += f"\r\n{text}\r\n".encode()

    # The call

    def connect(self, role):
        """The two ends have found each other: pppd starts at the far one."""
        self.rings = 0
        self.master, slave = pty.openpty()
        raw(slave)
        name = os.ttyname(slave)
        os.set_blocking(self.master, False)
        self.say("CONNECT 115200")
        options = [name, "115200", "local", "nocrtscts", "nodetach", "file", self.options[role]]
        self.far = subprocess.Popen(
            ["pppd", *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        os.close(slave)
        self.online, self.pluses, self.heard_at = True, 0, time.monotonic()

    def disconnect(self, text):
        """Close pppd's terminal (it sees a hang-up), wait for its end, and say how the call ended."""
        os.close(self.master)
        try:
            self.far.wait(8)
        except subprocess.TimeoutExpired:
            self.far.kill()
            self.far.wait()
        self.far = self.master = None
        self.online = False
        self.to_far.clear()
        self.say(text)

    # What comes in

    def order(self):
        for line in os.read(self.orders, 4096).decode().splitlines():
            word, _, argument = line.partition(" ")
            log(f"order {line}")
            if word == "ring":
                self.rings, self.ring_at, self.caller = RINGS, time.monotonic(), argument
            elif self.far and word == "hangup":
                self.far.send_signal(signal.SIGTERM)
            elif self.far and word == "cut":
                self.disconnect("NO CARRIER")

    def hear(self):
        data = os.read(self.line, 4096)
        now = time.monotonic()
        if self.online:
            if data.strip(b"+") or (not self.pluses and now - self.heard_at < GUARD):
                self.pluses = 0
            else:
                self.pluses += len(data)
            self.heard_at = now
            self.to_far += data
            return
        for byte in data:
            character = bytes([byte])
            if self.echo:
                self.to_line += character
            if character in (b"\r", b"\n"):
                command, self.command = self.command, b""
                self.obey("".join(chr(c) for c in command if 32 <= c < 127).upper())
            else:
                self.command = (self.command + character)[-80:]

    def escape(self):
        """Silence after "+++": back to commands, the call stays."""
        self.online, self.pluses = False, 0
        self.to_far.clear()
        log("escaped")
        self.say("OK")

    def obey(self, command):
        begin = command.find("AT")
        if begin < 0:
            return
        command = command[begin + 2 :]
        log(f"< AT{command}")
        if command.startswith("E0"):
            self.echo = False
        if command.startswith("D") and not self.far:
            self.connect("answer")
        elif command.startswith("A") and self.rings and not self.far:
            self.connect("call")
        elif command.startswith(("A", "D")):
            self.say("NO CARRIER")
        elif command.startswith("O") and self.far:
            self.online = True
            self.say("CONNECT 115200")
        elif command.startswith(("H", "Z")):
            if self.far:
                self.disconnect("OK")
                log("hung up")
            else:
                self.rings = 0
                self.say("OK")
        else:
            self.say("OK")

    def ring(self, now):
        self.rings -= 1
        self.ring_at = now + RING_EVERY
        self.say("RING")
        if self.caller:
            self.say(f"NMBR = {self.caller}")

    # The loop

    def turn(self):
        now = time.monotonic()
        if self.far and self.far.poll() is not None:
            self.disconnect("NO CARRIER")
        if self.rings and now >= self.ring_at:
            self.ring(now)
        if self.pluses == 3 and now - self.heard_at >= GUARD:
            self.escape()
        reading = [self.orders] + [self.line] * (len(self.to_far) < BUFFER)
        writing = [self.line] * bool(self.to_line)
        if self.far:
            reading += [self.master] * (len(self.to_line) < BUFFER)
            writing += [self.master] * bool(self.to_far)
        ready, free, _ = select.select(reading, writing, [], 0.1)
        if self.master in free:
            sent = os.write(self.master, self.to_far)
            del self.to_far[:sent]
        if self.line in free:
            sent = os.write(self.line, self.to_line)
            del self.to_line[:sent]
        if self.master in ready:
            self.listen()
        if self.line in ready:
            self.hear()
        if self.orders in ready:
            self.order()

    def listen(self):
        """Bytes of pppd; those that come while escaped are lost."""
        try:
            data = os.read(self.master, 4096)
        except OSError:  # pppd has closed its end; its exit is seen at the next turn
            time.sleep(0.02)
            return
        if self.online:
            self.to_line += data


if __name__ == "__main__":
    modem = Modem(*sys.argv[1:])
    log("ready")
    while True:
        modem.turn()
