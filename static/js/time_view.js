// The Time view's beginning: its code is loaded when it is first shown.

/** @param {import("./lab.js").Lab} lab */
export function startTimeView(lab) {
  const panel = document.getElementById("panel-time");
  let view = null;
  panel.addEventListener("shown", async () => {
    view ??= import("./timeline.js").then(({ Timeline }) => new Timeline(lab, panel));
    (await view).shown();
  });
}
