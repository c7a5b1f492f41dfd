// One xterm.js terminal in our colours; a chunk of its own, loaded when the first console comes up.
import { FitAddon } from "@xterm/addon-fit";
import { SearchAddon } from "@xterm/addon-search";
import { Terminal } from "@xterm/xterm";
import { MONO } from "./canvas_text.js";
import { typeScale } from "./element.js";
import { palette } from "./patterns.js";

const PIECE = 16384; // characters parsed at a time: a few milliseconds
const WAITING = 262144; // characters that may wait to be parsed; of more, the newest half is kept
const CUT = "\r\n\u2026\r\n"; // stands where output came faster than it could be shown

function theme() {
  const { surface, ink, inkSoft, edge } = palette();
  return {
    background: surface.css,
    foreground: ink.css,
    cursor: ink.css,
    cursorAccent: surface.css,
    selectionBackground: edge.css,
    brightBlack: inkSoft.css,
  };
}

/**
 * Open a terminal in `host`. A lone "\n" of a guest begins a new line.
 * @param {string} history what the guest has printed so far; its questions to a terminal have been answered
 * @param {(text: string) => void} typed called with what the student types, and what the terminal answers
 * @param {() => void} wantsSearch called when the keys for searching are pressed
 */
export function openTerminal(host, label, history, typed, wantsSearch) {
  const terminal = new Terminal({
    theme: theme(),
    fontFamily: MONO,
    fontSize: Math.round(13 * typeScale()),
    lineHeight: 1.25,
    convertEol: true,
    cursorBlink: false,
    scrollback: 5000,
    screenReaderMode: false,
    minimumContrastRatio: 4.5,
  });
  const fitting = new FitAddon();
  const searching = new SearchAddon();
  terminal.loadAddon(fitting);
  terminal.loadAddon(searching);
  terminal.open(host);
  terminal.textarea?.setAttribute("aria-label", label);
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.ctrlKey && event.shiftKey && event.code === "KeyF") {
      if (event.type === "keydown") (event.preventDefault(), wantsSearch());
      return false;
    }
    // Tab must leave the terminal, or the keyboard is caught in it.
    return event.key !== "Tab";
  });
  const queue = new Queue(terminal);
  terminal.onData((text) => queue.replaying || typed(text.replaceAll("\r", "\n")));
  queue.rebuild(history);
  const fit = () => host.clientWidth && fitting.fit();
  new ResizeObserver(fit).observe(host);
  document.fonts.ready.then(fit);
  fit();
  return {
    write: (text) => queue.add(text),
    rebuild: (text) => queue.rebuild(text),
    find: (text, back) => (back ? searching.findPrevious(text) : searching.findNext(text)),
    selection: () => terminal.getSelection(),
    dispose: () => terminal.dispose(),
    recolour: () => (terminal.options.theme = theme()),
    fit,
  };
}

/** Hands output to a terminal piece by piece; of what comes faster than it is shown, the newest is kept. */
class Queue {
  constructor(terminal) {
    this.terminal = terminal;
    this.waiting = "";
    this.busy = false;
    this.stale = false; // what is being parsed is to be forgotten
    this.replaying = false; // what is shown is old: no question of the guest may be answered again
  }

  add(text) {
    this.waiting += text;
    if (this.waiting.length > WAITING) {
      const rest = this.waiting.slice(-WAITING / 2);
      this.waiting = CUT + rest.slice(rest.indexOf("\n") + 1);
    }
    if (!this.busy) this.next();
  }

  rebuild(text) {
    this.waiting = "";
    this.replaying = true;
    if (this.busy) this.stale = true;
    else this.terminal.reset();
    this.add(text);
  }

  next() {
    const piece = this.waiting.slice(0, PIECE);
    this.waiting = this.waiting.slice(PIECE);
    this.busy = true;
    this.terminal.write(piece, () => {
      this.busy = false;
      if (this.stale) this.terminal.reset();
      this.stale = false;
      if (this.waiting) this.next();
      else this.replaying = false;
    });
  }
}
