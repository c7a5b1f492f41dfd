// The configuration form (templates/labs/_config.html, asked from the server): rows for new VMs, and asking again when the
// lab changed under a form that nobody edited. Data: state.host, state.vms.
import htmx from "htmx.org";
import { Draft } from "./config_draft.js";
import { h } from "./element.js";
import { badge } from "./frame_readout.js";
import { _ } from "./text.js";

/** @param {import("./lab.js").Lab} lab */
export function startConfiguration(lab) {
  const place = document.getElementById("config");
  const open = new Set();
  let edited = false;
  let applied = false;
  let known = "";
  const draft = new Draft(place, `${lab.url}/config`, {
    drawn: () => {
      for (const id of open) document.getElementById(id)?.setAttribute("open", "");
      drawBadges(place, lab);
    },
    wrong: (where, message) => markField(place, where, message),
    edited: () => (edited = true),
  });
  place.addEventListener("input", ({ target }) => {
    edited = true;
    applied = false;
    if (target.name !== "restart") draft.edited(target.id === "config-yaml");
  });
  place.addEventListener("toggle", ({ target }) => open[target.open ? "add" : "delete"](target.id), true);
  // A form that was asked for before somebody began to edit must not take the edits away.
  place.addEventListener("htmx:before:swap", (event) => {
    if (edited && event.detail.ctx.request.method === "GET") event.preventDefault();
    else edited = false;
    applied ||= event.detail.ctx.request.method === "POST";
  });
  place.addEventListener("htmx:after:swap", () => {
    edited = markWrong(place) || edited;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    drawBadges(place, lab);
    if (!edited) draft.loaded();
    // The lab's answer has the form asked for once more: what was said stays until somebody edits.
    applied &&= !edited;
    const changes = applied && document.getElementById("config-changes");
    if (changes && !changes.hasChildNodes()) changes.append(h("p", { class: "note" }, _("Applied: the lab has it now.")));
  });
  place.addEventListener("click", (event) => {
    const gone = event.target.closest("[data-remove-row]")?.closest("tr").dataset.index;
    if (event.target.closest("#config-add")) addRow(place);
    else if (!gone) return;
    edited = true;
    draft.edited(false);
    for (const row of gone ? place.querySelectorAll(`tr[data-index="${gone}"]`) : []) row.remove();
  });
  const refresh = () => !edited && place.querySelector("form") && htmx.trigger(place, "refresh");
  document.getElementById("panel-config").addEventListener("shown", refresh);
  lab.on("state", (state) => {
    const now = signature(state);
    if (known && now !== known) refresh();
    known = now;
  });
}

/** What of a state the form shows: if it changes, the form is asked for again. */
function signature({ host, vms }) {
  const { overcommit, swap_pages, swap_policy, ksm, balloon_policy } = host.memory;
  return JSON.stringify([
    [host.pcpus.length, host.memory_bytes, host.timeslice_ns, host.costs, host.vmid],
    [host.scheduler, host.period_ns, host.pcpus.map((pcpu) => pcpu.online)],
    [overcommit, swap_pages, swap_policy, ksm, balloon_policy],
    vms.map((vm) => [vm.name, vm.index, vm.memory_bytes, vm.vcpus.length, vm.program]),
    vms.map((vm) => [vm.weight, vm.cap, vm.reservation_hz, vm.affinity]),
    vms.map((vm) => [vm.paging, vm.on_fault, vm.autostart, vm.memory.limit, vm.memory.reservation]),
  ]);
}

/** Add a row to every table of VMs. */
function addRow(place) {
  const used = [...place.querySelectorAll("#config-vms tr")].map((row) => Number(row.dataset.index));
  const index = Math.max(-1, ...used) + 1;
  for (const template of place.querySelectorAll("template[data-into]")) {
    const row = template.content.firstElementChild.cloneNode(true);
    row.dataset.index = index;
    for (const input of row.querySelectorAll("[name]")) input.name = input.name.replace("NEW", index);
    document.getElementById(template.dataset.into).append(row);
  }
  const row = document.getElementById("config-vms").lastElementChild;
  const programs = document.getElementById("workbench").dataset.programs.split(" ").filter(Boolean);
  row.querySelector("[name$='-program']").append(...programs.map((name) => h("option", {}, name)));
  const name = row.querySelector("input");
  name.value = freeName(place);
  name.focus();
  name.select();
}

/** The first letter that no VM is named by: a new row is right before anything was typed into it. */
function freeName(place) {
  const used = new Set([...place.querySelectorAll("#config-vms input[name$='-name']")].map((input) => input.value));
  return [..."abcdefghijklmnopqrstuvwxyz"].find((letter) => !used.has(letter)) ?? "";
}

function drawBadges(place, lab) {
  for (const mark of place.querySelectorAll("[data-badge-of]")) {
    const vm = lab.vm(mark.dataset.badgeOf);
    if (vm) mark.replaceChildren(badge(vm.index));
  }
}

/** The field that an error is about: `vms[0].disk.iops`, `host.timeslice`, `vms[0].disk` (its first field). */
function fieldOf(place, where) {
  const name = where
    .replace(/^vms\[(\d+)\]/, "vms-$1")
    .replace(/^host\./, "")
    .replaceAll(".", "-");
  if (!name) return null;
  const form = place.querySelector("#config-form");
  return form.elements[name] ?? form.querySelector(`[name^="${CSS.escape(name)}-"]`);
}

/** Mark the field that an error is about, with the sentence beside it; without a place, mark none. Returns the field. */
function markField(place, where, message) {
  for (const field of place.querySelectorAll("#config-form [aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
  document.getElementById("config-wrong")?.remove();
  const field = where ? fieldOf(place, where) : null;
  if (!field) return null;
  field.setAttribute("aria-invalid", "true");
  for (let part = field.closest("details"); part; part = part.parentElement.closest("details")) part.open = true;
  field.after(h("span", { class: "wrong", id: "config-wrong" }, message.replace(`${where} `, "")));
  field.setAttribute("aria-describedby", "config-wrong");
  return field;
}

/** Mark what a refused Apply is about; return whether there is an error. */
function markWrong(place) {
  const message = place.querySelector("#config-error .message, #config-text-error .message");
  markField(place, "", "");
  if (!message) return false;
  if (message.closest("#config-text-error")) {
    document.getElementById("config-yaml").setAttribute("aria-invalid", "true");
    return true;
  }
  markField(place, message.dataset.where ?? "", (message.querySelector("p") ?? message).textContent);
  return true;
}
