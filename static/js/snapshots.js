// "Where can they go back to?": the tree of snapshots of each VM, clones, templates, and VMs as archives.
// Data: GET snapshots (on request, never in the stream); actions snapshot_*, clone, set_template; GET export, POST import.
import { ask, fetchJson, look, Refused } from "./ask.js";
import { confirmed } from "./confirm.js";
import { h } from "./element.js";
import { badge } from "./frame_readout.js";
import * as numbers from "./numbers.js";
import { vmClass } from "./patterns.js";
import { _ } from "./text.js";

const MOST_BYTES = 8 << 20; // app/desk/archives.py
const WAIT_MS = 300;

/** @param {import("./lab.js").Lab} lab */
export function startSnapshots(lab) {
  const panel = document.getElementById("panel-snapshots");
  const tool = new Snapshots(lab, document.getElementById("snapshots"));
  let known = "";
  let timer = 0;
  const changed = () => {
    if (panel.hidden || !lab.state?.vms) return;
    // What is shown can only change by an action, by going back, or with a VM's state.
    const { actions, run, vms } = lab.state;
    const now = JSON.stringify([actions, run.branches, vms.map((vm) => [vm.name, vm.state, vm.starts])]);
    if (now === known) return;
    known = now;
    clearTimeout(timer);
    timer = setTimeout(() => tool.refresh(), WAIT_MS);
  };
  lab.on("state", changed);
  panel.addEventListener("shown", () => {
    known = "";
    tool.refresh();
  });
  panel.addEventListener("submit", (event) => {
    event.preventDefault();
    tool.submitted(event.target, event.submitter);
  });
}

class Snapshots {
  constructor(lab, place) {
    this.lab = lab;
    this.place = place;
    this.shown = "";
  }

  async refresh() {
    const found = await look(`${this.lab.url}/snapshots`);
    const text = JSON.stringify(found);
    if (!found || text === this.shown) return;
    this.shown = text;
    const typed = new Map(
      [...this.place.querySelectorAll("input[data-typed]")].map((input) => [input.id, input.value]),
    );
    const focused = document.activeElement?.id;
    const parts = found.vms.map((vm) => drawVm(vm, found.vms));
    this.place.replaceChildren(
      ...(parts.length ? parts : [h("p", { class: "empty" }, _("No VM is defined. Add one under Configuration."))]),
    );
    for (const [id, value] of typed) {
      const input = document.getElementById(id);
      if (input) Object.assign(input, { value }).dataset.typed = "";
    }
    if (focused && this.place.querySelector(`#${CSS.escape(focused)}`)) document.getElementById(focused).focus();
  }

  /** Carry out what a form of this panel asks for. */
  async submitted(form, button) {
    button?.setAttribute("aria-busy", "true");
    this.say("");
    try {
      await this.carryOut(form, button?.dataset.verb ?? "import");
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      this.complain(failure.error);
    } finally {
      button?.removeAttribute("aria-busy");
    }
  }

  async carryOut(form, verb) {
    const field = (name) => form.elements[name]?.value.trim() ?? "";
    const [vm, name] = [field("vm"), field("name")];
    switch (verb) {
      case "snapshot_create":
        await this.act({ verb, vm, name }, _("Snapshot {name} of VM {vm} was taken.", { name, vm }));
        break;
      case "clone":
        await this.act({ verb, vm, name, linked: field("kind") === "linked" }, _("VM {name} is a clone of VM {vm}.", { name, vm }));
        break;
      case "set_template": {
        const template = form.dataset.template !== "yes";
        await this.act({ verb, vm, template }, template ? _("VM {vm} is a template now.", { vm }) : _("VM {vm} is an ordinary VM now.", { vm }));
        break;
      }
      case "snapshot_revert":
        if (await wanted(_("Take VM {vm} back to {name}?", { vm, name }), _("What VM {vm} has done since will be gone.", { vm }), _("Revert")))
          await this.act({ verb, vm, name }, _("VM {vm} is as in snapshot {name}.", { vm, name }), true);
        break;
      case "snapshot_delete":
        if (await wanted(_("Delete snapshot {name} of VM {vm}?", { name, vm }), _("Snapshots that came of it are kept."), _("Delete")))
          await this.act({ verb, vm, name }, _("Snapshot {name} of VM {vm} was deleted.", { name, vm }), true);
        break;
      case "export":
        await this.export(vm);
        break;
      default:
        await this.import(form, name);
    }
  }

