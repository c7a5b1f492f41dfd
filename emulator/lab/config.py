"""The configuration of a lab, as it stands in a lesson's front matter, validated once and then frozen.

    host: {pcpus: 2, memory: 8 MiB, clock: 100 MHz, timeslice: 1 ms, scheduler: round-robin}
    vms:
      - {name: a, vcpus: 1, memory: 1 MiB, program: hello.s, autostart: false, on_fault: crash}
      - {name: b, memory: 32 MiB, program: linux, append: quiet, disk: 16 MiB, network: lan, rng: true}

What is said about CPU time (`scheduler`, `weight`, `cap`, ...) is explained in `cpu.py`. Whether the VMs fit
the host is not decided here: defining more memory than the host has is allowed, starting it is not.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from emulator.hypervisor.network import PLAIN_LINK, LinkSettings
from emulator.hypervisor.scheduler import DEFAULT_WEIGHT, RoundRobin
from emulator.isa.extensions import DEFAULT_ISA, Isa, IsaError, parse_isa
from emulator.lab import cpu, exit_config
from emulator.lab.cpu import MAX_PCPUS, CpuConfig, format_pcpus
from emulator.lab.memory_config import HOST_MEMORY_KEYS, VM_MEMORY_KEYS, HostMemoryConfig, RamConfig
from emulator.lab.monitoring.rules import DEFAULT_INTERVAL_NS, Rule, read_rules, sampling_interval
from emulator.lab.network_config import CardConfig, NetworkConfig, read_networks
from emulator.lab.quantities import DURATION_UNITS, RATE_UNITS, format_quantity, format_size, quoted
from emulator.lab.storage_config import DiskConfig as DiskConfig
from emulator.lab.storage_config import PoolConfig, read_pools
from emulator.lab.values import (
    ConfigError,
    boolean,
    kind_of,
    memory_size,
    one_of,
    optional,
    quantity,
    table_of,
    vm_name,
    whole_number,
)

MAX_VCPUS = 8
MAX_VMS = 64
MIN_HOST_BYTES, MAX_HOST_BYTES = 1 << 20, 1 << 30
MIN_VM_BYTES = 64 << 10
MAX_COMMAND_LINE = 1023  # COMMAND_LINE_SIZE of Linux on RISC-V is 1024, with the end
TIMEBASE_HZ = 10_000_000  # ticks of the guest's `time` counter; a pCPU runs a whole number of cycles in each
MAX_CLOCK_HZ = 10_000_000_000
MIN_TIMESLICE_NS, MAX_TIMESLICE_NS = 10_000, 10_000_000_000

OnFault = Literal["crash", "skip", "inject"]
Paging = Literal["nested", "shadow"]
ConsoleKind = Literal["sbi", "virtio"]

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PROGRAM = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")


ALWAYS_SHOWN = ("pcpus", "memory", "clock", "timeslice")
HOST_KEYS = (*ALWAYS_SHOWN, "isa", "scheduler", "period", "offline", "costs", "vmid", *HOST_MEMORY_KEYS)


@dataclass(frozen=True, slots=True)
class HostConfig:
    """A physical host: `pcpus` harts with `isa`, `memory` bytes, `clock` in hertz, `timeslice` in ns.

    `scheduler` names a policy, `period` (ns) is that in which caps hold, `offline` the unplugged pCPUs.
    `costs` are the prices of the hypervisor's work that differ from the defaults, in cycles.
    """

    pcpus: int = 2
    memory: int = 8 << 20
    clock: int = 100_000_000
    timeslice: int = 1_000_000
    isa: Isa = DEFAULT_ISA
    scheduler: str = RoundRobin.name
    period: int = cpu.DEFAULT_PERIOD_NS
    offline: tuple[int, ...] = ()
    giving: HostMemoryConfig = field(default_factory=HostMemoryConfig)
    costs: exit_config.Prices = ()
    vmid: bool = True

    @classmethod
    def from_dict(cls, data: object, path: str = "host") -> HostConfig:
        """Return the host that `data` (a plain mapping) describes; raise ConfigError."""
        table = table_of(data, path, HOST_KEYS)
        default = cls()
        host = cls(
            pcpus=optional(table, path, "pcpus", default.pcpus, pcpu_count),
            memory=optional(table, path, "memory", default.memory, host_memory),
            clock=optional(table, path, "clock", default.clock, clock_rate),
            timeslice=optional(table, path, "timeslice", default.timeslice, timeslice_length),
            isa=optional(table, path, "isa", default.isa, host_isa),
            scheduler=optional(table, path, "scheduler", default.scheduler, cpu.scheduler_name),
            period=optional(table, path, "period", default.period, cpu.period),
            offline=optional(table, path, "offline", default.offline, cpu.pcpu_set),
            giving=HostMemoryConfig.from_table(table, path),
            costs=optional(table, path, "costs", default.costs, exit_config.costs),
            vmid=optional(table, path, "vmid", default.vmid, exit_config.vmid),
        )
        _require_online(host, f"{path}.offline")
        return host

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back; some keys only if they are set."""
        default = HostConfig().full_dict()
        values = self.full_dict().items()
        return {key: value for key, value in values if key in ALWAYS_SHOWN or value != default[key]}

    def full_dict(self) -> dict[str, object]:
        """Return every key."""
        return {
            "pcpus": self.pcpus,
            "memory": format_size(self.memory),
            "clock": format_quantity(self.clock, RATE_UNITS),
            "timeslice": format_quantity(self.timeslice, DURATION_UNITS),
            "isa": self.isa.string(),
            "scheduler": self.scheduler,
            "period": format_quantity(self.period, DURATION_UNITS),
            "offline": format_pcpus(self.offline),
            **self.giving.full_dict(),
            "costs": dict(self.costs),
            "vmid": exit_config.format_vmid(self.vmid),
        }


