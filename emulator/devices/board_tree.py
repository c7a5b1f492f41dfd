"""The board's device tree, with the node names and bindings of QEMU's `virt`."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.devices.isa_tree import isa_properties
from emulator.isa.extensions import Isa
from emulator.machine.fdt import Node, cells64
from emulator.machine.host import TIMEBASE_HZ
from emulator.state import RAM_BASE

if TYPE_CHECKING:
    from emulator.devices.virt import BoardConfig

PLIC_PHANDLE = 1
TEST_PHANDLE = 2
FIRST_CPU_PHANDLE = 16
INTERRUPT_M_SOFT, INTERRUPT_M_TIMER, INTERRUPT_M_EXTERNAL, INTERRUPT_S_EXTERNAL = 3, 7, 11, 9
SEED_BYTES = 32


def board_tree(config: BoardConfig, initrd: tuple[int, int] | None, virtio: int) -> Node:
    """Return the tree of a board with `virtio` virtio-mmio devices."""
    root = Node("")
    root.properties = {
        "#address-cells": 2, "#size-cells": 2, "compatible": "riscv-virtio", "model": "riscv-virtio,vmlab",
    }  # fmt: skip
    _chosen(root, config, initrd)
    root.add(f"memory@{RAM_BASE:x}", device_type="memory", reg=cells64(RAM_BASE, config.memory_bytes))
    _cpus(root, config.harts, config.isa)
    _soc(root, config.harts, virtio)
    return root


def _chosen(root: Node, config: BoardConfig, initrd: tuple[int, int] | None) -> None:
    chosen = root.add("chosen", stdout_path="/soc/serial@10000000")
    if config.bootargs:
        chosen.properties["bootargs"] = config.bootargs
    chosen.properties["rng-seed"] = random.Random(config.seed).randbytes(SEED_BYTES)
    if initrd:
        chosen.properties["linux,initrd-start"] = cells64(initrd[0])
        chosen.properties["linux,initrd-end"] = cells64(initrd[1])


def _cpus(root: Node, harts: int, isa: Isa) -> None:
    cpus = root.add("cpus", address_cells=1, size_cells=0, timebase_frequency=TIMEBASE_HZ)
    for hart in range(harts):
        cpu = cpus.add(
            f"cpu@{hart:x}",
            device_type="cpu",
            reg=hart,
            status="okay",
            compatible="riscv",
            mmu_type="riscv,sv57",
        )
        cpu.properties |= isa_properties(isa)
        add_interrupt_controller(cpu, FIRST_CPU_PHANDLE + hart)


def add_interrupt_controller(cpu: Node, phandle: int) -> None:
    """Give a CPU's node the interrupt controller that is part of it."""
    cpu.add(
        "interrupt-controller",
        interrupt_cells=1,
        interrupt_controller=None,
        compatible="riscv,cpu-intc",
        phandle=phandle,
    )


def _soc(root: Node, harts: int, virtio: int) -> None:
    soc = add_soc(root)
    root.add("poweroff", compatible="syscon-poweroff", regmap=TEST_PHANDLE, offset=0, value=0x5555)
    root.add("reboot", compatible="syscon-reboot", regmap=TEST_PHANDLE, offset=0, value=0x7777)
    soc.add(
        "clint@2000000",
        compatible=["sifive,clint0", "riscv,clint0"],
        reg=cells64(0x200_0000, 0x1_0000),
        interrupts_extended=wires(harts, INTERRUPT_M_SOFT, INTERRUPT_M_TIMER),
    )
    add_peripherals(soc, wires(harts, INTERRUPT_M_EXTERNAL, INTERRUPT_S_EXTERNAL), range(virtio))


def add_soc(root: Node) -> Node:
    """Add the bus that the devices are on, with the test finisher; return the bus."""
    soc = root.add("soc", address_cells=2, size_cells=2, compatible="simple-bus", ranges=None)
    soc.add(
        "test@100000",
        compatible=["sifive,test1", "sifive,test0", "syscon"],
        reg=cells64(0x10_0000, 0x1000),
        phandle=TEST_PHANDLE,
    )
    return soc


def add_peripherals(soc: Node, plic_wires: list[int], slots: Iterable[int]) -> None:
    """Add PLIC, clock, serial port, and the virtio devices in the slots of these numbers."""
    soc.add(
        "plic@c000000",
        compatible=["sifive,plic-1.0.0", "riscv,plic0"],
        reg=cells64(0xC00_0000, 0x60_0000),
        address_cells=0,
        interrupt_cells=1,
        interrupt_controller=None,
        interrupts_extended=plic_wires,
        riscv__ndev=95,
        phandle=PLIC_PHANDLE,
    )
    _peripheral(soc, "rtc@101000", "google,goldfish-rtc", 0x10_1000, 0x1000, 11)
    serial = _peripheral(soc, "serial@10000000", "ns16550a", 0x1000_0000, 0x100, 10)
    serial.properties["clock-frequency"] = 3_686_400
    for slot in slots:
        base = 0x1000_1000 + slot * 0x1000
        _peripheral(soc, f"virtio_mmio@{base:x}", "virtio,mmio", base, 0x1000, 1 + slot)


def _peripheral(soc: Node, name: str, compatible: str, base: int, size: int, interrupt: int) -> Node:
    return soc.add(
        name,
        compatible=compatible,
        reg=cells64(base, size),
        interrupts=interrupt,
        interrupt_parent=PLIC_PHANDLE,
    )


def wires(harts: int, *interrupts: int) -> list[int]:
    """Return `interrupts-extended` of a controller: these interrupts of each hart."""
    return [cell for hart in range(harts) for each in interrupts for cell in (FIRST_CPU_PHANDLE + hart, each)]
