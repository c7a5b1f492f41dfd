"""Programs on the board: time, interrupts, sleep, several harts, boot protocol."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.core.csr_bits import ENVCFG_ADUE, ENVCFG_PBMTE
from emulator.devices.board_tree import board_tree
from emulator.devices.virt import Board, BoardConfig, BoardError
from emulator.isa.extensions import DEFAULT_ISA, Isa, parse_isa
from emulator.machine.debug import Breakpoint, Stop, Watchpoint
from emulator.state import RAM_BASE

Start = Callable[..., Any]

TIMER = """
    la t0, handler
    csrw mtvec, t0
    li s0, 0x02004000
    li t1, 1000
    sd t1, 0(s0)
    li t1, 0x80
    csrw mie, t1
    csrsi mstatus, 8
1:  addi s1, s1, 1
    j 1b
    .balign 4
handler:
    li t2, 0x0200bff8
    ld s2, 0(t2)
    csrr s3, mcause
    rdtime s4
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
2:  j 2b
"""


def test_the_timer_interrupts_at_its_exact_tick(start: Start) -> None:
    running = start(TIMER)
    running.machine.run(100_000)
    hart = running.harts[0]
    assert (hart.x[19], hart.x[18]) == (1 << 63 | 7, 1000)
    assert running.machine.stop_code == 0
    # 1000 ticks of 10 cycles, and the handler's few instructions.
    assert 10_000 < hart.clock < 10_020


def test_debug_stops_are_reported_and_change_nothing(start: Start) -> None:
    watched, plain = start(TIMER), start(TIMER)
    machine = watched.machine
    met: list[tuple[int, int, int]] = []

    def note(hart: int, stop: Stop) -> None:
        assert hart == 0
        met.append((machine.host.harts[0].pc, machine.host.harts[0].x[19], stop.address))

    handler = watched.symbols["handler"]
    machine.on_debug = note
    machine.host.set_breakpoint(Breakpoint(handler))
    machine.host.watch(Watchpoint(0x8000_0000, 8))
    machine.run(100_000)
    plain.machine.run(100_000)
    assert met == [(handler, 0, handler)]
    assert machine.state_hash() == plain.machine.state_hash()


WAIT = """
    li s0, 0x02004000
    li t1, 50000000
    sd t1, 0(s0)
    li t1, 0x80
    csrw mie, t1
    wfi
    rdtime s1
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
1:  j 1b
"""


def test_a_sleeping_machine_skips_to_its_timer(start: Start) -> None:
    running = start(WAIT)
    assert running.board.run(1_000_000_000)
    assert running.harts[0].x[9] == 50_000_000
    assert running.machine.instructions < 50


def test_a_machine_that_nothing_can_wake_says_so(start: Start) -> None:
    running = start("wfi\n1: j 1b")
    assert not running.board.run(1_000_000)


IPI = """
    csrr t0, mhartid
    bnez t0, other
    li t1, 0x02000004
    li t2, 1
    sw t2, 0(t1)
1:  la t0, seen
    ld t1, 0(t0)
    beqz t1, 1b
    li t0, 0x100000
    li t1, 0x00073333
    sw t1, 0(t0)
2:  j 2b
other:
    li t1, 8
    csrw mie, t1
    wfi
    csrr s0, mip
    li t1, 0x02000004
    sw zero, 0(t1)
    csrr s1, mip
    la t0, seen
    li t1, 1
    sd t1, 0(t0)
3:  wfi
    j 3b
    .data
seen: .dword 0
"""


def test_one_hart_wakes_another_and_fails_with_a_code(start: Start) -> None:
    running = start(IPI, harts=2)
    running.machine.run(1_000_000)
    assert running.machine.stop_code == 7
    assert (running.harts[1].x[8], running.harts[1].x[9]) == (8, 0)


ECHO = """
    la t0, handler
    csrw mtvec, t0
    li s0, 0x10000000
    li t1, 1
    sb t1, 1(s0)
    li t1, 0x0c000028
    li t2, 1
    sw t2, 0(t1)
    li t1, 0x0c002000
    li t2, 0x400
    sw t2, 0(t1)
    li t1, 0x800
    csrw mie, t1
    csrsi mstatus, 8
1:  wfi
    j 1b
    .balign 4
