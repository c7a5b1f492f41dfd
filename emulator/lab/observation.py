"""What a lab shows: the JSON-ready shapes of its observations.

Conventions, the same in every shape:

* Addresses, page-table entries and register values are strings such as "0x0000000080000000" (a JavaScript
  number cannot hold 64 bits). A name carries its space: `gva`, `gpa`, `hpa`; `hfn` is a host frame number.
* Times are ints in cycles of a pCPU clock (`*_cycles`) or in nanoseconds (`*_ns`); one second is
  `host.clock_hz` cycles.
* A key whose value does not apply holds None; keys are never missing.

Deltas: `Observation.cursor` is a counter that grows with every visible change. Give it back to `observe` to
get what changed since: frames, lanes, consoles and events are then deltas; `host` and `vms` are always whole.
`full` says that everything was sent (first call, or a cursor from before a reset): replace, do not merge.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from emulator.lab.byte_views import AddressPart, EntryField, MapperView, WalkRow
from emulator.lab.memory_observed import HostMemoryView, VmMemoryView

VmState = Literal["running", "idle", "blocked", "paused", "shutting down", "shut off", "crashed"]
VcpuState = Literal["running", "ready", "idle", "blocked", "paused", "stopped", "suspended", "off"]
SliceKind = Literal["run", "hypervisor", "idle"]
EventKind = Literal["action", "state", "exit", "fault", "console", "device", "alarm", "schedule", "interrupt"]
AccessKind = Literal["fetch", "load", "store"]
AddressSpace = Literal["gva", "gpa", "hpa"]


class PcpuView(TypedDict):
    """One physical CPU at this instant."""

    index: int
    clock_cycles: int
    kind: SliceKind  # what it is doing
    vm: str | None  # whose vCPU is loaded, None when idle
    vcpu: int | None
    run_cycles: int  # spent in guests
    hypervisor_cycles: int  # charged for exits and world switches
    idle_cycles: int
    online: bool  # else it is unplugged and idle


class HostView(TypedDict):
    """The physical host."""

    pcpus: list[PcpuView]
    memory_bytes: int
    frames_total: int
    frames_free: int
    frames_hypervisor: int  # kept by the hypervisor for itself
    clock_hz: int
    scheduler: str  # as in `host.scheduler`
    timeslice_ns: int
    period_ns: int  # the accounting period of caps
    quantum_cycles: int  # how far one pCPU runs before the next one has its turn
    costs: dict[str, int]  # cycles that the hypervisor's work is charged, by the names of `host.costs`
    vmid: bool  # TLB entries are tagged by VM; else every world switch flushes the TLBs
    memory: HostMemoryView
    store_used_bytes: int  # real memory behind the frames that were ever written


class TranslationCounts(TypedDict):
    """What the TLBs and the page-table walker have counted for a vCPU or VM since its VM was started."""

    itlb_misses: int
    dtlb_misses: int
    walk_references: int  # page-table entries that hardware has read
    tlb_flushes: int  # of a whole TLB at a world switch: moved to another pCPU, or a host without VMIDs


class VmCounts(TypedDict):
    """Where a VM's hypervisor time went; reasons in falling order of their counts."""

    exit_cycles: dict[str, int]  # reason -> cycles charged
    switches: int  # world switches
    switch_cycles: int  # these and all of `exit_cycles` are the hypervisor time
    translations: TranslationCounts


class VcpuCounts(VmCounts):
    """The same of one vCPU."""

    exits: dict[str, int]  # reason -> count


class VcpuView(VcpuCounts):
    """One virtual CPU."""

    index: int
    state: VcpuState
    mode: Literal["VS", "VU"]
    pc: str
    pcpu: int | None  # where it is loaded now
    last_pcpu: int | None
    line: int | None  # source line of `pc`, when the program has lines
    where: str  # `pc` by the symbol before it, "" if none is near or the line says it
    retired: int  # instructions, since the VM was started
    run_cycles: int  # in the guest; this and the next four add up to the time since its VM was started
    hypervisor_cycles: int  # on a pCPU, for its exits and world switches
    ready_cycles: int  # wanted a pCPU and had none (the guest calls it steal time)
    idle_cycles: int  # waiting in WFI
    blocked_cycles: int  # waiting for the host's swap area
    off_cycles: int  # not started by its guest, or its VM was paused


class VmView(VmCounts):
    """One virtual machine."""

    name: str
    index: int  # stable while the VM is defined: choose colour, pattern and letter by it
    state: VmState
    memory_bytes: int
    program: str
    autostart: bool
    on_fault: Literal["crash", "skip", "inject"]
    paging: Literal["nested", "shadow"]
    weight: int
    cap: int  # percent of one pCPU, 0: none
    reservation_hz: int  # pCPU cycles a second that are guaranteed, 0: none
    affinity: list[int]  # pCPUs that it may run on, empty: all
    uuid: str
    vmid: int | None
    hgatp: str | None
    frames_ram: int
    frames_table: int  # frames that hold its G-stage page table
    memory: VmMemoryView
    vcpus: list[VcpuView]
    exits: dict[str, int]  # reason -> count since the VM was started, in falling order of count
    exits_total: int
    faults: int  # guest page faults that no guest page table explains
    fault: int | None  # event id of the newest one: `Lab.fault(id)` tells its story
    console_length: int  # characters written since the VM was started
    console_waiting: int  # input bytes that the guest has not read yet
    starts: int  # how often it was started


