"""Kernels with a planted mistake; `python -m tests.checked.mutants` prints what the checks say of each.

To be run with `VMLAB_JIT=0`, where a kernel is changed by changing one function of a module. Each line is the
name of a mutant, what its scenario does to sound kernels, and what to the mutant.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

from emulator.build.checked import KernelBoundsError, checked_function
from emulator.build.compile import import_kernels
from emulator.build.engine import Engine, kernel_module, plain_functions
from emulator.state import PRIV_S, RAM_BASE, WALK
from tests.core.machine import CODE, DATA, FRAMES, TABLES, Machine, frame
from tests.core.tables import SV39, SV57, USER, Tables

END = frame(FRAMES)
OUTSIDE = END + 0x4000_0000


def walk_outside(machine: Machine) -> None:
    """Let satp name a table that is not RAM."""
    machine.enter(PRIV_S).satp = SV39 << 60 | OUTSIDE >> 12
    machine.step("ld a0, (a1)")


def store_outside(machine: Machine) -> None:
    """Store behind the last frame."""
    machine.hart.x[11] = END
    machine.code("sd a0, (a1)")
    machine.run(1)


def jump_outside(machine: Machine) -> None:
    """Fetch from behind the last frame."""
    machine.hart.pc = END
    machine.run(2)


def zero_outside(machine: Machine) -> None:
    """Zero a cache block behind the last frame."""
    machine.hart.x[11] = END
    machine.step("cbo.zero (a1)")


def long_walk(machine: Machine) -> None:
    """Make a walk of 29 references, for which a record has no room."""
    guest, host = Tables(machine, TABLES, SV57), Tables(machine, TABLES + 0x40000, SV57, stage2=True)
    guest.map(DATA, DATA)
    host.map(RAM_BASE, RAM_BASE, USER, level=1)
    machine.hart.vsatp, machine.hart.hgatp = guest.register(), host.register()
    machine.engine.translate(machine.hart, machine.host.record, WALK.struct(), DATA, 1, PRIV_S, 1, 0)


def store_twice(machine: Machine) -> None:
    """Store to a page that was never written, which has no slot of its own yet."""
    machine.hart.x[11] = DATA
    machine.step("sd a0, (a1)\n sd a0, 8(a1)", steps=2)


def guest_load_across_pages(machine: Machine) -> None:
    """Load by HLV at the end of a page, which must not run into the next slot of the store."""
    machine.store(DATA, 1)
    machine.hart.hstatus = 1 << 8
    machine.hart.x[11] = DATA + 0xFFD
    machine.step("hlv.d a0, (a1)")


def many_traps(machine: Machine) -> None:
    """Trap more often than the ring of events has places."""
    machine.hart.mtvec = CODE
    machine.code("ecall")
    machine.run(270)


def stale_store(machine: Machine) -> None:
    """Store to a page, let the host take its slot back, store again by what the hart remembers."""
    machine.hart.x[11] = DATA
    machine.step("sd a0, (a1)\n sd a0, 8(a1)", steps=2)
    machine.host.discard([(DATA - RAM_BASE) // 4096])
    machine.step("nop\n sd a0, 16(a1)", steps=2)


# name: scenario, function, text in it, replacement
MUTANTS: dict[str, tuple[Callable[[Machine], None], str, str, str]] = {
    "walker without its bounds": (walk_outside, "translate_stage1", "not is_ram(host, address)", "False"),
    "everything is RAM to a store": (store_outside, "store_slow", "not is_ram(host, hpa)", "False"),
    "everything is RAM to a fetch": (jump_outside, "code_frame_of", "is_ram(host, hpa)", "True"),
    "everything is RAM to cbo.zero": (zero_outside, "cbo_zero", "not is_ram(host, hpa)", "False"),
    "walk record without an end": (long_walk, "note", "n < WALK_REFERENCES", "True"),
    "no copy on write": (store_twice, "writable_bytes", "slot != K_0 and references == K_1", "True"),
    "loads across pages": (guest_load_across_pages, "hypervisor_load", "K_1 if va & size - K_1 else size",
                           "size"),
    "ring without an end": (many_traps, "record_trap", "host.event_count % host.event_capacity",
                            "host.event_count"),
    "flush that forgets nothing": (stale_store, "flush_fast", "entry < end", "False"),
}  # fmt: skip


@cache
def _functions() -> dict[str, ast.FunctionDef]:
    body = ast.parse(kernel_module(checked=True).read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


@contextmanager
def planted(module: ModuleType, name: str, text: str, replacement: str) -> Iterator[None]:
    """Change a function of the module."""
    sound = getattr(module, name)
    changed = ast.unparse(_functions()[name])
    assert text in changed, f"{name} has no {text!r} any more:\n{changed}"
    exec(changed.replace(text, replacement), vars(module))
    try:
        yield
    finally:
        setattr(module, name, sound)


def verdict(engine: Any, scenario: Callable[[Machine], None]) -> str:
    """Run a scenario; return the region that was left, or "sound"."""
    try:
        machine = Machine(engine)
        machine.hart.menvcfg = 0xF0
        scenario(machine)
    except KernelBoundsError as error:
        return error.kind
    return "sound"


def main() -> None:
    """Print one line for each mutant."""
    module = import_kernels(kernel_module(checked=True))
    functions = plain_functions(module)
    engine: Any = Engine({name: checked_function(name, function) for name, function in functions.items()})
    for name, (scenario, *change) in MUTANTS.items():
        before = verdict(engine, scenario)
        with planted(module, *change):
            print(f"{name}: {before}, {verdict(engine, scenario)}")


if __name__ == "__main__":
    main()
