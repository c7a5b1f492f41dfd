"""Accesses outside a VM's memory, and what a VM's `on_fault` makes of them."""

from collections.abc import Callable

from emulator.hypervisor.faults import ACCESS_FAULTS, PROVED_FAULTS, STORIES_PER_START
from emulator.hypervisor.vm import VmState
from emulator.state import HART, STAGE_G
from tests.hypervisor.bench import Bench
from tests.hypervisor.test_timers import ALARM

WAIT = "1: wfi\n j 1b"
OUTSIDE = 0x9000_0000
READ_OUTSIDE = f"li a0, {OUTSIDE:#x}\n ld a1, (a0)\n"


def test_load_outside_memory_stops_the_vm_and_is_kept(bench: Bench) -> None:
    bench.vm(WAIT, "b")
    vm = bench.vm(READ_OUTSIDE + WAIT)
    bench.run()
    assert vm.state is VmState.CRASHED
    fault = bench.hypervisor.faults[vm.faults[0]]
    assert (fault.cause, fault.gva, fault.gpa) == (21, OUTSIDE, OUTSIDE)
    assert fault.htval == OUTSIDE >> 2
    assert fault.instruction is not None
    assert fault.instruction & 3 == 3 or fault.instruction < 1 << 16
    assert fault.walk.cause == 21
    assert {fault.walk.stage[i] for i in range(fault.walk.count)} == {STAGE_G}
    registers = HART.struct.from_buffer_copy(fault.registers.ljust(HART.size, b"\0"))
    assert registers.x[10] == OUTSIDE
    assert registers.pc == fault.pc


def test_neighbours_are_digested_before_and_after_the_access(bench: Bench) -> None:
    neighbour = bench.vm(WAIT, "b")
    vm = bench.vm(f"li a0, {OUTSIDE:#x}\n sd a0, (a0)")
    bench.run()
    (proof,) = bench.hypervisor.faults[vm.faults[0]].proofs
    assert proof.vm == "b"
    assert proof.before == proof.after == bench.host.digest_frames(neighbour.frames)


def test_crashed_vm_keeps_its_frames_until_it_is_started_again(bench: Bench) -> None:
    vm = bench.vm(READ_OUTSIDE)
    bench.run()
    assert len(vm.frames) == 16
    assert vm.hpa(0x8000_0000) >= 0x8000_0000


def test_skip_lets_the_guest_go_on_behind_the_instruction(bench: Bench) -> None:
    source = """
        li a0, 0x90000000
        li a1, 7
        ld a1, (a0)             # 4 bytes or 2, whatever the assembler makes of it
        .option norvc
        ld a1, (a0)
        addi a0, a1, '0'
        putchar
        shutdown
    """
    vm = bench.vm(source, on_fault="skip")
    bench.run()
    assert vm.console.text() == "7"
    assert vm.exits["guest page fault"] == 2
    assert vm.fault_count == 2


def test_skip_cannot_skip_a_jump_into_nowhere(bench: Bench) -> None:
    vm = bench.vm("li a0, 0x90000000\n jr a0", on_fault="skip")
    bench.run()
    assert vm.state is VmState.CRASHED


def test_inject_gives_the_guest_an_access_fault_of_its_own(bench: Bench) -> None:
    for cause, access in ((21, "ld a1, (a0)"), (23, "sd a1, (a0)"), (20, "jr a0")):
        vm = bench.vm(
            f"la t0, handler\n csrw stvec, t0\n csrsi sstatus, 2\n li a0, {OUTSIDE:#x}\n {access}\n {WAIT}\n"
            ".balign 4\n handler: csrr s1, scause\n csrr s2, stval\n csrr s3, sepc\n csrr s4, sstatus\n"
            + WAIT,
            f"v{cause}",
            on_fault="inject",
        )
        bench.run(100_000)
        x = bench.hypervisor.registers(vm.vcpus[0]).x
        assert x[9] == ACCESS_FAULTS[cause]
        assert x[18] == OUTSIDE
        assert x[20] & 0x122 == 0x120, "SPP and SPIE remember, SIE is off"


def test_missing_trap_handler_is_told_from_a_wild_jump(bench: Bench) -> None:
    trap = bench.vm(".word 0", "trap")
    jump = bench.vm("jr zero", "jump")
    bench.run()
    story = bench.hypervisor.faults[trap.faults[0]]
    assert story.original == (2, 0x8000_0000, 0)
    assert bench.hypervisor.faults[jump.faults[0]].original is None


