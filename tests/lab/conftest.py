"""Fixtures: labs of a few small guests."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.lab.busy import BUSY

PROGRAMS = {
    "hello.s": """
        la s0, text
1:      lbu a0, (s0)
        beqz a0, 2f
        li a7, 1
        ecall
        addi s0, s0, 1
        j 1b
2:      li a7, 8
        ecall
        .data
text:   .asciz "Hello\\n"
    """,
    "spin.s": "1: addi s0, s0, 1\n j 1b",
    "wait.s": "1: wfi\n j 1b",
    "nap.s": """
        li t0, 1 << 5
        csrs sie, t0
1:      rdtime a0
        li t0, 5000
        add a0, a0, t0
        li a7, 0
        ecall
        wfi
        li a0, 'z'
        li a7, 1
        ecall
        j 1b
    """,
    "polite.s": """
        li t0, 1 << 9           # the power button
        csrs sie, t0
        wfi
        li a7, 8
        ecall
    """,
    "probe.s": "li a0, 0x90000000\n ld a1, (a0)\n 1: j 1b",
    "echo.s": """
1:      li a7, 2
        ecall
        bltz a0, 1b
        li a7, 1
        ecall
        j 1b
    """,
    "count.s": """
        .globl _start
_start: la s0, value
again:  ld t0, (s0)
        addi t0, t0, 1
        sd t0, (s0)
        call spend
        j again
spend:  li t1, 3
1:      addi t1, t1, -1
        bnez t1, 1b
        ret
        .data
        .balign 8
value:  .dword 40
    """,
}


@pytest.fixture
def make_lab(engine: Any) -> Callable[..., Lab]:
    """Make a lab: `make_lab("hello", "spin", pcpus=1)` has VMs a and b, each with 64 KiB."""

    def make(*programs: str, **host: Any) -> Lab:
        vms = [
            {"name": name, "program": f"{program}.s", "memory": "64 KiB"}
            for name, program in zip("abcdefgh", programs, strict=False)
        ]
        config = LabConfig.from_dict({"host": {"memory": "2 MiB", **host}, "vms": vms})
        sources = {name: Program(name, source=text) for name, text in PROGRAMS.items()}
        return Lab(config, sources, 7, engine)

    return make


@pytest.fixture
def full_lab(engine: Any) -> Callable[[], Lab]:
    """Make a lab with four busy VMs and all devices on two pCPUs."""

    def make() -> Lab:
        devices = {"disk": "1 MiB", "network": "lan", "rng": True, "balloon": True, "console": "virtio"}
        vms: list[dict[str, Any]] = [
            {"name": "a", "program": "scribble.s", "memory": "64 KiB", **devices},
            {"name": "b", "program": "nap.s", "memory": "64 KiB", "network": "lan"},
            {"name": "c", "program": "probe.s", "memory": "64 KiB", "on_fault": "skip"},
            {"name": "d", "program": "echo.s", "memory": "64 KiB"},
        ]
        config = LabConfig.from_dict({"host": {"memory": "2 MiB", "pcpus": 2}, "vms": vms})
        return Lab(
            config, {name: Program(name, source=text) for name, text in (PROGRAMS | BUSY).items()}, 7, engine
        )

    return make


@pytest.fixture
def running(full_lab: Callable[[], Lab]) -> Lab:
    """Four VMs that have run for a while."""
    lab = full_lab()
    for name in "abcd":
        lab.apply({"verb": "start", "vm": name})
    lab.advance(200_000)
    return lab
