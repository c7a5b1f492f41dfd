// SBI calls in words, for the log of exits: what a guest did by the call that the log names (RISC-V SBI 2.0, chapters 4 to 16).
// The story of an exit has longer words from the lab (emulator/lab/sbi_words.py).
import { _ } from "./text.js";

const WORDS = {
  "BASE function 3": _("asks what its hypervisor can do"),
  "TIME function 0": _("sets its timer"),
  "IPI function 0": _("sends another vCPU a signal"),
  "RFENCE function 1": _("has other vCPUs forget translations"),
  "RFENCE function 2": _("has other vCPUs forget translations"),
  "HSM function 0": _("starts another vCPU"),
  "HSM function 1": _("stops its vCPU"),
  "SRST function 0": _("shuts itself off or restarts"),
  "DBCN function 0": _("prints a text"),
  "DBCN function 1": _("asks what was typed"),
  "DBCN function 2": _("prints one byte"),
  "STA function 0": _("wants to be told how long it waits"),
};

/** @param {{reason: string, text: string}} event Words for an exit, "" if there are none. */
export const callWords = ({ reason, text }) => (reason === "sbi" ? (WORDS[text] ?? "") : "");
