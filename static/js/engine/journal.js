// What this browser keeps of a lab, in IndexedDB: its beginning (config, programs), and its line of history: the action
// log with what of it the server has. A line is written before an action is acknowledged on the page.

const NAME = "vmlab";
const BEGINNINGS = "beginnings";
const LINES = "lines";

/**
 * @typedef {{lab: string, place: "server"|"browser", ready: boolean, version: string, lesson_version: string, lease: string|null,
 *   generation: number, log: any[], position: number, actions: number|null, present: number, mode: any, sent: number, shift: number,
 *   waiting: {check: boolean, answers: Record<string, any>}}} Line
 */

let opening = null;

function database() {
  opening ??= new Promise((done, refuse) => {
    const request = indexedDB.open(NAME, 1);
    request.onupgradeneeded = () => {
      for (const store of [BEGINNINGS, LINES]) request.result.createObjectStore(store, { keyPath: "lab" });
    };
    request.onsuccess = () => done(request.result);
    request.onerror = () => refuse(request.error);
  });
  return opening;
}

/** Run `work(stores)` in one transaction; resolves to the result of the request it returns, when all is written. */
async function transact(mode, work) {
  const transaction = (await database()).transaction([BEGINNINGS, LINES], mode, { durability: "strict" });
  const request = work((name) => transaction.objectStore(name));
  return new Promise((done, refuse) => {
    transaction.oncomplete = () => done(request?.result);
    transaction.onerror = transaction.onabort = () => refuse(transaction.error);
  });
}

/** The line of a lab, or undefined. @returns {Promise<Line | undefined>} */
export const readLine = (lab) => transact("readonly", (store) => store(LINES).get(lab));

/** The record that an engine opens: the beginning with the line. */
export async function readRecord(lab) {
  const kept = await transact("readonly", (store) => store(BEGINNINGS).get(lab));
  const line = await readLine(lab);
  const { generation, log, position, actions = null, present = 0, mode } = line;
  return { ...kept.record, generation, log, position, actions, present, mode };
}

/** @param {Line} line */
export const writeLine = (line) => transact("readwrite", (store) => store(LINES).put(line));

/** Keep a lab from its record on. @param {any} record @param {Line} line */
export function writeLab(record, line) {
  const beginning = { ...record, log: [], position: 0, actions: null, present: 0 };
  return transact("readwrite", (store) => {
    store(BEGINNINGS).put({ lab: line.lab, record: beginning });
    return store(LINES).put(line);
  });
}

/**
 * Keep a lab as the server has it, unless it lives in this browser: another tab may have brought it here.
 * @param {Line} line @param {any} record with its beginning, or null if that is the same
 */
export function copyLine(line, record = null) {
  return transact("readwrite", (store) => {
    const known = store(LINES).get(line.lab);
    known.onsuccess = () => {
      if (known.result?.place === "browser") return;
      if (record) store(BEGINNINGS).put({ lab: line.lab, record: { ...record, log: [], position: 0, actions: null, present: 0 } });
      store(LINES).put(line);
    };
    return known;
  });
}
