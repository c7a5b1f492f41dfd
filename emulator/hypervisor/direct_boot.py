"""Direct kernel boot: what a VM's memory holds before its first instruction, and what a0 and a1 point at.

libvirt's word for starting an operating system without firmware: the hypervisor places kernel, initramfs and
device tree itself. An assembly program or ELF file is loaded where it says, and gets nothing else. From the
end of memory downwards lie the device tree and the initramfs, as far from the kernel as can be.

Source of the device tree's content: Devicetree Specification 0.4, chapter 3, and Linux's bindings
"riscv/cpus.yaml", "chosen.yaml", "input/gpio-keys.yaml" and "rng/microsoft,vmgenid.yaml".
Console, timer and power are SBI calls, so a kernel needs no driver for the devices described.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from emulator.devices.board_tree import (
    FIRST_CPU_PHANDLE,
    INTERRUPT_M_EXTERNAL,
    INTERRUPT_S_EXTERNAL,
    PLIC_PHANDLE,
    add_interrupt_controller,
    add_peripherals,
    add_soc,
    wires,
)
from emulator.devices.isa_tree import isa_properties
from emulator.hypervisor.vm import MEMORY_SIZE_IRQ, POWER_IRQ, VMGENID_IRQ, VmSettings
from emulator.isa.extensions import Isa
from emulator.machine.elf import Segment
from emulator.machine.fdt import Node, cells64, flatten
from emulator.machine.host import TIMEBASE_HZ
from emulator.state import PAGE_BYTES, RAM_BASE

READ_WRITE = 6
ENTROPY_BYTES = 32
VMGENID, MEMORY_SIZE = 0x10_2000, 0x10_3000  # behind the clock; QEMU's `virt` has nothing there
KEY_POWER = 116  # Linux's number of the key


@dataclass(frozen=True, slots=True)
class BootImage:
    """What to write, where vCPU 0 begins, and its a1: the address of the device tree, or 0."""

    segments: tuple[Segment, ...]
    entry: int
    argument: int


def boot_image(settings: VmSettings, isa: Isa, entropy: bytes) -> BootImage:
    """Return what a VM with these extensions starts from; `entropy` seeds the guest's random numbers.

    A kernel's lie in the VM's memory and apart if it has `memory_needed`.
    """
    executable = settings.executable
    if not executable.device_tree:
        return BootImage(executable.segments, executable.entry, 0)
    end = RAM_BASE + settings.memory
    tree_size = len(device_tree(settings, isa, (0, 0), entropy))
    tree_at = (end - tree_size) // PAGE_BYTES * PAGE_BYTES
    initrd_at = (tree_at - len(executable.initrd)) // PAGE_BYTES * PAGE_BYTES
    tree = device_tree(settings, isa, (initrd_at, initrd_at + len(executable.initrd)), entropy)
    segments = [*executable.segments, Segment(tree_at, tree, len(tree), READ_WRITE)]
    if executable.initrd:
        segments.append(Segment(initrd_at, executable.initrd, len(executable.initrd), READ_WRITE))
    return BootImage(tuple(segments), executable.entry, tree_at)


def memory_needed(settings: VmSettings, isa: Isa) -> int:
    """Return the least memory, in bytes, in which nothing of a kernel's boot image overlaps."""
    executable = settings.executable
    tree = len(device_tree(settings, isa, (0, 0), bytes(ENTROPY_BYTES)))
    sizes = [*(segment.size for segment in executable.segments), tree, len(executable.initrd)]
    below = min(segment.address for segment in executable.segments) - RAM_BASE
    return below + sum(-(-size // PAGE_BYTES) * PAGE_BYTES for size in sizes)


def entropy_of(*parts: object) -> bytes:
    """Return 32 bytes that differ for different parts and are the same in every run of the lab."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=ENTROPY_BYTES).digest()


def device_tree(settings: VmSettings, isa: Isa, initrd: tuple[int, int], entropy: bytes) -> bytes:
    """Return the blob that describes a VM; its length does not depend on `initrd`."""
    root = Node("", {"#address-cells": 2, "#size-cells": 2, "compatible": "vmlab,vm", "model": "VM Lab VM"})
    chosen = root.add("chosen", bootargs=settings.append)
    if settings.executable.initrd:
        chosen.properties["linux,initrd-start"] = cells64(initrd[0])
        chosen.properties["linux,initrd-end"] = cells64(initrd[1])
    chosen.properties["rng-seed"] = entropy
    memory = cells64(RAM_BASE, settings.memory)
    root.add(f"memory@{RAM_BASE:x}", device_type="memory", reg=memory)
    cpus = root.add("cpus", address_cells=1, size_cells=0, timebase_frequency=TIMEBASE_HZ)
    for index in range(settings.vcpus):
        _add_cpu(cpus, index, isa)
    plic_wires = wires(settings.vcpus, INTERRUPT_M_EXTERNAL, INTERRUPT_S_EXTERNAL)
    soc = add_soc(root)
    add_peripherals(soc, plic_wires, settings.occupied_slots())
    if settings.vmgenid:
        _add_page(soc, f"rng@{VMGENID:x}", "microsoft,vmgenid", VMGENID, VMGENID_IRQ)
    if settings.ram.most:
        _add_page(soc, f"memory-size@{MEMORY_SIZE:x}", "vmlab,memory-size", MEMORY_SIZE, MEMORY_SIZE_IRQ)
    button = root.add("buttons", compatible="gpio-keys").add("power", label="power", linux__code=KEY_POWER)
    button.properties |= {"interrupt-parent": PLIC_PHANDLE, "interrupts": POWER_IRQ}
    return flatten(root)


def _add_page(soc: Node, name: str, compatible: str, base: int, interrupt: int) -> None:
    node = soc.add(name, compatible=compatible, reg=cells64(base, PAGE_BYTES))
    node.properties |= {"interrupt-parent": PLIC_PHANDLE, "interrupts": interrupt}


def _add_cpu(cpus: Node, index: int, isa: Isa) -> None:
    cpu = cpus.add(f"cpu@{index}", device_type="cpu", reg=index, status="okay", compatible="riscv")
    cpu.properties |= {**isa_properties(isa), "mmu-type": "riscv,sv39"}
    add_interrupt_controller(cpu, FIRST_CPU_PHANDLE + index)
