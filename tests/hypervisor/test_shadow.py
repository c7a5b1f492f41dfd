"""Shadow paging: guests see what they see with nested paging, and no entry leads out of their frames."""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.core.csr_bits import PTE_R, PTE_V, PTE_W, PTE_X
from emulator.hypervisor import image, lifecycle
from emulator.hypervisor.gstage import frame_address
from emulator.hypervisor.memory.settings import MemorySettings
from emulator.hypervisor.partition import FREE, ram_code
from emulator.hypervisor.vm import Vm, VmState
from emulator.state import PAGE_BYTES, RAM_BASE
from tests.hypervisor.bench import Bench
from tests.hypervisor.test_guest_kernels import PAGING, REMAP, TABLES

MakeBench = Callable[..., Bench]
LOG_ENTRIES = 80


def entries(bench: Bench, hfn: int) -> list[int]:
    """Return the valid entries of a table."""
    return [one for one in struct.unpack("<512Q", bench.host.read_frame(hfn)) if one & PTE_V]


def assert_shadow_is_own(bench: Bench, vm: Vm) -> int:
    """Assert that all tables of a shadow are in its pool and all leaves in the VM's RAM; count the leaves."""
    assert vm.shadow is not None
    tables = vm.shadow.tables
    pool = {frame_address(hfn) >> 12 for hfn in tables.pool}
    ram = {frame_address(hfn) >> 12 for hfn in vm.frames if hfn >= 0}
    leaves = 0
    for vcpu in vm.vcpus:
        registers = bench.hypervisor.registers(vcpu)
        assert registers.hgatp == 0
        assert registers.vsatp == 0 or registers.vsatp & (1 << 44) - 1 in pool
    for hfn in set(tables.pool) - set(tables.free):
        for entry in entries(bench, hfn):
            target = entry >> 10 & (1 << 44) - 1
            if entry & (PTE_R | PTE_W | PTE_X):
                assert target in ram
                assert bench.hypervisor.partition.codes[target - (RAM_BASE >> 12)] == ram_code(vm.index)
                leaves += 1
            else:
                assert target in pool
    for hfn in tables.free:
        assert bench.host.frame_is_zero(hfn)
    return leaves


def test_a_guest_that_remaps_a_page_never_sees_the_old_one(make_bench: MakeBench) -> None:
    bench = make_bench(timeslice=9_000)
    vm = bench.vm(REMAP, paging="shadow")
    for name in "bc":
        bench.vm("1: j 1b", name)
    for _ in range(20):
        bench.run(200_000)
        assert assert_shadow_is_own(bench, vm)
    assert vm.state is VmState.RUNNING
    assert vm.console.text() == ""
    assert bench.hypervisor.registers(vm.vcpus[0]).x[19] > 100
    for lane in bench.hypervisor.trace.lanes:
        assert any(one.vm == "a" for one in lane), "it has been on every pCPU"


def test_a_remote_fence_reaches_the_shadow(bench: Bench) -> None:
    source = f"""
        j main
        {PAGING}
    main:
        bnez a0, second
        enable_paging
        point_to one, 0xC7
        li a0, 1
        la a1, second
        sbi HSM, 0
        li s5, 20000
    1:  addi s5, s5, -1
        bnez s5, 1b
        point_to two, 0xC7
        li a0, 2
        li a1, 0
        li a2, 0x40000000
        li a3, 0x1000
        sbi 0x52464E43, 1           # RFENCE: remote sfence.vma
    2:  j 2b
    second:
        enable_paging
        li s0, 0x40000000
    3:  ld s1, (s0)
        li t0, 2
        bne s1, t0, 3b
        li a0, '2'
        putchar
    4:  wfi
        j 4b
        {TABLES}
    """
    vm = bench.vm(source, vcpus=2, paging="shadow")
    bench.run(800_000)
    assert vm.console.text() == "2"
    assert_shadow_is_own(bench, vm)


