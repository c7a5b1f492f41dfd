// What the timeline shows in words: the sentence at its cursor, what is chosen, and the table.
import { h, setAttribute } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { words } from "./sentences.js";
import { n_, _ } from "./text.js";
import { BLOCKED, IDLE, PAUSED, READY, STATES, UNKNOWN, pcpuCode } from "./timeline_data.js";
import { markText, printable } from "./timeline_marks.js";

const MOST_NAMED = 6;
const MOST_ROWS = 200;

const STATE_WORDS = {
  run: () => _("in the guest"),
  exit: () => _("in the hypervisor"),
  ready: () => _("waits for a pCPU"),
  blocked: () => _("waits for the host's disk"),
  idle: () => _("sleeps"),
  off: () => _("is not started"),
  paused: () => _("is paused"),
};

/** What each pCPU and each waiting vCPU does at a time: sentences. @param {any} view @param {number} time */
export function moment(view, time, steps, exactSteps) {
  const slack = 2 * (view.host?.quantum_cycles ?? 0); // clocks of pCPUs are not the same
  const codes = view.pcpus.map((lane) => lane.codeAt(time, slack));
  const pcpus = codes.map((code, index) => {
    const step = exactSteps && steps?.[index]?.find((one) => one.start_cycles <= time && time < one.end_cycles);
    return pcpuSentence(view, index, code, time, step);
  });
  const held = codes.filter((code) => code >= 2).map((code) => view.owners[pcpuCode(code).owner][0]);
  return [...pcpus, ...waitSentences(view, time, slack, held)];
}

function pcpuSentence(view, index, code, time, step) {
  if (code === UNKNOWN && (view.host?.clocks_cycles[index] ?? 0) <= time) return _("pCPU {index} has not come so far yet", { index });
  if (code === UNKNOWN) return _("pCPU {index}: not known", { index });
  const { kind, owner } = pcpuCode(code);
  if (kind === "idle") return _("pCPU {index} is idle", { index });
  if (kind === "host") return _("pCPU {index}: the host's own work", { index });
  if (step?.kind === "instruction") return instruction(index, step);
  const [vm, vcpu] = view.owners[owner];
  const who = { index, vm, vcpu };
  return kind === "run"
    ? _("pCPU {index} runs VM {vm} vCPU {vcpu}", who)
    : _("pCPU {index}: the hypervisor, for VM {vm} vCPU {vcpu}", who);
}

/** Who waits, for what, and (`held`) for which VMs that have the pCPUs. */
function waitSentences(view, time, slack, held) {
  const waiting = { [READY]: [], [BLOCKED]: [], [IDLE]: [], [PAUSED]: [] };
  for (const { vm, vcpu, lane } of view.vcpus) waiting[lane.codeAt(time, slack)]?.push(`${vm} vCPU ${vcpu}`);
  const lines = [];
  if (waiting[READY].length) {
    const mine = waiting[READY].map((name) => name.split(" ")[0]);
    const whose = [...new Set(held)].filter((vm) => mine.length > 1 || vm !== mine[0]).join(", ");
    const who = named(waiting[READY]);
    lines.push(
      whose
        ? n_("{who} waits for {whose}", "{who} wait for {whose}", mine.length, { who, whose })
        : n_("{who} waits for a pCPU", "{who} wait for a pCPU", mine.length, { who }),
    );
  }
  if (waiting[BLOCKED].length)
    lines.push(n_("{who} waits for the host's disk", "{who} wait for the host's disk", waiting[BLOCKED].length, { who: named(waiting[BLOCKED]) }));
  if (waiting[IDLE].length)
    lines.push(n_("{who} sleeps", "{who} sleep", waiting[IDLE].length, { who: named(waiting[IDLE]) }));
  if (waiting[PAUSED].length)
    lines.push(n_("{who} is paused", "{who} are paused", waiting[PAUSED].length, { who: named(waiting[PAUSED]) }));
  return lines;
}

const named = (names) =>
  names.length <= MOST_NAMED
    ? names.join(", ")
    : `${names.slice(0, MOST_NAMED).join(", ")} ${n_("and {count} more", "and {count} more", names.length - MOST_NAMED)}`;

function instruction(index, step) {
  const changed = step.changes.map(({ name, value }) => `${name} = ${short(value)}`).join(", ");
  const parts = [
    _("pCPU {index}, VM {vm}: {text}", { index, vm: step.vm, text: step.text.replace(/\s+/g, " ") }),
    step.line ? _("line {line}", { line: step.line }) : step.where,
    changed,
    step.gva ? `${step.access} ${short(step.gva)}` : "",
    step.exit ? _("exit: {reason}", { reason: step.exit }) : "",
  ];
  return parts.filter(Boolean).join(", ");
}

const short = (value) => `0x${BigInt(value).toString(16)}`;

/** Fill the readout and the slider's values. */
export function tell(readout, canvas, { at, when, lines, from, to, place }) {
  readout.replaceChildren(h("b", {}, place), " ", ...lines.flatMap((line, i) => [i ? " \u00b7 " : "", line]));
  setAttribute(canvas, "aria-valuemin", Math.round(from));
  setAttribute(canvas, "aria-valuemax", Math.max(Math.round(to), Math.round(at)));
  setAttribute(canvas, "aria-valuenow", Math.round(at));
  setAttribute(canvas, "aria-valuetext", `${when}: ${lines.join("; ")}`);
}

