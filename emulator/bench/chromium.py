"""A Chromium that runs benchmark programs: the page in `page/`, served here and driven by Playwright.

Playwright and Chromium are found when they are needed; the page's files are those that `make assets` builds.
"""

from __future__ import annotations

import importlib
import io
import shutil
import threading
import time
import zipfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from emulator.bench.stopwatch import BenchError

PAGE = Path(__file__).with_name("page")
NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
TIMEOUT_MS = 600_000
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Places:
    """What the page's server shows: the built engine, guests, v86 if there is one, and archives.

    `archives` are zip files of Python modules, as the real page's worker unpacks them.
    """

    engine: Path
    guests: Path
    archives: tuple[bytes, ...]
    v86: Path | None = None


class Page:
    """One page with its worker."""

    def __init__(self, page: Any, cpu_seconds: Callable[[], float], archives: int) -> None:
        """Drive a Playwright page of `page/index.html`; `cpu_seconds()` is what its process has used."""
        self._page = page
        self._archives = [f"/archives/{number}" for number in range(archives)]
        self._cpu_seconds = cpu_seconds

    def start(self, guest: Path) -> None:
        """Start the engine with a guest."""
        self._page.evaluate(
            "([guest, archives]) => start(guest, archives)", [f"/guests/{guest.name}", self._archives]
        )

    def run(self, guest: Path) -> dict[str, Any]:
        """Run an RV64 ELF file; return `seconds`, `instructions` and `check` (hexadecimal)."""
        return self._timed("guest => runGuest(guest)", guest)

    def run_x86(self, guest: Path) -> dict[str, Any]:
        """Run an x86 ELF file in v86; return `seconds` and the `text` of its console."""
        return self._timed("guest => runX86(guest)", guest)

    def _timed(self, script: str, guest: Path) -> dict[str, Any]:
        """Run a script; of the seconds that it measures, keep the share in which the page had a processor.

        A page sees no clock but the wall's, which on a busy machine runs while others do.
        """
        wall, used = time.perf_counter(), self._cpu_seconds()
        found: dict[str, Any] = self._page.evaluate(script, f"/guests/{guest.name}")
        share = (self._cpu_seconds() - used) / (time.perf_counter() - wall)
        return found | {"seconds": found["seconds"] * min(1.0, share)}


class Chromium:
    """A browser with a profile of its own."""

    def __init__(self, browser: Any, url: str, archives: int) -> None:
        """Open pages of `url` in a Playwright browser; they unpack so many archives."""
        self._archives = archives
        self._context = browser.new_context()
        self._processes = browser.new_browser_cdp_session()
        self._url = url

    @contextmanager
    def page(self) -> Generator[Page]:
        """Open the page."""
        page = self._context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        try:
            page.goto(self._url)
            page.wait_for_function("window.ready")
            yield Page(page, self._cpu_seconds, self._archives)
        finally:
            page.close()

    def _cpu_seconds(self) -> float:
        """CPU time of the processes that show pages (Chrome DevTools Protocol, SystemInfo.getProcessInfo)."""
        known = self._processes.send("SystemInfo.getProcessInfo")["processInfo"]
        return sum(one["cpuTime"] for one in known if one["type"] == "renderer")


class Launcher:
    """Starts Chromium."""

    def __init__(self, driver: Any, executable: str) -> None:
        """Start `executable` by a Playwright driver."""
        self._driver, self._options = driver, {"executable_path": executable, "args": ARGUMENTS}

    def launch(self) -> Any:
        """Return a browser."""
        return self._driver.chromium.launch(**self._options)

    def launch_persistent_context(self, profile: str) -> Any:
        """Return the context of a browser that keeps its files in a directory."""
        return self._driver.chromium.launch_persistent_context(profile, **self._options)


@contextmanager
def launcher() -> Generator[Launcher]:
    """Find Chromium and Playwright. Raises BenchError when something is missing."""
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        raise BenchError("bench: no Chromium; install Debian's package chromium")
    try:
        playwright: Any = importlib.import_module("playwright.sync_api")
    except ImportError as error:
        raise BenchError(
            "bench: no package playwright; install the development tools: `make test` does"
        ) from error
    with playwright.sync_playwright() as driver:
        yield Launcher(driver, executable)


@contextmanager
def chromium(places: Places) -> Generator[Chromium]:
    """Serve the page and start a browser. Raises BenchError when something is missing."""
    if not (places.engine / "core.wasm").is_file():
        raise BenchError(f"bench: no {places.engine / 'core.wasm'}; run `make assets`")
    with _served(places) as url, launcher() as started:
        browser = started.launch()
        try:
            yield Chromium(browser, url, len(places.archives) + 1)
        finally:
            browser.close()


def own_archive() -> bytes:
    """Return this package, which the real page does without, as an archive."""
    buffer, package = io.BytesIO(), Path(__file__).parent
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(package.glob("*.py")):
            name = path.relative_to(package.parents[1]).as_posix()
            file.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@contextmanager
def _served(places: Places) -> Generator[str]:
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(_Handler, places, (*places.archives, own_archive()))
    )
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    extensions_map = SimpleHTTPRequestHandler.extensions_map | {
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def __init__(self, places: Places, archives: tuple[bytes, ...], *arguments: Any) -> None:
        self._directories = {"engine": places.engine, "guests": places.guests, "v86": places.v86}
        self._archives = archives
        super().__init__(*arguments, directory=str(PAGE))

    def do_GET(self) -> None:
        if not self.path.startswith("/archives/"):
            super().do_GET()
            return
        archive = self._archives[int(self.path.rpartition("/")[2])]
        self.send_response(200)
        self.send_header("Content-Type", "application/zip")
        self.send_header("Content-Length", str(len(archive)))
        self.end_headers()
        self.wfile.write(archive)

    def translate_path(self, path: str) -> str:
        first, _, rest = path.removeprefix("/").partition("/")
        directory = self._directories.get(first)
        self.directory = str(directory or PAGE)
        return super().translate_path(f"/{rest}" if directory else path)

    def end_headers(self) -> None:
        # As the real server does for files whose address has their version.
        self.send_header("Cache-Control", "max-age=3600")
        super().end_headers()

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
