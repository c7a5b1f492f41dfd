"""A kernel that moves itself when it turns paging on keeps its names, in stops, code and stories."""

from collections.abc import Callable
from typing import Any

import pytest

from app.workers.stops import describe
from emulator.isa.assembler import assemble
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.lab.symbol_file import symbol_file
from emulator.machine import elf_symbols, linux, symbol_table
from emulator.machine.engine import Engine
from tests.machine.test_linux import image

FAR = 1_000_000
RUNS_AT = 0xFFFF_FFFF_8020_0000
CODE_AT = 64  # behind the header, which jumps there
# A root table at 0x80201000 with one page of 1 GiB; the first fetch behind the write of satp faults, and the
# handler for it is the kernel itself, where it runs from then on.
SOURCE = """
low:    li t0, 0x80201ff0
        li t1, 0x200000cf
        sd t1, 0(t0)
        li t2, 0xffffffff80200040
        la t3, high
        la t4, low
        sub t3, t3, t4
        add t2, t2, t3
        csrw stvec, t2
        li t5, 0x8000000000080201
        csrw satp, t5
        nop
        .balign 4
high:   la t6, counter
again:  ld a0, 0(t6)
        addi a0, a0, 1
        sd a0, 0(t6)
        jal again
        .balign 8
counter: .dword 0
"""


@pytest.fixture(scope="module")
def kernel() -> Program:
    program = assemble(SOURCE)
    base = program.symbols["low"]
    names = [("_start", RUNS_AT)]
    names += [(name, value - base + RUNS_AT + CODE_AT) for name, value in program.symbols.items()]
    code = b"".join(segment.data for segment in program.segments)
    table = symbol_table.pack(RUNS_AT, names)
    return Program("kernel", elf=linux.bundle(image(code, size=0x2000), b"", "a test", table))


@pytest.fixture
def lab(engine: Engine, kernel: Program) -> Lab:
    vm = {"name": "a", "memory": "4 MiB", "program": "kernel", "autostart": True}
    config = LabConfig.from_dict({"host": {"pcpus": 1, "memory": "8 MiB"}, "vms": [vm]})
    lab = Lab(config, {"kernel": kernel}, 1, engine)
    lab.record()
    return lab


@pytest.fixture
def until(lab: Lab) -> Callable[..., int]:
    def run(**condition: Any) -> int:
        """Run until a condition as a page gives it; return the pc."""
        assert lab.run_until_any([lab.settled_stop({"vm": "a", **condition})], FAR) == [0]
        return int(lab.registers("a", 0)["pc"], 16)

    return run


def test_a_breakpoint_by_name_stops_before_and_after_paging(lab: Lab, until: Callable[..., int]) -> None:
    assert until(kind="breakpoint", address="low+4") == 0x8020_0044
    assert lab.cpu("a", 0)["code"]["where"] == "low+0x4"
    stop = lab.settled_stop({"kind": "breakpoint", "vm": "a", "address": "high"})
    assert int(stop["address"], 16) > 1 << 53, "a page can only read it exactly as text"
    pc = until(kind="breakpoint", address="high")
    assert pc > RUNS_AT
    view = lab.cpu("a", 0, count=12)["code"]
    assert view["where"] == "high"
    texts = [line["text"] for line in view["lines"] if line["label"] == "again" or "<again>" in line["text"]]
    assert texts[0].startswith("ld"), view["lines"]
    assert texts[1].endswith("<again>")
    assert lab.observe(None)["vms"][0]["vcpus"][0]["where"] == "high"


def test_going_back_to_a_name_is_the_same_instant(lab: Lab, until: Callable[..., int]) -> None:
    until(kind="breakpoint", address="low+4")
    there = lab.position
    until(kind="breakpoint", address="again")
    assert lab.back_to({"kind": "breakpoint", "vm": "a", "address": "low+4"})
    assert lab.position == there


def test_memory_is_watched_by_name_before_it_is_mapped(lab: Lab, until: Callable[..., int]) -> None:
    stop = lab.settled_stop({"kind": "watch", "vm": "a", "address": "counter", "access": "store"})
    assert stop["space"] == "gpa"
    assert describe(stop) == f"store to 8 bytes at GPA counter ({stop['address']}) in a"
    until(kind="watch", address="counter", access="store")
    assert lab.where("a", 0, "gva", "counter")["name"] == "counter"
    assert lab.where("a", 0, "gpa", stop["address"])["name"] == "counter"
    assert lab.memory("a", 0, int(stop["address"], 16), "gpa", 8)["pages"][0]["data"] == "0100000000000000"


def test_an_unknown_name_says_what_may_be_meant(lab: Lab) -> None:
    with pytest.raises(LabError, match=r"a has no symbol 'hihg'; did you mean `high`\?"):
        lab.settled_stop({"kind": "breakpoint", "vm": "a", "address": "hihg"})


def test_without_symbols_it_is_said_so(lab: Lab, engine: Engine, kernel: Program) -> None:
    assert kernel.elf is not None
    plain = Program("kernel", elf=linux.with_symbols(kernel.elf, "kernel", b""))
    bare = Lab(lab.config, {"kernel": plain}, 1, engine)
    assert not bare.cpu("a", 0)["code"]["named"]
    assert bare.cpu("a", 0)["code"]["where"] == ""
    with pytest.raises(LabError, match="kernel has no symbols; give a number"):
        bare.settled_stop({"kind": "breakpoint", "vm": "a", "address": "high"})
    bare.advance(10_000)
    lab.advance(10_000)
    assert bare.state_hash() == lab.state_hash(), "symbols change nothing that happens"


def test_the_symbol_file_has_a_kernel_where_it_is_loaded_and_where_it_runs(kernel: Program) -> None:
    executable = kernel.executable
    data = symbol_file(executable)
    assert len(elf_symbols.symbols(data)) == len(executable.symbols)
    for address in (executable.symbols["again"], executable.symbols_under(0)["again"]):
        assert address.to_bytes(8, "little") in data
