"""The shapes of what a lab says about one byte: its walk, its TLB entry, who maps its frame, and one exit.

The conventions are those of `observation`. Everything here is asked for one at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

if TYPE_CHECKING:
    from emulator.lab.observation import AccessKind, AddressSpace, RegistersView, SourceLine, WalkView


class FieldReading(TypedDict):
    """What a field holds."""

    value: str
    meaning: str


class EntryField(FieldReading):
    """One field of a page-table entry or of `htinst`: bits `high` to `low`."""

    name: str
    high: int
    low: int


class AddressPart(TypedDict):
    """A part of an address: the index at a level (`VPN[1]`, of a GPA `PPN[1]`), or the offset (no level)."""

    name: str
    level: int | None
    high: int
    low: int
    value: int


class WalkRow(TypedDict):
    """The references that serve one purpose: to reach one entry of the guest's table, or the byte itself.

    `gpa` is what the row's G-stage walk translates (None where there is none); `level` that of the guest's
    table. A row of kind "update" asks whether the hart may set A and D in the entry of the row before.
    """

    kind: Literal["table", "update", "byte"]
    level: int | None
    gpa: str | None
    parts: list[AddressPart]
    steps: list[int]  # places in `WalkView.steps`


class TlbView(TypedDict):
    """What a TLB holds at the place of one translation, now."""

    outcome: Literal["hit", "miss", "not for this access", "never loaded"]
    loaded: bool  # else the vCPU is on no pCPU, and this is the one that it was on last
    pcpu: int | None
    buffer: Literal["data", "instruction"]
    place: int
    places: int
    tag: str | None  # the page of the GVA that the place holds; None if it is empty
    page: str | None  # HPA
    permissions: str
    asid: int | None
    vmid: int | None
    explanation: str


class WhereView(TypedDict):
    """One byte in all three spaces."""

    vm: str | None
    vcpu: int | None
    space: AddressSpace
    asked: str  # what was asked for: "sp", "main+8", "0x80000000"
    address: str
    name: str  # "main+0x8": the symbol before it, "" if there is none
    access: AccessKind
    gva: str | None
    gpa: str | None
    hpa: str | None
    hfn: int | None
    owner: str | None
    device: str  # what answers at the GPA instead of memory, "" if nothing does
    walk: WalkView | None  # of the guest's and the hypervisor's tables; None for an HPA
    shadow: WalkView | None  # with shadow paging: what the MMU itself walks
    tlb: TlbView | None
    explanation: str


class TableEntry(TypedDict):
    """An entry of a page of a page table that is not zero."""

    index: int
    pte: str
    kind: Literal["table", "leaf", "not valid"]
    flags: str
    target: str


class TableView(TypedDict):
    """4 KiB of memory read as 512 page-table entries; those that are not listed are 0."""

    hfn: int
    hpa: str
    owner: str
    entries: list[TableEntry]


class MapperView(TypedDict):
    """One way in which a frame is used or reached.

    "G-stage": a VM's G-stage maps the GPA to it. "guest table": a guest page table maps the GVA to it.
    "table": the frame is part of a table itself. "DMA": a device's ring of that VM lies in it.
    """

    kind: Literal["G-stage", "guest table", "table", "DMA"]
    vm: str
    vcpus: list[int]
    gva: str | None
    gpa: str | None
    bytes: int  # how much the entry maps
    permissions: str
    text: str


class ChangeView(TypedDict):
    """A register that is not after an exit what it was before."""

    name: str
    before: str
    after: str


class InstantView(TypedDict):
    """A guest at the moment of an exit, as it is found by going back there."""

    pc: str
    pc_gpa: str | None
    pc_hpa: str | None
    mode: Literal["VS", "VU"]
    instruction_word: str | None
    instruction: str
    source: SourceLine | None
    registers: RegistersView
    trap: bool  # else the hart was interrupted, and cause and the rest do not apply
    cause: int | None
    cause_name: str | None
    cause_meaning: str
    access: AccessKind | None
    bytes: int | None  # that the instruction accesses
    gva: str | None
    gpa: str | None
    hpa: str | None
    stval: str
    htval: str
    htinst: str
    htinst_fields: list[EntryField]
    htinst_meaning: str
    walk: WalkView | None
    shadow: WalkView | None  # with shadow paging: what the MMU itself walked
    changes: list[ChangeView]  # what the guest finds changed
    saw: str  # the same in a sentence


class ExitView(TypedDict):
    """The story of one exit."""

    id: int
    position: int
    at_ns: int
    vm: str
    vcpu: int
    pcpu: int
    reason: str
    cycles: int
    cost_ns: int
    did: str  # by the hypervisor
    fault: int | None  # the event of the fault that this exit was, if its story is kept
    explanation: str  # a sentence for a newcomer
    instant: InstantView | None
    missing: str  # why there is no `instant`