handler:
    li t1, 0x0c200004
    lw s1, 0(t1)
    lbu t2, 0(s0)
    sb t2, 0(s0)
    sw s1, 0(t1)
    mret
"""


def test_typing_wakes_the_machine_through_the_interrupt_controller(start: Start) -> None:
    running = start(ECHO)
    assert not running.board.run(100_000)
    running.board.uart.receive(b"hi!")
    running.board.run(100_000)
    assert running.console == b"hi!"
    assert running.harts[0].x[9] == 10


ABSENT = "la t0, h\ncsrw mtvec, t0\nli t1, 0x40000000\nld a0, 0(t1)\n.balign 4\nh: csrr s1, mcause\n1: j 1b"


def test_an_access_that_no_device_takes_is_an_access_fault(start: Start) -> None:
    running = start(ABSENT)
    running.machine.run(1_000)
    assert running.harts[0].x[9] == 5


def test_every_hart_runs_the_boot_rom(start: Start) -> None:
    running = start("1: j 1b", harts=2)
    assert [hart.pc for hart in running.harts] == [0x1000, 0x1000]
    running.machine.run(1)
    for number, hart in enumerate(running.harts):
        assert (hart.pc, hart.x[10], hart.x[12]) == (RAM_BASE, number, 0x1000 + 40)
        assert running.machine.host.read(hart.x[11], 4) == b"\xd0\x0d\xfe\xed"


ROM_USER = """
    la t0, handler
    csrw mtvec, t0
    ld s1, 0(a2)
    li s2, 0xff8
    add s2, s2, a2
    ld s2, 0(s2)
    li t0, 0x2000
    jalr s3, t0
    csrr s4, mcause
    li t0, 0x1000
    sd t0, 0(t0)
    csrr s5, mcause
    li t0, 0x10000
    jalr s3, t0
    csrr s6, mcause
1:  j 1b
    .balign 4
handler:
    csrr t1, mcause
    addi t1, t1, -7
    bnez t1, fetch
    csrr t1, mepc
    addi t1, t1, 4
    csrw mepc, t1
    mret
fetch:
    csrw mepc, s3
    mret
"""


def test_the_boot_rom_is_memory_that_cannot_be_written(start: Start) -> None:
    running = start(ROM_USER)
    running.machine.run(1_000)
    hart = running.harts[0]
    assert (hart.x[9], hart.x[18]) == (0x4942534F, 0)
    # Zeros are no instruction; a store is refused; behind the ROM nothing is fetched.
    assert (hart.x[20], hart.x[21], hart.x[22]) == (2, 7, 1)


COUNTERS = """
    la t0, shared
    csrr t1, mhartid
1:  amoadd.d t2, t1, (t0)
    xor s1, s1, t2
    addi t1, t1, 3
    j 1b
    .data
