// The image of a Python that has imported the lab (made by static/image.mjs): fetched, taken apart, and started from.

const PAGE = 65536;

/** Whether this browser can take an image in. */
export const takesImages = () => "DecompressionStream" in globalThis;

/** @returns {Promise<{memory: Uint8Array, files: [string, Uint8Array][]}>} */
export async function fetchImage(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched (status ${response.status})`);
  return unpacked(await new Response(response.body.pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
}

function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let at = 4 + length + header.memory;
  const files = header.files.map(([path, size]) => [path, new Uint8Array(buffer, (at += size) - size, size)]);
  return { memory: new Uint8Array(buffer, 4 + length, header.memory), files };
}

/** Write files, making their directories. @param {any} FS of Pyodide @param {[string, Uint8Array][]} files by absolute path */
export function placeFiles(FS, files) {
  const made = new Set();
  for (const [path, data] of files) {
    const directory = path.slice(0, path.lastIndexOf("/"));
    if (!made.has(directory)) FS.mkdirTree(directory);
    made.add(directory);
    FS.writeFile(path, data, { canOwn: true });
  }
}

/** What Pyodide's `createPyodideModule` wants: as `create`, with at least as much memory as an image has. */
export const withMemory = (create, bytes) => (settings) => {
  const inner = settings.instantiateWasm;
  settings.instantiateWasm = (imports, take) =>
    inner(imports, (instance, module) => {
      const { memory } = instance.exports;
      const missing = bytes - memory.buffer.byteLength;
      if (missing > 0) memory.grow(Math.ceil(missing / PAGE));
      take(instance, module);
    });
  return create(settings);
};
