"""Doors through which a student's gdb reaches a VM: a TCP port for each lab that asked for one.

Off unless the server was started with a range of ports (`vmlab serve --gdb 9000-9020`), and on the loopback
interface unless it was told another: the protocol has no passwords, so whoever reaches a port has the VM. A
port is open for one connection, which must come within five minutes; a lab has one door at a time. Whoever
begins like an HTTP client is sent away, so that no web page can use a student's browser to get in.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.desk.problem import Problem
from app.gdb.serving import listen, serve
from app.gdb.stub import Stub, TargetError
from app.gdb.target import VmTarget
from app.texts import gettext as _
from app.web.store import LabRow
from app.web.work import LabWork
from app.workers.connection import WorkerLost
from app.workers.pool import CallFailed, LabUnknown, Overloaded
from app.workers.protocol import JsonObject

WAIT_SECONDS = 300.0


class ServerMachine:
    """A lab on one of the workers, as a debugger reaches it: by what its student may ask."""

    def __init__(self, work: LabWork, row: LabRow) -> None:
        """Debug the lab of `row`."""
        self._work = work
        self._row = row

    def inspect(self, view: str, args: Mapping[str, Any]) -> JsonObject:
        """Return a view of the lab."""
        try:
            return self._work.inspect(self._row, view, args)
        except (CallFailed, LabUnknown, Overloaded, WorkerLost) as error:
            raise TargetError(str(error)) from error

    def act(self, action: JsonObject) -> None:
        """Apply an action; it is durable when this returns."""
        try:
            self._work.act(self._row, action, None)
        except (CallFailed, LabUnknown, Overloaded, Problem, WorkerLost) as error:
            raise TargetError(str(error)) from error

    def control(self, fields: JsonObject) -> None:
        """Run, pause, step, go back."""
        try:
            self._work.control(self._row, fields)
        except (CallFailed, LabUnknown, Overloaded, Problem, WorkerLost) as error:
            raise TargetError(str(error)) from error

    def run_view(self) -> JsonObject:
        """Return the lab's `run`."""
        try:
            return self._work.run_view(self._row)
        except (CallFailed, LabUnknown, Overloaded, WorkerLost) as error:
            raise TargetError(str(error)) from error


class Door:
    """One port for one debugger of one VM."""

    def __init__(self, listener: socket.socket, vm: str) -> None:
        """Wait at `listener`."""
        self.vm = vm
        self.listener = listener
        self.host, self.port = listener.getsockname()[:2]
        self.connection: socket.socket | None = None

    def close(self) -> None:
        """End the wait, and the connection."""
        for one in (self.listener, self.connection):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()


class Doors:
    """The open doors of a server."""

    def __init__(self, work: LabWork, ports: range, host: str) -> None:
        """Open none yet; no `ports`, no doors."""
        self._work = work
        self._ports = ports
        self._host = host
        self._doors: dict[str, Door] = {}
        self._guard = threading.Lock()

    def open(self, row: LabRow, vm: str) -> JsonObject:
        """Return where gdb can attach to a VM, and its command; raise a Problem, or like Pool.call."""
        if not self._ports:
            raise Problem(
                409,
                _("This server opens no ports for debuggers."),
                title=_("gdb is off"),
                remedy=_(
                    "Start it with `vmlab serve --gdb 9000-9020`, or use `vmlab run LESSON --gdb PORT`."
                ),
            )
        self._work.inspect(row, "raw_registers", {"vm": vm})  # a VM that is off is refused here
        with self._guard:
            door = self._doors.get(row.id)
            if door is not None and (door.connection is not None or door.vm != vm):
                raise Problem(
                    409,
                    _("A debugger of this lab is at VM %(vm)s already.", vm=door.vm),
                    remedy=_("Detach it, or close its port."),
                )
            if door is None:
                door = self._doors[row.id] = Door(self._listen(), vm)
                threading.Thread(target=self._attend, args=(door, row), name="gdb", daemon=True).start()
        command = f'gdb-multiarch -ex "target remote {door.host}:{door.port}"'
        return {"vm": vm, "host": door.host, "port": door.port, "command": command}

    def close(self, lab: str) -> None:
        """Close the door of a lab, if it has one."""
        with self._guard:
            door = self._doors.pop(lab, None)
        if door is not None:
            door.close()

    def close_all(self) -> None:
        """Close every door."""
        for lab in list(self._doors):
            self.close(lab)

    def _listen(self) -> socket.socket:
        taken = {door.port for door in self._doors.values()}
        for port in self._ports:
            if port not in taken:
                with suppress(OSError):  # somebody else has it
                    return listen(self._host, port)
        raise Problem(503, _("All ports for debuggers are taken; try again later."), retry_after=30)

    def _attend(self, door: Door, row: LabRow) -> None:
        """Serve the one debugger that comes through a door."""
        try:
            door.listener.settimeout(WAIT_SECONDS)
            connection, _where = door.listener.accept()
            door.connection = connection
            door.listener.close()
            with connection, suppress(TargetError):
                serve(connection, Stub(VmTarget(ServerMachine(self._work, row), door.vm)))
        except OSError:  # nobody came, or the door was closed
            pass
        finally:
            with self._guard:
                if self._doors.get(row.id) is door:
                    del self._doors[row.id]
            door.close()
