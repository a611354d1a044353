"""A board's MicroPython at its raw REPL, through mpremote's transport: run code, and see to its files."""

import ast
import base64
import contextlib
import re
import time
from typing import Any

import serial

from ..ui import Trouble
from .ports import BAUD, Absent, DeviceError, Mute, open_port

_PROMPT = 6.0  # s for what runs to end after Ctrl-C: laclet closes its tunnels in order; the second one is for good
_RAW = b"raw REPL; CTRL-B to exit\r\n"  # mpremote itself waits for the ">" before each command
_STUCK = 15.0  # s without a byte while code runs on the board
_CHUNK = 1024  # bytes of a file in one command
_OPEN = "import os\nfrom binascii import a2b_base64 as d\nf=open(%r,'wb')\n"
_WRITE = "f.write(d('%s'))\n"
_RENAME = """f.close()
try: os.rename(%r,%r)
except OSError:
    os.remove(%r)
    os.rename(%r,%r)
"""
_DROP = "f.close()\nos.remove(%r)"
RESET = "import machine; machine.reset()"

_WALK = """
import os
from binascii import hexlify
from hashlib import sha256
def w(d):
    for e in os.ilistdir(d or '/'):
        p=d+'/'+e[0]
        if e[1]&0x4000:
            if d or e[0] not in ('rom','remote'): w(p)
        else:
            h=sha256()
            with open(p,'rb') as f:
                while True:
                    b=f.read(512)
                    if not b: break
                    h.update(b)
            print(repr((p,hexlify(h.digest()).decode())))
w(%r)
"""
_ABOUT = """
import os, sys
s=os.statvfs('/')
i=''
try:
    import machine
    from binascii import hexlify
    i=hexlify(machine.unique_id()).decode()
except Exception: pass
print(repr({'micropython':'.'.join(map(str,sys.implementation[1][:3])),'mpy':getattr(sys.implementation,'_mpy',0),
'machine':getattr(sys.implementation,'_machine',sys.platform),'platform':sys.platform,'id':i,'free':s[0]*s[3],'size':s[0]*s[2]}))
"""


