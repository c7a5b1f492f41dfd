"""A whole lab as bytes, to go on with elsewhere: in a browser, in another process, without its history.

    state = lab.save()
    lab = Lab.load(state, config, programs, seed, log, engine)

The bytes are a line of JSON (format, version of the emulator, where the lab stands, the hash of its state),
then, compressed, a graph (`emulator.lab.graph`) and the pages of the host. A cache and never more: it is used
by the same version of the emulator only, and if what was made has not the hash that was saved, SaveError says
so, and the lab is rebuilt from its log. Caches, observers, the recorded past, and policies that run are left
out.

Load only what comes from whom you trust; hashes find damage, not malice.
"""

from __future__ import annotations

import base64
import ctypes
import hashlib
import json
import zlib
from array import array
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import emulator
from emulator.errors import VmLabError
from emulator.hypervisor.trace import Revision
from emulator.lab.graph import GraphError, Maker, Writer
from emulator.lab.memento import Aside
from emulator.lab.observing import Views
from emulator.lab.registers import SeenRegisters
from emulator.lab.timetravel import Recorder
from emulator.machine.engine import Engine
from emulator.machine.host import Host, HostMemento
from emulator.machine.pages import Pages
from emulator.state import EVENT, HART, PAGE_BYTES, WALK, Layout

if TYPE_CHECKING:
    from emulator.lab.config import LabConfig
    from emulator.lab.lab import Lab, LogEntry
    from emulator.lab.programs import Program

FORMAT = "vmlab-state 1"
MAX_BYTES = 512 << 20
FRESH: tuple[type, ...] = (Views, SeenRegisters)
LAYOUTS = (HART, WALK, EVENT)
PARTS = ("devices", "hypervisor", "isa", "lab", "machine", "policy", "state.py")


class SaveError(VmLabError):
    """A lab cannot be saved, or bytes are no lab that can be gone on with: why."""


@cache
def version() -> str:
    """Return what names this version of the emulator: a digest over its sources."""
    root = Path(emulator.__file__).parent
    files = sorted(one for part in PARTS for one in _sources(root / part))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _sources(part: Path) -> list[Path]:
    return [part] if part.is_file() else list(part.rglob("*.py"))


# Saving


def save(lab: Lab) -> bytes:
    """Return a lab as it stands. Raises SaveError for one with something that cannot be kept."""
    saver = _Saver(lab)
    writer = Writer(saver.external)
    try:
        root = writer.write(lab)
    except (GraphError, ValueError) as error:
        raise SaveError(f"this lab cannot be saved: {error}") from error
    host, memory = saver.host_state()
    body = {"root": root, "nodes": writer.nodes, "host": host}
    plain = json.dumps(body, separators=(",", ":")).encode() + b"\n" + memory
    packed = zlib.compress(plain, 1)
    head = {
        "format": FORMAT,
        "version": version(),
        "position": lab.position,
        "actions": len(lab.log),
        "log": _log_digest(lab.log),
        "hash": lab.state_hash(),
        "sha256": hashlib.sha256(packed).hexdigest(),
        "bytes": len(plain),
    }
    return json.dumps(head).encode() + b"\n" + packed


