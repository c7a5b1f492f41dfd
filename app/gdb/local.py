"""A lab in this process as a debugger's machine: it runs while the debugger is waited for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.gdb.stub import TargetError
from app.workers.control import parse_control, steer
from app.workers.inspection import inspect
from app.workers.session import Session
from emulator.errors import VmLabError

SLICE_SECONDS = 0.02


class LocalMachine:
    """A session of this process."""

    def __init__(self, session: Session) -> None:
        """Debug the lab of `session`."""
        self._session = session

    def inspect(self, view: str, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return a view of the lab."""
        try:
            return inspect(self._session.lab, view, args)
        except VmLabError as error:
            raise TargetError(str(error)) from error

    def act(self, action: dict[str, Any]) -> None:
        """Apply an action."""
        try:
            self._session.apply(action)
        except VmLabError as error:
            raise TargetError(str(error)) from error

    def control(self, fields: dict[str, Any]) -> None:
        """Run, pause, step, go back."""
        try:
            steer(self._session, parse_control(fields))
        except VmLabError as error:
            raise TargetError(str(error)) from error

    def run_view(self) -> dict[str, Any]:
        """Run for a moment if the lab runs; return its `run`."""
        if self._session.busy():
            self._session.work(SLICE_SECONDS)
        return self._session.run_view()
