"""A two-stage page walk in words: what the MMU read, entry by entry, and how it ended.

Privileged ISA 20240411, sections 10.3.2 (the steps), 10.4 (Sv39) and 18.5 (two stages).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from emulator.core.csr_bits import INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE
from emulator.isa.causes import describe
from emulator.lab.byte_views import WalkRow
from emulator.lab.observation import AccessKind, WalkStep, WalkView
from emulator.lab.observing import address
from emulator.lab.page_entries import R, V, W, X, address_parts, entry_fields, flags, index_bits
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
G_LEVELS = 3  # Sv39x4
PAGE_SIZES = {0: "page", 1: "2 MiB page", 2: "1 GiB page", 3: "512 GiB page", 4: "256 TiB page"}
ROOT_MASK = (16 << 10) - 1


def walk_view(
    gpa_of: GpaOf,
    vm: str,
    vcpu: int,
    vsatp: int,
    gva: int,
    access: AccessKind,
    walk: Any,
    shadow: bool = False,
) -> WalkView:
    """Return a WALK record as data; `gpa_of` tells where a guest sees the frames that hold its tables.

    `shadow`: it is the walk of a shadow table alone, from GVA to HPA. `owner` is left None: the walk does not
    know whom a frame belongs to.
    """
    failed = walk.cause != NO_ADDRESS
    count = min(walk.count, WALK_REFERENCES)
    levels = (vsatp >> 60) - 5 if vsatp >> 60 else 0
    g_levels = 0 if shadow else G_LEVELS
    steps = [_step(gpa_of, vm, walk, index, count, levels, access, shadow) for index in range(count)]
    return {
        "vm": vm,
        "vcpu": vcpu,
        "gva": address(gva),
        "access": access,
        "vs_mode": VS_MODES.get(vsatp >> 60, "Bare"),
        "g_mode": "Bare" if shadow else "Sv39x4",
        "steps": steps,
        "rows": _rows(walk, count, levels),
        "parts": address_parts(gva, levels, guest=False) if levels else [],
        "most": (levels + 1) * (g_levels + 1) - 1,
        "ended": _ended(steps, shadow) if failed else None,
        "gpa": None if walk.gpa == NO_ADDRESS or shadow else address(walk.gpa),
        "hpa": None if failed else address(walk.hpa),
        "hfn": None if failed else (walk.hpa - RAM_BASE) // PAGE_BYTES,
        "owner": None,
        "ok": not failed,
        "cause": walk.cause if failed else None,
        "cause_name": describe(walk.cause).name if failed else None,
        "explanation": _shadow_ending(vm, walk, failed)
        if shadow
        else _ending(vm, walk, failed, bool(levels), access),
    }


def _ended(steps: list[WalkStep], shadow: bool) -> str:
    if not steps:
        return "before the first entry: the address has more bits than a table can translate"
    last = steps[-1]
    table, level = "the shadow table" if shadow else f"{last['stage']}-stage", last["level"]
    return f"{table}, level {level}" if last["outcome"] == "fault" else f"after {table}, level {level}"


def _rows(walk: Any, count: int, levels: int) -> list[WalkRow]:
    """Return the references in groups: those for each entry of the guest's table, and those for the byte."""
    groups: list[list[int]] = []
    for index in range(count):
        last = groups[-1][-1] if groups else None
        fresh = last is None or walk.stage[last] != STAGE_G
        if fresh or (walk.stage[index] == STAGE_G and walk.guest_address[index] != walk.guest_address[last]):
            groups.append([])
        groups[-1].append(index)
    rows: list[WalkRow] = []
    for steps in groups:
        rows.append(_row(walk, steps, rows[-1] if rows else None, levels))
    return rows


def _row(walk: Any, steps: list[int], before: WalkRow | None, levels: int) -> WalkRow:
    first, last = steps[0], steps[-1]
    gpa = walk.guest_address[first] if walk.stage[first] == STAGE_G else None
    row: WalkRow = {
        "kind": "table",
        "level": levels - 1 if before is None else (before["level"] or 0) - 1,
        "gpa": None if gpa is None else address(gpa),
        "parts": [] if gpa is None else address_parts(gpa, G_LEVELS, guest=True),
        "steps": steps,
    }
    if walk.stage[last] != STAGE_G:
        row["level"] = walk.level[last]
    elif before is None and not levels:
        row.update({"kind": "byte", "level": None})
    elif before is not None and (before["kind"] == "update" or _is_leaf(walk, before)):
        update = before["kind"] == "table" and before["gpa"] == row["gpa"]
        row["kind"], row["level"] = ("update", before["level"]) if update else ("byte", None)
    return row