PTE_FLAGS = [0xC7, 0xCF, 0x47, 0x07, 0xC3, 0xC9, 0x00, 0xD7, 0xC5, 0x8000_0000_0000_00C7]
TARGETS = ["one", "two", "leaf", "root", "0x90000000", "0x10000000", "0x40000000", "0"]
PAGES = st.integers(0, 3)
STEPS = st.one_of(
    st.tuples(st.just("map"), PAGES, st.sampled_from(TARGETS), st.sampled_from(PTE_FLAGS)),
    st.tuples(st.just("access"), PAGES, st.sampled_from(["ld", "sd", "lbu", "sw"]), st.just(0)),
    st.tuples(st.just("try"), PAGES, st.sampled_from(TARGETS), st.sampled_from(PTE_FLAGS)),
    st.tuples(st.just("access"), PAGES, st.sampled_from(["ld", "sd"]), st.sampled_from([8, 2040, 4092])),
    st.tuples(st.just("big"), PAGES, st.sampled_from(["0x80000000", "0x80200000", "0x80001000"]), st.just(0)),
    st.tuples(st.just("status"), st.just(0), st.sampled_from(["1 << 18", "1 << 19"]), st.just(0)),
    st.tuples(st.just("bare"), st.just(0), st.just(""), st.just(0)),
)


def step(kind: str, page: int, what: str, number: int) -> str:
    """Return one step of a random guest; the log gets what it read and the cause of its trap."""
    if kind == "map":
        return (
            f"li t0, {what}\n" * what.startswith("0")
            + f"la t0, {what}\n" * what[0].isalpha()
            + (
                f"srli t0, t0, 2\nli t1, {number}\nor t0, t0, t1\nla t1, leaf + {page * 8}\nsd t0, (t1)\n"
                f"li t0, 0x40000000 + {page * PAGE_BYTES}\nsfence.vma t0\n"
            )
        )
    if kind == "try":
        first = step("map", page, what, number) + step("access", page, "ld", 0)
        without_sum = step("status", 0, "1 << 18", 0) + step("access", page, "ld", 0)
        again = step("status", 0, "1 << 18", 0) + step("access", page, "sd", 0)
        return first + without_sum + again
    if kind == "big":
        return (
            f"li t0, {what} >> 2 | 0xC7\nla t1, middle + {8 + page * 8}\nsd t0, (t1)\n"
            f"li t0, 0x40200000 + {page << 21}\nsfence.vma t0\n"
            f"li t5, 7\nli t6, 0\nli t0, 0x40203008 + {page << 21}\nld t5, (t0)\njal record\n"
        )
    if kind == "status":
        return f"li t0, {what}\ncsrr t1, sstatus\nxor t1, t1, t0\ncsrw sstatus, t1\n"
    if kind == "bare":
        return "csrrw s7, satp, zero\nla t0, one\nld t5, (t0)\nmv t6, s7\njal record\ncsrw satp, s7\n"
    address = 0x4000_0000 + page * PAGE_BYTES + number
    # A store may have changed the guest's own tables.
    fence = "sfence.vma\n" if what.startswith("s") else ""
    return f"li t5, 7\nli t6, 0\nli t0, {address}\n{what} t5, (t0)\n{fence}jal record\n"


def random_guest(steps: list[tuple[str, int, str, int]]) -> str:
    """Return a guest that does these steps with a table of its own and then waits."""
    body = "".join(step(*one) for one in steps)
    return f"""
        j main
        {PAGING}
        .balign 4
    handler:
        csrr t6, scause
        csrr t4, stval
        csrr t3, sepc
        addi t3, t3, 4
        csrw sepc, t3
        sret
    record:
        sd t5, (s11)
        sd t6, 8(s11)
        sd t4, 16(s11)
        addi s11, s11, 24
        ret
    main:
        .option norvc
        la t0, handler
        csrw stvec, t0
        la s11, log
        li t4, 0
        enable_paging
        {body}
    9:  wfi
        j 9b
        {TABLES}
    log: .skip {24 * LOG_ENTRIES}
    """


