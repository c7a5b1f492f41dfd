"""The lanes of pCPUs where more happened than anybody can see: pieces of time, and who had how much of them.

A lab at full speed makes thousands of slices in a tenth of a second. A piece says in what order its owners
first came and what share each had; where in the piece they ran is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from emulator.hypervisor.trace import END, KIND, START, VCPU, VM

IDLE, HYPERVISOR, FIRST_VCPU = 0, 1, 2
WHOLE = 100


class CoarseLanes(TypedDict):
    """Pieces of every pCPU's time.

    A piece is `[cycles, code, percent, code, percent, ..., code]`: the last owner has the rest. Code 0 is
    idle, 1 the hypervisor, 2 and up are `who`, pairs of VM and vCPU.
    """

    who: list[tuple[str, int]]
    starts: list[int | None]  # of each pCPU's first piece, in cycles of its clock; None: nothing to show
    pieces: list[list[list[int]]]


def coarse_lanes(lanes: Sequence[Sequence[Sequence[Any]]], after: Sequence[int], pieces: int) -> CoarseLanes:
    """Return the slices of each pCPU (values of a `Slice`, oldest first) from `after[pcpu]`, as `pieces`."""
    who: dict[tuple[str, int], int] = {}
    starts: list[int | None] = []
    found: list[list[list[int]]] = []
    for lane, since in zip(lanes, after, strict=True):
        start = max(since, lane[0][START]) if lane else 0
        end = lane[-1][END] if lane else 0
        starts.append(start if end > start else None)
        found.append(_lane(lane, start, end, pieces, who))
    return {"who": list(who), "starts": starts, "pieces": found}


def _lane(
    lane: Sequence[Sequence[Any]], start: int, end: int, pieces: int, who: dict[tuple[str, int], int]
) -> list[list[int]]:
    length = -(-(end - start) // pieces)
    found: list[list[int]] = []
    sums: dict[int, int] = {}
    at, limit = start, min(start + length, end)
    for one in lane:
        code = _code(one, who)
        until = one[END]
        while at < until:
            stop = min(until, limit)
            sums[code] = sums.get(code, 0) + stop - at
            at = stop
            if at == limit:
                found.append(_piece(sums))
                sums = {}
                limit = min(limit + length, end)
    return found


def _code(one: Sequence[Any], who: dict[tuple[str, int], int]) -> int:
    if one[KIND] == "idle":
        return IDLE
    if one[KIND] == "hypervisor":
        return HYPERVISOR
    return who.setdefault((one[VM], one[VCPU]), FIRST_VCPU + len(who))


def _piece(sums: dict[int, int]) -> list[int]:
    cycles = sum(sums.values())
    shares = {code: round(WHOLE * had / cycles) for code, had in sums.items()}
    shown = [code for code, share in shares.items() if share] or [max(sums, key=lambda code: sums[code])]
    piece = [cycles]
    for code in shown[:-1]:
        piece += code, shares[code]
    return [*piece, shown[-1]]
