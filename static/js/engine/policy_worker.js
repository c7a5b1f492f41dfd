// The Web Worker in which students' policies run: Pyodide and the core, without a lab. Under the engine's security
// policy (app/web/security.py) it reaches the engine's files and nothing else. Messages are plain data:
//   in   load {parts} · begin {asked} · time
//   out  progress {text, share} · loaded · time {call, starter} · step {share, name} | {trial} | {failed} | {done} · failed {message}
import { startPython } from "./python.js";

let bench = null;
const again = new MessageChannel();
again.port1.onmessage = turn;

const HANDLERS = {
  async load({ parts }) {
    const progress = (text, share) => postMessage({ kind: "progress", text, share });
    const { pyodide } = await startPython(parts, progress);
    bench = pyodide.pyimport("app.desk.policies").Bench();
    postMessage({ kind: "loaded" });
  },
  /** What a call of a policy costs here, for `vmlab bench engines`. */
  time: () => postMessage({ kind: "time", ...JSON.parse(bench.times_us()) }),
  begin({ asked }) {
    bench.begin(JSON.stringify(asked));
    turn();
  },
};

/** One step, then a look at the messages that came meanwhile: a new `begin` takes the place of the old. */
function turn() {
  const step = JSON.parse(bench.work());
  postMessage({ kind: "step", ...step });
  if (!step.done && !step.failed) again.port2.postMessage(null);
}

onmessage = async ({ data }) => {
  try {
    await HANDLERS[data.kind](data);
  } catch (error) {
    postMessage({ kind: "failed", message: String(error?.message ?? error) });
  }
};
