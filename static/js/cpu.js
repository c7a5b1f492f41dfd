// "What is it doing right now?": the CPU view is fetched when it is first looked at.

/** @param {import("./lab.js").Lab} lab */
export function startCpu(lab) {
  const panel = document.getElementById("panel-cpu");
  panel.addEventListener(
    "shown",
    async () => {
      const { openCpuView } = await import("./cpu_view.js");
      openCpuView(lab, panel);
    },
    { once: true },
  );
}
