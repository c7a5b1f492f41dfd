// The host console: a line of virsh goes to the server, what it prints comes below it. Up and down walk through the
// lines typed before, as in a shell.
import { ask, Refused } from "./ask.js";
import { h } from "./element.js";

const LINES_KEPT = 100;
const BLOCKS_KEPT = 200;

/** @param {import("./lab.js").Lab} lab */
export function startHostConsole(lab) {
  const form = document.getElementById("host-form");
  const input = form.querySelector("input");
  const log = document.getElementById("host-log");
  const typed = [];
  let at = 0;

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const line = input.value.trim();
    if (!line || form.ariaBusy === "true") return;
    input.value = "";
    typed.push(line);
    typed.splice(0, typed.length - LINES_KEPT);
    at = typed.length;
    form.ariaBusy = "true";
    print(log, line, await enter(lab, form.action, line));
    form.ariaBusy = "false";
  });
  input.addEventListener("keydown", (event) => {
    const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!step) return;
    event.preventDefault();
    at = Math.min(typed.length, Math.max(0, at + step));
    input.value = typed[at] ?? "";
  });
  document.getElementById("panel-host").addEventListener("shown", () => input.focus());
}

/** What the server prints for a line, or why it did not. */
async function enter(lab, url, line) {
  try {
    const answer = await ask(url, { line });
    if (answer.state) lab.takeState(answer.state);
    return answer.output;
  } catch (failure) {
    if (!(failure instanceof Refused)) throw failure;
    return `error: ${failure.message} ${failure.error.remedy ?? ""}\n`;
  }
}

function print(log, line, output) {
  log.querySelector(".empty")?.remove();
  log.append(
    h("p", { class: "typed" }, h("span", { class: "prompt" }, "virsh # "), line),
    h("pre", {}, output.trimEnd()),
  );
  while (log.childElementCount > BLOCKS_KEPT) log.firstElementChild.remove();
  log.scrollTop = log.scrollHeight;
}