class Repl:
    """One board at its prompt: what ran there has been stopped. A context manager, which restarts the board at its end
    unless ``restart`` is false. Raises ``Trouble``."""

    def __init__(self, port: str, baud: int = BAUD, restart: bool = True):
        try:
            from mpremote.transport_serial import SerialTransport
        except ImportError:
            raise Trouble("mpremote is missing: pip install 'laclet[board]'") from None

        class Transport(SerialTransport):
            """mpremote's, on a port that is open."""

            def __init__(self, line):
                self.serial = line
                self.device_name = port
                self.in_raw_repl = True
                self.use_raw_paste = True
                self.mounted = False
                self.is_pty = True  # reads block until a byte comes, and no longer than the port's timeout

        self.port = port
        self._restart = restart
        self._line = open_port(port, baud)
        try:
            self._enter()
        except BaseException:
            self._line.close()
            raise
        self._line.timeout = _STUCK
        self._transport = Transport(self._line)
        self._folders = {"", "/"}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self._line.is_open:
            return
        if self._restart:
            self.leave(RESET)
        else:
            with contextlib.suppress(OSError, serial.SerialException):
                self._line.write(b"\r\x02")
            self._line.close()

    def exec(self, code: str) -> str:
        """What ``code`` prints on the board."""
        from mpremote.transport import TransportError, TransportExecError

        try:
            return self._transport.exec(code).decode("utf-8", "replace")
        except TransportExecError as error:
            words = str(error.error_output).strip().splitlines() or ["it failed"]
            if re.match(r"OSError:.*\b(28|ENOSPC)\b", words[-1]):
                raise Trouble(f"{self.port}: the board's file system is full; remove files there") from None
            raise Trouble(f"{self.port}: {words[-1]}") from None
        except (OSError, serial.SerialException, TypeError, IndexError):
            failure: DeviceError = self._gone()
        except TransportError:
            failure = Mute(f"{self.port}: has stopped answering; reset the board, and repeat the command")
        except Exception as error:  # mpremote's own, of half an answer
            failure = Mute(f"{self.port}: answers in pieces ({type(error).__name__}); check the cable, and repeat")
        with contextlib.suppress(OSError):  # there is nobody to be told to restart
            self._line.close()
        raise failure

    def eval(self, expression: str) -> Any:
        """A value of the board."""
        return ast.literal_eval(self.exec(f"print(repr({expression}))").strip())

    def leave(self, code: str = RESET) -> None:
        """Run this as the last thing, without an answer, and give the port back."""
        with contextlib.suppress(Exception):  # the board may be gone before it has taken all
            self._transport.exec_raw_no_follow(code)
        with contextlib.suppress(OSError):
            self._line.close()

    # -- files ----------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """``micropython`` version, ``mpy`` number, ``machine``, ``platform``, ``id``, ``free`` bytes of ``size``."""
        return ast.literal_eval(self.exec(_ABOUT).strip())

    def digests(self, folder: str = "") -> dict[str, str]:
        """SHA-256 of every file below ``folder`` ("" or "/a"), by its path."""
        if folder and not self.exists(folder):
            return {}
        return dict(ast.literal_eval(line) for line in self.exec(_WALK % folder).splitlines() if line.strip())

    def exists(self, path: str) -> bool:
        """True for a file or folder."""
        return self.exec(f"import os\ntry:\n os.stat({path!r})\n print(1)\nexcept OSError: print(0)").strip() == "1"

    def read(self, path: str) -> bytes | None:
        """A file, or None without it."""
        if not self.exists(path):
            return None
        code = (
            "from binascii import b2a_base64\n"
            f"with open({path!r},'rb') as f:\n while True:\n  b=f.read(384)\n  if not b: break\n"
            "  print(b2a_base64(b).decode().strip())"
        )
        return b"".join(base64.b64decode(line) for line in self.exec(code).split())

    def write(self, path: str, data: bytes) -> None:
        """Make a file, all or nothing: beside the old one, then renamed."""
        self._make_folder(path.rpartition("/")[0])
        new = path + ".new"
        steps = [_WRITE % base64.b64encode(data[at : at + _CHUNK]).decode() for at in range(0, len(data), _CHUNK)] or [
            ""
        ]
        steps[0] = _OPEN % new + steps[0]
        steps[-1] += _RENAME % (new, path, path, new, path)
        try:
            for step in steps:  # each takes a while to be sent, and to be answered
                self.exec(step)
        except DeviceError:
            raise
        except Trouble:
            self.exec(_DROP % new)
            raise

    def remove(self, path: str) -> None:
        """Remove a file, and its folder when that is empty then."""
        folder = path.rpartition("/")[0]
        self.exec(f"import os\nos.remove({path!r})\nif {folder!r}:\n try: os.rmdir({folder!r})\n except OSError: pass")
        self._folders = {"", "/"}

    def _make_folder(self, path: str) -> None:
        if path in self._folders:
            return
        self._make_folder(path.rpartition("/")[0])
        self.exec(f"import os\ntry: os.mkdir({path!r})\nexcept OSError as e:\n if e.errno!=17: raise")
        self._folders.add(path)

    # -- the way in -----------------------------------------------------------------------------------

    def _enter(self) -> None:
        for _ in range(2):
            self._put(b"\x03")
            self._put(b"\x02")  # out of a raw REPL
            if self._comes(b">>> ", _PROMPT):
                break
        else:
            raise Mute(f"{self.port}: MicroPython's prompt does not come; reset the board, check the port, try again")
        self._put(b"\x01")
        if not self._comes(_RAW, _PROMPT):
            raise Mute(f"{self.port}: MicroPython's prompt is not a raw one; reset the board, and try again")

    def _put(self, data: bytes) -> None:
        try:
            self._line.write(data)
        except (OSError, serial.SerialException):
            raise self._gone() from None

    def _comes(self, wanted: bytes, patience: float) -> bool:
        deadline = time.monotonic() + patience
        seen = b""
        while wanted not in seen:
            if time.monotonic() > deadline:
                return False
            try:
                seen = seen[-len(wanted) :] + self._line.read(1)
            except (OSError, serial.SerialException):
                raise self._gone() from None
        return True

    def _gone(self) -> Absent:
        return Absent(f"{self.port}: has gone in the middle; plug it in again, and repeat the command")