VM_KEYS = (
    *("name", "vcpus", "memory", "program", "autostart", "on_fault", "append", "paging"),
    *("disk", "network", "console", "rng", "balloon", "vmgenid", "uuid"),
    *("weight", "cap", "reservation", "period", "affinity"),
    *VM_MEMORY_KEYS,
)
# Values that are left out when a configuration is shown.
NO_DEVICES = {"disk": "", "network": "", "console": "sbi", "rng": False, "balloon": False, "vmgenid": False}
ABSENT = {"append": "", "uuid": "", "paging": "nested", **NO_DEVICES}
# What can change while a VM is on.
LIVE_VM_KEYS = (
    *("weight", "cap", "reservation", "period", "affinity", "vcpus", "autostart"),
    *("memory", "memory_limit", "memory_reservation"),
)


@dataclass(frozen=True, slots=True)
class VmConfig:
    """A virtual machine: `memory` bytes from GPA 0x8000_0000, and the program that is loaded when it starts.

    `on_fault` says what the hypervisor does about an access outside the VM's memory and devices: `crash` the
    VM, `skip` the instruction, or `inject` an access fault into the guest. `append` is the command line of a
    kernel, `network` the name of the virtual switch that its network card is plugged into ("": no card). The
    `paging` is how the MMU translates: through both tables, or through a shadow of them. The
    console is the hypervisor's (SBI calls) or also a virtio device; `rng`, `balloon` and `vmgenid` add those
    devices. `uuid` "" stands for one that follows from the lab's seed and the name.
    """

    name: str
    program: str
    vcpus: int = 1
    memory: int = 1 << 20
    autostart: bool = False
    on_fault: OnFault = "crash"
    paging: Paging = "nested"
    append: str = ""
    disk: DiskConfig | None = None
    network: str = ""
    link: LinkSettings = PLAIN_LINK
    console: ConsoleKind = "sbi"
    rng: bool = False
    balloon: bool = False
    vmgenid: bool = False
    uuid: str = ""
    cpu: CpuConfig = field(default_factory=CpuConfig)
    ram: RamConfig = field(default_factory=RamConfig)

    @classmethod
    def from_dict(cls, data: object, path: str) -> VmConfig:
        """Return the VM that `data` (a plain mapping) describes; raise ConfigError."""
        table = table_of(data, path, VM_KEYS)
        for key in ("name", "program"):
            if key not in table:
                example = "hello" if key == "name" else "hello.s"
                raise ConfigError(path, f"has no {key}; expected one, e.g. `{key}: {example}`")
        memory = optional(table, path, "memory", 1 << 20, vm_memory)
        card = optional(table, path, "network", CardConfig(), CardConfig.from_value)
        return cls(
            name=vm_name(table["name"], f"{path}.name"),
            program=program_name(table["program"], f"{path}.program"),
            vcpus=optional(table, path, "vcpus", 1, vcpu_count),
            memory=memory,
            autostart=optional(table, path, "autostart", False, boolean),
            on_fault=optional(table, path, "on_fault", "crash", _on_fault),
            paging=optional(table, path, "paging", "nested", _paging),
            append=optional(table, path, "append", "", command_line),
            disk=optional(table, path, "disk", None, _disk),
            network=card.name,
            link=card.link,
            console=optional(table, path, "console", "sbi", _console),
            rng=optional(table, path, "rng", False, boolean),
            balloon=optional(table, path, "balloon", False, boolean),
            vmgenid=optional(table, path, "vmgenid", False, boolean),
            uuid=optional(table, path, "uuid", "", uuid_text),
            cpu=_cpu(table, path),
            ram=RamConfig.from_table(table, path, memory),
        )

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back; devices that are not there are left out."""
        values = {key: value for key, value in self._own_dict().items() if value != ABSENT.get(key)}
        return {**values, **self.cpu.to_dict(), **self.ram.to_dict()}

    def full_dict(self) -> dict[str, object]:
        """Return every key."""
        return {**self._own_dict(), **self.cpu.full_dict(), **self.ram.full_dict()}

    def _own_dict(self) -> dict[str, object]:
        return {
            "name": self.name,
            "vcpus": self.vcpus,
            "memory": format_size(self.memory),
            "program": self.program,
            "autostart": self.autostart,
            "on_fault": self.on_fault,
            "paging": self.paging,
            "append": self.append,
            "disk": self.disk.to_value() if self.disk else "",
            "network": CardConfig(self.network, self.link).to_value(),
            "console": self.console,
            "rng": self.rng,
            "balloon": self.balloon,
            "vmgenid": self.vmgenid,
            "uuid": self.uuid,
        }


@dataclass(frozen=True, slots=True)
class LabConfig:
    """A whole lab: one host and the VMs that are defined on it from the start."""

    host: HostConfig = field(default_factory=HostConfig)
    vms: tuple[VmConfig, ...] = ()
    pools: tuple[PoolConfig, ...] = ()
    networks: tuple[NetworkConfig, ...] = ()
    rules: tuple[Rule, ...] = ()
    sampling: int = DEFAULT_INTERVAL_NS

    @classmethod
    def from_dict(cls, data: object, path: str = "lab") -> LabConfig:
        """Return the lab that `data` (the plain mapping under `lab:`) describes; raise ConfigError.

        Paths in errors start below `lab`: "host.memory", "vms[1].memory".
        """
        table = table_of(data, path, ("host", "pools", "networks", "vms", "rules", "sampling"))
        host = HostConfig.from_dict(table.get("host", {}))
        entries = table.get("vms", [])
        if not isinstance(entries, Sequence) or isinstance(entries, str | bytes):
            raise ConfigError("vms", f"is {kind_of(entries)}; expected a list of VMs")
        entries = cast("Sequence[object]", entries)
        if len(entries) > MAX_VMS:
            raise ConfigError("vms", f"has {len(entries)} entries; a lab holds at most {MAX_VMS} VMs")
        vms = tuple(VmConfig.from_dict(entry, f"vms[{index}]") for index, entry in enumerate(entries))
        _reject_duplicate_names(vms)
        rules = read_rules(table["rules"]) if "rules" in table else ()
        every = sampling_interval(table["sampling"]) if "sampling" in table else DEFAULT_INTERVAL_NS
        return cls(host, vms, read_pools(table), read_networks(table), rules, every)

    def to_dict(self) -> dict[str, object]:
        """Return the plain mapping that `from_dict` reads back."""
        networks = {"networks": [one.to_dict() for one in self.networks]} if self.networks else {}
        pools = {"pools": [pool.to_dict() for pool in self.pools]} if self.pools else {}
        rules = {"rules": [rule.to_dict() for rule in self.rules]} if self.rules else {}
        every = {"sampling": format_quantity(self.sampling, DURATION_UNITS)}
        watched = every if self.sampling != DEFAULT_INTERVAL_NS else {}
        vms = [vm.to_dict() for vm in self.vms]
        return {"host": self.host.to_dict(), **pools, **networks, "vms": vms, **rules, **watched}


def pcpu_count(value: object, path: str = "pcpus") -> int:
    """Return a valid number of pCPUs; raise ConfigError."""
    return whole_number(value, path, 1, MAX_PCPUS)


def vcpu_count(value: object, path: str = "vcpus") -> int:
    """Return a valid number of vCPUs; raise ConfigError."""
    return whole_number(value, path, 1, MAX_VCPUS)


def host_memory(value: object, path: str = "memory") -> int:
    """Return a valid host memory size in bytes; raise ConfigError."""
    return memory_size(value, path, MIN_HOST_BYTES, MAX_HOST_BYTES)


def vm_memory(value: object, path: str = "memory") -> int:
    """Return a valid VM memory size in bytes; raise ConfigError."""
    return memory_size(value, path, MIN_VM_BYTES, MAX_HOST_BYTES)


def clock_rate(value: object, path: str = "clock") -> int:
    """Return a valid clock rate in hertz; raise ConfigError."""
    rate = quantity(value, path, RATE_UNITS, "100 MHz", TIMEBASE_HZ, MAX_CLOCK_HZ)
    if rate % TIMEBASE_HZ:
        raise ConfigError(path, f"is {format_quantity(rate, RATE_UNITS)}; must be a multiple of 10 MHz")
    return rate


def timeslice_length(value: object, path: str = "timeslice") -> int:
    """Return a valid timeslice in nanoseconds; raise ConfigError."""
    return quantity(value, path, DURATION_UNITS, "1 ms", MIN_TIMESLICE_NS, MAX_TIMESLICE_NS)


def host_isa(value: object, path: str = "isa") -> Isa:
    """Return the extensions that an ISA string names; raise ConfigError."""
    if not isinstance(value, str):
        raise ConfigError(path, f"is {quoted(value)}; expected an ISA string, e.g. `rv64imac_sstc`")
    try:
        return parse_isa(value)
    except IsaError as error:
        raise ConfigError(path, str(error)) from error


def program_name(value: object, path: str = "program") -> str:
    """Return a valid program name (a relative path such as `guest/hello.s`); raise ConfigError."""
    if isinstance(value, str) and _PROGRAM.fullmatch(value) and ".." not in value.split("/"):
        return value
    raise ConfigError(
        path, f"is {quoted(value)}; expected the name of a program of this lesson, e.g. `hello.s`"
    )


def uuid_text(value: object, path: str = "uuid") -> str:
    """Return a UUID as libvirt writes it, or "" for none; raise ConfigError."""
    if value == "":
        return ""
    if isinstance(value, str) and _UUID.fullmatch(value.lower()):
        return value.lower()
    raise ConfigError(path, f"is {quoted(value)}; expected a UUID, e.g. `{uuid.UUID(int=1 << 100)}`")


def command_line(value: object, path: str = "append") -> str:
    """Return a valid kernel command line; raise ConfigError."""
    if isinstance(value, str) and value.isascii() and value.isprintable() and len(value) <= MAX_COMMAND_LINE:
        return value
    raise ConfigError(
        path,
        f"is {quoted(value)}; expected a kernel's command line, at most {MAX_COMMAND_LINE} ASCII characters"
        " on one line, e.g. `console=hvc0 quiet`",
    )


def _cpu(table: Mapping[str, Any], path: str) -> CpuConfig:
    return CpuConfig(
        weight=optional(table, path, "weight", DEFAULT_WEIGHT, cpu.weight),
        cap=optional(table, path, "cap", 0, cpu.cap),
        reservation=optional(table, path, "reservation", 0, cpu.reservation),
        period=optional(table, path, "period", 0, cpu.vm_period),
        affinity=optional(table, path, "affinity", (), cpu.pcpu_set),
    )


def _require_online(host: HostConfig, path: str) -> None:
    for pcpu in host.offline:
        if pcpu >= host.pcpus:
            raise ConfigError(path, f"names pCPU {pcpu}, and the host has {host.pcpus}, from 0")
    if len(host.offline) == host.pcpus:
        raise ConfigError(path, "names every pCPU; at least one has to stay online")


def _paging(value: object, path: str) -> Paging:
    return one_of(value, path, get_args(Paging))


def _on_fault(value: object, path: str) -> OnFault:
    return one_of(value, path, get_args(OnFault))


def _console(value: object, path: str) -> ConsoleKind:
    return one_of(value, path, get_args(ConsoleKind))


def _disk(value: object, path: str) -> DiskConfig | None:
    return None if value in (None, "", "none") else DiskConfig.from_value(value, path)


def _reject_duplicate_names(vms: tuple[VmConfig, ...]) -> None:
    first: dict[str, int] = {}
    for index, vm in enumerate(vms):
        if vm.name in first:
            raise ConfigError(
                f"vms[{index}].name", f"is {quoted(vm.name)}, already the name of vms[{first[vm.name]}]"
            )
        first[vm.name] = index
