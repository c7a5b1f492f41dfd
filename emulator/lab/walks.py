"""A two-stage page walk in words: what the MMU read, entry by entry, and how it ended.

Privileged ISA 20240411, sections 12.3 (Sv39) and 18.5 (two-stage translation).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from emulator.core.csr_bits import INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE
from emulator.isa.causes import describe
from emulator.lab.observation import AccessKind, WalkStep, WalkView
from emulator.lab.observing import address
from emulator.state import (
    ACCESS_FETCH,
    ACCESS_LOAD,
    ACCESS_STORE,
    NO_ADDRESS,
    PAGE_BYTES,
    RAM_BASE,
    STAGE_G,
    WALK_REFERENCES,
)

ACCESSES: dict[str, int] = {"fetch": ACCESS_FETCH, "load": ACCESS_LOAD, "store": ACCESS_STORE}
ACCESS_NAMES: dict[int, AccessKind] = {ACCESS_FETCH: "fetch", ACCESS_LOAD: "load", ACCESS_STORE: "store"}
GUEST_PAGE_FAULTS = (INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE)
VsMode = Literal["Bare", "Sv39", "Sv48", "Sv57"]
VS_MODES: dict[int, VsMode] = {8: "Sv39", 9: "Sv48", 10: "Sv57"}
GpaOf = Callable[[int], int | None]  # where a guest sees the frame with this HFN
FLAG_NAMES = "VRWXUGAD"
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
ROOT_MASK = (16 << 10) - 1


def walk_view(
    gpa_of: GpaOf, vm: str, vcpu: int, vsatp: int, gva: int, access: AccessKind, walk: Any
) -> WalkView:
    """Return a WALK record as data; `gpa_of` tells where a guest sees the frames that hold its tables.

    `owner` is left None: the walk does not know whom a frame belongs to.
    """
    failed = walk.cause != NO_ADDRESS
    count = min(walk.count, WALK_REFERENCES)
    levels = (vsatp >> 60) - 5 if vsatp >> 60 else 0
    return {
        "vm": vm,
        "vcpu": vcpu,
        "gva": address(gva),
        "access": access,
        "vs_mode": VS_MODES.get(vsatp >> 60, "Bare"),
        "g_mode": "Sv39x4",
        "steps": [_step(gpa_of, vm, walk, index, count, levels, access) for index in range(count)],
        "gpa": None if walk.gpa == NO_ADDRESS else address(walk.gpa),
        "hpa": None if failed else address(walk.hpa),
        "hfn": None if failed else (walk.hpa - RAM_BASE) // PAGE_BYTES,
        "owner": None,
        "ok": not failed,
        "cause": walk.cause if failed else None,
        "cause_name": describe(walk.cause).name if failed else None,
        "explanation": _ending(vm, walk, failed, bool(levels), access),
    }


def _step(
    gpa_of: GpaOf, vm: str, walk: Any, index: int, count: int, levels: int, access: AccessKind
) -> WalkStep:
    is_g = walk.stage[index] == STAGE_G
    level, pte_hpa, pte = walk.level[index], walk.address[index], walk.pte[index]
    table_hpa = pte_hpa & ~(ROOT_MASK if is_g and level == 2 else PAGE_BYTES - 1)
    table_gpa = None if is_g else gpa_of((table_hpa - RAM_BASE) // PAGE_BYTES)
    outcome = _outcome(walk, index, count, pte)
    return {
        "stage": "G" if is_g else "VS",
        "level": level,
        "purpose": _purpose(walk, index, count, levels),
        "input": address(walk.guest_address[index]),
        "index": (pte_hpa - table_hpa) // 8,
        "table_gpa": None if table_gpa is None else address(table_gpa),
        "table_hpa": address(table_hpa),
        "pte_hpa": address(pte_hpa),
        "pte": address(pte),
        "flags": "".join(name if pte >> bit & 1 else "-" for bit, name in enumerate(FLAG_NAMES)),
        "target": address((pte >> 10 & (1 << 44) - 1) << 12) if pte & V else None,
        "outcome": outcome,
        "explanation": _explanation(vm, is_g, level, pte, outcome, access),
    }


def _outcome(walk: Any, index: int, count: int, pte: int) -> Literal["next level", "leaf", "fault"]:
    if index == count - 1 and walk.cause != NO_ADDRESS:
        return "fault"
    return "leaf" if pte & (R | X) else "next level"


def _purpose(walk: Any, index: int, count: int, levels: int) -> str:
    """Say what this reference is for: a G-stage walk serves one VS-stage entry, or the address itself."""
    level = walk.level[index]
    if walk.stage[index] != STAGE_G:
        return f"read the guest's page table, level {level}"
    later = next((walk.level[i] for i in range(index, count) if walk.stage[i] != STAGE_G), None)
    if later is None and walk.gpa == NO_ADDRESS:
        done = sum(1 for i in range(count) if walk.stage[i] != STAGE_G)
        later = levels - 1 - done
    if later is not None:
        return f"find where the guest's level-{later} table lies"
    return "translate the guest-physical address"


def _explanation(vm: str, is_g: bool, level: int, pte: int, outcome: str, access: AccessKind) -> str:
    whose = f"the hypervisor's table for {vm}" if is_g else f"{vm}'s own page table"
    target = f"{(pte >> 10 & (1 << 44) - 1) << 12:#x}"
    space = "HPA" if is_g else "GPA"
    if outcome == "next level":
        return f"Entry of {whose}, level {level}: the next table is at {space} {target}."
    if outcome == "leaf":
        size = {0: "page", 1: "2 MiB page", 2: "1 GiB page"}.get(level, "page")
        return f"Entry of {whose}, level {level}: the {size} is at {space} {target}."
    if not pte & V:
        return f"Entry of {whose}, level {level}, is not valid (V=0): the walk ends here."
    needed = {"fetch": ("X", X), "load": ("R", R), "store": ("W", W)}[access]
    if pte & (R | W | X) and not pte & needed[1]:
        return f"Entry of {whose}, level {level}, forbids a {access} ({needed[0]}=0): the walk ends here."
    return f"Entry of {whose}, level {level}, does not allow this {access} here: the walk ends here."


def _ending(vm: str, walk: Any, failed: bool, translated: bool, access: AccessKind) -> str:
    first = "The guest's page table gives" if translated else "The guest uses no page table: the address is"
    if not failed:
        return f"{first} GPA {walk.gpa:#x}; the hypervisor's table gives HPA {walk.hpa:#x}, a frame of {vm}."
    if walk.cause in GUEST_PAGE_FAULTS:
        if walk.gpa == NO_ADDRESS:
            return (
                f"A table that {vm}'s own page table points to lies where {vm} has no memory:"
                " the second stage ends the walk."
            )
        return (
            f"{first} GPA {walk.gpa:#x}. The hypervisor's table for {vm} does not allow a {access} there:"
            " the second stage ends the walk."
        )
    return f"{vm}'s own page table ends the walk: {describe(walk.cause).name}. The guest handles this itself."
