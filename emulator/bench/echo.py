"""How long a key takes to its echo: from the press in the page to the change of a terminal of a Linux guest.

The key goes to the server, into the log of the run, to the guest's console, through its shell and the whole
way back. The lab runs as fast as the real clock. These are wall times.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median
from string import ascii_lowercase
from typing import Any

from emulator.bench.chromium import TIMEOUT_MS
from emulator.bench.figures import Figure, figure
from emulator.bench.stopwatch import BenchError

LESSON, VM, PROMPT = "/lessons/three-systems/", "north", "~ # "
POLL_MS = 20

_ROWS = "vm => document.querySelector(`#console-${vm} .xterm-rows`)?.textContent ?? ''"
# Notes when a key goes down and when the terminal's rows change next.
_WATCH = """vm => {
  const terminal = document.querySelector(`#console-${vm}`);
  const note = () => (bench.shownAt ??= performance.now());
  const changes = {childList: true, subtree: true, characterData: true};
  new MutationObserver(note).observe(terminal.querySelector(".xterm-rows"), changes);
  const press = () => { bench.pressedAt = performance.now(); bench.shownAt = null; };
  terminal.querySelector("textarea").addEventListener("keydown", press, true);
}"""


def figures_of(page: Any) -> Iterator[Figure]:
    """Yield the median and the 95th percentile in a page of the lesson, where `bench` is an object.

    Raises BenchError.
    """
    page.click(f'.vm-card[data-vm="{VM}"] .verbs > button[value=start]')
    page.select_option("#speed", "1")
    page.click("#run-toggle[value=run]")
    page.click("#tab-consoles")
    page.click(f"#console-{VM}-tab")
    _until(page, lambda: PROMPT in page.evaluate(_ROWS, VM), "a prompt")
    page.locator(f"#console-{VM} .xterm-helper-textarea").focus()
    page.evaluate(_WATCH, VM)
    times = [_echo_ms(page, letter) for letter in ascii_lowercase]
    yield figure("page.echo.median_ms", median(times), "ms")
    yield figure("page.echo.p95_ms", sorted(times)[len(times) * 95 // 100], "ms")


def _echo_ms(page: Any, letter: str) -> float:
    page.keyboard.press(letter)
    _until(page, lambda: page.evaluate("bench.shownAt"), f"the echo of {letter}")
    return float(page.evaluate("bench.shownAt - bench.pressedAt"))


def _until(page: Any, condition: Any, what: str) -> None:
    for _ in range(TIMEOUT_MS // POLL_MS):
        if condition():
            return
        page.wait_for_timeout(POLL_MS)
    raise BenchError(f"bench: the page never showed {what}")
