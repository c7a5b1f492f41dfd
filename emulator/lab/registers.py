"""A vCPU's registers, under the names that the guest uses, and what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from emulator.core.csr_bits import FS, HS_ONLY_INTERRUPTS, HSTATUS_VSXL, SD, VS_INTERRUPTS
from emulator.hypervisor.faults import fetch_instruction
from emulator.hypervisor.shadow import as_guest
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import HOLDS_MEMORY
from emulator.isa.causes import describe
from emulator.isa.disassembler import disassemble
from emulator.isa.registers import FLOAT_REGISTERS, REGISTERS
from emulator.lab.errors import LabError
from emulator.lab.float_registers import float_meaning, float_values
from emulator.lab.observation import (
    RegistersView,
    RegisterView,
)
from emulator.lab.observing import address
from emulator.machine.elf import Executable
from emulator.state import PRIV_S

if TYPE_CHECKING:
    from emulator.lab.lab import Lab


class RawRegistersView(TypedDict):
    """The registers of a VM's vCPUs as a debugger gets them; `current` is the vCPU that runs or ran last."""

    current: int
    states: list[str]
    vcpus: list[dict[str, int]]


class SeenRegisters:
    """The registers as they were shown at another position, so that a change can be marked.

    No part of the state.
    """

    def __init__(self) -> None:
        """Nothing has been shown."""
        self._shown: dict[tuple[str, int], tuple[int, dict[str, int], dict[str, int]]] = {}

    def before(self, vm: str, vcpu: int, position: int, values: dict[str, int]) -> dict[str, int]:
        """Return what was shown last at another position, and remember `values`."""
        key = (vm, vcpu)
        last = self._shown.get(key)
        if last is None:
            before = values
        elif last[0] == position:
            before = last[2]
        else:
            before = last[1]
        self._shown[key] = (position, values, before)
        return before


def live_vcpu(lab: Lab, vm_name: str, index: int) -> Vcpu:
    """Return a vCPU of a VM that has memory. Raises LabError."""
    vm = lab.vm(vm_name)
    if vm.lifecycle not in HOLDS_MEMORY:
        raise LabError(f"{vm.name} is {vm.state.value}: it has no registers and memory; start it first", "vm")
    if not 0 <= index < len(vm.vcpus):
        raise LabError(f"{vm.name} has {len(vm.vcpus)} vCPU(s), numbered from 0; there is no {index}", "vcpu")
    return vm.vcpus[index]


def registers(lab: Lab, vm: str, vcpu: int) -> RegistersView:
    """Return a vCPU's registers, with marks on those that changed since they were last shown elsewhere.

    Raises LabError.
    """
    live = live_vcpu(lab, vm, vcpu)
    record = as_guest(live, lab.hypervisor.registers(live))
    before = lab.registers_seen.before(vm, vcpu, lab.position, _values(record))
    word = fetch_instruction(lab.hypervisor.host, record, record.pc)
    executable = live.vm.settings.executable
    return registers_view(vm, vcpu, lab.position, record, executable, word, before)


def registers_view(
    vm: str,
    index: int,
    position: int,
    record: Any,
    executable: Executable,
    word: int | None,
    before: dict[str, int] | None,
) -> RegistersView:
    """Return the registers in a HART record as data; `word` is the instruction at its pc."""
    values = _values(record)
    symbols = executable.symbols_under(record.vsatp)
    changed = {name for name, value in values.items() if before is not None and before.get(name) != value}
    floats = float_values(record)
    return {
        "vm": vm,
        "vcpu": index,
        "position": position,
        "mode": "VS" if record.priv == PRIV_S else "VU",
        "pc": address(record.pc),
        "where": symbols.name_of(record.pc),
        "instruction": "" if word is None else disassemble(word, record.pc, symbols),
        "line": executable.lines.get(record.pc),
        "general": [
            _register(name, f"x{number}", values[name], name in changed, "")
            for number, name in enumerate(REGISTERS)
        ],
        "floating": [
            _register(name, None, value, name in changed, float_meaning(name, value))
            for name, value in floats.items()
        ],
        "control": [_register(n, None, values[n], n in changed, _meaning(n, values[n])) for n in _GUEST_CSRS],
        "hypervisor": [
            _register(n, None, values[n], n in changed, _meaning(n, values[n])) for n in _HYPERVISOR_CSRS
        ],
    }