class _Saver:
    """What stands for the objects around a lab, and what its host holds."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._host = lab.hypervisor.host
        self._harts = {id(hart): index for index, hart in enumerate(self._host.harts)}
        self._programs = {id(program): name for name, program in lab.programs.items()}
        self._executables = {
            id(program.executable): name
            for name, program in lab.programs.items()
            if "executable" in vars(program)
        }

    def external(self, one: Any) -> Any:
        """Return what stands for an object that is not written."""
        lab = self._lab
        if one is lab.config_at_start or one is lab.log:
            return ["config" if one is lab.config_at_start else "log"]
        if one is lab.engine or one is self._host:
            return ["engine" if one is lab.engine else "host"]
        if id(one) in self._programs:
            return ["program", self._programs[id(one)]]
        if id(one) in self._executables:
            return ["executable", self._executables[id(one)]]
        if isinstance(one, ctypes.Structure):
            return self._record(one)
        if isinstance(one, Pages):
            return ["pages", list(one.slots)]
        if isinstance(one, Revision):
            return ["revision", one.value]
        if isinstance(one, (*FRESH, Aside)):
            return (
                ["none"] if isinstance(one, Recorder) else ["fresh", type(one).__module__, type(one).__name__]
            )
        if isinstance(one, Host):  # one that was replaced: the devices of VMs that are off still know it
            return ["old host", len(one.harts), one.memory_bytes, one.clock_hz]
        return None

    def _record(self, one: ctypes.Structure) -> Any:
        if id(one) in self._harts:
            return ["hart", self._harts[id(one)]]
        layout = next((layout for layout in LAYOUTS if isinstance(one, layout.struct)), None)
        if layout is None:
            raise GraphError(f"a {type(one).__name__} cannot be kept")
        return ["record", layout.name, _text(bytes(one)[: layout.state_bytes])]

    def host_state(self) -> tuple[Any, bytes]:
        """Return registers and events of the host with the numbers of its pages, and the pages."""
        host, now = self._host, self._host.memento()
        memory: dict[int, bytes] = {}
        for pages in [now.pages, *self._held()]:
            for index, slot in enumerate(pages.slots):
                if slot and slot not in memory:
                    memory[slot] = pages.page(index)
        now.pages.release()
        state = {
            "size": [len(host.harts), host.memory_bytes, host.clock_hz],
            "harts": [_text(bytes(hart)[: HART.state_bytes]) for hart in host.harts],
            "frames": list(now.pages.slots),
            "slots": list(memory),
            "events": [_text(now.events), now.event_count, now.reservation_hart],
        }
        return state, b"".join(memory.values())

    def _held(self) -> list[Pages]:
        trees = self._lab.snapshot_trees.values()
        images = (one.image for tree in trees for one in tree.all.values())
        return [image.pages for image in images if image.pages is not None]


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


# Loading


def load(
    data: bytes,
    config: LabConfig,
    programs: Mapping[str, Program],
    seed: int,
    log: Sequence[LogEntry],
    engine: Engine,
) -> Lab:
    """Return the lab that was saved after the actions of `log`, in the lab of this beginning.

    Raises SaveError for bytes of another version or another lab, and for damaged ones.
    """
    head, body, memory = _opened(data)
    _require_on(head, log)
    try:
        loader = _Loader(config, programs, list(log[: head["actions"]]), engine, body["host"], memory)
        lab = cast("Lab", Maker(body["nodes"], loader.external).make(body["root"]))
        loader.finish(lab)
        found = (lab.seed, lab.position, lab.state_hash())
    except (GraphError, KeyError, TypeError, ValueError, IndexError, AttributeError, AssertionError) as error:
        raise SaveError(f"this state cannot be gone on with: {error!r}") from error
    if found != (seed, head["position"], head["hash"]):
        raise SaveError(f"this state is of another lab: it stands at {found}")
    return lab


def _require_on(head: Mapping[str, Any], log: Sequence[LogEntry]) -> None:
    """Raise SaveError if a state is not one that this log leads through."""
    count = head["actions"]
    if count > len(log):
        raise SaveError(f"this state has {count} actions, and the log {len(log)}")
    if head["log"] != _log_digest(log[:count]) or (
        count < len(log) and log[count]["position"] < head["position"]
    ):
        raise SaveError("this state belongs to another log")


def _log_digest(log: Sequence[LogEntry]) -> str:
    return hashlib.sha256(json.dumps(list(log), sort_keys=True).encode()).hexdigest()


def _opened(data: bytes) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    line, _, packed = data.partition(b"\n")
    try:
        head = json.loads(line)
        known = head["format"] == FORMAT and head["version"] == version()
        sound = head["sha256"] == hashlib.sha256(packed).hexdigest() and int(head["bytes"]) <= MAX_BYTES
        if not (known and sound):
            raise SaveError("this state is damaged" if known else "this state is one of another version")
        unpacker = zlib.decompressobj()
        body, _, memory = unpacker.decompress(packed, int(head["bytes"])).partition(b"\n")
        return {**head, "actions": int(head["actions"])}, json.loads(body), memory
    except (ValueError, TypeError, KeyError, zlib.error, RecursionError) as error:
        raise SaveError(f"this is no state of a lab: {error!r}") from error


class _Loader:
    """The host that a lab is made on, and the objects that stand around it."""

    def __init__(
        self,
        config: LabConfig,
        programs: Mapping[str, Program],
        log: list[LogEntry],
        engine: Engine,
        state: Any,
        memory: bytes,
    ) -> None:
        self._config = config
        self._programs = programs
        self._log = log
        self._engine = engine
        self._state = state
        self._slots: dict[int, int] = {0: 0}
        self._host: Host | None = None
        self._memory = memory

    def _made_host(self) -> Host:
        if self._host is not None:
            return self._host
        pcpus, memory, clock = self._state["size"]
        host = self._host = Host(pcpus, memory, clock, self._engine, self._config.host.isa)
        for number, slot in enumerate(self._state["slots"]):
            self._slots[slot] = host.keep(self._memory[number * PAGE_BYTES : (number + 1) * PAGE_BYTES])
        events, count, reservation = self._state["events"]
        pages = self._pages(self._state["frames"])
        assert len(pages) == host.frames
        host.put_back(HostMemento(pages, reservation, count, base64.b64decode(events)))
        pages.release()
        return host

    def external(self, name: Any) -> Any:
        """Return the object that a name stands for."""
        match name:
            case ["config"]:
                return self._config
            case ["log"]:
                return self._log
            case ["engine"]:
                return self._engine
            case ["host"]:
                return self._made_host()
            case ["old host", pcpus, memory, clock]:
                return Host(pcpus, memory, clock, self._engine, self._config.host.isa)
            case ["hart", index]:
                return self._made_host().harts[index]
            case ["program", one]:
                return self._programs[one]
            case ["executable", one]:
                return self._programs[one].executable
            case ["record", kind, text]:
                layout = next(layout for layout in LAYOUTS if layout.name == kind)
                return _filled(layout.struct(), layout, text)
            case ["pages", slots]:
                return self._pages(slots)
            case ["revision", value]:
                return Revision(value)
            case ["none"]:
                return None
            case ["fresh", *_]:
                return self._fresh(name)
            case _:
                raise GraphError(f"nothing stands for {name!r}")

    def _fresh(self, name: Any) -> Any:
        for kind in (*FRESH, *Aside.__subclasses__()):
            if name[1:] == [kind.__module__, kind.__name__]:
                return kind()
        raise GraphError(f"nothing stands for {name!r}")

    def _pages(self, slots: list[int]) -> Pages:
        host = self._made_host()
        mine = array("I", [self._slots[slot] for slot in slots])
        for slot in mine:
            if slot:
                host.slot_references[slot] += 1
        return Pages(host, mine)

    def finish(self, lab: Lab) -> None:
        """Let go of pages that only the loading held, and set the harts as they were."""
        host = self._made_host()
        Pages(host, array("I", self._slots.values())).release()
        for hart, text in zip(host.harts, self._state["harts"], strict=True):
            _filled(hart, HART, text)
        host.flush_fast()
        lab.show_anew()


def _filled(record: Any, layout: Layout, text: str) -> Any:
    data = base64.b64decode(text)
    assert len(data) == layout.state_bytes
    ctypes.memmove(ctypes.addressof(record), data, len(data))
    return record