shared: .dword 0
"""


def test_how_a_run_is_cut_changes_nothing(start: Start) -> None:
    whole, cut = start(COUNTERS, harts=3), start(COUNTERS, harts=3)
    whole.machine.run(50_000)
    for _ in range(5):
        cut.machine.run(7_000)
    assert cut.harts[0].clock == 50_000
    assert whole.machine.state_hash() == cut.machine.state_hash()


def test_the_same_run_ends_in_the_same_state(start: Start) -> None:
    first, second = start(IPI, harts=2), start(IPI, harts=2)
    first.machine.run(30_000)
    second.machine.run(30_000)
    assert first.machine.state_hash() == second.machine.state_hash()


def test_a_program_that_does_not_fit_is_refused(engine: Any) -> None:
    board = Board(BoardConfig(1, 1 << 20), engine, bytearray().extend)
    with pytest.raises(BoardError, match=r"initrd: 600000 bytes do not fit at 0x80080000"):
        board.load_initrd(bytes(600_000), "initrd")
    with pytest.raises(BoardError, match="tohost is at 0x1000; RAM is 0x80000000"):
        board.enable_htif(0x1000, None)


def test_a_board_without_room_for_its_device_tree_is_refused(engine: Any) -> None:
    board = Board(BoardConfig(1, 1 << 20), engine, bytearray().extend)
    board.load_bytes(bytes((1 << 20) - 0x4000), RAM_BASE, "firmware.bin")
    with pytest.raises(BoardError, match=r"memory is 1024 KiB, and with the device tree 10\d\d KiB"):
        board.start(RAM_BASE)


def test_the_device_tree_leaves_firmware_room_to_add_to_it(engine: Any) -> None:
    for memory in (1 << 20, 64 << 20):
        board = Board(BoardConfig(1, memory), engine, bytearray().extend)
        board.start(RAM_BASE)
        board.run(1)
        hart = board.machine.host.harts[0]
        tree = hart.x[11]
        size = int.from_bytes(board.machine.host.read(tree + 4, 4), "big")
        assert tree + size + 0x4000 <= RAM_BASE + memory


@pytest.mark.parametrize("isa", [DEFAULT_ISA, parse_isa("rv64imac_zicbom")])
def test_the_device_tree_names_every_extension(engine: Any, isa: Isa) -> None:
    root = board_tree(BoardConfig(isa=isa), None, 0)
    cpu = root.find("cpus/cpu@0")
    assert cpu is not None
    assert cpu.properties["riscv,isa"] == isa.string()
    assert cpu.properties["riscv,isa-extensions"] == isa.names()
    assert ("riscv,cboz-block-size" in cpu.properties) is ("zicboz" in isa)


def test_older_firmware_finds_memory_types_on(engine: Any) -> None:
    reset = {"rv64i_svpbmt": ENVCFG_PBMTE, "rv64i_svadu": ENVCFG_ADUE, "rv64i_svade_svadu": 0}
    for text, value in reset.items():
        board = Board(BoardConfig(isa=parse_isa(text)), engine, bytearray().extend)
        assert board.machine.host.harts[0].menvcfg == value


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (BoardConfig(harts=0), "harts is 0; must be from 1 to 8"),
        (BoardConfig(memory_bytes=4095), "must be a multiple of 4 KiB from 1 MiB to 2 GiB"),
    ],
)
def test_impossible_boards_are_named(engine: Any, config: BoardConfig, message: str) -> None:
    with pytest.raises(BoardError, match=message):
        Board(config, engine, bytearray().extend)


HTIF = """
    la s0, tohost
    la t0, request
    sd t0, 0(s0)
1:  la t1, fromhost
    ld t2, 0(t1)
    beqz t2, 1b
    sd zero, 0(t1)
    li t0, 0x0101000000000021
    sd t0, 0(s0)
2:  ld t2, 0(s0)
    bnez t2, 2b
    li t0, 0x0100000000000000
    sd t0, 0(s0)
4:  ld s3, 0(t1)
    beqz s3, 4b
    sd zero, 0(t1)
    la t0, finish
    sd t0, 0(s0)
3:  j 3b
    .data
    .balign 64
tohost: .dword 0
fromhost: .dword 0
request: .dword 64, 1, text, 5
finish: .dword 93, 3, 0, 0
text: .ascii "hello"
"""


def test_htif_writes_prints_and_exits(start: Start) -> None:
    running = start(HTIF)
    running.board.run(1_000_000)
    assert bytes(running.console) == b"hello!"
    assert running.load("request") == 5
    running.board.receive(b"k")
    running.board.run(1_000_000)
    assert running.machine.stop_code == 3
    assert running.harts[0].x[19] == 0x0100_0000_0000_0100 | ord("k")


@pytest.mark.parametrize(
    ("call", "result"),
    [("57, 1, 0, 0", -38), ("64, 7, 0x80000000, 4", -9), ("64, 1, 64, 4", -14), ("64, 2, 0x80000000, 4", 4)],
)
def test_a_system_call_that_is_not_served_says_why(start: Start, call: str, result: int) -> None:
    source = (
        f"la s0, tohost\nla t0, call\nsd t0, 0(s0)\n1: j 1b\n.data\ntohost: .dword 0\ncall: .dword {call}"
    )
    running = start(source)
    running.board.run(100_000)
    assert running.load("call") == result & (1 << 64) - 1


BAD_HTIF = """
    la s0, tohost
    li t0, 0x40
    sd t0, 0(s0)
    li t1, 20000
1:  addi t1, t1, -1
    bnez t1, 1b
    li t0, 1
    sd t0, 0(s0)
2:  j 2b
    .data
    .balign 64
tohost: .dword 0
"""


def test_htif_survives_an_address_outside_ram(start: Start) -> None:
    running = start(BAD_HTIF)
    running.board.run(1_000_000)
    assert running.machine.stop_code == 0
