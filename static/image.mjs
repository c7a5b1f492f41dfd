// Makes the image that the engine starts from: the memory of a Python that has imported the lab, and the files it may still ask
// for, compressed. js/engine/python.js takes it in. Pyodide's memory snapshots are experimental and know neither files nor what
// a library has put into the function table, so the files travel beside the memory, and an image with new functions is refused.
import { gzipSync } from "node:zlib";
import { loadPyodide } from "pyodide";
import { placeFiles } from "./js/engine/image.js";

const IMPORTS = `
import gc
import app.desk.browser, app.desk.policies, emulator.build.wasm_engine
gc.collect()
`;
const ALIGNMENT = 16;

/** @param {[string, Uint8Array][]} files what Python imports from, by path @returns {Promise<Uint8Array>} */
export async function image(files) {
  const pyodide = await loadPyodide({ _makeSnapshot: true, env: { PYTHONHASHSEED: "0" } });
  placeFiles(pyodide.FS, files);
  const { wasmTable } = pyodide._module;
  const functions = wasmTable.length;
  pyodide.runPython(IMPORTS);
  for (let at = functions; at < wasmTable.length; at++) // `_ctypes` tries one and lets it go
    if (wasmTable.get(at)) throw new Error("a module made a function while it was imported; an image cannot hold it");
  return gzipSync(packed(pyodide.makeMemorySnapshot(), files), { level: 9 });
}

/** The length of a header, the header (JSON), the memory, and one file after the other. */
function packed(memory, files) {
  const sizes = files.map(([path, data]) => [path, data.length]);
  const header = JSON.stringify({ memory: memory.length, files: sizes });
  const length = Math.ceil((4 + Buffer.byteLength(header)) / ALIGNMENT) * ALIGNMENT - 4;
  const start = Buffer.alloc(4 + length, " ");
  start.writeUInt32LE(length, 0);
  start.write(header, 4);
  return Buffer.concat([start, memory, ...files.map(([, data]) => data)]);
}
