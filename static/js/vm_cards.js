// One card per VM: state, verbs, vCPUs, exits, memory. The markup is templates/labs/_vm_card.html; this fills it.
// Data: state.vms (VmView), state.host.clock_hz.
import { announce } from "./announcer.js";
import { h, setText } from "./element.js";
import * as numbers from "./numbers.js";
import { vmClass, vmLetter } from "./patterns.js";
import { show } from "./tabs.js";
import { words } from "./sentences.js";
import { _, n_ } from "./text.js";

/** Which verbs a state offers, the two most likely first; the others stand under "More". */
const VERBS = {
  "shut off": ["start"],
  running: ["suspend", "shutdown", "destroy", "reboot", "reset"],
  idle: ["suspend", "shutdown", "destroy", "reboot", "reset"],
  blocked: ["suspend", "shutdown", "destroy", "reboot", "reset"],
  paused: ["resume", "destroy", "reset"],
  "shutting down": ["destroy", "suspend", "reset"],
  crashed: ["start", "destroy"],
};
const SHOWN = 2;

/** @param {import("./lab.js").Lab} lab */
export function startVmCards(lab) {
  const list = document.getElementById("vm-cards");
  const states = new Map();
  lab.on("state", (state) => {
    const names = new Set(state.vms.map((vm) => vm.name));
    for (const card of list.querySelectorAll(".vm-card")) if (!names.has(card.dataset.vm)) card.remove();
    for (const [place, vm] of state.vms.entries()) {
      const element = card(list, vm);
      if (list.children[place] !== element) list.insertBefore(element, list.children[place]);
      draw(element, vm, state.host);
      if (states.has(vm.name) && states.get(vm.name) !== vm.state)
        announce(`vm ${vm.name}`, _("VM {name} is {state}.", { name: vm.name, state: _(vm.state) }));
      states.set(vm.name, vm.state);
    }
    document.getElementById("no-vms").hidden = state.vms.length > 0;
  });
  list.addEventListener("click", (event) => {
    const why = event.target.closest("[data-why]");
    if (why) {
      show("panel-exits");
      document.dispatchEvent(new CustomEvent("explain", { detail: Number(why.dataset.why) }));
    }
  });
  document.addEventListener("click", (event) => {
    for (const open of document.querySelectorAll("details.more[open]"))
      if (!open.contains(event.target) || event.target.closest(".more button:not([data-stay])")) open.open = false;
  });
  document.addEventListener("keydown", (event) => {
    const open = event.key === "Escape" && document.querySelector("details.more[open]");
    if (!open) return;
    open.open = false;
    open.querySelector("summary").focus();
  });
}

function card(list, vm) {
  const known = list.querySelector(`[data-vm="${CSS.escape(vm.name)}"]`);
  if (known) return known;
  const fresh = document.getElementById("vm-card").content.firstElementChild.cloneNode(true);
  fresh.dataset.vm = vm.name;
  fresh.querySelector("input[name=vm]").value = vm.name;
  list.append(fresh);
  return fresh;
}

function draw(element, vm, host) {
  const slot = (name) => element.querySelector(`[data-slot="${name}"]`);
  const colour = `vm-${vmClass(vm.index)}`;
  if (!element.classList.contains(colour)) element.className = `vm-card ${colour}`;
  element.dataset.state = vm.state;
  setText(slot("letter"), vmLetter(vm.index));
  setText(slot("name"), vm.name);
  setText(slot("state"), _(vm.state));
  setText(slot("program"), vm.program);
  setText(slot("memory"), numbers.size(vm.memory_bytes));
  const retired = vm.vcpus.reduce((sum, vcpu) => sum + vcpu.retired, 0);
  setText(slot("retired"), numbers.count(retired));
  slot("retired").title = _("{n} instructions", { n: numbers.exact(retired) });
  setText(slot("exits"), numbers.count(vm.exits_total));
  slot("exits").title = _("{n} exits", { n: numbers.exact(vm.exits_total) });
  setText(slot("uuid"), `UUID ${vm.uuid}`);
  drawVerbs(element, vm);
  drawVcpus(slot("vcpus"), vm, host.clock_hz);
  drawStopped(slot("stopped"), vm);
  drawCrash(slot("crash"), vm);
}

/** Why the hypervisor paused a VM, which nobody has asked for. */
function drawStopped(element, vm) {
  const why = vm.memory.out_of_memory;
  element.hidden = !why;
  setText(element, why ? _("Out of memory: {why}", { why: words(why) }) : "");
}

function drawVerbs(element, vm) {
  const offered = VERBS[vm.state] ?? [];
  for (const button of element.querySelectorAll("button[name=verb]")) {
    const rank = offered.indexOf(button.value);
    const inMenu = Boolean(button.closest(".more"));
    button.hidden = rank < 0 || inMenu !== rank >= SHOWN;
    if (button.value === "undefine") button.hidden = vm.state !== "shut off" || !inMenu;
    if (button.value === "start")
      setText(button.querySelector("span"), vm.state === "crashed" ? _("Run again") : _("Run"));
  }
  const menu = element.querySelector("details.more");
  menu.hidden = ![...menu.querySelectorAll("button")].some((button) => !button.hidden);
}

/** A number is not parted from its unit at the end of a line. */
const whole = (text) => text.replaceAll(" ", "\u00a0");

function vcpuSentence(vcpu, hz) {
  const where = vcpu.state === "running" ? _("on pCPU {n}", { n: vcpu.pcpu ?? vcpu.last_pcpu }) : "";
  const ran = vcpu.run_cycles ? _("ran {time}", { time: numbers.time(numbers.nanoseconds(vcpu.run_cycles, hz)) }) : "";
  const waited = vcpu.ready_cycles
    ? _("waited {time}", { time: numbers.time(numbers.nanoseconds(vcpu.ready_cycles, hz)) })
    : "";
  const state = [_(vcpu.state), where].filter(Boolean).join(" ");
  return [state, whole(ran), whole(waited)].filter(Boolean).join(", ");
}

function drawVcpus(list, vm, hz) {
  while (list.children.length > vm.vcpus.length) list.lastChild.remove();
  for (const vcpu of vm.vcpus) {
    const item =
      list.children[vcpu.index] ??
      list.appendChild(h("li", {}, h("b", {}, `vCPU ${vcpu.index}`), " ", h("span")));
    setText(item.querySelector("span"), vcpuSentence(vcpu, hz));
    const line = vcpu.line ? `, ${_("line {line}", { line: vcpu.line })}` : "";
    const at = vcpu.where ? ` ${vcpu.where}` : "";
    const mode = _("{mode}-mode", { mode: vcpu.mode });
    item.title = `pc ${numbers.address(vcpu.pc)}${at}${line}, ${mode}`;
  }
}

function drawCrash(element, vm) {
  element.hidden = vm.fault === null;
  if (vm.fault === null) return;
  setText(
    element.querySelector("span"),
    vm.state === "crashed"
      ? _("It reached outside its memory")
      : n_("{count} access outside its memory", "{count} accesses outside its memory", vm.faults),
  );
  element.querySelector("button").dataset.why = vm.fault;
}
