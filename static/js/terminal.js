// One xterm.js terminal in our colours; a chunk of its own, loaded when the first console comes up.
import { FitAddon } from "@xterm/addon-fit";
import { Terminal } from "@xterm/xterm";
import { palette } from "./patterns.js";

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
 */
export function openTerminal(host, label, history, typed) {
  const terminal = new Terminal({
    theme: theme(),
    fontFamily: '"JetBrains Mono", monospace',
    fontSize: 13,
    lineHeight: 1.25,
    convertEol: true,
    cursorBlink: false,
    scrollback: 2000,
    screenReaderMode: false,
    minimumContrastRatio: 4.5,
  });
  const fitting = new FitAddon();
  terminal.loadAddon(fitting);
  terminal.open(host);
  terminal.textarea?.setAttribute("aria-label", label);
  // Tab must leave the terminal, or the keyboard is caught in it.
  terminal.attachCustomKeyEventHandler((event) => event.key !== "Tab");
  let replaying = true;
  terminal.onData((text) => replaying || typed(text.replaceAll("\r", "\n")));
  terminal.write(history, () => (replaying = false));
  const fit = () => host.clientWidth && fitting.fit();
  new ResizeObserver(fit).observe(host);
  document.fonts.ready.then(fit);
  fit();
  return {
    write: (text) => terminal.write(text),
    reset: () => terminal.reset(),
    dispose: () => terminal.dispose(),
    recolour: () => (terminal.options.theme = theme()),
    fit,
  };
}
