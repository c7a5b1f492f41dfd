"""The configuration of a lab, as it stands in a lesson's front matter, validated once and then frozen.

    host: {pcpus: 2, memory: 8 MiB, clock: 100 MHz, timeslice: 1 ms}
    vms:
      - {name: a, vcpus: 1, memory: 1 MiB, program: hello.s, autostart: false, on_fault: crash}

Whether the VMs fit the host is not decided here: defining more memory than the host has is allowed,
starting it is not.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast, get_args

from emulator.errors import VmLabError
from emulator.lab.quantities import (
    DURATION_UNITS,
    RATE_UNITS,
    SIZE_UNITS,
    format_quantity,
    format_size,
    parse_quantity,
)

PAGE_BYTES = 4096
MAX_PCPUS = 8
MAX_VCPUS = 8
MAX_VMS = 64
MIN_HOST_BYTES, MAX_HOST_BYTES = 1 << 20, 1 << 30
MIN_VM_BYTES = 64 << 10
MAX_COMMAND_LINE = 1023  # COMMAND_LINE_SIZE of Linux on RISC-V is 1024, with the end
TIMEBASE_HZ = 10_000_000  # ticks of the guest's `time` counter; a pCPU runs a whole number of cycles in each
MAX_CLOCK_HZ = 10_000_000_000
MIN_TIMESLICE_NS, MAX_TIMESLICE_NS = 10_000, 10_000_000_000

OnFault = Literal["crash", "skip", "inject"]
T = TypeVar("T")

_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")


class ConfigError(VmLabError):
    """A lab configuration is wrong; `path` says where ("vms[1].memory"), the message what and the remedy."""

    def __init__(self, path: str, problem: str) -> None:
        """Keep the path apart from the sentence, so that a lesson can put its file and line in front."""
        super().__init__(f"{path} {problem}")
        self.path = path
        self.problem = problem


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A physical host: `pcpus` harts, `memory` bytes, `clock` in hertz, `timeslice` in nanoseconds."""

    pcpus: int = 2
    memory: int = 8 << 20
    clock: int = 100_000_000
    timeslice: int = 1_000_000

    @classmethod
    def from_dict(cls, data: object, path: str = "host") -> HostConfig:
        """Return the host that `data` (a plain mapping) describes; raise ConfigError."""
        table = _table(data, path, ("pcpus", "memory", "clock", "timeslice"))
        default = cls()
        return cls(
            pcpus=_get(table, path, "pcpus", default.pcpus, pcpu_count),
            memory=_get(table, path, "memory", default.memory, host_memory),
            clock=_get(table, path, "clock", default.clock, clock_rate),
            timeslice=_get(table, path, "timeslice", default.timeslice, timeslice_length),
        )

    def to_dict(self) -> dict[str, str | int]:
        """Return the plain mapping that `from_dict` reads back."""
        return {
            "pcpus": self.pcpus,
            "memory": format_size(self.memory),
            "clock": format_quantity(self.clock, RATE_UNITS),
            "timeslice": format_quantity(self.timeslice, DURATION_UNITS),
        }


@dataclass(frozen=True, slots=True)
class VmConfig:
    """A virtual machine: `memory` bytes from GPA 0x8000_0000, and the program that is loaded when it starts.

    `on_fault` says what the hypervisor does about an access outside the VM's memory: `crash` the VM, `skip`
    the instruction, or `inject` an access fault into the guest. `append` is the command line of a kernel.
    """

    name: str
    program: str
    vcpus: int = 1
    memory: int = 1 << 20
    autostart: bool = False
    on_fault: OnFault = "crash"
    append: str = ""

    @classmethod
    def from_dict(cls, data: object, path: str) -> VmConfig:
        """Return the VM that `data` (a plain mapping) describes; raise ConfigError."""
        keys = ("name", "vcpus", "memory", "program", "autostart", "on_fault", "append")
        table = _table(data, path, keys)
        for key in ("name", "program"):
            if key not in table:
                example = "hello" if key == "name" else "hello.s"
                raise ConfigError(path, f"has no {key}; expected one, e.g. `{key}: {example}`")
        return cls(
            name=vm_name(table["name"], f"{path}.name"),
            program=program_name(table["program"], f"{path}.program"),
            vcpus=_get(table, path, "vcpus", 1, vcpu_count),
            memory=_get(table, path, "memory", 1 << 20, vm_memory),
            autostart=_get(table, path, "autostart", False, _boolean),
            on_fault=_get(table, path, "on_fault", "crash", _on_fault),
            append=_get(table, path, "append", "", command_line),
        )

    def to_dict(self) -> dict[str, str | int | bool]:
        """Return the plain mapping that `from_dict` reads back."""
        append = {"append": self.append} if self.append else {}
        return {
            "name": self.name,
            "vcpus": self.vcpus,
            "memory": format_size(self.memory),
            "program": self.program,
            "autostart": self.autostart,
            "on_fault": self.on_fault,
            **append,
        }


