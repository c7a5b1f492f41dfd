// The editor for policies: the same as for programs, with Python; a lazy chunk.
import { indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import { indentUnit } from "@codemirror/language";
import { keymap } from "@codemirror/view";
import { openEditor } from "./editor.js";

/** Put an editor for Python in the place of `area`. Escape, then Tab leaves it. @param {HTMLTextAreaElement} area */
export const openPython = (area) => openEditor(area, [python(), indentUnit.of("    "), keymap.of([indentWithTab])]);
