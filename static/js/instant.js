// A link to an instant of a run: /lessons/<id>/?at=<position> opens the page with the cursor there, in the reader's own lab.
// Data: state.{position, run.mode, run.present}.
import { announce } from "./announcer.js";
import { ask, clearMessage, Refused, showMessage } from "./ask.js";
import { setText } from "./element.js";
import * as numbers from "./numbers.js";
import { _ } from "./text.js";

/** @param {import("./lab.js").Lab} lab */
export function startInstant(lab) {
  const button = document.getElementById("copy-instant");
  button.hidden = document.getElementById("copy-instant-note").hidden = false;
  button.addEventListener("click", () => copy(lab));
  const wanted = new URL(location.href).searchParams.get("at");
  if (wanted !== null) goWhenReady(lab, wanted);
}

const linkTo = (position) => {
  const url = new URL(location.href);
  url.search = "";
  url.searchParams.set("at", String(position));
  return url.href;
};

async function copy(lab) {
  const link = linkTo(lab.state?.position ?? 0);
  try {
    await navigator.clipboard.writeText(link);
    sayCopied();
    announce("link", _("The link to this instant is copied."));
  } catch {
    // Without https there is no clipboard: the link is shown, to be copied by hand.
    showMessage({ title: _("Copy this link"), message: link, remedy: _("It opens your lab at this instant.") });
  }
}

/** Show in the host bar for a moment that a link was copied. */
export function sayCopied() {
  const summary = document.querySelector("#link-menu > summary");
  setText(summary, _("Copied"));
  setTimeout(() => setText(summary, _("Copy link")), 2000);
}

/** Go there as soon as the lab stands; once, so that a reload comes back to where the lab stands then. */
function goWhenReady(lab, wanted) {
  let gone = false;
  const look = ({ run }) => {
    if (gone || !run || ["rebuilding", "seeking"].includes(run.mode)) return;
    gone = true;
    const url = new URL(location.href);
    url.searchParams.delete("at");
    history.replaceState(history.state, "", url);
    go(lab, wanted, run);
  };
  lab.on("state", look);
  lab.on("run", look);
}

async function go(lab, wanted, { present, present_ns }) {
  const position = /^\d{1,16}$/.test(wanted) ? Number(wanted) : null;
  if (position === null || position > present)
    return void showMessage({
      title: _("This instant does not exist here"),
      message: _("The link leads to position {wanted}. Your run of this lesson reaches to position {present} ({time}).", {
        wanted: position === null ? wanted.slice(0, 40) : numbers.exact(position),
        present: numbers.exact(present),
        time: numbers.time(present_ns),
      }),
      remedy: _("Let time pass, or return to another line of its history. A link leads into your own lab, and into nobody else\u2019s."),
    });
  try {
    const answer = await ask(`${lab.url}/control`, { verb: "seek", position });
    clearMessage();
    lab.takeState(answer.state);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    showMessage(error.error);
  }
}
