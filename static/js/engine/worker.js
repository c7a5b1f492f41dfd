// The Web Worker in which a lab runs: Pyodide, the core as WebAssembly, and one lab behind a desk (app/desk).
// Its policy (app/web/security.py) lets it reach the engine's files and nothing else. Messages are plain data:
//   in   load {parts} · open {record} · request {id, ...} · follow/ready/leave {stream} · line {id, hashed} · ping
//   out  progress {text, share} · loaded · opened · reply {id, ...} · publish {stream, events} · moved · failed {message} · pong
//   line {line}: a policy has come there; it may be the last that is heard
import { startPython } from "./python.js";

const LONGEST_WAIT_MS = 1000;

let python = null;
let desk = null;
let moved = false;
let timer = 0;
const again = new MessageChannel();
again.port1.onmessage = turn;

const say = (kind, fields = {}) => postMessage({ kind, ...fields });

const HANDLERS = {
  async load({ parts }) {
    python = await startPython(parts, (text, share) => say("progress", { text, share }));
    say("loaded");
  },
  open({ record }) {
    desk?.destroy();
    moved = false;
    const publish = (stream, events) => say("publish", { stream, events: JSON.parse(events) });
    desk = python.openDesk(record, publish, (line) => say("line", { line }));
    say("opened");
  },
  request: ({ id, request }) => say("reply", { id, answer: JSON.parse(desk.handle(JSON.stringify(request))) }),
  line: ({ id, hashed }) => say("reply", { id, answer: JSON.parse(desk.line(hashed)) }),
  ping: () => say("pong"),
  follow: ({ stream }) => desk?.follow(stream),
  ready: ({ stream }) => desk?.ready(stream),
  leave: ({ stream }) => desk?.leave(stream),
};

/** Let the lab work for a moment, then look at the messages that came meanwhile. */
function turn() {
  clearTimeout(timer);
  timer = 0;
  let wait = 0;
  try {
    wait = desk.work() * 1000;
  } catch (error) {
    return say("failed", { message: String(error?.message ?? error) });
  }
  if (!moved && desk.has_moved()) {
    moved = true;
    say("moved");
  }
  if (wait <= 0) again.port2.postMessage(null);
  else timer = setTimeout(turn, Math.min(wait, LONGEST_WAIT_MS));
  return undefined;
}

onmessage = async ({ data }) => {
  const idle = timer !== 0 || !desk;
  try {
    await HANDLERS[data.kind](data);
  } catch (error) {
    say("failed", { message: String(error?.message ?? error), id: data.id });
    return;
  }
  if (desk && idle) turn();
};