@dataclass(frozen=True, slots=True)
class LabConfig:
    """A whole lab: one host and the VMs that are defined on it from the start."""

    host: HostConfig = field(default_factory=HostConfig)
    vms: tuple[VmConfig, ...] = ()

    @classmethod
    def from_dict(cls, data: object, path: str = "lab") -> LabConfig:
        """Return the lab that `data` (the plain mapping under `lab:`) describes; raise ConfigError.

        Paths in errors start below `lab`: "host.memory", "vms[1].memory".
        """
        table = _table(data, path, ("host", "vms"))
        host = HostConfig.from_dict(table.get("host", {}))
        entries = table.get("vms", [])
        if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
            raise ConfigError("vms", f"is {_kind(entries)}; expected a list of VMs")
        entries = cast("Sequence[object]", entries)
        if len(entries) > MAX_VMS:
            raise ConfigError("vms", f"has {len(entries)} entries; a lab holds at most {MAX_VMS} VMs")
        vms = tuple(VmConfig.from_dict(entry, f"vms[{index}]") for index, entry in enumerate(entries))
        _reject_duplicate_names(vms)
        return cls(host, vms)

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back."""
        return {"host": self.host.to_dict(), "vms": [vm.to_dict() for vm in self.vms]}


def pcpu_count(value: object, path: str = "pcpus") -> int:
    """Return a valid number of pCPUs; raise ConfigError."""
    return _whole_number(value, path, 1, MAX_PCPUS)


def vcpu_count(value: object, path: str = "vcpus") -> int:
    """Return a valid number of vCPUs; raise ConfigError."""
    return _whole_number(value, path, 1, MAX_VCPUS)


def host_memory(value: object, path: str = "memory") -> int:
    """Return a valid host memory size in bytes; raise ConfigError."""
    return _memory(value, path, MIN_HOST_BYTES, MAX_HOST_BYTES)


def vm_memory(value: object, path: str = "memory") -> int:
    """Return a valid VM memory size in bytes; raise ConfigError."""
    return _memory(value, path, MIN_VM_BYTES, MAX_HOST_BYTES)


def clock_rate(value: object, path: str = "clock") -> int:
    """Return a valid clock rate in hertz; raise ConfigError."""
    rate = _quantity(value, path, RATE_UNITS, "100 MHz", TIMEBASE_HZ, MAX_CLOCK_HZ)
    if rate % TIMEBASE_HZ:
        raise ConfigError(path, f"is {format_quantity(rate, RATE_UNITS)}; must be a multiple of 10 MHz")
    return rate


def timeslice_length(value: object, path: str = "timeslice") -> int:
    """Return a valid timeslice in nanoseconds; raise ConfigError."""
    return _quantity(value, path, DURATION_UNITS, "1 ms", MIN_TIMESLICE_NS, MAX_TIMESLICE_NS)


def vm_name(value: object, path: str = "name") -> str:
    """Return a valid VM name; raise ConfigError."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ConfigError(
        path,
        f"is {value!r}; expected a name of 1 to 32 lower-case letters, digits and hyphens"
        " that starts with a letter, e.g. `web-1`",
    )