class FrameOwner(TypedDict):
    """What one code of the frame map means."""

    code: int
    owner: Literal["free", "hypervisor", "vm", "shared"]
    vm: str | None
    vm_index: int | None
    role: Literal["free", "hypervisor", "guest RAM", "G-stage table", "shared page"]
    count: int


class FramesView(TypedDict):
    """The owner of every host frame, as one code byte per frame.

    `owners` (base64, one byte per HFN) is there when the observation is full, else None and `delta` holds
    `[first hfn, count, code]` runs to overwrite.
    """

    count: int
    first_hpa: str
    legend: list[FrameOwner]
    owners: str | None
    delta: list[tuple[int, int, int]]


class LaneSlice(TypedDict):
    """A stretch of one pCPU's time. One that still grows is sent again with the same id: replace it."""

    id: int
    pcpu: int
    vm: str | None
    vcpu: int | None
    kind: SliceKind
    start_cycles: int
    end_cycles: int


class ConsoleDelta(TypedDict):
    """Console output that is new since the cursor. `reset` says: clear the terminal first."""

    vm: str
    offset: int  # character position of `text` in the whole output since the VM was started
    text: str
    reset: bool
    lost: int  # characters before `offset` that are no longer kept


class EventView(TypedDict):
    """One line of the log.

    `reason` depends on `kind`: "state": the new VM state; "exit": the exit reason; "fault": the cause;
    "action": the verb; "device": what a disk, a pool or a network met with, e.g. "pool full"; "alarm": what a
    rule did: raised, cleared, acted or failed; "schedule": woke (a vCPU wants a pCPU); "interrupt":
    timer, software or external; "console": line. `Lab.why` tells the last three, and observations do not.
    `detail` holds what else is known, e.g. {"from": "running"} or {"cycles": 400, "pc": "0x..."}.
    """

    id: int
    position: int
    at_ns: int
    kind: EventKind
    vm: str | None
    vcpu: int | None
    pcpu: int | None
    reason: str
    text: str  # one sentence
    detail: dict[str, str | int]
    cause: int | None  # the event that led to it; it may not be kept any more


class Observation(TypedDict):
    """Everything the page needs, or what changed in it since a cursor."""

    cursor: int
    full: bool
    position: int
    now_ns: int
    finished: bool  # nothing can happen any more without an action
    actions: int  # entries in the action log
    host: HostView
    vms: list[VmView]
    frames: FramesView
    lanes: list[LaneSlice]  # the newest 1000 of each pCPU at most
    consoles: list[ConsoleDelta]
    events: list[EventView]  # the newest 100 exits at most, and everything else
    answers: dict[str, str | int | float | bool | list[str]]  # question id -> what the student answered
    together: list[tuple[str, str]]  # pairs of VMs that were on pCPUs at the same virtual time, ever


class RegisterView(TypedDict):
    """One register: `name` as the assembler writes it (`a0`, `vsatp`), `alias` its number (`x10`) or None."""

    name: str
    alias: str | None
    value: str
    changed: bool  # since the last call of `registers` for this vCPU at another position
    meaning: str  # e.g. "Sv39, ASID 0, root table at GPA 0x80002000", or ""


class RegistersView(TypedDict):
    """A vCPU's registers."""

    vm: str
    vcpu: int
    position: int
    mode: Literal["VS", "VU"]
    pc: str
    where: str  # the pc by the symbol before it: "main+0x8"; "" if none is near
    instruction: str  # disassembled, "" when it cannot be fetched
    line: int | None
    general: list[RegisterView]  # x0..x31
    floating: list[RegisterView]  # f0..f31 and fcsr; empty while the guest has floating point off
    control: list[RegisterView]  # the guest's CSRs under the names the guest uses (sstatus is vsstatus, ...)
    hypervisor: list[RegisterView]  # what the hypervisor set around it: hgatp, hstatus, hedeleg, ...


class MemoryPage(TypedDict):
    """The part of the answer that lies in one 4 KiB page."""

    address: str  # in the space that was asked for
    gpa: str | None
    hpa: str | None
    hfn: int | None
    owner: str  # VM name, "hypervisor", "free" or "none"
    data: str | None  # hexadecimal, two digits per byte; None when it is not mapped
    reason: str  # why it is not mapped, else ""


class MemoryView(TypedDict):
    """Memory as one vCPU (or the host) sees it."""

    vm: str | None
    vcpu: int | None
    space: AddressSpace
    address: str
    length: int
    pages: list[MemoryPage]


