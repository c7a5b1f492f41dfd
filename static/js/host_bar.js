// The host bar: what virtual time does, and what the host has left.
// Data: state.{position, now_ns, finished, host, run}.
import { announce } from "./announcer.js";
import { setText } from "./element.js";
import * as numbers from "./numbers.js";
import { words } from "./sentences.js";
import { _, n_ } from "./text.js";

const CONNECTION = {
  connecting: _("connecting"),
  live: _("live"),
  lost: _("connection lost, retrying"),
  gone: _("over"),
};

const BACK = {
  "went back: instruction": _("One instruction back"),
  "went back: exit": _("Back at the previous VM exit"),
  "went back: timeslice": _("Back at the end of the previous timeslice"),
};
const STOPPED = {
  "condition met: time": _("The time you asked for has passed."),
  "condition met: timeslice": _("A timeslice ended."),
  "nothing left to run before the condition held": _("Nothing is left to run, and what you asked for has not happened."),
  "nothing left to run before that instant": _("Nothing is left to run before that instant."),
  undone: _("Undone. Time goes on from here; what was undone is kept as another line."),
};

const slot = (name) => document.querySelector(`#host-bar [data-slot="${name}"]`);

/** @param {import("./lab.js").Lab} lab */
export function startHostBar(lab) {
  keepHeight(document.getElementById("host-bar"));
  const speed = document.getElementById("speed");
  speed.addEventListener("change", () => document.getElementById("set-speed").click());
  lab.on("state", (state) => {
    drawClock(state);
    drawHost(state);
    drawRun(state.run, state, lab.events);
  });
  lab.on("run", (state) => drawRun(state.run, state, lab.events));
  lab.on("connection", ({ connection, reason }) => drawConnection(connection, reason));
}

/** What gets focus is scrolled to below the bar, never under it. */
function keepHeight(bar) {
  const scrolled = [bar.closest(".workbench"), document.documentElement];
  const tell = () => scrolled.forEach((one) => one.style.setProperty("--host-bar", `${bar.offsetHeight}px`));
  new ResizeObserver(tell).observe(bar);
}

function drawClock({ now_ns, position }) {
  setText(slot("time"), numbers.time(now_ns));
  slot("time").title = `${numbers.exact(now_ns)} ns`;
  setText(slot("position"), numbers.exact(position));
}

function drawHost({ host }) {
  const used = host.frames_total - host.frames_free;
  setText(slot("pcpus"), String(host.pcpus.length));
  setText(slot("used"), _("{part} of {whole}", { part: numbers.size(used * 4096), whole: numbers.size(host.memory_bytes) }));
  slot("used").title = _("{part} of {whole} frames of 4 KiB", { part: numbers.exact(used), whole: numbers.exact(host.frames_total) });
}

let said = "";

function drawRun(run, state, events) {
  if (!run) return;
  const moving = run.mode === "running" || run.mode === "until";
  const ready = run.mode !== "rebuilding" && run.mode !== "failed";
  const toggle = document.getElementById("run-toggle");
  toggle.value = moving ? "pause" : "run";
  toggle.disabled = !ready;
  toggle.classList.toggle("primary", !moving);
  setText(toggle.querySelector("span"), moving ? _("Pause") : _("Run"));
  toggle.querySelector("use").setAttribute("href", moving ? "#icon-pause" : "#icon-run");
  for (const button of document.querySelectorAll("#host-bar [data-step]")) button.disabled = !ready || moving;
  const present = document.getElementById("to-present");
  present.value = run.present ?? "";
  present.hidden = !run.behind;
  const back = document.getElementById("return-branch");
  back.value = run.branches?.at(-1) ?? "";
  back.hidden = !back.value;
  const speed = document.getElementById("speed");
  if (document.activeElement !== speed) speed.value = run.speed;
  drawNote(run, state, events);
}

function drawNote(run, state, events) {
  const [subject, sentence] = noteOf(run, state, events);
  setText(slot("note"), sentence);
  const bar = document.querySelector("#run-note progress");
  bar.hidden = run.mode !== "rebuilding" && run.mode !== "seeking";
  bar.value = run.rebuilt ?? 0;
  if (subject !== said) announce("run", sentence);
  said = subject;
}

