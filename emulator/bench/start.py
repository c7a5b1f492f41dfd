"""How long the page of a lesson takes until a guest runs in the browser: the real server, the real page.

*Cold* is from pressing "in this browser" in a new profile, which has nothing of the engine yet. *Warm* is
from the beginning of a reload, after which the lab, which lives in the browser, comes back by itself. Both
end when the guest has advanced (the page's mark `engine-moved`). These are wall times.
"""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from emulator.bench.chromium import TIMEOUT_MS, launcher
from emulator.bench.figures import Figure, figure
from emulator.bench.stopwatch import BenchError

LESSON, VM = "/lessons/first-virtual-machine/", "b"
# Milliseconds from `since` (a mark, or the page's beginning) to the last `engine-moved`; 0 until then.
_MOVED = """since => {
  const at = (name) => performance.getEntriesByName(name).at(-1)?.startTime ?? 0;
  return Math.max(0, at("engine-moved") - (since && at(since)));
}"""


def measure(serve: Sequence[str], repeat: int) -> Iterator[Figure]:
    """Yield `engines.cold_s` and the median `engines.warm_s` of `repeat` reloads.

    `serve` is a command that takes `--port` and `--data`, and prints its address when it serves.
    Raises BenchError.
    """
    with (
        TemporaryDirectory() as data,
        served_by([*serve, "--port", str(free_port()), "--data", data]) as url,
        launcher() as chromium,
    ):
        context = chromium.launch_persistent_context(str(Path(data) / "profile"))
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.goto(url + LESSON)
        page.click(f'.vm-card[data-vm="{VM}"] .verbs > button[value=start]')
        page.click("#run-toggle[value=run]")
        page.click("[data-place=browser]")
        yield figure("engines.cold_s", _seconds(page, "engine-asked"), "s")
        yield figure("engines.warm_s", median(_reloaded(page) for _ in range(repeat)), "s")
        context.close()


def _reloaded(page: Any) -> float:
    page.wait_for_timeout(2000)  # for what the page keeps once it stands
    page.reload()
    return _seconds(page, "")


def _seconds(page: Any, since: str) -> float:
    # The page's policy forbids the `eval` that waiting for a function would need.
    for _ in range(TIMEOUT_MS // 100):
        if found := page.evaluate(_MOVED, since):
            return float(found) / 1000
        page.wait_for_timeout(100)
    raise BenchError("bench: the lab did not begin to run in the browser")


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def served_by(command: Sequence[str]) -> Generator[str]:
    """Start a server and give its address, which it prints; end it. Raises BenchError."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            said = server.stdout.readline()
            if not (found := re.search(r"http://\S+", said)):
                raise BenchError(f"bench: the server did not come up: {said}")
            yield found[0]
        finally:
            server.terminate()