def test_guests_own_traps_before_the_fault_are_told(bench: Bench) -> None:
    vm = bench.vm("""
        la t0, handler
        csrw stvec, t0
        ebreak
        ebreak
        ld a1, (zero)
        .balign 4
handler:
        csrr t0, sepc
        lhu t1, (t0)
        andi t1, t1, 3
        addi t0, t0, 2
        addi t1, t1, -3
        bnez t1, 1f
        addi t0, t0, 2
1:      csrw sepc, t0
        sret
    """)
    bench.run()
    traps = bench.hypervisor.faults[vm.faults[0]].traps
    assert [trap.cause for trap in traps] == [3, 3]
    assert traps[0].pc < traps[1].pc
    assert all(trap.mode == 5 for trap in traps)


def test_table_that_leads_out_of_ram_stops_the_vm_and_no_other(make_bench: Callable[..., Bench]) -> None:
    """No table of ours does.

    If one did, a device access would be pending in the hart. The next guest finds none.
    """
    bench = make_bench(pcpus=1)
    vm = bench.vm(WAIT)
    bench.run(10_000)
    assert vm.gstage is not None
    leaf_table = vm.gstage.frames[-1]
    bench.host.write(0x8000_0000 + leaf_table * 4096 + 8, (0x1000 >> 2 | 0xDF).to_bytes(8, "little"))
    bench.hypervisor.host.flush_all()
    vm.vcpus[0].context.x[10] = 0x8000_1000
    vm.vcpus[0].context.pc = 0x8000_0000
    bench.host.write(vm.hpa(0x8000_0000), bytes.fromhex("03350500"))  # ld a0, (a0)
    bench.hypervisor.wake(vm.vcpus[0], bench.hypervisor.now)
    bench.run()
    assert vm.state is VmState.CRASHED
    assert vm.exits["mmio"] == 1
    neighbour = bench.vm(ALARM.format(ticks=500, wait="nop"), "b")
    bench.run(100_000)
    assert bench.hypervisor.registers(neighbour.vcpus[0]).x[18] == 1 << 63 | 5, "it gets its interrupts"


def test_page_table_outside_memory_ends_at_the_wall_too(bench: Bench) -> None:
    vm = bench.vm("li t0, (8 << 60) | (0x90000000 >> 12)\n csrw satp, t0\n sfence.vma\n nop")
    bench.run()
    fault = bench.hypervisor.faults[vm.faults[0]]
    assert vm.state is VmState.CRASHED
    assert fault.htinst == 0x3000
    assert fault.gpa & ~0xFFF == OUTSIDE


def test_flood_of_faults_is_counted_and_told_by_the_first(bench: Bench) -> None:
    bench.vm(WAIT, "b")
    vm = bench.vm(f"li a0, {OUTSIDE:#x}\n 1: ld a1, (a0)\n j 1b", on_fault="skip")
    bench.run(400_000)
    faults = bench.hypervisor.faults
    assert vm.fault_count > 100
    assert [bool(fault.proofs) for fault in faults.values()] == [
        number < PROVED_FAULTS for number in range(STORIES_PER_START)
    ]


def test_looking_at_a_fault_twice_changes_nothing(bench: Bench) -> None:
    """The proof tries the access again; the machine afterwards is the one that would have been without it."""
    vm = bench.vm(READ_OUTSIDE, start=True)
    hart_runs = []
    run = bench.host.run
    bench.host.run = lambda pcpu, budget: hart_runs.append((pcpu, budget)) or run(pcpu, budget)  # type: ignore[method-assign]
    bench.run()
    clock_of_fault = bench.hypervisor.faults[vm.faults[0]].clock
    assert any(budget == 1 for _, budget in hart_runs)
    assert vm.vcpus[0].retired < 10
    assert clock_of_fault == vm.vcpus[0].run_cycles + 300 + 1000


def test_virtual_instruction_is_an_illegal_instruction_to_the_guest(bench: Bench) -> None:
    vm = bench.vm(
        "la t0, h\n csrw stvec, t0\n hfence.gvma\n" + WAIT + "\n .balign 4\n h: csrr s1, scause\n" + WAIT
    )
    bench.run(100_000)
    assert bench.hypervisor.registers(vm.vcpus[0]).x[9] == 2
    assert vm.exits["virtual instruction"] == 1