/** Why time stopped by itself, in words: after a step it says where the step led. */
function reasonOf(reason, { vms = [] }, events) {
  if (reason in STOPPED) return STOPPED[reason];
  if (reason.startsWith("nobody was watching")) return _("Time stopped, because nobody was watching.");
  if (reason === "condition met: exit")
    return _("Stopped at a VM exit: {event}.", { event: words(events.findLast((event) => event.kind !== "action")?.text ?? "") });
  if (reason.startsWith("returned")) return _("Where you had left it, with all that you had done.");
  if (reason.startsWith("went")) return BACK[reason] ? `${BACK[reason]}.` : _("At the instant you asked for.");
  if (reason !== "condition met: instruction") return _("Time stopped: {reason}.", { reason: words(reason.replace(/\.$/, "")) });
  const lines = vms.flatMap((vm) =>
    vm.vcpus
      .filter((vcpu) => vcpu.state === "running" && vcpu.line)
      .map((vcpu) => _("VM {name}, {program} line {line}", { name: vm.name, program: vm.program, line: vcpu.line })),
  );
  return lines.length ? _("One instruction later. Next: {lines}.", { lines: lines.join("; ") }) : _("One instruction later.");
}

/** What is to be told, with where in the run that is. */
function noteOf(run, state, events) {
  const [subject, sentence] = noteNow(run, state, events);
  if (!run.behind || run.mode !== "paused") return [subject, sentence];
  const [now, last] = [numbers.time(state.now_ns), numbers.time(run.present_ns)];
  const where = { sentence, now, end: now === last ? `${now} + ${numbers.time(run.present_ns - state.now_ns)}` : last };
  if (!run.ahead) return [subject, _("{sentence} You look at {now}; the run goes on to {end}.", where)];
  return [
    subject,
    n_(
      "{sentence} You look at {now}; the run goes on to {end}, with {count} action to come.",
      "{sentence} You look at {now}; the run goes on to {end}, with {count} actions to come.",
      run.ahead,
      where,
    ),
  ];
}

function noteNow(run, state, events) {
  if (run.mode === "seeking") return ["seeking", _("On the way to that instant: {percent}", { percent: numbers.percent(run.rebuilt ?? 0, 1) })];
  if (run.mode === "rebuilding")
    return ["rebuilding", _("Bringing your lab back to where it was: {percent}", { percent: numbers.percent(run.rebuilt ?? 0, 1) })];
  if (run.mode === "failed")
    return [
      "failed",
      _("This lab cannot go on: {reason}. Start it again with \u201cStart the lab over\u201d under Configuration.", { reason: words(run.reason) }),
    ];
  if (run.mode === "until") return ["until", _("Running until it happens \u2026 press Pause to stop earlier.")];
  const on = state.vms?.some((vm) => vm.state !== "shut off" && vm.state !== "crashed");
  if (run.mode === "paused" && run.reason)
    return [`${run.reason} ${state.position}`, reasonOf(run.reason, state, events)];
  if (run.mode === "running" && state.vms && !on)
    return ["none", _("Nothing is left to run: no VM is on. Press Run on a VM.")];
  if (run.mode === "running" && run.waiting)
    return [
      "waiting",
      _("Nothing is left to run: every vCPU is off, paused, or waits for something that will not come by itself."),
    ];
  if (run.mode === "running")
    return [
      "running",
      run.achieved ? _("Running: {time} of virtual time per second.", { time: numbers.time(run.achieved * 1e9) }) : _("Running."),
    ];
  if (on) return ["paused", _("Time stands still. Press Run here to let it pass, or step.")];
  return ["off", _("No VM is on. Press Run on a VM, then Run here.")];
}

function drawConnection(connection, reason) {
  const lamp = slot("connection");
  lamp.parentElement.dataset.connection = connection;
  setText(lamp, CONNECTION[connection]);
  if (connection === "lost") announce("connection", _("Connection lost, retrying."));
  if (connection === "gone") {
    document.getElementById("gone").hidden = false;
    setText(document.querySelector("#gone span"), reason || _("it was started over in another window"));
  }
}
