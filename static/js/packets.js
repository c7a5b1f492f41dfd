// "What was sent, and where did it go?": the newest packets of a network as a list, one of them with its headers, bytes
// and way through the switch; and the badges in the pictures of disks and networks.
// Data: GET resources, packets, packet as fragments and pcap as JSON (templates/labs/_resources.html, _packets.html,
// _packet.html; emulator/lab/packets.py), asked for only while the tool is shown, at most once a second.
import htmx from "htmx.org";
import { fetchJson, Refused, showMessage } from "./ask.js";
import { h, setText } from "./element.js";
import { badge } from "./frame_readout.js";
import { _ } from "./text.js";
import { reach } from "./transport.js";

const EVERY_MS = 1000;
const FILTER_MS = 200;

/** @param {import("./lab.js").Lab} lab */
export function startPackets(lab) {
  const panel = document.getElementById("panel-resources");
  const tool = new Packets(lab);
  let timer = 0;
  let seen = "";
  const now = () => `${lab.state?.position} ${lab.state?.vms.map(({ state }) => state)}`;
  const soon = () => {
    if (panel.hidden || timer || tool.still || now() === seen) return;
    timer = setTimeout(async () => {
      seen = now();
      await tool.refresh();
      timer = 0;
      soon();
    }, EVERY_MS);
  };
  lab.on("state", soon);
  panel.addEventListener("shown", () => tool.refresh());
  document.getElementById("resources").addEventListener("htmx:after:swap", () => drawBadges(lab, panel));
}

class Packets {
  constructor(lab) {
    this.lab = lab;
    this.list = document.getElementById("packets-list");
    this.place = document.getElementById("packet");
    this.network = document.getElementById("packets-network");
    this.words = document.getElementById("packets-words");
    this.chosen = 0;
    this.asked = 0;
    this.text = "";
    let pause = 0;
    this.words.addEventListener("input", () => {
      clearTimeout(pause);
      pause = setTimeout(() => this.refresh(), FILTER_MS);
    });
    this.network.addEventListener("change", () => this.refresh());
    document.getElementById("packets-follow").addEventListener("change", () => this.still || this.refresh());
    document.getElementById("packets-filter").addEventListener("submit", (event) => event.preventDefault());
    document.getElementById("packets-save").addEventListener("click", () => this.save());
    this.list.addEventListener("click", ({ target }) => {
      const row = target.closest("tr[data-packet]");
      if (row) this.choose(Number(row.dataset.packet));
    });
    this.list.addEventListener("keydown", (event) => this.key(event));
    this.place.addEventListener("click", ({ target }) => {
      const other = target.closest("[data-show-packet]");
      if (other) this.choose(Number(other.dataset.showPacket));
    });
    for (const kind of ["mouseover", "focusin"]) this.place.addEventListener(kind, ({ target }) => this.light(target));
  }

  /** Whether the list stays as it is while time goes on. */
  get still() {
    return !document.getElementById("packets-follow").checked;
  }

  get query() {
    return new URLSearchParams({ network: this.network.value, filter: this.words.value });
  }

  /** Ask for the pictures and the list anew; only the newest answer counts. */
  async refresh() {
    const asked = ++this.asked;
    htmx.trigger(document.getElementById("resources"), "refresh");
    const text = await this.fragment(`packets?${this.query}`);
    if (asked !== this.asked || text === null || text === this.text) return;
    this.text = text;
    const at = this.list.scrollTop;
    const focused = document.activeElement?.closest?.("tr[data-packet]")?.dataset.packet;
    this.list.innerHTML = text;
    this.list.scrollTop = at;
    if (focused) this.list.querySelector(`tr[data-packet="${focused}"] button`)?.focus();
    const { kept, matching, networks } = this.list.firstElementChild.dataset;
    this.drawNetworks(networks.split(" ").filter(Boolean));
    setText(document.getElementById("packets-count"), kept > 0 ? _("{matching} of the newest {kept} packets", { matching, kept }) : "");
    this.mark();
  }

  drawNetworks(names) {
    document.getElementById("packets").classList.toggle("nowhere", !names.length);
    if ([...this.network.options].map((one) => one.value).join() === names.join()) return;
    const before = this.network.value;
    this.network.replaceChildren(...names.map((name) => h("option", { value: name, selected: name === before }, name)));
  }

  async fragment(path) {
    const response = await reach(`${this.lab.url}/${path}`, { headers: { Accept: "text/html", "HX-Request": "true" } }).catch(
      () => null,
    );
    return response?.ok ? response.text() : null;
  }

  async choose(number) {
    this.chosen = number;
    this.mark();
    const text = await this.fragment(`packet?number=${number}`);
    if (this.chosen !== number) return;
    const gone = _("This packet is not kept any more: newer ones took its place.");
    if (text === null) this.place.replaceChildren(h("p", { class: "empty" }, gone));
    else this.place.innerHTML = text;
    drawBadges(this.lab, this.place);
  }

  mark() {
    for (const row of this.list.querySelectorAll("tr[data-packet]")) {
      const mine = Number(row.dataset.packet) === this.chosen;
      row.classList.toggle("chosen", mine);
      row.querySelector("button").setAttribute("aria-pressed", String(mine));
    }
  }

  /** Up and down go from packet to packet. */
  key(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...this.list.querySelectorAll("tr[data-packet]")];
    if (!step || !rows.length) return;
    event.preventDefault();
    const now = rows.findIndex((row) => row.contains(document.activeElement));
    const row = rows[Math.max(0, Math.min(rows.length - 1, now + step))];
    row.querySelector("button").focus();
    this.choose(Number(row.dataset.packet));
  }

  /** Show which bytes a header or field is. */
  light(target) {
    const [from, length] = (target.closest?.("[data-bytes]")?.dataset.bytes ?? "0 0").split(" ").map(Number);
    for (const byte of this.place.querySelectorAll("[data-at]")) {
      const at = Number(byte.dataset.at);
      byte.classList.toggle("lit", at >= from && at < from + length);
    }
  }

  async save() {
    try {
      const { pcap } = await fetchJson(`${this.lab.url}/pcap?network=${encodeURIComponent(this.network.value)}`);
      const bytes = Uint8Array.from(atob(pcap), (letter) => letter.charCodeAt(0));
      const url = URL.createObjectURL(new Blob([bytes], { type: "application/vnd.tcpdump.pcap" }));
      h("a", { href: url, download: `${this.network.value || "network"}.pcap` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 10000);
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
    }
  }
}

function drawBadges(lab, place) {
  for (const mark of place.querySelectorAll("[data-badge-of]")) {
    const vm = lab.vm(mark.dataset.badgeOf);
    if (vm) mark.replaceChildren(badge(vm.index));
    else mark.remove();
  }
}
