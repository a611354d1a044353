// Runs one core test file on MicroPython for WebAssembly: node wasm.mjs PACKAGE HOME FOLDER/NAME.py
// PACKAGE holds micropython.mjs and micropython.wasm; HOME is the checkout. Ends 0 when the file could be run at all.

import fs from "node:fs";
import path from "node:path";

const [folder, home, file] = process.argv.slice(2);
const { loadMicroPython } = await import(path.resolve(folder, "micropython.mjs"));
const text = new TextDecoder();

function copy(FS, from, to) {
  FS.mkdir(to);
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [here, there] = [path.join(from, entry.name), `${to}/${entry.name}`];
    if (entry.isDirectory() && entry.name !== "__pycache__") copy(FS, here, there);
    else if (entry.name.endsWith(".py")) FS.writeFile(there, fs.readFileSync(here));
  }
}

const python = await loadMicroPython({
  heapsize: 1 << 20,
  url: path.resolve(folder, "micropython.wasm"),
  stdout: (said) => process.stdout.write(typeof said === "string" ? `${said}\n` : text.decode(said)),
});
python.FS.mkdir("/core");
copy(python.FS, `${home}/firmware/laclet`, "/core/laclet");
for (const name of ["unit", "sim"]) copy(python.FS, `${home}/tests/${name}`, `/core/${name}`);
python.FS.writeFile("/core/run.py", fs.readFileSync(`${home}/tests/micropython/run.py`));
python.runPython(`
import sys
sys.path[:] = ["/core", "/core/unit"]
import run
print("MicroPython", sys.version)
print("passed %d, failed %d" % run.run_file("/core/${file}"))
`);
