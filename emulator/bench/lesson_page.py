"""What the page of a lesson costs with the heaviest lab in it: the real server, the real page, Chromium.

The lab (`heavy/`) has 262,144 frames, 8 pCPUs and 32 vCPUs that page, fault, exit and switch all the time, at
full speed. For each view: observations drawn in a second, tasks of the page's main thread over 50 ms (W3C
Long Tasks API), all bytes that the server sends (`relay.py`). Then the same of a page whose lab stands still.
What a page costs before anybody touches it is measured in a lesson of the course, what a key takes to its
echo in the lesson with Linux (`echo.py`). These are wall times.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from emulator.bench import echo
from emulator.bench.chromium import TIMEOUT_MS, launcher
from emulator.bench.figures import Figure, figure
from emulator.bench.relay import Relay, relayed
from emulator.bench.start import LESSON, free_port, served_by
from emulator.bench.stopwatch import BenchError

LESSONS = Path(__file__).with_name("heavy")
HEAVY = "/lessons/heavy-lab/"
# The views of the workbench: what a figure calls them, and their tabs.
VIEWS = {"overview": "#tab-overview", "time": "#tab-time", "memory": "#tab-ram"}
WINDOW = {"width": 1366, "height": 768}
SETTLE_MS = 2500
REST_SECONDS = 10.0

# Runs before the page's own scripts: counts tasks over 50 ms, and messages of the stream and when they came.
_WATCH = """
window.bench = {tasks: [], states: 0, firstState: 0};
new PerformanceObserver((list) => bench.tasks.push(...list.getEntries().map((task) => task.duration)))
  .observe({type: "longtask", buffered: true});
const Plain = window.EventSource;
window.EventSource = class extends Plain {
  constructor(...args) {
    super(...args);
    this.addEventListener("state", () => {
      bench.states += 1;
      if (bench.states === 1) requestAnimationFrame(() => { bench.firstState = performance.now(); });
    });
  }
};
"""
_COUNTS = "() => ({states: bench.states, tasks: bench.tasks})"
_LOADED = """() => {
  const scripts = performance.getEntriesByType("resource").filter((one) => /\\.js(\\?|$)/.test(one.name));
  return {
    paint: performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0,
    state: bench.firstState,
    scripts: scripts.reduce((sum, one) => sum + one.encodedBodySize, 0),
  };
}"""


@dataclass(frozen=True)
class Reading:
    """What happened in a page in `seconds`: observations, long tasks (ms), bytes, seconds of its process.

    `main` is the processor time of the page's main thread in seconds, which does not grow on a busy machine.
    """

    seconds: float
    states: int
    tasks: tuple[float, ...]
    received: int
    cpu: float
    main: float = 0.0

    @property
    def updates_per_s(self) -> float:
        """Return the observations drawn in a second."""
        return self.states / self.seconds

    @property
    def main_ms_per_update(self) -> float:
        """Return the main thread's processor time for one observation, drawing and all."""
        return 1000 * self.main / max(1, self.states)

    @property
    def kb_per_s(self) -> float:
        """Return the kilobytes (1000 bytes) that came over the wire in a second."""
        return self.received / 1000 / self.seconds


class Tab:
    """A page of a lesson that is being measured."""

    def __init__(self, page: Any, wire: Relay, processes: Any) -> None:
        """`wire` counts what the page gets; `processes` is the browser's session of the DevTools protocol."""
        self._page = page
        self._processes = processes
        self._wire = wire
        self._thread = page.context.new_cdp_session(page)
        self._thread.send("Performance.enable", {"timeDomain": "threadTicks"})

    def shows(self, selector: str) -> bool:
        """Bring a view to the front; return whether the page has it."""
        if not self._page.locator(selector).count():
            return False
        self._page.click(selector)
        self._page.wait_for_timeout(SETTLE_MS)
        return True

    def press(self, selector: str) -> None:
        """Press a button."""
        self._page.click(selector)

    def read(self, seconds: float) -> Reading:
        """Watch the page for so long."""
        before, received, cpu = self._page.evaluate(_COUNTS), self._wire.received, self._cpu_seconds()
        main = self._main_seconds()
        started = self._now()
        self._page.wait_for_timeout(seconds * 1000)
        elapsed = self._now() - started
        after = self._page.evaluate(_COUNTS)
        return Reading(
            elapsed,
            after["states"] - before["states"],
            tuple(after["tasks"][len(before["tasks"]) :]),
            self._wire.received - received,
            self._cpu_seconds() - cpu,
            self._main_seconds() - main,
        )

    def _now(self) -> float:
        return float(self._page.evaluate("() => performance.now()")) / 1000

    def _main_seconds(self) -> float:
        known = self._thread.send("Performance.getMetrics")["metrics"]
        return float(next(one["value"] for one in known if one["name"] == "TaskDuration"))

    def _cpu_seconds(self) -> float:
        known = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(one["cpuTime"] for one in known if one["type"] == "renderer")


