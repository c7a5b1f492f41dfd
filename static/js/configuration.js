// The configuration form (templates/labs/_config.html, asked from the server): rows for new VMs, and asking again when the
// lab changed under a form that nobody edited. Data: state.host, state.vms.
import htmx from "htmx.org";
import { h } from "./element.js";
import { badge } from "./frame_readout.js";

/** @param {import("./lab.js").Lab} lab */
export function startConfiguration(lab) {
  const place = document.getElementById("config");
  let edited = false;
  let shown = "";
  place.addEventListener("input", () => (edited = true));
  place.addEventListener("htmx:after:swap", () => {
    edited = markWrong(place);
    drawBadges(place, lab);
  });
  place.addEventListener("click", (event) => {
    if (event.target.closest("#config-add")) addRow(place);
    event.target.closest("[data-remove-row]")?.closest("tr").remove();
  });
  lab.on("state", ({ host, vms }) => {
    const now = JSON.stringify([
      host.pcpus.length,
      host.memory_bytes,
      host.timeslice_ns,
      [host.scheduler, host.period_ns, host.pcpus.map((pcpu) => pcpu.online)],
      vms.map((vm) => [vm.name, vm.index, vm.memory_bytes, vm.vcpus.length, vm.program]),
      vms.map((vm) => [vm.weight, vm.cap, vm.reservation_hz, vm.affinity]),
    ]);
    if (shown && now !== shown && !edited && place.querySelector("form")) htmx.trigger(place, "refresh");
    shown = now;
  });
}

function addRow(place) {
  const used = [...place.querySelectorAll("#config-vms [name$='-name']")].map((input) =>
    Number(input.name.split("-")[1]),
  );
  const index = Math.max(-1, ...used) + 1;
  const row = document.getElementById("config-vm").content.firstElementChild.cloneNode(true);
  for (const input of row.querySelectorAll("[name]")) input.name = input.name.replace("NEW", index);
  const programs = document.getElementById("workbench").dataset.programs.split(" ").filter(Boolean);
  row.querySelector("select").append(...programs.map((name) => h("option", {}, name)));
  document.getElementById("config-vms").append(row);
  row.querySelector("input").focus();
}

function drawBadges(place, lab) {
  for (const mark of place.querySelectorAll("[data-badge-of]")) {
    const vm = lab.vm(mark.dataset.badgeOf);
    if (vm) mark.replaceChildren(badge(vm.index));
  }
}

/** Mark the field that an error is about (`vms[0].memory`, `host.timeslice`); return whether there is an error. */
function markWrong(place) {
  for (const field of place.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  const message = place.querySelector("#config-error .message");
  const where = message?.dataset.where ?? "";
  const name = where.replace(/^vms\[(\d+)\]\.(\w+)$/, "vms-$1-$2").replace(/^host\./, "");
  const field = name && place.querySelector(`[name="${CSS.escape(name)}"]`);
  if (field) {
    field.setAttribute("aria-invalid", "true");
    field.closest("details")?.setAttribute("open", "");
    field.setAttribute("aria-describedby", "config-error");
  }
  return Boolean(message);
}
