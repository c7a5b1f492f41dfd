// Where the rows of the timeline lie, in CSS pixels. Data: a window (timeline_data.js), the names of the rows that are shown.

export const AXIS = 26;
export const GAP = 3;
const SECTION = 9;
const MARK = 22;
const PLOT = 30;

/** Where everything lies: rows of {kind, key, label, top, height}. */
export function layOut(view, shown, width, close, indexOf) {
  const many = view.pcpus.length + view.vcpus.length;
  const narrow = width < 560;
  const rows = [];
  let top = AXIS + 4;
  const add = (kind, key, height, more = {}) => {
    rows.push({ kind, key, top, height, ...more });
    top += height + GAP;
  };
  const section = () => rows.length && (top += SECTION - GAP);
  if (shown.has("actions")) add("actions", "actions", MARK);
  if (shown.has("events")) add("events", "events", MARK);
  if (shown.has("pcpus")) {
    section();
    view.pcpus.forEach((lane, index) => add("pcpu", index, close ? 42 : many > 16 ? 18 : 28, { lane }));
  }
  if (shown.has("vcpus")) {
    section();
    for (const { vm, vcpu, lane } of view.vcpus) add("vcpu", `${vm}/${vcpu}`, many > 24 ? 11 : 18, { lane, vm, vcpu });
  }
  for (const signal of ["ready", "exits"])
    if (shown.has(signal)) {
      section();
      add("plot", signal, PLOT);
    }
  if (shown.has("consoles")) {
    const names = [...new Set(view.prints.map((print) => print.vm))].sort((one, other) => indexOf(one) - indexOf(other));
    if (names.length) section();
    for (const vm of names) add("console", vm, 18, { vm });
  }
  return { rows, left: narrow ? 74 : 118, right: width - 1, height: top + 2, narrow };
}
