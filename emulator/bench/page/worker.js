// Pyodide with the emulator, as in the worker of the real page (static/js/engine), running bare guests.
import { loadPyodide } from "/engine/pyodide/pyodide.mjs";

const SITE = "/lib/python3.14/site-packages";
const PROGRAM = `
import json
from pathlib import Path
from emulator.bench import bare
from emulator.build.engine import load_engine

engine = load_engine()

def first():
    bare.step(Path("/guest.elf"), engine)

def run():
    timed = bare.run(Path("/guest.elf"), engine)
    watch = timed.stopwatch
    return json.dumps({"seconds": watch.elapsed(), "instructions": timed.instructions, "check": f"{watch.check:x}"})
`;

let python = null;

const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());

const HANDLERS = {
  async start({ guest, archives }) {
    const files = Promise.all(["/engine/core.wasm", guest, ...archives].map(bytes));
    python = await loadPyodide({ indexURL: "/engine/pyodide/" });
    const [core, elf, ...modules] = await files;
    for (const archive of modules) python.unpackArchive(archive, "zip", { extractDir: SITE });
    python.FS.writeFile("/lib/core.wasm", core);
    python.FS.writeFile("/guest.elf", elf);
    // What the real page's worker imports before it opens a lab.
    python.pyimport("app.desk.browser");
    python.runPython(`${PROGRAM}\nfirst()`);
  },
  async run(guest) {
    python.FS.writeFile("/guest.elf", await bytes(guest));
    return JSON.parse(python.runPython("run()"));
  },
};

onmessage = async ({ data: { id, kind, argument } }) => {
  try {
    postMessage({ id, result: await HANDLERS[kind](argument) });
  } catch (error) {
    postMessage({ id, error: String(error?.message ?? error) });
  }
};