def measure(serve: Sequence[str], seconds: float, repeat: int, linux: bool) -> Iterator[Figure]:
    """Yield the figures of the page, watching each view for `seconds`; first paint is of `repeat` visits.

    How long a key takes to its echo is measured if there is a `linux` guest.

    `serve` is a command that takes `--port`, `--data` and `--lessons`, and prints its address when it serves.
    Raises BenchError.
    """
    with TemporaryDirectory() as data, launcher() as chromium:
        browser = chromium.launch()
        try:
            with served_by([*serve, "--port", str(free_port()), "--data", data]) as url:
                yield from _first_looks(browser, url + LESSON, repeat)
                if linux:
                    with _opened(browser, url + echo.LESSON) as page:
                        yield from echo.figures_of(page)
            heavy = [*serve, "--port", str(free_port()), "--data", data, "--lessons", str(LESSONS)]
            with served_by(heavy) as url, relayed(url) as wire, _tab(browser, wire) as tab:
                yield from _running(tab, seconds)
                yield from _standing(tab, seconds / 2)
        finally:
            browser.close()


def _running(tab: Tab, seconds: float) -> Iterator[Figure]:
    tab.press("#run-toggle[value=run]")
    found = {name: tab.read(seconds) for name, selector in VIEWS.items() if tab.shows(selector)}
    yield from running_figures(found or {"overview": tab.read(seconds)})


def running_figures(found: dict[str, Reading]) -> Iterator[Figure]:
    """Yield what each view costs while the lab runs, and the worst of all views under the plain names."""
    readings = found.values()
    yield figure("page.updates_per_s", min(one.updates_per_s for one in readings), "1/s")
    yield figure("page.long_tasks_over_50ms", sum(len(one.tasks) for one in readings), "")
    yield figure(
        "page.longest_task_ms", max((max(one.tasks, default=0) for one in readings), default=0), "ms"
    )
    yield figure("page.stream.kB_per_s", max(one.kb_per_s for one in readings), "kB/s")
    for name, one in found.items():
        yield figure(f"page.{name}.updates_per_s", one.updates_per_s, "1/s")
        yield figure(f"page.{name}.long_tasks_over_50ms", len(one.tasks), "")
        yield figure(f"page.{name}.stream.kB_per_s", one.kb_per_s, "kB/s")
        yield figure(f"page.{name}.cpu_percent", 100 * one.cpu / one.seconds, "%")
        yield figure(f"page.{name}.main_thread_ms_per_update", one.main_ms_per_update, "ms")


def _standing(tab: Tab, seconds: float) -> Iterator[Figure]:
    tab.press("#run-toggle[value=pause]")
    tab.read(REST_SECONDS)  # what was drawn last, and the garbage of all before
    idle = tab.read(seconds)
    yield figure("page.idle.kB_per_s", idle.kb_per_s, "kB/s")
    yield figure("page.idle.main_thread_percent", 100 * idle.main / idle.seconds, "%")
    yield figure("page.idle.cpu_percent", 100 * idle.cpu / idle.seconds, "%")
    yield figure("page.idle.updates_per_s", idle.updates_per_s, "1/s")


def _first_looks(browser: Any, url: str, repeat: int) -> Iterator[Figure]:
    """Yield what new students wait for and what they have to load."""
    looks: list[dict[str, float]] = []
    for _ in range(repeat):
        with _opened(browser, url) as page:
            looks.append(page.evaluate(_LOADED))
    yield figure("page.first_paint.ms", median(one["paint"] for one in looks), "ms")
    yield figure("page.first_state.ms", median(one["state"] for one in looks), "ms")
    yield figure("page.script.kB_brotli", looks[-1]["scripts"] / 1000, "kB")


@contextmanager
def _tab(browser: Any, wire: Relay) -> Generator[Tab]:
    with _opened(browser, wire.url + HEAVY) as page:
        yield Tab(page, wire, browser.new_browser_cdp_session())


@contextmanager
def _opened(browser: Any, url: str) -> Generator[Any]:
    """Open a lesson as a new student; it is there when the first observation was drawn."""
    context = browser.new_context(viewport=WINDOW)
    try:
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.add_init_script(_WATCH)
        page.goto(url)
        for _ in range(TIMEOUT_MS // 100):
            if page.evaluate("() => bench.firstState"):
                break
            page.wait_for_timeout(100)
        else:
            raise BenchError("bench: the page never showed its lab")
        page.wait_for_timeout(500)  # for scripts that are loaded once the page stands
        yield page
    finally:
        context.close()
