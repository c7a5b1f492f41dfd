// What a console has printed, as this page knows it, and what it had printed later: where the lab went back in time, the
// output up to that instant is the console's, and the rest stands behind it until other output takes its place.
// Data: ConsoleDelta {offset, text, reset} (emulator/lab/observation.py); offsets count characters since the VM's start.

export const KEPT = 200000;

// What a terminal acts on and a reader does not want: CSI and OSC sequences, single escapes, and controls but tab and newline.
// eslint-disable-next-line no-control-regex
const CONTROLS = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f]/g;

/** Output without what only terminals understand. @param {string} text */
export const readable = (text) => text.replace(CONTROLS, "");

export class ConsoleText {
  constructor() {
    this.text = "";
    this.start = 0; // the offset of its first character
    this.later = "";
    this.doubtful = false; // what is later is another start's: right only if the lab went back
  }

  get end() {
    return this.start + this.text.length;
  }

  /** Take new output. @param {string} text */
  append(text) {
    this.text += text;
    if (this.text.length > KEPT) {
      const cut = this.text.length - KEPT;
      this.text = this.text.slice(cut);
      this.start += cut;
    }
    this.later = this.later.startsWith(text) ? this.later.slice(text.length) : "";
  }

  /**
   * Take all output anew: after a start, or (`full`) because the lab went somewhere else.
   * @param {number} offset @param {string} text @param {boolean} full
   */
  replace(offset, text, full) {
    const known = this.text + this.later;
    const start = this.start;
    this.text = text.slice(-KEPT);
    this.start = offset + text.length - this.text.length;
    const from = Math.max(start, this.start);
    const same = this.end >= start && known.slice(from - start, this.end - start) === this.text.slice(from - this.start);
    this.doubtful = full && !same;
    this.later = !full ? "" : same ? known.slice(this.end - start) : known;
  }

  /** Say where the lab went: back, or on. What other starts printed is later only if it went back. */
  settle(wentBack) {
    if (this.doubtful && !wentBack) this.later = "";
    this.doubtful = false;
  }

  /** There is nothing later (any more). */
  overtake() {
    this.later = "";
  }
}
