"""What a slow start shows."""

import io

from app.progress import ProgressLine


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_log_gets_one_line_for_each_tenth() -> None:
    log = io.StringIO()
    progress = ProgressLine(log)
    for step in range(1000):
        progress("compiling", step / 1000)
    progress.finish()
    assert log.getvalue().splitlines() == [f"{tenth * 10:3d} % compiling" for tenth in range(10)]


def test_terminal_gets_one_line_that_is_rewritten() -> None:
    terminal = Terminal()
    progress = ProgressLine(terminal)
    for step in range(1000):
        progress("compiling", step / 1000)
    progress.finish()
    assert terminal.getvalue().count("\n") == 1
    assert terminal.getvalue().count("\r") == 100


def test_nothing_to_compile_shows_nothing() -> None:
    terminal = Terminal()
    ProgressLine(terminal).finish()
    assert terminal.getvalue() == ""
