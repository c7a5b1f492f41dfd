// The page that `vmlab bench engines` drives: guests on the WebAssembly core in a worker, and in v86 in the page.

const worker = new Worker("worker.js", { type: "module" });
const waiting = new Map();
let asked = 0;

worker.onmessage = ({ data }) => {
  const { resolve, reject } = waiting.get(data.id);
  waiting.delete(data.id);
  if (data.error) reject(new Error(data.error));
  else resolve(data.result);
};

function ask(kind, argument) {
  return new Promise((resolve, reject) => {
    waiting.set(++asked, { resolve, reject });
    worker.postMessage({ id: asked, kind, argument });
  });
}

/** Start Python and the core, and run the guest's first instruction. */
window.start = (guest, archives) => ask("start", { guest, archives });

/** Run a guest to its result: { seconds, instructions, check }. */
window.runGuest = (guest) => ask("run", guest);

/** Run an x86 program in v86 until it has printed its result: { text, seconds } between START and BENCH. */
window.runX86 = async (guest) => {
  const { V86 } = await import("/v86/libv86.mjs");
  const multiboot = { buffer: await (await fetch(guest)).arrayBuffer() };
  const machine = new V86({
    wasm_path: "/v86/v86.wasm",
    memory_size: 128 << 20,
    multiboot,
    autostart: true,
    disable_keyboard: true,
    disable_mouse: true,
    disable_speaker: true,
  });
  let text = "";
  let started = 0;
  let ended = 0;
  await new Promise((resolve) => {
    machine.add_listener("serial0-output-byte", (byte) => {
      text += String.fromCharCode(byte);
      if (!started && /^START \w+\n/m.test(text)) started = performance.now();
      if (!ended && /^BENCH/m.test(text)) ended = performance.now();
      if (/^BENCH .* check=[0-9a-f]{16}/m.test(text)) resolve();
    });
  });
  await machine.destroy();
  return { text, seconds: (ended - started) / 1000 };
};
window.ready = true;
