// "Link for others": has the run up to this instant kept on the server, and copies the address at which others get a copy.
// Data: state.position; the answer of POST share: {url, position, now_ns}.
import { announce } from "./announcer.js";
import { ask, clearMessage, Refused, showMessage } from "./ask.js";
import { setText } from "./element.js";
import { sayCopied } from "./instant.js";
import * as numbers from "./numbers.js";
import { _ } from "./text.js";

const element = (id) => document.getElementById(id);

/** @param {import("./lab.js").Lab} lab */
export function startSharing(lab) {
  const button = element("share-instant");
  element("share-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    button.setAttribute("aria-busy", "true");
    try {
      await share(lab);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      showMessage(error.error);
    } finally {
      button.removeAttribute("aria-busy");
    }
  });
  element("link-menu").addEventListener("toggle", () => (element("share-made").hidden = true));
}

async function share(lab) {
  const { url, now_ns } = await ask(`${lab.url}/share`, lab.state ? { position: lab.state.position } : {});
  clearMessage();
  const field = element("share-address");
  field.value = new URL(url, location.href).href;
  element("share-made").hidden = false;
  const time = numbers.time(now_ns);
  try {
    await navigator.clipboard.writeText(field.value);
    tell(_("Copied. It leads to {time}.", { time }));
    sayCopied();
  } catch {
    // Without https, or if the browser says no: the address is there, to be copied by hand.
    tell(_("It leads to {time}. Copy it from the field.", { time }));
    field.focus();
    field.select();
  }
}

function tell(sentence) {
  setText(element("share-said"), sentence);
  announce("link", sentence);
}
