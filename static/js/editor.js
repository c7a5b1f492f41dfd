// CodeMirror 6 over a text area, with RISC-V assembly colouring and marks for the assembler's errors; a lazy chunk.
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from "@codemirror/language";
import { lintGutter, setDiagnostics } from "@codemirror/lint";
import { searchKeymap } from "@codemirror/search";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  drawSelection,
  EditorView,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

/** RISC-V assembly, line by line: label, directive, mnemonic, operands, comment. */
const assembly = StreamLanguage.define({
  name: "riscv",
  startState: () => ({ operands: false }),
  token(stream, state) {
    if (stream.sol()) state.operands = false;
    if (stream.eatSpace()) return null;
    if (stream.match(/^(#|\/\/).*/)) return "comment";
    if (stream.match(/^"(\\.|[^"\\])*"?/) || stream.match(/^'(\\.|[^'\\])'?/)) return "string";
    if (!state.operands && stream.match(/^[A-Za-z_.$][\w.$]*:/)) return "labelName";
    if (!state.operands && stream.match(/^\.[\w.]+/)) return (state.operands = true) && "meta";
    if (!state.operands && stream.match(/^[a-z][\w.]*/i)) return (state.operands = true) && "keyword";
    if (stream.match(/^-?(0x[\da-f_]+|0b[01_]+|\d[\d_]*)/i)) return "number";
    if (stream.match(/^%[a-z_]+/)) return "meta";
    if (stream.match(/^(x\d+|zero|ra|sp|gp|tp|fp|[ast]\d+|f[ast]?\d+)\b/)) return "variableName";
    if (stream.match(/^[A-Za-z_.$][\w.$]*/)) return "name";
    stream.next();
    return null;
  },
});

const colours = HighlightStyle.define([
  { tag: tags.comment, color: "var(--ink-soft)", fontStyle: "italic" },
  { tag: tags.keyword, fontWeight: "650" },
  { tag: tags.meta, color: "var(--ink-soft)" },
  {
    tag: tags.labelName,
    fontWeight: "650",
    textDecoration: "underline",
    textUnderlineOffset: "3px",
    textDecorationColor: "var(--edge)",
  },
]);

const look = EditorView.theme({
  "&": { backgroundColor: "var(--surface)", color: "var(--ink)" },
  ".cm-gutters": { backgroundColor: "var(--surface)", color: "var(--ink-soft)", border: "0" },
  ".cm-activeLineGutter": { backgroundColor: "var(--raised)" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in oklab, var(--focus) 30%, transparent)",
  },
  ".cm-stands": { backgroundColor: "var(--raised)", boxShadow: "inset 3px 0 var(--ink)" },
  // The package's own marker is a data: image, which the page's content security policy forbids.
  ".cm-lint-marker-error": {
    content: "normal",
    backgroundColor: "var(--fault)",
    borderRadius: "50%",
    width: "0.6em",
    height: "0.6em",
    margin: "0.45em 0.2em",
  },
  ".cm-lintRange-error": { backgroundImage: "none", textDecoration: "underline wavy var(--fault)" },
  ".cm-tooltip": { backgroundColor: "var(--surface)", color: "var(--ink)", border: "1px solid var(--edge)" },
  ".cm-panels": { backgroundColor: "var(--ground)", color: "var(--ink)" },
});

const stand = StateEffect.define();
const standing = StateField.define({
  create: () => Decoration.none,
  update(value, transaction) {
    for (const effect of transaction.effects) if (effect.is(stand)) return Decoration.set(effect.value);
    return transaction.docChanged ? Decoration.none : value;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** Put an editor in the place of `area`, for assembly or what `language` says; the area keeps the same text, so that its form can be sent. */
export function openEditor(area, language = [EditorState.tabSize.of(8), assembly]) {
  const label = document.querySelector(`label[for="${area.id}"]`)?.textContent.trim() ?? "Program";
  const view = new EditorView({
    state: EditorState.create({ doc: area.value, extensions: extensions(area, label, language) }),
    parent: area.parentElement,
  });
  area.hidden = true;
  let stands = "";
  return {
    text: () => view.state.doc.toString(),
    setText: (text) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: text } }),
    mark: (diagnostics) =>
      view.dispatch(
        setDiagnostics(
          view.state,
          diagnostics.map((diagnostic) => range(view.state.doc, diagnostic)),
        ),
      ),
    goto(line, column) {
      const { from, to } = range(view.state.doc, { line, column, length: 0 });
      view.dispatch({ selection: { anchor: from, head: to }, scrollIntoView: true });
      view.focus();
    },
    /** Mark the lines on which vCPUs stand; `follow` brings the first one up, unless somebody is typing. */
    standAt(lines, follow) {
      if (stands === lines.join()) return;
      stands = lines.join();
      const known = [...new Set(lines)].sort((a, b) => a - b).filter((line) => line <= view.state.doc.lines);
      const starts = known.map((line) => view.state.doc.line(line).from);
      view.dispatch({
        effects: stand.of(starts.map((from) => Decoration.line({ class: "cm-stands" }).range(from))),
      });
      if (follow && starts.length && !view.hasFocus) bringUp(view, starts[0]);
    },
  };
}

/** Scroll the editor, and only the editor, so that a position is in view. */
function bringUp(view, position) {
  const { top, height } = view.lineBlockAt(position);
  const box = view.scrollDOM;
  const inside = top >= box.scrollTop && top + height <= box.scrollTop + box.clientHeight;
  if (!inside) box.scrollTop = top - box.clientHeight / 2;
}

function extensions(area, label, language) {
  return [
    lineNumbers(),
    highlightActiveLineGutter(),
    history(),
    drawSelection(),
    language,
    syntaxHighlighting(colours),
    lintGutter(),
    standing,
    look,
    // Tab is left to the page: Escape is not needed to get out.
    keymap.of([...defaultKeymap, ...historyKeymap, ...searchKeymap]),
    EditorView.contentAttributes.of({ "aria-label": label, spellcheck: "false", tabindex: "0" }),
    EditorView.updateListener.of((update) => {
      if (!update.docChanged) return;
      area.value = update.state.doc.toString();
      area.dispatchEvent(new Event("input", { bubbles: true }));
    }),
  ];
}

/** The characters a diagnostic means; columns count from 1. */
function range(doc, { line, column, length, message, hint }) {
  const there = doc.line(Math.min(Math.max(1, line), doc.lines));
  const from = Math.min(there.from + Math.max(0, column - 1), there.to);
  const to = Math.min(from + Math.max(1, length || 1), Math.max(there.to, from));
  return { from, to, severity: "error", message: hint ? `${message}; ${hint}` : (message ?? "") };
}