def program_name(value: object, path: str = "program") -> str:
    """Return a valid program name (a relative path such as `guest/hello.s`); raise ConfigError."""
    if isinstance(value, str) and _PROGRAM.fullmatch(value) and ".." not in value.split("/"):
        return value
    raise ConfigError(path, f"is {value!r}; expected the name of a program of this lesson, e.g. `hello.s`")


def command_line(value: object, path: str = "append") -> str:
    """Return a valid kernel command line; raise ConfigError."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= MAX_COMMAND_LINE:
        return value
    raise ConfigError(
        path,
        f"is {value!r}; expected a kernel's command line, at most {MAX_COMMAND_LINE} ASCII characters on one"
        " line, e.g. `console=hvc0 quiet`",
    )


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest of `known`, or an empty string."""
    matches = difflib.get_close_matches(word, known, 1, 0.5)
    return f"; did you mean `{matches[0]}`?" if matches else ""


def _table(data: object, path: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    """Return `data` as a mapping that has known keys only."""
    if not isinstance(data, Mapping):
        raise ConfigError(path, f"is {_kind(data)}; expected a mapping with the keys {', '.join(known)}")
    table = cast("Mapping[object, Any]", data)
    for key in table:
        if key not in known:
            where = f"{path}.{key}" if path != "lab" else str(key)
            hint = nearest(str(key), known) or f"; known keys: {', '.join(known)}"
            raise ConfigError(where, f"is not a known key{hint}")
    return cast("Mapping[str, Any]", table)


def _get(table: Mapping[str, Any], path: str, key: str, default: T, read: Callable[[object, str], T]) -> T:
    """Return the value of an optional key, read and checked by `read`."""
    return read(table[key], f"{path}.{key}") if key in table else default


def _whole_number(value: object, path: str, low: int, high: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(path, f"is {value!r}; expected a whole number from {low} to {high}")
    if not low <= value <= high:
        raise ConfigError(path, f"is {value}; must be from {low} to {high}")
    return value


def _quantity(value: object, path: str, units: Mapping[str, int], example: str, low: int, high: int) -> int:
    """Return a quantity from `low` to `high`, in the smallest of `units`."""
    try:
        number = parse_quantity(value, units, example)
    except ValueError as error:
        raise ConfigError(path, f"is wrong: {error}") from error
    if not low <= number <= high:
        limits = f"{format_quantity(low, units)} to {format_quantity(high, units)}"
        raise ConfigError(path, f"is {format_quantity(number, units)}; must be from {limits}")
    return number


def _memory(value: object, path: str, low: int, high: int) -> int:
    """Return a size that is a whole number of pages."""
    number = _quantity(value, path, SIZE_UNITS, "8 MiB", 0, 1 << 62)
    if number % PAGE_BYTES:
        raise ConfigError(path, f"is {format_size(number)}; must be a multiple of 4 KiB")
    if not low <= number <= high:
        raise ConfigError(
            path, f"is {format_size(number)}; must be from {format_size(low)} to {format_size(high)}"
        )
    return number


def _boolean(value: object, path: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigError(path, f"is {value!r}; expected true or false")


def _on_fault(value: object, path: str) -> OnFault:
    known = get_args(OnFault)
    if value in known:
        return cast("OnFault", value)
    raise ConfigError(path, f"is {value!r}; expected one of {', '.join(known)}{nearest(str(value), known)}")


def _reject_duplicate_names(vms: tuple[VmConfig, ...]) -> None:
    first: dict[str, int] = {}
    for index, vm in enumerate(vms):
        if vm.name in first:
            raise ConfigError(
                f"vms[{index}].name", f"is {vm.name!r}, already the name of vms[{first[vm.name]}]"
            )
        first[vm.name] = index


def _kind(value: object) -> str:
    """Return what a YAML reader would call the value."""
    names = (
        (type(None), "empty"),
        (bool, "a boolean"),
        (int | float, "a number"),
        (str, "a text"),
        (list, "a list"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a mapping")
