// Ask before something is lost: a modal dialog that says what will happen, with the verb on its button.
import { h } from "./element.js";
import { _ } from "./text.js";

/** Return whether the student wants it. @param {string} title @param {string} text @param {string} verb */
export function confirmed(title, text, verb) {
  const dialog = h(
    "dialog",
    { class: "confirm", "aria-labelledby": "confirm-title" },
    h("h2", { id: "confirm-title" }, title),
    h("p", {}, text),
    h(
      "form",
      { method: "dialog" },
      h("button", { value: "no", autofocus: true }, _("Leave it")),
      h("button", { value: "yes", class: "primary" }, verb),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) =>
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    }),
  );
}
