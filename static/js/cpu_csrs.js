// A vCPU's control and status registers, each to be opened field by field.
// Data: CpuView.registers.{control, hypervisor}, CpuView.fields (CSR -> FieldValue[]).
import { h } from "./element.js";
import { told } from "./sentences.js";
import { _ } from "./text.js";

export class Csrs {
  constructor() {
    this.open = new Set();
    for (const id of ["csrs-guest", "csrs-hypervisor"])
      document.getElementById(id).addEventListener(
        "toggle",
        (event) => {
          const { csr } = event.target.dataset;
          if (event.target.open) this.open.add(csr);
          else this.open.delete(csr);
        },
        true,
      );
  }

  /** @param {any} data CpuView @param {Map<string, string>} before the values at the last stop */
  draw({ registers, fields }, before) {
    this.fill("csrs-guest", registers.control, fields, before);
    this.fill("csrs-hypervisor", registers.hypervisor, fields, before);
  }

  fill(id, csrs, fields, before) {
    const place = document.getElementById(id);
    const key = JSON.stringify(csrs.map(({ name, value }) => [name, value, before.get(name)]));
    if (place.dataset.key === key) return;
    place.dataset.key = key;
    const focused = place.contains(document.activeElement) && document.activeElement.closest("details")?.dataset.csr;
    place.replaceChildren(...csrs.map((csr) => this.csr(csr, fields[csr.name] ?? [], before.get(csr.name))));
    if (focused) place.querySelector(`[data-csr="${focused}"] summary`)?.focus();
  }

  csr({ name, value, meaning }, fields, before = value) {
    const changed = value !== before;
    const head = [
      h("code", { class: "name" }, name),
      h("span", { class: "mono value" }, `0x${BigInt(value).toString(16)}`),
      changed ? h("span", { class: "mark" }, h("span", { "aria-hidden": "true" }, "●"), h("span", { class: "unseen" }, _("changed"))) : null,
      h("span", { class: "says" }, told(meaning)),
    ];
    if (fields.length === 0) return h("p", { class: changed ? "csr changed" : "csr" }, ...head);
    return h(
      "details",
      { class: changed ? "csr changed" : "csr", dataset: { csr: name }, open: this.open.has(name) },
      h("summary", {}, ...head),
      h(
        "table",
        {},
        h("caption", { class: "unseen" }, _("Fields of {csr}", { csr: name })),
        h("thead", {}, h("tr", {}, ...[_("Field"), _("Bits"), _("Value"), _("Meaning")].map((text) => h("th", { scope: "col" }, text)))),
        h("tbody", {}, ...fields.map((field) => row(field, fields, before))),
      ),
    );
  }
}

function row({ name, bits, value, meaning, says }, _fields, before) {
  const [high, low = high] = bits.split(":").map(BigInt);
  const was = (BigInt(before) >> low) & ((1n << (high - low + 1n)) - 1n);
  const changed = was !== BigInt(value);
  return h(
    "tr",
    { class: changed ? "changed" : null },
    h("th", { scope: "row" }, h("code", {}, name)),
    h("td", { class: "mono" }, bits),
    h("td", { class: "mono" }, value, changed ? h("span", { class: "mark" }, h("span", { "aria-hidden": "true" }, " ●"), h("span", { class: "unseen" }, _("changed"))) : null),
    h("td", {}, says ? told(says) : "", says ? ". " : "", h("span", { class: "quiet" }, told(meaning))),
  );
}
