"""Progress of something slow, on one line of a terminal or a few lines of a log."""

import sys
from typing import TextIO

LOG_STEP = 10


class ProgressLine:
    """Callable as `progress(text, fraction)`, `fraction` from 0 to 1; prints only when there is news."""

    def __init__(self, stream: TextIO | None = None) -> None:
        """Write to `stream`, standard error by default."""
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = -1

    def __call__(self, text: str, fraction: float) -> None:
        """Show `text` with a percentage: each per cent on a terminal, each tenth part in a log."""
        percent = int(fraction * 100)
        news = percent if self._live else percent // LOG_STEP
        if news == self._shown:
            return
        self._shown = news
        self._stream.write(f"\r{percent:3d} % {text}" if self._live else f"{percent:3d} % {text}\n")
        self._stream.flush()

    def finish(self) -> None:
        """End the line on a terminal, if anything was shown."""
        if self._live and self._shown >= 0:
            self._stream.write("\n")
            self._stream.flush()