class WalkStep(TypedDict):
    """One page-table entry that the MMU read."""

    number: int  # from 1, in the order in which hardware reads them
    stage: Literal["VS", "G"]
    level: int
    purpose: str  # e.g. "find the VS-stage table of level 1" or "translate the final GPA"
    input: str  # address being translated at this stage: GVA for VS, GPA for G
    index: int
    high: int  # the highest and the lowest bit of `input` that are the index
    low: int
    table_gpa: str | None  # VS-stage tables have a GPA, G-stage tables do not
    table_hpa: str | None
    table_hfn: int  # the frame that holds the entry
    pte_hpa: str | None  # None when even the entry's address could not be translated
    pte: str | None
    flags: str  # "VRWXUGAD" with "-" for a clear bit
    fields: list[EntryField]
    target: str | None  # the address the entry points to
    outcome: Literal["next level", "leaf", "fault"]
    explanation: str


class WalkView(TypedDict):
    """A two-stage walk for one address, read without side effects."""

    vm: str
    vcpu: int
    gva: str
    access: AccessKind
    vs_mode: Literal["Bare", "Sv39", "Sv48", "Sv57"]
    g_mode: Literal["Bare", "Sv39x4"]
    steps: list[WalkStep]
    rows: list[WalkRow]
    parts: list[AddressPart]  # of the GVA, empty without a guest's table
    most: int  # references that such a walk takes at most
    ended: str | None  # where a walk that failed ended, e.g. "G-stage, level 1"
    gpa: str | None
    hpa: str | None
    hfn: int | None
    owner: str | None  # who owns the frame
    ok: bool
    cause: int | None  # RISC-V exception code when it ends in a fault
    cause_name: str | None
    explanation: str


class SharerView(TypedDict):
    """A page that shares a frame with others."""

    vm: str
    gpa: str


class FrameView(TypedDict):
    """One host frame."""

    hfn: int
    hpa: str
    owner: Literal["free", "hypervisor", "vm", "shared"]
    vm: str | None
    role: Literal["free", "hypervisor", "guest RAM", "G-stage table", "shared page"]
    gpa: str | None  # where its VM sees it; None if no guest can reach it
    sharers: list[SharerView]  # whose page it is, if VMs share it
    permissions: str  # of the G-stage leaf, "RWX" with "-" for a clear bit; "---" when not mapped
    mappers: list[MapperView]
    cut: str  # what of it was not searched, "" if all was
    zero: bool
    digest: str  # of the 4 KiB of content
    preview: str  # the first 64 bytes, hexadecimal


class SourceLine(TypedDict):
    """Where an instruction came from."""

    file: str
    line: int
    text: str


class OriginalTrap(TypedDict):
    """The guest's own trap that came before a fault caused by a missing trap handler."""

    cause: int
    cause_name: str
    pc: str
    value: str
    explanation: str


class TrapView(TypedDict):
    """A trap that the guest handled itself, without an exit."""

    at_ns: int
    cause: int  # without the interrupt bit
    cause_name: str
    interrupt: bool
    pc: str
    value: str


class NeighbourDigest(TypedDict):
    """Proof of isolation: digests over all RAM frames of another VM, taken around the access.

    `before` is taken when the access has been refused; then the very same instruction is tried once more,
    and `after` is taken.
    """

    vm: str
    before: str
    after: str
    unchanged: bool


class DigestView(TypedDict):
    """The frames of a VM's RAM: how many, and a digest of their content now and when it was started."""

    vm: str
    frames: int
    digest: str
    at_start: str
    unchanged: bool


class FaultView(TypedDict):
    """The whole story of a guest page fault (or another exit) that stopped a VM."""

    id: int
    position: int
    at_ns: int
    vm: str
    vcpu: int
    pcpu: int
    cause: int
    cause_name: str
    access: AccessKind
    pc: str
    mode: Literal["VS", "VU"]
    instruction_word: str | None
    instruction: str  # disassembled
    source: SourceLine | None
    gva: str
    gpa: str
    htval: str
    htinst: str
    htinst_fields: list[EntryField]
    htinst_meaning: str
    stval: str
    registers: RegistersView
    walk: WalkView
    original_trap: OriginalTrap | None
    traps: list[TrapView]  # the guest's own traps before it, since it was last loaded: the newest 7 at most
    neighbours: list[NeighbourDigest]
    action: Literal["crash", "skip", "inject"]  # what the hypervisor did
    explanation: str  # for a student


class ListingLine(TypedDict):
    """One line of a program. A line without code has `address` None."""

    number: int
    text: str
    address: str | None
    code: str  # bytes in hexadecimal
    symbol: str | None


class ListingView(TypedDict):
    """The program of a VM: its source with addresses, or its disassembly when there is no source."""

    vm: str
    program: str
    kind: Literal["source", "disassembly"]
    entry: str
    lines: list[ListingLine]
    pcs: list[int | None]  # per vCPU: the number of the line its pc is on; empty while the VM is off
