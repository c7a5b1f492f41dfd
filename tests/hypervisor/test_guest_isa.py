"""What a guest may use of its harts' extensions, without asking anybody."""

from collections.abc import Callable

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ENVCFG_PBMTE,
    ENVCFG_STCE,
    PTE_A,
    PTE_D,
)
from emulator.isa.extensions import parse_isa
from tests.hypervisor.bench import Bench

# Zeroes a block, then writes through a page of uncached memory (PBMT = NC) whose A and D bits are clear.
BLOCKS = """
    la t0, handler
    csrw stvec, t0
    la a2, block
    li s1, -1
    sd s1, 0(a2)
    cbo.zero (a2)
    ld s1, 0(a2)
    cbo.clean (a2)
    cbo.flush (a2)
    cbo.inval (a2)
    la t0, root
    srli t1, a2, 12
    slli t1, t1, 10
    addi t1, t1, 0x7
    li t2, 1 << 61
    or t1, t1, t2
    la t3, leaf
    sd t1, 0(t3)
    la t3, middle
    srli t4, t3, 2
    addi t4, t4, 1
    sd t4, 8(t0)
    la t5, leaf
    srli t4, t5, 2
    addi t4, t4, 1
    sd t4, 0(t3)
    li t1, 0x200000cf
    sd t1, 16(t0)
    srli t0, t0, 12
    li t1, 8 << 60
    or t0, t0, t1
    csrw satp, t0
    sfence.vma
    li a3, 0x40000000
    li s2, 7
    sd s2, 0(a3)
    ld s3, 0(a2)
1:  wfi
    j 1b
handler:
    csrr s4, scause
2:  wfi
    j 2b
    .data
    .balign 4096
root: .zero 4096
middle: .zero 4096
leaf: .zero 4096
block: .zero 4096
"""
ALL = "rv64imafdch_zicbom_zicboz_zicsr_sstc_svpbmt"


def test_cache_blocks_are_a_guests_own(bench: Bench) -> None:
    vm = bench.vm(BLOCKS)
    bench.run()
    registers = bench.hypervisor.registers(vm.vcpus[0])
    assert registers.x[9] == 0
    assert vm.exits.keys() <= {"wfi", "budget"}


@pytest.mark.parametrize(
    ("isa", "cause", "set_by_hardware"),
    [
        (ALL + "_svadu", 0, PTE_A | PTE_D),
        (ALL + "_svade_svadu", 15, 0),
        (ALL.replace("_svpbmt", "_svadu"), 15, 0),
    ],
)
def test_memory_types_and_dirty_bits_follow_the_hosts_extensions(
    make_bench: Callable[..., Bench], isa: str, cause: int, set_by_hardware: int
) -> None:
    bench = make_bench(isa=parse_isa(isa))
    vm = bench.vm(BLOCKS)
    bench.run()
    registers = bench.hypervisor.registers(vm.vcpus[0])
    assert registers.x[20] == cause
    assert registers.x[19] == (7 if cause == 0 else 0)
    leaf = vm.settings.executable.symbols["leaf"]
    entry = int.from_bytes(bench.hypervisor.read_guest(vm, leaf, 8), "little")
    assert entry & (PTE_A | PTE_D) == set_by_hardware


@pytest.mark.parametrize(
    ("isa", "enabled"),
    [
        ("rv64imach", 0),
        ("rv64imach_sstc", ENVCFG_STCE),
        ("rv64imach_zicbom", ENVCFG_CBIE | ENVCFG_CBCFE),
        ("rv64imach_zicboz_svpbmt", ENVCFG_CBZE | ENVCFG_PBMTE),
        ("rv64imach_svadu", ENVCFG_ADUE),
        ("rv64imach_svade_svadu", 0),
    ],
)
def test_henvcfg_is_what_the_extensions_need(
    make_bench: Callable[..., Bench], isa: str, enabled: int
) -> None:
    bench = make_bench(isa=parse_isa(isa))
    vm = bench.vm("1: wfi\n j 1b")
    assert vm.vcpus[0].context.henvcfg == enabled
    assert {hart.menvcfg for hart in bench.host.harts} == {enabled}
