"""A kernel finds a device tree of its VM in a1, and its initramfs where the tree says."""

import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emulator.core import cmo
from emulator.hypervisor import lifecycle
from emulator.hypervisor.vm import Vm
from emulator.isa.extensions import parse_isa
from emulator.machine.fdt import Node, parse
from emulator.state import RAM_BASE
from tests.hypervisor.bench import Bench, executable

A1 = 11
# Reads the tree's magic number into s0 and the first bytes of what lies at the end of the page before it.
KERNEL = "lwu s0, 0(a1)\n mv s1, a0\n 1: wfi\n j 1b"
INITRD = bytes(range(256)) * 20


def _start(bench: Bench, name: str = "a", **settings: Any) -> Vm:
    kernel = replace(executable(KERNEL), device_tree=True, initrd=INITRD)
    vm = bench.vm("", name, **{"executable": kernel, "memory": 256 << 10, **settings})
    bench.run()
    return vm


def _tree(bench: Bench, vm: Vm) -> Node:
    at = bench.hypervisor.registers(vm.vcpus[0]).x[A1]
    header = bench.hypervisor.read_guest(vm, at, 8)
    return parse(bench.hypervisor.read_guest(vm, at, int.from_bytes(header[4:], "big")))


def _property(tree: Node, path: str, name: str) -> bytes:
    node = tree.find(path)
    assert node is not None
    value = node.properties[name]
    assert isinstance(value, bytes)
    return value


def test_a_kernel_is_entered_with_its_hart_and_a_device_tree(bench: Bench):
    vm = _start(bench)
    registers = bench.hypervisor.registers(vm.vcpus[0])
    assert registers.x[8] == int.from_bytes(b"\xd0\x0d\xfe\xed", "little")
    assert registers.x[9] == 0


def test_the_tree_describes_memory_and_vcpus(bench: Bench):
    tree = _tree(bench, _start(bench, vcpus=3, append="console=hvc0 quiet"))
    memory = _property(tree, f"memory@{RAM_BASE:x}", "reg")
    assert _property(tree, f"memory@{RAM_BASE:x}", "device_type") == b"memory\0"
    assert struct.unpack(">QQ", memory) == (RAM_BASE, 256 << 10)
    cpus = tree.find("cpus")
    assert cpus is not None
    assert [cpu.name for cpu in cpus.children] == ["cpu@0", "cpu@1", "cpu@2"]
    assert _property(tree, "cpus", "timebase-frequency") == struct.pack(">I", 10_000_000)
    assert _property(tree, "cpus/cpu@2", "riscv,isa").startswith(b"rv64ima")
    assert _property(tree, "chosen", "bootargs") == b"console=hvc0 quiet\0"


@pytest.mark.parametrize(
    ("host", "guest"),
    [
        ("rv64imah_sstc_svade_svadu_smstateen_zicboz", "rv64ima_zicboz_zicsr_ssstateen_sstc_svade"),
        ("rv64imach_zicboz_svadu", "rv64imac_zicboz_zicsr_svadu"),
    ],
)
def test_the_tree_names_the_extensions_that_a_guest_has(
    make_bench: Callable[..., Bench], host: str, guest: str
) -> None:
    bench = make_bench(isa=parse_isa(host))
    tree = _tree(bench, _start(bench))
    assert _property(tree, "cpus/cpu@0", "riscv,isa") == guest.encode() + b"\0"
    listed = _property(tree, "cpus/cpu@0", "riscv,isa-extensions").decode().split("\0")
    assert listed == [*parse_isa(guest).names(), ""]
    assert _property(tree, "cpus/cpu@0", "riscv,cboz-block-size") == struct.pack(">I", cmo.BLOCK_BYTES)


def test_the_initramfs_lies_where_the_tree_says(bench: Bench):
    vm = _start(bench)
    tree = _tree(bench, vm)
    first, last = (
        int.from_bytes(_property(tree, "chosen", f"linux,initrd-{end}"), "big") for end in ("start", "end")
    )
    assert bench.hypervisor.read_guest(vm, first, last - first) == INITRD


def test_no_two_boots_get_the_same_entropy(bench: Bench, make_bench: Callable[..., Bench]):
    vm = _start(bench)
    first = _property(_tree(bench, vm), "chosen", "rng-seed")
    lifecycle.reset(bench.hypervisor, vm)
    bench.run()
    second = _property(_tree(bench, vm), "chosen", "rng-seed")
    other = _property(_tree(bench, _start(bench, "b")), "chosen", "rng-seed")
    again = make_bench()
    assert len({first, second, other}) == 3
    assert _property(_tree(again, _start(again)), "chosen", "rng-seed") == first


def test_a_vm_too_small_for_its_kernel_is_refused_with_a_size_that_would_do(bench: Bench):
    with pytest.raises(lifecycle.LifecycleError) as caught:
        _start(bench, memory=8 << 10)
    assert "its kernel, initramfs and device tree take 16 KiB, and it has 8 KiB; give it" in str(caught.value)


def test_a_program_that_wants_no_tree_gets_none(bench: Bench):
    vm = bench.vm("1: wfi\n j 1b")
    bench.run()
    assert bench.hypervisor.registers(vm.vcpus[0]).x[A1] == 0
    assert bench.hypervisor.read_guest(vm, RAM_BASE + (60 << 10), 4096) == bytes(4096)
