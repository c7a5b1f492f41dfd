// "What did leaving the guest cost?": exits by reason, for each VM or each vCPU, with the virtual time that they took and
// their share of it; and what address translation took. A reason leads to its latest events in the log.
// Data: state.vms[].exits, .exit_cycles, .switches, .switch_cycles, .translations, and the same of .vcpus[].
import { startExitLog } from "./exit_log.js";
import { startStories } from "./exit_story.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { vmClass } from "./patterns.js";
import { told } from "./sentences.js";
import { _ } from "./text.js";

/** @param {import("./lab.js").Lab} lab */
export function startExits(lab) {
  const stories = startStories(lab);
  const log = startExitLog(lab, stories);
  const table = document.getElementById("exits-table");
  const by = document.getElementById("exits-by");
  const draw = () => lab.state?.vms && fillTable(table, lab.state.vms, lab.state.host.clock_hz, by);
  by.addEventListener("change", draw);
  table.addEventListener("click", (event) => {
    const reason = event.target.closest("[data-reason]");
    if (reason) log.narrow(reason.dataset.vm, reason.dataset.reason);
  });
  lab.on("state", (state) => {
    draw();
    fillTranslations(document.getElementById("translations-table"), state.vms);
    const total = state.vms.reduce((sum, vm) => sum + vm.exits_total, 0);
    setText(document.getElementById("exits-count"), total ? numbers.count(total) : "");
  });
}

/** The exits of a VM or vCPU by reason, and its world switches, each with the cycles that were charged for it. */
function costs(vm, counts, vcpu = null) {
  const rows = Object.entries(counts.exits).map(([reason, count]) => ({
    vm,
    vcpu,
    reason,
    count,
    cycles: counts.exit_cycles[reason] ?? 0,
  }));
  const switches = { vm, vcpu, reason: _("world switch"), count: counts.switches, cycles: counts.switch_cycles, other: true };
  return counts.switches ? [...rows, switches] : rows;
}

function fillTable(body, vms, hz, by) {
  const each = by.querySelector("input:checked").value === "vcpu";
  const rows = vms.flatMap((vm) => (each ? vm.vcpus.flatMap((vcpu) => costs(vm, vcpu, vcpu.index)) : costs(vm, vm)));
  const all = Math.max(1, rows.reduce((sum, row) => sum + row.cycles, 0));
  const most = Math.max(1, ...rows.map((row) => row.cycles));
  body.closest("table").hidden = rows.length === 0;
  by.hidden = rows.length === 0;
  document.getElementById("no-exits").hidden = rows.length > 0;
  const key = JSON.stringify(rows.map((row) => [row.vm.name, row.vcpu, row.reason, row.count, row.cycles]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  const held = document.activeElement?.dataset?.reason && { ...document.activeElement.dataset };
  body.replaceChildren(...rows.map((row) => line(row, all, most, hz)));
  if (held && !body.contains(document.activeElement))
    [...body.querySelectorAll("[data-reason]")]
      .find(({ dataset }) => dataset.vm === held.vm && dataset.reason === held.reason)
      ?.focus({ preventScroll: true });
}

/** A row; its bar is as long as its share beside the largest of them. */
function line({ vm, vcpu, reason, count, cycles, other }, all, most, hz) {
  const time = (value) => numbers.time(numbers.nanoseconds(value, hz));
  const name = other
    ? reason
    : h(
        "button",
        { type: "button", class: "plain reason", title: _("Show the latest of them"), dataset: { vm: vm.name, reason } },
        told(reason),
      );
  const part = numbers.percent(cycles, all);
  return h(
    "tr",
    { class: `vm-${vmClass(vm.index)}${other ? " quiet" : ""}` },
    h("td", {}, badge(vm.index), " ", vm.name, vcpu === null ? null : h("span", { class: "quiet" }, ` vCPU ${vcpu}`)),
    h("th", { scope: "row" }, name),
    h("td", { class: "number", title: numbers.exact(count) }, numbers.count(count)),
    h("td", { class: "number", title: _("{n} cycles", { n: numbers.exact(cycles) }) }, time(cycles)),
    h("td", { class: "number", title: _("{n} cycles", { n: numbers.three(cycles / count) }) }, time(cycles / count)),
    h(
      "td",
      { class: "share", title: _("{share} of the time of the hypervisor", { share: part }) },
      h("span", { class: "track" }, h("span", { class: "bar", style: `width: ${((100 * cycles) / most).toFixed(1)}%` })),
      h("span", { class: "number" }, part),
    ),
  );
}

/** What the TLBs did not have, and what the MMU read for it, so that nested and shadow paging can be compared. */
function fillTranslations(body, vms) {
  const rows = vms.map((vm) => {
    const { itlb_misses, dtlb_misses, walk_references, tlb_flushes } = vm.translations;
    return [vm, itlb_misses + dtlb_misses, walk_references, tlb_flushes];
  });
  const counted = rows.filter(([, misses, references]) => misses || references);
  document.getElementById("translations").hidden = counted.length === 0;
  const key = JSON.stringify(counted.map(([vm, ...counts]) => [vm.name, vm.paging, ...counts]));
  if (body.dataset.key === key) return;
  body.dataset.key = key;
  const number = (value) => h("td", { class: "number", title: numbers.exact(value) }, numbers.count(value));
  body.replaceChildren(
    ...counted.map(([vm, misses, references, flushes]) =>
      h(
        "tr",
        {},
        h("th", { scope: "row" }, badge(vm.index), " ", vm.name),
        h("td", {}, vm.paging),
        number(misses),
        number(references),
        h("td", { class: "number" }, misses ? numbers.three(references / misses) : "\u2013"),
        number(flushes),
      ),
    ),
  );
}
