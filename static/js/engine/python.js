// Pyodide with our modules: fetched with progress, unpacked, imported.

export const SITE = "/lib/python3.14/site-packages";
// How the wait divides: fetching, starting Python, importing.
const FETCHED = 0.6;
const STARTED = 0.8;
const LOADED = 0.85;

/**
 * @param {string} base where the engine's files are @param {string[]} archives zip files of Python modules
 * @param {number} bytes what all of it is together @param {(text: string, share: number) => void} onProgress
 */
export async function startPython(base, archives, bytes, onProgress) {
  const count = countFetched(bytes, (share) =>
    share < 1 ? onProgress("Fetching the engine", share * FETCHED) : onProgress("Starting Python", FETCHED),
  );
  const [core, ...fetched] = [`${base}core.wasm`, ...archives].map(fetchWhole);
  const { loadPyodide } = await import(`${location.origin}${base}pyodide/pyodide.mjs`);
  const pyodide = await loadPyodide({ indexURL: `${location.origin}${base}pyodide/` });
  onProgress("Unpacking the lab", STARTED);
  for (const archive of await Promise.all(fetched)) pyodide.unpackArchive(archive, "zip", { extractDir: SITE });
  pyodide.FS.writeFile("/lib/core.wasm", new Uint8Array(await core));
  count.stop();
  onProgress("Loading the lab", LOADED);
  const desk = pyodide.pyimport("app.desk.browser");
  onProgress("Ready", 1);
  return {
    pyodide,
    openDesk: (record, publish) => desk.BrowserDesk(JSON.stringify(record), publish),
  };
}

async function fetchWhole(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} cannot be fetched (status ${response.status})`);
  return response.arrayBuffer();
}

/** Watch every fetch of this worker; a copy is counted, so that the browser can still cache compiled code. */
function countFetched(bytes, onShare) {
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
  self.fetch = async (...request) => {
    const response = await original(...request);
    if (response.body) watch(response.clone().body).catch(() => {});
    return response;
  };
  return { stop: () => (self.fetch = original) };
}