def outcome(bench: Bench, steps: list[tuple[str, int, str, int]], paging: str) -> tuple[object, ...]:
    """Run these steps with a kind of paging and return all that the guest has come to know."""
    memory = 128 << 10
    vm = bench.vm(random_guest(steps), memory=memory, paging=paging, on_fault="inject")
    bench.vm("1: j 1b", "other")
    for _ in range(10):
        bench.run(60_000)
        if paging == "shadow":
            assert_shadow_is_own(bench, vm)
    registers = bench.hypervisor.registers(vm.vcpus[0])
    log = bench.hypervisor.read_guest(vm, vm_symbol(vm, "log"), 24 * LOG_ENTRIES)
    own = (registers.vsstatus, registers.vscause, registers.vstval, registers.pc, *list(registers.x)[18:32])
    return (vm.state, vm.console.text(), vm.fault_count, own, log)


@given(st.lists(STEPS, min_size=4, max_size=24))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_random_tables_mean_the_same_with_nested_and_shadow_paging(
    make_bench: MakeBench, steps: list[tuple[str, int, str, int]]
) -> None:
    assert outcome(make_bench(pcpus=1), steps, "nested") == outcome(make_bench(pcpus=1), steps, "shadow")


@pytest.mark.parametrize("target", TARGETS)
def test_every_kind_of_entry_means_the_same_with_nested_and_shadow_paging(
    make_bench: MakeBench, target: str
) -> None:
    steps = [("try", 1, target, flags) for flags in PTE_FLAGS]
    assert outcome(make_bench(pcpus=1), steps, "nested") == outcome(make_bench(pcpus=1), steps, "shadow")


def vm_symbol(vm: Vm, name: str) -> int:
    """Return a symbol of a VM's program."""
    return vm.settings.executable.symbols[name]


# 120 different GiB, each through the same two tables of the guest: more shadow tables than the pool has.
FAR_APART = f"""
        j main
        {PAGING}
    main:
        enable_paging
        point_to one, 0xC7
        la t0, root
        ld t1, 8(t0)
        li t2, 120
        addi t3, t0, 24
    1:  sd t1, (t3)
        addi t3, t3, 8
        addi t2, t2, -1
        bnez t2, 1b
    2:  li t2, 120
        li t3, 3
    3:  slli t4, t3, 30
        ld t5, (t4)
        add s4, s4, t5
        addi t3, t3, 1
        addi t2, t2, -1
        bnez t2, 3b
        addi s5, s5, 1
        j 2b
        {TABLES}
"""


def test_a_pool_that_is_used_up_is_emptied_and_the_guest_goes_on(bench: Bench) -> None:
    vm = bench.vm(FAR_APART, paging="shadow")
    assert vm.shadow is not None
    pool = list(vm.shadow.tables.pool)
    for _ in range(8):
        bench.run(400_000)
        assert_shadow_is_own(bench, vm)
    registers = bench.hypervisor.registers(vm.vcpus[0])
    rounds, total = registers.x[21], registers.x[20]
    assert rounds > 2
    assert 120 * rounds <= total <= 120 * (rounds + 1)
    assert vm.shadow.tables.pool == pool


def test_frames_that_are_taken_from_a_vm_leave_its_shadow(make_bench: MakeBench) -> None:
    bench = make_bench(pcpus=2, memory_settings=MemorySettings(overcommit=100))
    touch = (
        "la s0, area\n1: ld t0, (s0)\naddi t0, t0, 1\nsd t0, (s0)\nj 1b\n.bss\n.balign 4096\narea: .skip 4096"
    )
    vm = bench.vm(touch, paging="shadow")
    bench.run(100_000)
    page = (vm_symbol(vm, "area") - RAM_BASE) // PAGE_BYTES
    before = assert_shadow_is_own(bench, vm)
    frame = vm.frames[page]
    assert bench.hypervisor.pager.release(vm, [page]) == 1
    assert bench.hypervisor.partition.codes[frame] == FREE
    assert assert_shadow_is_own(bench, vm) == before - 1
    bench.run(100_000)
    assert assert_shadow_is_own(bench, vm) == before
    assert vm.exits["demand paging"] == 1


