// Entry point of the page's scripts. A page without a lab gets the theme button and htmx only.
import "htmx.org";
import { startAsking } from "./ask.js";
import { startConfiguration } from "./configuration.js";
import { startConsoles } from "./consoles.js";
import { startCpu } from "./cpu.js";
import { keepTyped } from "./drafts.js";
import { startEngine } from "./engine/switch.js";
import { startExits } from "./exits.js";
import { startFigures } from "./figures.js";
import { startFrameMap } from "./frame_readout.js";
import { startHostBar } from "./host_bar.js";
import { startHostConsole } from "./host_console.js";
import { startInstant } from "./instant.js";
import { Lab } from "./lab.js";
import { startLanes } from "./lanes_readout.js";
import { startMemory } from "./memory.js";
import { startMetrics } from "./metrics.js";
import { startPackets } from "./packets.js";
import { startPolicy } from "./policy.js";
import { startProgram } from "./program.js";
import { startPinning, startReport } from "./report.js";
import { startSeparator } from "./separator.js";
import { startSharing } from "./sharing.js";
import { startShortcuts } from "./shortcuts.js";
import { startSnapshots } from "./snapshots.js";
import { startSteps } from "./steps.js";
import { startTabs } from "./tabs.js";
import { startTheme } from "./theme.js";
import { startTimeView } from "./time_view.js";
import { startTuning } from "./tuning.js";
import { startVmCards } from "./vm_cards.js";

function startWorkbench(bench) {
  const lab = new Lab(bench.dataset.lab);
  startHostBar(lab);
  startInstant(lab);
  startSharing(lab);
  startVmCards(lab);
  startFrameMap(lab);
  startLanes(lab);
  startTimeView(lab);
  startConsoles(lab);
  startCpu(lab);
  startExits(lab);
  startProgram(lab);
  startPolicy(lab, bench);
  startMemory(lab);
  startSnapshots(lab);
  startMetrics(lab);
  startPackets(lab);
  startFigures();
  startHostConsole(lab);
  startConfiguration(lab);
  startTuning(lab);
  for (const tabs of ["view-tabs", "dock-tabs"]) startTabs(document.getElementById(tabs));
  startShortcuts();
  const done = (answer, form) => {
    if (answer.state) lab.takeState(answer.state);
    if (form.action.endsWith("/reset")) lab.tell("restarted");
  };
  startAsking(bench, done);
  const banner = document.getElementById("shared-run"); // on the page of a copy
  if (banner) startAsking(banner, done);
  keepTyped(lab);
  if (!("shared" in bench.dataset)) startPinning(lab, bench);
  lab.follow();
  startEngine(lab, bench);
}

startTheme();
startSeparator();
startSteps();
startReport();
const bench = document.querySelector("[data-lab]");
if (bench) startWorkbench(bench);
