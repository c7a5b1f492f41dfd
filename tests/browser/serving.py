"""`vmlab serve` in a process of its own, on a free port."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from time import monotonic, sleep

# The first start compiles the kernels.
START_SECONDS = 300


def free_port() -> int:
    """Return a TCP port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`vmlab serve` in a process of its own."""

    def __init__(self, data: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        options = ["--port", str(self.port), "--data", str(data), "--workers", "1"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output: list[str] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.output.extend(self.process.stdout)

    def wait(self) -> None:
        """Return when the server is healthy; raise AssertionError with its output if it does not come up."""
        until = monotonic() + START_SECONDS
        while monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):
                    return
            except (urllib.error.URLError, OSError):
                sleep(0.2)
        raise AssertionError("the server did not come up:\n" + "".join(self.output))

    def kill(self) -> None:
        """End the server and its workers at once, as a power failure would."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self._end()

    def stop(self) -> None:
        """End the server as an administrator would."""
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
        self._end()

    def _end(self) -> None:
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()