def test_all_frames_go_back_and_the_next_vm_starts_with_none_of_them(bench: Bench) -> None:
    free = bench.hypervisor.partition.free_count
    vm = bench.vm(REMAP, paging="shadow")
    bench.run(100_000)
    lifecycle.reset(bench.hypervisor, vm)
    bench.run(100_000)
    assert assert_shadow_is_own(bench, vm)
    lifecycle.destroy(bench.hypervisor, vm)
    assert bench.hypervisor.partition.free_count == free
    other = bench.vm(REMAP, "b", paging="shadow")
    bench.run(100_000)
    assert assert_shadow_is_own(bench, other)
    assert other.console.text() == ""


def test_a_vm_that_goes_back_to_a_snapshot_gets_a_shadow_of_its_own(make_bench: MakeBench) -> None:
    bench = make_bench(timeslice=9_000)
    vm = bench.vm(REMAP, paging="shadow")
    other = bench.vm(REMAP, "b", paging="shadow")
    bench.run(300_000)
    kept = image.take(bench.hypervisor, vm)
    rounds = bench.hypervisor.registers(vm.vcpus[0]).x[19]
    bench.run(300_000)
    for text in ("back", "and again"):
        image.put_back(bench.hypervisor, vm, kept, text)
        assert bench.hypervisor.registers(vm.vcpus[0]).x[19] == rounds
        for _ in range(5):
            assert_shadow_is_own(bench, vm)
            assert_shadow_is_own(bench, other)
            bench.run(100_000)
        assert bench.hypervisor.registers(vm.vcpus[0]).x[19] > rounds
    hostile = {**kept.state["vcpus"][0], "satp": 5 << 60 | 1 << 200}
    hostile["registers"] = {
        **hostile["registers"],
        "hstatus": 0,
        "hedeleg": 0xB1FF,
        "vsatp": 8 << 60 | 0x80000,
    }
    image.put_back(bench.hypervisor, vm, replace(kept, state={**kept.state, "vcpus": [hostile]}), "forged")
    assert_shadow_is_own(bench, vm)
    bench.run(100_000)
    assert_shadow_is_own(bench, vm)
    assert (vm.console.text(), other.console.text()) == ("", "")


@given(chunks=st.lists(st.integers(1, 60_000), min_size=1, max_size=20))
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_run_in_pieces_is_the_run_in_one_piece(make_bench: MakeBench, chunks: list[int]) -> None:
    states: list[bytes] = []
    for pieces in (chunks, [sum(chunks)]):
        bench = make_bench(timeslice=7_777)
        bench.vm(REMAP, paging="shadow")
        bench.vm(FAR_APART, "far", paging="shadow")
        bench.vm("1: j 1b", "c")
        goal = bench.hypervisor.position
        for piece in pieces:
            goal += piece
            bench.hypervisor.run_to(goal)
        states.append(bench.state())
    assert states[0] == states[1]


@pytest.mark.parametrize("satp", ["1 << 60", "2 << 60 | 5", "15 << 60"])
def test_a_mode_that_there_is_not_changes_nothing(bench: Bench, satp: str) -> None:
    vm = bench.vm(f"li t0, {satp}\ncsrw satp, t0\ncsrr s2, satp\n1: wfi\nj 1b", paging="shadow")
    bench.run(50_000)
    assert vm.state is VmState.IDLE
    assert bench.hypervisor.registers(vm.vcpus[0]).x[18] == 0


def test_user_code_gets_an_illegal_instruction_for_satp_and_fences(bench: Bench) -> None:
    source = """
        la t0, 8f
        csrw stvec, t0
        la t0, 7f
        csrw sepc, t0
        li t0, 1 << 8
        csrc sstatus, t0
        sret
    7:  csrr a0, satp
    8:  csrr s2, scause
    9:  wfi
        j 9b
    """
    vm = bench.vm(source, paging="shadow")
    bench.run(50_000)
    assert bench.hypervisor.registers(vm.vcpus[0]).x[18] == 2
