"""The core's tests on the oldest MicroPython that we name: 1.22, as WebAssembly, where LACLET_MICROPYTHON_WASM tells.

It names a folder with micropython.mjs and micropython.wasm, as the npm package @micropython/micropython-webassembly-
pyscript unpacks; its versions 1.21.0-279 and 1.22.0-224 are the last builds before and some after 1.22.0. Node runs it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from test_core import FILES

FOLDER = os.environ.get("LACLET_MICROPYTHON_WASM")
HERE = Path(__file__).resolve().parent
TIMEOUT = 120  # s
# What WebAssembly has not: machine code, so that framing is in bytecode and allocates; AES, which ESP and IKE need.
NO_VIPER = {"test_forms_are_equal", "test_no_allocation"}
NO_AES = ("test_esp", "test_ike")
CORE = [file for file in FILES if file.parent.name == "unit" and not file.stem.startswith(NO_AES)]

if FOLDER:  # otherwise there is nothing to be skipped: this is for whoever changes what the core asks of MicroPython

    @pytest.mark.skipif(shutil.which("node") is None, reason="node is missing: apt install nodejs")
    @pytest.mark.parametrize("file", CORE, ids=lambda file: file.stem)
    def test_core_file_on_the_oldest(file):
        command = ["node", str(HERE / "wasm.mjs"), FOLDER, str(HERE.parents[1]), f"unit/{file.name}"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
        said = done.stdout + done.stderr
        assert re.search(r"^MicroPython .*v1\.2[23]\.0", said, re.MULTILINE), said
        ended = re.search(r"^passed (\d+), failed (\d+)$", said, re.MULTILINE)
        assert ended, said
        failed = re.findall(r"^test_\w+\.(test_\w+) FAIL$", said, re.MULTILINE)
        assert int(ended[1]) and set(failed) <= NO_VIPER and len(failed) == int(ended[2]), said