/** What is chosen, with what can be done about it. */
export function details(place, lab, item, hz, acts) {
  if (!item) {
    place.replaceChildren();
    return;
  }
  const action = item.seq !== undefined;
  const when = numbers.time(numbers.nanoseconds(item.clock_cycles, hz));
  const index = item.vm ? lab.vm(item.vm)?.index : undefined;
  const facts = Object.entries(item.detail ?? {}).map(([key, value]) => `${key} ${value}`);
  const button = (text, act, more = {}) => h("button", { type: "button", class: "small", onclick: act, ...more }, text);
  place.replaceChildren(
    h(
      "div",
      { class: "chosen fade" },
      h(
        "p",
        {},
        h("b", {}, action ? _("You did, at {when}", { when }) : _("At {when}", { when })),
        " ",
        index === undefined ? null : badge(index),
        ` ${markText(action ? "actions" : "events", item)}`,
        facts.length ? h("span", { class: "quiet" }, ` (${facts.join(", ")})`) : null,
      ),
      h(
        "p",
        { class: "acts" },
        button(_("Go there"), () => acts.go(item)),
        action ? button(_("Undo from here"), () => acts.undo(item), { title: _("Go to just before this, and begin another line of history there") }) : null,
        !action ? button(_("Why?"), () => acts.why(item)) : null,
        button(_("Close"), () => acts.close()),
      ),
    ),
  );
}

/** The table: how each lane spent the window, and what was done and logged in it. */
export function fillTables(place, lab, view, from, to, hz, steps) {
  const time = (cycles) => numbers.time(numbers.nanoseconds(cycles, hz));
  place.replaceChildren(
    table(
      _("From {from} to {to}: who ran", { from: time(from), to: time(to) }),
      [_("Lane"), ...STATES.slice(0, 5).map((state) => stateHead(state))],
      view.vcpus.map(({ vm, vcpu, lane }) => {
        const sums = lane.sums(from, to);
        const index = lab.vm(vm)?.index;
        return [
          h("th", { scope: "row" }, index === undefined ? null : badge(index), ` VM ${vm} vCPU ${vcpu}`),
          ...STATES.slice(0, 5).map((_state, code) => cell(sums.get(code) ? time(sums.get(code)) : "")),
        ];
      }),
    ),
    table(
      _("pCPUs"),
      [_("Lane"), _("busy"), _("who")],
      view.pcpus.map((lane, index) => pcpuRow(view, lane, index, from, to)),
    ),
    steps ? stepsTable(steps) : "",
    table(_("What happened"), [_("When"), _("What")], logged(view, from, to).map((one) => [cell(time(one.clock_cycles)), h("td", {}, one.said)])),
  );
}

const stateHead = (state) => STATE_WORDS[state]();
const cell = (text) => h("td", { class: "number" }, text);

function pcpuRow(view, lane, index, from, to) {
  const shares = new Map();
  let busy = 0;
  for (const [code, cycles] of lane.sums(from, to)) {
    const { kind, owner } = pcpuCode(code);
    if (kind === "idle") continue;
    busy += cycles;
    const who = kind === "run" ? `VM ${view.owners[owner][0]}` : _("hypervisor");
    shares.set(who, (shares.get(who) ?? 0) + cycles);
  }
  const parts = [...shares].sort((a, b) => b[1] - a[1]).map(([who, cycles]) => `${who} ${numbers.percent(cycles, to - from)}`);
  return [h("th", { scope: "row" }, `pCPU ${index}`), cell(numbers.percent(busy, to - from)), h("td", {}, parts.join(", "))];
}

function logged(view, from, to) {
  const within = ({ clock_cycles }) => clock_cycles >= from && clock_cycles <= to;
  return [
    ...view.actions.filter(within).map((one) => ({ ...one, said: `${_("You:")} ${markText("actions", one)}` })),
    ...view.events.filter(within).map((one) => ({ ...one, said: words(one.text) })),
    ...view.prints
      .map((one) => ({ clock_cycles: one.start_cycles, said: `${one.vm}: ${printable(one.text)}` }))
      .filter(within),
  ]
    .sort((one, other) => one.clock_cycles - other.clock_cycles)
    .slice(0, MOST_ROWS);
}

function stepsTable(steps) {
  const rows = steps
    .flatMap((mine, pcpu) => mine.map((step) => ({ pcpu, ...step })))
    .filter((step) => step.kind === "instruction")
    .sort((one, other) => one.position - other.position)
    .slice(0, MOST_ROWS)
    .map((step) => [
      cell(numbers.exact(step.position)),
      h("td", {}, `pCPU ${step.pcpu} ${step.vm} ${step.mode}`),
      h("td", { class: "mono" }, short(step.pc)),
      h("td", { class: "mono" }, step.text.replace(/\s+/g, " ")),
      h("td", { class: "mono" }, step.changes.map(({ name, value }) => `${name} = ${short(value)}`).join(", ")),
      h("td", {}, step.line ? `${step.line}: ${step.source}` : step.where),
    ]);
  return table(_("Instructions"), [_("Position"), _("Where"), "pc", _("Instruction"), _("Changed"), _("Source")], rows);
}

function table(caption, heads, rows) {
  return h(
    "table",
    {},
    h("caption", {}, caption),
    h("thead", {}, h("tr", {}, ...heads.map((head) => h("th", { scope: "col" }, head)))),
    h("tbody", {}, ...rows.map((cells) => h("tr", {}, ...cells))),
  );
}
