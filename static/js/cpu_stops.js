// "Where should it stop?": the stops of a lab as a list, each on or off, with how often it was met, to edit and to remove.
// Data: state.run.{stops, hit}: StopView[] (app/workers/stops.py) and the ids that were met last.
import { breakpointAt } from "./cpu_code.js";
import { h } from "./element.js";
import { _, n_ } from "./text.js";

const FIELDS = ["address", "length", "access", "space", "csr", "value", "reason", "state", "text"];

/** @param {import("./lab.js").Lab} lab @param {any} view the CPU view, which asks the lab */
export function startStops(lab, view) {
  const form = document.getElementById("stop-form");
  const list = document.getElementById("stops");
  const kind = form.elements.kind;
  const cancel = document.getElementById("stop-cancel");
  const submit = form.querySelector("button[type=submit]");
  const fieldOf = (name) => form.querySelector(`[name="${name}"]`); // form.elements has a length of its own
  const stops = () => lab.state?.run?.stops ?? [];

  const showFields = () => {
    for (const part of form.querySelectorAll("[data-of]")) part.hidden = !part.dataset.of.split(" ").includes(kind.value);
    document.getElementById("csr-note").hidden = kind.value !== "csr";
  };
  const clear = () => {
    form.reset();
    form.elements.stop.value = "";
    cancel.hidden = true;
    submit.textContent = _("Add");
    showFields();
  };
  kind.addEventListener("change", showFields);
  cancel.addEventListener("click", clear);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const fields = { verb: "stop_add", kind: kind.value, vm: view.whose.vm };
    if (form.elements.stop.value) fields.stop = form.elements.stop.value;
    for (const name of FIELDS) {
      const field = fieldOf(name);
      if (!field.closest("[data-of]").hidden && field.value) fields[name] = field.value;
    }
    if (await view.control(fields)) clear();
  });
  list.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-do]");
    const stop = button && stops().find((one) => String(one.id) === button.closest("li").dataset.stop);
    if (!stop) return;
    if (button.dataset.do === "remove") view.control({ verb: "stop_remove", stop: stop.id });
    else edit(stop);
  });
  list.addEventListener("change", (event) => {
    const item = event.target.closest("li");
    if (item) view.control({ verb: "stop_set", stop: item.dataset.stop, enabled: event.target.checked });
  });
  const edit = ({ id, condition }) => {
    clear();
    kind.value = condition.kind;
    form.elements.stop.value = id;
    for (const name of FIELDS) if (name in condition) fieldOf(name).value = condition[name];
    if (condition.symbol) fieldOf("address").value = condition.symbol;
    cancel.hidden = false;
    submit.textContent = _("Change");
    showFields();
    kind.focus();
  };
  showFields();

  let key = "";
  let csrs = "";
  const draw = (run) => {
    const names = Object.keys(view.shown?.fields ?? {}).concat(
      (view.shown?.registers.control ?? []).map((one) => one.name),
      (view.shown?.registers.hypervisor ?? []).map((one) => one.name),
    );
    const known = [...new Set(names)].sort();
    if (known.length && csrs !== known.join()) {
      csrs = known.join();
      const kept = form.elements.csr.value;
      form.elements.csr.replaceChildren(...known.map((name) => h("option", {}, name)));
      form.elements.csr.value = known.includes(kept) ? kept : "satp";
    }
    fillReasons(lab.state.vms);
    const now = JSON.stringify([run?.stops, run?.hit]);
    if (now === key) return;
    key = now;
    const focused = list.contains(document.activeElement) ? focusOf(document.activeElement) : "";
    list.replaceChildren(...(run?.stops ?? []).map((stop) => item(stop, run.hit ?? [])));
    if (focused) list.querySelector(focused)?.focus();
    document.getElementById("no-stops").hidden = (run?.stops ?? []).length > 0;
  };
  return { draw, at: (vm, address) => breakpointAt(stops(), vm, address) };
}

/** A selector of the element that has the focus, for when the list was drawn anew. */
function focusOf(element) {
  const what = element.matches("input") ? "input" : `[data-do="${element.dataset.do}"]`;
  return `[data-stop="${element.closest("li").dataset.stop}"] ${what}`;
}

function item({ id, enabled, hits, text }, hit) {
  const met = hit.includes(id);
  return h(
    "li",
    { dataset: { stop: id }, class: met ? "met" : null },
    h("label", {}, h("input", { type: "checkbox", checked: enabled }), h("span", {}, `${id}. ${text}`)),
    h("span", { class: "quiet" }, n_("met once", "met {count} times", hits)),
    met ? h("strong", {}, _("stopped here")) : null,
    h("button", { type: "button", class: "small plain", dataset: { do: "edit" }, "aria-label": _("Edit stop {id}", { id }) }, _("Edit")),
    h("button", { type: "button", class: "small plain", dataset: { do: "remove" }, "aria-label": _("Remove stop {id}", { id }) }, _("Remove")),
  );
}

function fillReasons(vms) {
  const place = document.getElementById("exit-reasons");
  const known = [...new Set(vms.flatMap((vm) => Object.keys(vm.exits)))].sort();
  if (place.dataset.key === known.join()) return;
  place.dataset.key = known.join();
  place.replaceChildren(...known.map((reason) => h("option", { value: reason })));
}
