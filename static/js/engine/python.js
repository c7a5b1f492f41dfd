// Pyodide with our modules: from an image that has them imported (image.js), or started, unpacked, imported.
import { fetchImage, placeFiles, takesImages, withMemory } from "./image.js";

export const SITE = "/lib/python3.14/site-packages";
// How the wait divides: fetching, starting Python, importing.
const FETCHED = 0.6;
const STARTED = 0.8;
const LOADED = 0.85;

/**
 * @param {{base: string, stamp: string, archives: string[], image: string, bytes: number}} parts where the engine's files are and
 *   their version, zip files of Python modules, an image with these modules ("": there is none), and the bytes of what is fetched
 * @param {(text: string, share: number) => void} onProgress
 */
export async function startPython({ base, stamp, archives, image, bytes }, onProgress) {
  const count = watchFetches(stamp, bytes, (share) =>
    share < 1 ? onProgress("Fetching the engine", share * FETCHED) : onProgress("Starting Python", FETCHED),
  );
  const core = fetchWhole(`${base}core.wasm`);
  const indexURL = `${location.origin}${base}pyodide/`;
  const pyodide = (await fromImage(indexURL, stamp, image)) ?? (await fromArchives(indexURL, archives, onProgress));
  pyodide.FS.writeFile("/lib/core.wasm", new Uint8Array(await core));
  count.stop();
  onProgress("Loading the lab", LOADED);
  const desk = pyodide.pyimport("app.desk.browser");
  onProgress("Ready", 1);
  return {
    pyodide,
    openDesk: (record, publish, tellLine) => desk.BrowserDesk(JSON.stringify(record), publish, tellLine),
  };
}

/** Go on from where the build left a Python that had imported everything; null where that cannot be done. */
async function fromImage(indexURL, stamp, url) {
  if (!url || !takesImages()) return null;
  try {
    return await restore(indexURL, stamp, url);
  } catch (error) {
    console.warn(`The engine starts without its image: ${error}`); // images are an experiment of Pyodide's
    return null;
  }
}

async function restore(indexURL, stamp, url) {
  const fetched = fetchImage(url);
  const memory = fetched.then((image) => image.memory);
  const scripts = ["pyodide.mjs", "pyodide.asm.mjs"].map((name) => import(`${indexURL}${name}?v=${stamp}`));
  const [{ loadPyodide }, { default: create }, { length }] = await Promise.all([...scripts, memory]);
  const pyodide = await loadPyodide({ indexURL, _loadSnapshot: memory, createPyodideModule: withMemory(create, length) });
  placeFiles(pyodide.FS, (await fetched).files);
  return pyodide;
}

/** Start Python and unpack the modules; they are imported when they are asked for. */
async function fromArchives(indexURL, archives, onProgress) {
  const fetched = archives.map(fetchWhole);
  const { loadPyodide } = await import(`${indexURL}pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL });
  onProgress("Unpacking the lab", STARTED);
  for (const archive of await Promise.all(fetched)) pyodide.unpackArchive(archive, "zip", { extractDir: SITE });
  return pyodide;
}

async function fetchWhole(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched (status ${response.status})`);
  return response.arrayBuffer();
}

/**
 * Watch every fetch of this worker; a copy is counted, so that the browser can still cache compiled code. It does so only for what
 * need not be asked for again: so every URL gets the version of the build.
 */
function watchFetches(stamp, bytes, onShare) {
  const original = self.fetch;
  let fetched = 0;
  const watch = async (body) => {
    for (const reader = body.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) return;
      fetched += value.length;
      onShare(Math.min(1, fetched / bytes));
    }
  };
  self.fetch = async (url, ...options) => {
    const response = await original(`${url}`.includes("?") ? url : `${url}?v=${stamp}`, ...options);
    if (response.body) watch(response.clone().body).catch(() => {});
    return response;
  };
  return { stop: () => (self.fetch = original) };
}