  /** Apply an action and say what it did, with a way back if it took something away. */
  async act(action, said, undoable = false, path = "actions") {
    const answer = await ask(`${this.lab.url}/${path}`, action);
    if (answer.state) this.lab.takeState(answer.state);
    this.say(said, undoable ? () => this.undo(answer) : null);
    for (const input of this.place.querySelectorAll("input[data-typed]")) delete input.dataset.typed;
    await this.refresh();
  }

  /** Go back to the instant before an action, without it. */
  async undo({ position, seq }) {
    const answer = await ask(`${this.lab.url}/control`, { verb: "undo", position, actions: seq - 1 });
    if (answer.state) this.lab.takeState(answer.state);
    this.say(_("The lab is back at the instant before."));
    await this.refresh();
  }

  async export(vm) {
    const { file, archive } = await fetchJson(`${this.lab.url}/export?vm=${encodeURIComponent(vm)}`);
    const bytes = Uint8Array.from(atob(archive), (character) => character.charCodeAt(0));
    const url = URL.createObjectURL(new Blob([bytes], { type: "application/zip" }));
    h("a", { href: url, download: file }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    this.say(_("VM {vm} was exported as {file}, {size}.", { vm, file, size: numbers.size(bytes.length) }));
  }

  async import(form, name) {
    const file = form.elements.file.files[0];
    if (file.size > MOST_BYTES) {
      const message = _("{name} has {size}; at most {most} can be imported.", { name: file.name, size: numbers.size(file.size), most: numbers.size(MOST_BYTES) });
      throw new Refused({ title: _("This archive is too large"), message });
    }
    const fields = { archive: await base64(file), ...(name ? { name } : {}) };
    await this.act(fields, _("A VM was imported from {name}.", { name: file.name }), false, "import");
    form.reset();
  }

  say(text, undo = null) {
    document.getElementById("snapshots-wrong").replaceChildren();
    const button = undo && h("button", { type: "button", class: "small", onclick: () => this.tried(undo) }, _("Undo"));
    document.getElementById("snapshots-said").replaceChildren(...(!text ? [] : button ? [text, " ", button] : [text]));
  }

  async tried(work) {
    try {
      await work();
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      this.complain(failure.error);
    }
  }

  complain({ title, message, remedy }) {
    document.getElementById("snapshots-wrong").replaceChildren(
      h("div", { class: "message" }, h("h3", {}, title), h("p", {}, message), remedy ? h("p", {}, remedy) : null),
    );
  }
}

const wanted = (title, text, verb) => confirmed(title, `${text} ${_("Undo brings it back, as does going back in time.")}`, verb);

async function base64(file) {
  const reader = new FileReader();
  await new Promise((resolve, reject) => {
    reader.onload = resolve;
    reader.onerror = () =>
      reject(new Refused({ title: _("This file cannot be read"), message: reader.error?.message ?? "" }));
    reader.readAsDataURL(file);
  });
  return reader.result.slice(reader.result.indexOf(",") + 1);
}

// Drawing

const verbButton = (verb, label, more = {}) =>
  h("button", { type: "submit", class: "small", dataset: { verb }, ...more }, label);

const hidden = (name, value) => h("input", { type: "hidden", name, value });

function drawVm(vm, vms) {
  const { name, index, state, template, snapshots } = vm;
  const heading = `keep-${name}`;
  return h(
    "section",
    { class: `keep vm-${vmClass(index)}`, "aria-labelledby": heading },
    h(
      "form",
      { class: "keep-head", dataset: { template: template ? "yes" : "no" } },
      hidden("vm", name),
      h("h3", { id: heading }, badge(index), ` VM ${name} `, h("span", { class: "quiet" }, template ? _("template") : _(state))),
      h(
        "span",
        { class: "end" },
        verbButton("set_template", template ? _("Make it an ordinary VM") : _("Make it a template"), {
          title: _("A template does not start; it is there to be cloned"),
        }),
        verbButton("export", _("Export"), { title: _("Download the whole VM as one archive") }),
      ),
    ),
    snapshots.length
      ? drawTree(vm, "")
      : h("p", { class: "empty" }, _("No snapshot yet: there is nothing to go back to.")),
    h("div", { class: "keep-news" }, snapshotForm(vm), cloneForm(vm, vms)),
  );
}

function snapshotForm({ name, snapshots }) {
  return h(
    "form",
    { class: "keep-new" },
    hidden("vm", name),
    ...nameField(`snapshot-of-${name}`, _("Name of the new snapshot of VM {name}", { name }), unused("s", snapshots)),
    verbButton("snapshot_create", _("Take a snapshot")),
  );
}

function cloneForm({ name }, vms) {
  return h(
    "form",
    { class: "keep-new" },
    hidden("vm", name),
    ...nameField(`clone-of-${name}`, _("Name of the clone of VM {name}", { name }), unused(`${name}-`, vms, 2)),
    h(
      "select",
      { name: "kind", "aria-label": _("Kind of clone of VM {name}", { name }) },
      h("option", { value: "linked" }, _("linked: shares memory and disk until either writes")),
      h("option", { value: "full" }, _("full: has everything for itself")),
    ),
    verbButton("clone", _("Clone")),
  );
}

/** A field for a name, with its label. */
function nameField(id, label, value) {
  const typed = ({ target }) => (target.dataset.typed = "");
  const field = h("input", {
    ...{ id, name: "name", type: "text", required: true, size: 8, value, autocomplete: "off", spellcheck: "false" },
    "aria-label": label,
    oninput: typed,
  });
  return [h("label", { for: id, class: "quiet" }, _("Name")), field];
}

/** The first of s1, s2, ... that nothing is called. */
function unused(stem, known, first = 1) {
  const names = new Set(known.map((one) => one.name));
  let number = first;
  while (names.has(`${stem}${number}`)) number++;
  return `${stem}${number}`;
}

/** The snapshots that came of `parent`, each with those that came of it. */
function drawTree(vm, parent) {
  const children = vm.snapshots.filter((one) => one.parent === parent);
  return h("ul", { class: "tree" }, ...children.map((one) => drawSnapshot(vm, one)));
}

function drawSnapshot(vm, one) {
  const size = _("disk {size}", { size: numbers.size(one.disk_bytes) });
  const disk = one.disk_bytes ? `, ${size}` : "";
  const memory = one.own_bytes + one.shared_bytes;
  const kept = memory
    ? _("memory {size}, of which {own} only here", { size: numbers.size(memory), own: numbers.size(one.own_bytes) })
    : _("no memory");
  const more = vm.snapshots.some((other) => other.parent === one.name);
  return h(
    "li",
    { "aria-current": one.current ? "true" : null },
    h(
      "form",
      {},
      hidden("vm", vm.name),
      hidden("name", one.name),
      h("b", {}, one.name),
      one.current ? h("span", { class: "here" }, _("it goes on from here")) : null,
      h("span", { class: "quiet" }, _("{state} at {time}; {kept}{disk}", { state: _(one.state), time: numbers.time(one.at_ns), kept, disk })),
      h(
        "span",
        { class: "end" },
        verbButton("snapshot_revert", _("Revert"), { "aria-label": _("Revert VM {vm} to {name}", { vm: vm.name, name: one.name }) }),
        verbButton("snapshot_delete", _("Delete"), { "aria-label": _("Delete snapshot {name} of VM {vm}", { name: one.name, vm: vm.name }) }),
      ),
    ),
    more ? drawTree(vm, one.name) : null,
  );
}
