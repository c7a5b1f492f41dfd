// Taking a lab to another instant of its history, and the whole page with it: scrubbing, "Go there", "Undo from here".
import { Refused, ask, clearMessage, showMessage } from "./ask.js";

export class Travel {
  /** @param {import("./lab.js").Lab} lab */
  constructor(lab) {
    this.lab = lab;
    this.wish = null;
    this.underWay = false;
  }

  /** Go to a position. */
  seek(position) {
    return this.send({ verb: "seek", position });
  }

  /** Go to just before an action, and begin another line of history there. */
  undo(action) {
    return this.send({ verb: "undo", position: action.position, actions: action.seq - 1 });
  }

  /** Ask for it; while one way is being gone, only the newest wish is kept. */
  async send(fields) {
    this.wish = fields;
    if (this.underWay) return;
    this.underWay = true;
    try {
      while (this.wish) await this.go();
    } catch (failure) {
      if (!(failure instanceof Refused)) throw failure;
      showMessage(failure.error);
    } finally {
      this.underWay = false;
    }
  }

  async go() {
    const wish = this.wish;
    this.wish = null;
    const answer = await ask(`${this.lab.url}/control`, wish);
    clearMessage();
    if (answer.state) this.lab.takeState(answer.state);
  }
}