_UXL_64 = 2 << 32
# The guest's name of a register, and the field behind it.
_GUEST_CSRS = {
    "sstatus": "vsstatus",
    "sie": "mie",
    "sip": "hvip",
    "stvec": "vstvec",
    "sscratch": "vsscratch",
    "sepc": "vsepc",
    "scause": "vscause",
    "stval": "vstval",
    "satp": "vsatp",
    "scounteren": "scounteren",
    "senvcfg": "senvcfg",
    "stimecmp": "vstimecmp",
}
_HYPERVISOR_CSRS = (
    "hgatp",
    "hstatus",
    "hedeleg",
    "hideleg",
    "hie",
    "hvip",
    "henvcfg",
    "hcounteren",
    "htimedelta",
    "htval",
    "htinst",
)


WATCHED_CSRS = (*_GUEST_CSRS, *_HYPERVISOR_CSRS, "fcsr")


def csr_value(record: Any, name: str) -> int:
    """Return one of WATCHED_CSRS in a HART record, as the guest, or HS-mode, would read it."""
    value: int = getattr(record, _GUEST_CSRS.get(name, "mie" if name == "hie" else name))
    if name == "sstatus":
        return value | _UXL_64 | (SD if value & FS == FS else 0)
    if name in ("sie", "sip"):
        return (value & VS_INTERRUPTS) >> 1
    if name == "hie":
        return value & HS_ONLY_INTERRUPTS
    return value | HSTATUS_VSXL if name == "hstatus" else value


def _values(record: Any) -> dict[str, int]:
    values: dict[str, int] = {name: record.x[number] for number, name in enumerate(REGISTERS)}
    for name in (*_GUEST_CSRS, *_HYPERVISOR_CSRS):
        values[name] = csr_value(record, name)
    return values | float_values(record)


def raw_registers(lab: Lab, vm: str) -> RawRegistersView:
    """Return every register of every vCPU of a VM, and which vCPU runs or ran last. Raises LabError."""
    vcpus = live_vcpu(lab, vm, 0).vm.vcpus
    hypervisor = lab.hypervisor
    holder = hypervisor.pcpus[hypervisor.turn].current
    loaded = [one.index for one in vcpus if one.pcpu is not None]
    current = holder.index if holder is not None and holder in vcpus else (loaded or [0])[0]
    found: list[dict[str, int]] = []
    for vcpu in vcpus:
        record = as_guest(vcpu, hypervisor.registers(vcpu))
        values = {**_values(record), **dict(zip(FLOAT_REGISTERS, record.f, strict=True))}
        fcsr: int = record.fcsr
        flags = {"fcsr": fcsr, "fflags": fcsr & 31, "frm": fcsr >> 5 & 7}
        found.append({**values, **flags, "pc": record.pc, "priv": record.priv})
    return {"current": current, "states": [vcpu.state.value for vcpu in vcpus], "vcpus": found}


def _register(name: str, alias: str | None, value: int, changed: bool, meaning: str) -> RegisterView:
    return {"name": name, "alias": alias, "value": address(value), "changed": changed, "meaning": meaning}


def _meaning(name: str, value: int) -> str:
    if name == "satp":
        return _translation(value, "ASID", 16, "GPA")
    if name == "hgatp":
        return _translation(value, "VMID", 14, "HPA")
    if name == "scause" and value:
        return describe(value).name
    if name in ("sie", "sip"):
        bits = (("software", 1 << 1), ("timer", 1 << 5), ("external", 1 << 9))
        return ", ".join(text for text, bit in bits if value & bit)
    if name == "stvec":
        return "vectored" if value & 1 else ""
    if name == "sstatus":
        return "interrupts on" if value & 2 else "interrupts off"
    return ""


def _translation(value: int, kind: str, bits: int, space: str) -> str:
    mode = value >> 60
    if mode == 0:
        return "Bare: no translation at this stage"
    names = {8: "Sv39", 9: "Sv48", 10: "Sv57"}
    name = names.get(mode, f"mode {mode}") + ("x4" if kind == "VMID" else "")
    number, root = value >> 44 & ((1 << bits) - 1), (value & (1 << 44) - 1) << 12
    return f"{name}, {kind} {number}, root table at {space} {root:#x}"
