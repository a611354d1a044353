"""MicroPython's image for a board: a file that is given, one in the cache, or the official download. Never silent."""

import hashlib
import os
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..ui import VERIFY_MISMATCH, Trouble
from .progress import Tell

SITE = "https://micropython.org"  # LACLET_FIRMWARE_SITE names a mirror instead
SUFFIXES = {"esptool": "bin", "uf2": "uf2", "dfu": "dfu"}  # by the method of board.json
_LARGEST = 16 << 20  # bytes of an image or a page
_PATIENCE = 30  # s for the server
_CHUNK = 65536
_OLDEST = (1, 22)  # MicroPython that laclet runs on

Confirm = Callable[[str], bool]


class Image(NamedTuple):
    """One file; ``name`` is what people call it."""

    path: Path
    name: str
    sha256: str

    def read(self) -> bytes:
        """Its bytes."""
        return self.path.read_bytes()


def cache() -> Path:
    """The folder that keeps downloads."""
    given = os.environ.get("XDG_CACHE_HOME")
    if given:
        return Path(given, "laclet")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "laclet"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local", "laclet")
    return Path.home() / ".cache" / "laclet"


def given(path: Path, sha256: str | None = None) -> Image:
    """The image in a file; raises ``Trouble`` when it is not there, or not what ``sha256`` says."""
    try:
        digest = _digest(path)
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}") from None
    if sha256 and digest != sha256.lower():
        raise Trouble(f"{path}: has another SHA-256, {digest}; get it again", VERIFY_MISMATCH)
    return Image(path, path.name, digest)


def cached(board: str, suffix: str) -> Image | None:
    """The newest image for a board in the cache. What was damaged there raises ``Trouble``."""
    found = [(version, path) for path in cache().glob(f"{board}-*.{suffix}") if (version := _version(path.name, board))]
    if not found:
        return None
    path = max(found)[1]
    note = path.with_name(path.name + ".sha256")
    if not note.exists() or note.read_text().split()[:1] != [_digest(path)]:
        raise Trouble(f"{path}: is not as it was downloaded; remove it, then use --download", VERIFY_MISMATCH)
    return given(path)


def download(board: str, suffix: str, sha256: str | None, confirm: Confirm, tell: Tell) -> Image:
    """Fetch the newest official image into the cache.

    Its SHA-256 must be ``sha256``, or what the server has beside it as NAME.sha256; without both, ``confirm`` is asked
    with the sum in the text. Raises ``Trouble``.
    """
    site = os.environ.get("LACLET_FIRMWARE_SITE", SITE).rstrip("/")
    tell(f"looking for MicroPython at {urllib.parse.urlsplit(site).netloc}", None)
    url = _newest(site, board, suffix)
    name = url.rsplit("/", 1)[1]
    folder = cache()
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (name + ".part")
    try:
        _fetch(url, part, name, tell)
        digest = _digest(part)
        wanted = sha256 or _vouched(url)
        if wanted is None:
            if not confirm(f"nothing vouches for {name}, SHA-256 {digest}"):
                raise Trouble(f"nothing vouches for {name}; compare its SHA-256, then give --sha256 {digest}")
        elif digest != wanted.lower():
            raise Trouble(f"{url}: has SHA-256 {digest}, not {wanted}; try again, or another mirror", VERIFY_MISMATCH)
        (folder / (name + ".sha256")).write_text(f"{digest}  {name}\n")
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)
    return Image(folder / name, name, digest)


def _newest(site: str, board: str, suffix: str) -> str:
    page = _get(f"{site}/download/{board}/").decode("utf-8", "replace")
    found = []
    for link in re.findall(rf'href="([^"]*/{board}-\d{{8}}-v[0-9.]+\.{suffix})"', page):
        version = _version(link.rsplit("/", 1)[1], board)
        if version and version >= _OLDEST:
            found.append((version, link))
    if not found:
        raise Trouble(f"{site} has no .{suffix} image for {board}; get one by hand, and give --image FILE")
    return urllib.parse.urljoin(f"{site}/", max(found)[1])


def _version(name: str, board: str) -> tuple[int, ...] | None:
    """``(1, 26, 1)`` of ``BOARD-20250911-v1.26.1.bin``."""
    found = re.fullmatch(rf"{re.escape(board)}-\d{{8}}-v(\d+(?:\.\d+)*)\.\w+", name)
    return tuple(map(int, found[1].split("."))) if found else None


def _open(url: str):
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise Trouble(f"{url}: is no address of the web")
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": "laclet"}), timeout=_PATIENCE)
    except urllib.error.HTTPError as error:
        raise Trouble(f"{url}: the server says {error.code} {error.reason}") from None
    except (OSError, ValueError) as error:
        raise Trouble(
            f"{url}: {getattr(error, 'reason', error)}; is this machine online? or give --image FILE"
        ) from None


def _get(url: str) -> bytes:
    with _open(url) as answer:
        return answer.read(_LARGEST)


def _vouched(url: str) -> str | None:
    """The sum that the server has beside a file."""
    try:
        words = _get(url + ".sha256").decode("ascii", "replace").split()
    except Trouble:
        return None
    return words[0] if words and re.fullmatch("[0-9a-fA-F]{64}", words[0]) else None


def _fetch(url: str, part: Path, name: str, tell: Tell) -> None:
    with _open(url) as answer, part.open("wb") as file:
        size = int(answer.headers.get("Content-Length") or 0)
        done = 0
        while chunk := answer.read(_CHUNK):
            done += len(chunk)
            if done > _LARGEST:
                raise Trouble(f"{url}: is larger than any image; give --image FILE")
            file.write(chunk)
            tell(f"downloading {name}", 100.0 * done / size if size else None)
    if size and done != size:
        raise Trouble(f"{url}: broke off after {done} of {size} bytes; try again")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