def _is_leaf(walk: Any, row: WalkRow) -> bool:
    last = row["steps"][-1]
    return walk.stage[last] != STAGE_G and bool(walk.pte[last] & (R | X))


def _step(
    gpa_of: GpaOf, vm: str, walk: Any, index: int, count: int, levels: int, access: AccessKind, shadow: bool
) -> WalkStep:
    is_g = walk.stage[index] == STAGE_G
    level, pte_hpa, pte = walk.level[index], walk.address[index], walk.pte[index]
    root = is_g and level == G_LEVELS - 1
    table_hpa = pte_hpa & ~(ROOT_MASK if root else PAGE_BYTES - 1)
    table_gpa = None if is_g or shadow else gpa_of((table_hpa - RAM_BASE) // PAGE_BYTES)
    outcome = _outcome(walk, index, count, pte)
    high, low = index_bits(level, root)
    return {
        "number": index + 1,
        "stage": "G" if is_g else "VS",
        "level": level,
        "purpose": "read the shadow table" if shadow else _purpose(walk, index, count, levels),
        "input": address(walk.guest_address[index]),
        "index": (pte_hpa - table_hpa) // 8,
        "high": high,
        "low": low,
        "table_gpa": None if table_gpa is None else address(table_gpa),
        "table_hpa": address(table_hpa),
        "table_hfn": (pte_hpa - RAM_BASE) // PAGE_BYTES,
        "pte_hpa": address(pte_hpa),
        "pte": address(pte),
        "flags": flags(pte),
        "fields": entry_fields(pte),
        "target": address((pte >> 10 & (1 << 44) - 1) << 12) if pte & V else None,
        "outcome": outcome,
        "explanation": _explanation(vm, is_g, level, pte, outcome, access, shadow),
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


def _explanation(
    vm: str, is_g: bool, level: int, pte: int, outcome: str, access: AccessKind, shadow: bool
) -> str:
    whose = f"the hypervisor's table for {vm}" if is_g else f"{vm}'s own page table"
    whose = f"the shadow table for {vm}" if shadow else whose
    target = f"{(pte >> 10 & (1 << 44) - 1) << 12:#x}"
    space = "HPA" if is_g or shadow else "GPA"
    if outcome == "next level":
        return f"Entry of {whose}, level {level}: the next table is at {space} {target}."
    if outcome == "leaf":
        size = PAGE_SIZES.get(level, "page")
        return f"Entry of {whose}, level {level}: the {size} is at {space} {target}."
    if not pte & V:
        return f"Entry of {whose}, level {level}, is not valid (V=0): the walk ends here."
    needed = {"fetch": ("X", X), "load": ("R", R), "store": ("W", W)}[access]
    if pte & (R | W | X) and not pte & needed[1]:
        bit = needed[0]
        return f"Entry of {whose}, level {level}, forbids a {access} ({bit}=0): the walk ends here."
    return f"Entry of {whose}, level {level}, does not allow this {access} here: the walk ends here."


def _ending(vm: str, walk: Any, failed: bool, translated: bool, access: AccessKind) -> str:
    first = (
        f"The guest's page table gives GPA {walk.gpa:#x}"
        if translated
        else f"No table of the guest takes part: the address is GPA {walk.gpa:#x}"
    )
    if not failed:
        return f"{first}; the hypervisor's table gives HPA {walk.hpa:#x}, a frame of {vm}."
    if walk.cause in GUEST_PAGE_FAULTS:
        if walk.gpa == NO_ADDRESS:
            return (
                f"A table that {vm}'s own page table points to lies where {vm} has no memory:"
                " the second stage ends the walk."
            )
        return (
            f"{first}. The hypervisor's table for {vm} does not allow a {access} there:"
            " the second stage ends the walk."
        )
    return f"{vm}'s own page table ends the walk: {describe(walk.cause).name}. The guest handles this itself."


def _shadow_ending(vm: str, walk: Any, failed: bool) -> str:
    if failed:
        return (
            f"The shadow table for {vm} has no entry that allows this (yet): the guest leaves its hart, and"
            " the hypervisor looks in the guest's own table."
        )
    return f"The shadow table for {vm} gives HPA {walk.hpa:#x} at once."
