"""Shadow paging: a VM whose page tables the MMU never sees.

The guest runs in VS-mode with `vsatp` = the root of a shadow table (`shadow_tables.py`) and `hgatp` = Bare,
so that a TLB miss takes one walk of at most three references (Sv39) instead of fifteen. In exchange the
guest has to leave its hart more often (Privileged ISA 20240411, 18.2.1 and 18.5):

* `hstatus.VTVM` is set: its reads and writes of satp, SFENCE.VMA and SINVAL.VMA trap (virtual instruction).
* Page faults are not delegated. Each is sorted by walking the guest's own table: what the guest's table
  does not allow is the guest's fault and is injected; what it allows was only missing in the shadow and is
  filled in; what the VM has no memory for is a guest page fault or a device access, as with nested paging.

Shadow entries are kept as coherent as a TLB has to be: a guest that changes its tables fences (SFENCE.VMA,
or the SBI's remote fences), and until then may see either. A and D bits: guests have Svade (henvcfg.ADUE is
0), so a page with A=0, or a store where D=0, is the guest's own fault, and the bits that it sets itself are
copied when it comes back. Addresses without translation (satp Bare) have a shadow of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import (
    INSTRUCTION_GUEST_PAGE,
    INSTRUCTION_PAGE,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    PTE_A,
    PTE_D,
    PTE_U,
    STORE_GUEST_PAGE,
    STORE_PAGE,
    VTVM,
)
from emulator.hypervisor import faults
from emulator.hypervisor.partition import table_code
from emulator.hypervisor.shadow_tables import PoolUsedUpError, ShadowTables, frames_needed
from emulator.state import (
    ACCESS_FETCH,
    ACCESS_LOAD,
    ACCESS_STORE,
    HART,
    NO_ADDRESS,
    PAGE_BYTES,
    PRIV_S,
    STAGE_VS,
)

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor
    from emulator.hypervisor.vcpu import Vcpu
    from emulator.hypervisor.vm import Vm

MISS, REFLECTED, SATP, FENCE = "shadow miss", "reflected page fault", "satp access", "address fence"
REASONS = (MISS, REFLECTED, SATP, FENCE)
PAGE_FAULTS = {INSTRUCTION_PAGE: ACCESS_FETCH, LOAD_PAGE: ACCESS_LOAD, STORE_PAGE: ACCESS_STORE}
NOT_DELEGATED = 1 << INSTRUCTION_PAGE | 1 << LOAD_PAGE | 1 << STORE_PAGE
GUEST_PAGE_FAULTS = (INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, STORE_GUEST_PAGE)
PAGE_TABLE_READ = 0x3000  # htinst of an access to the guest's own page table
SATP_NUMBER = 0x180
SYSTEM = 0x73
SFENCE_VMA, SINVAL_VMA = 0x09, 0x0B  # funct7
MODES = (0, 8, 9, 10)  # Bare, Sv39, Sv48, Sv57


class Shadow:
    """The shadow paging of one VM that is on."""

    def __init__(self, hypervisor: Hypervisor, vm: Vm) -> None:
        """Set the pool of frames aside. Raises OutOfFramesError."""
        assert vm.gstage is not None
        self._hypervisor = hypervisor
        self._vm = vm
        size = frames_needed(vm.settings.memory // PAGE_BYTES)
        pool = hypervisor.partition.take(size, table_code(vm.index))
        vm.gstage.frames += pool  # they go back with those of the G-stage table
        self.tables = ShadowTables(hypervisor.host, pool, vm.vmid)
        vm.gstage.on_change = self.tables.forget

    def boot(self, vcpu: Vcpu) -> None:
        """Let a vCPU that is about to start come here with all that concerns its page tables."""
        vcpu.satp = 0
        self.adopt(vcpu)

    def adopt(self, vcpu: Vcpu) -> None:
        """Do the same with a vCPU whose registers and `satp` come from elsewhere, whatever they are."""
        vcpu.context.hstatus |= VTVM
        vcpu.context.hedeleg &= ~NOT_DELEGATED
        satp = vcpu.satp & NO_ADDRESS
        self.set_satp(vcpu, vcpu.context, satp if satp >> 60 in MODES else 0)

    def set_satp(self, vcpu: Vcpu, registers: Any, satp: int) -> None:
        """Put a guest's `satp` in force; `registers` hold the vCPU now."""
        vcpu.satp = satp
        try:
            registers.vsatp = self.tables.vsatp(satp)
        except PoolUsedUpError:
            self.clear()

    def clear(self) -> None:
        """Empty all shadow tables and all TLBs."""
        self.tables.clear()
        for vcpu in self._vm.vcpus:
            self._hypervisor.registers(vcpu).vsatp = self.tables.vsatp(vcpu.satp)
        self._flush_harts()

    def fence(self, gva: int | None, asid: int | None) -> None:
        """Drop what a guest's fence names. The caller flushes the TLB of the hart that is to see it."""
        self.tables.fence(gva, asid)

    def sort(self, vcpu: Vcpu, hart: Any, cause: int) -> tuple[str, int, Any]:
        """Return what a page fault on the shadow is: (reason or "", cause, walk of the guest's table).

        "" stands for a guest page fault, whose registers the hart then shows as with nested paging.
        """
        walk = faults.walk_guest(self._hypervisor.host, as_nested(vcpu, hart), hart.stval, PAGE_FAULTS[cause])
        if walk.cause == NO_ADDRESS:
            return MISS, cause, walk
        if walk.cause not in GUEST_PAGE_FAULTS:
            return REFLECTED, walk.cause, walk
        gpa = walk.gpa
        if gpa == NO_ADDRESS:
            gpa = _table_entry_wanted(vcpu.satp, hart.stval, walk)
            hart.htinst = PAGE_TABLE_READ
        hart.htval = gpa >> 2
        return "", walk.cause, walk

    def serve_miss(self, vcpu: Vcpu, hart: Any, cause: int, walk: Any) -> str:
        """Fill what is missing; return what was done."""
        gva = hart.stval
        self._note_use(walk, PAGE_FAULTS[cause])
        flags = walk.permissions | _user_bit(hart, walk)
        for _ in range(2):  # after a clear there is room
            try:
                self.tables.fill(vcpu.satp, gva, walk.gpa, walk.hpa, flags, walk.stage1_bytes)
                break
            except PoolUsedUpError:
                self.clear()
        return f"GVA {gva:#x} entered into the shadow table: HPA {walk.hpa:#x}"

    def _note_use(self, walk: Any, access: int) -> None:
        """Set the A and D bits of the G-stage entry, as the hart would: replacement policies read them."""
        assert self._vm.gstage is not None
        used = PTE_A | PTE_D if access == ACCESS_STORE else PTE_A
        if walk.pte[walk.count - 1] & used != used:
            self._vm.gstage.change(walk.gpa, put=used)

    def kind_of_instruction(self, hart: Any) -> str:
        """Return the reason of a virtual-instruction trap that is served here, else ""."""
        word = hart.stval
        if hart.priv != PRIV_S or word & 0x7F != SYSTEM:
            return ""
        if word >> 12 & 3:
            return SATP if word >> 20 & 0xFFF == SATP_NUMBER else ""
        fence = word >> 12 & 7 == 0 and word >> 25 & 0x7F in (SFENCE_VMA, SINVAL_VMA) and word >> 7 & 31 == 0
        return FENCE if fence else ""

    def serve_instruction(self, vcpu: Vcpu, hart: Any, reason: str) -> str:
        """Do what a guest's access to satp or fence asks for, and move it on."""
        word = hart.stval
        hart.pc = (hart.pc + 4) & NO_ADDRESS
        if reason == SATP:
            return self._access_satp(vcpu, hart, word)
        first, second = word >> 15 & 31, word >> 20 & 31
        self.fence(hart.x[first] if first else None, hart.x[second] if second else None)
        self._hypervisor.flush(vcpu.pcpu or 0)
        return "the guest's address fence empties shadow entries"

    def _access_satp(self, vcpu: Vcpu, hart: Any, word: int) -> str:
        old, source = vcpu.satp, word >> 15 & 31
        operation, value = word >> 12 & 3, source if word >> 14 & 1 else hart.x[source]
        new = {1: value, 2: old | value, 3: old & ~value}[operation]
        if word >> 7 & 31:
            hart.x[word >> 7 & 31] = old
        if operation != 1 and source == 0:
            return "the guest reads satp"
        if new >> 60 in MODES:
            self.set_satp(vcpu, hart, new)
        return f"the guest writes {new:#x} to satp"

    def _flush_harts(self) -> None:
        for pcpu in self._hypervisor.pcpus:
            self._hypervisor.flush(pcpu.index)


def as_guest(vcpu: Vcpu, registers: Any) -> Any:
    """Return a vCPU's registers as its guest knows them: with its own satp."""
    if vcpu.vm.shadow is None:
        return registers
    copy = HART.struct.from_buffer_copy(registers)
    copy.vsatp = vcpu.satp
    return copy


def as_nested(vcpu: Vcpu, registers: Any) -> Any:
    """Return the registers with which the MMU would make both walks that a shadow table stands for."""
    vm = vcpu.vm
    if vm.shadow is None or vm.gstage is None:
        return registers
    copy = as_guest(vcpu, registers)
    copy.hgatp = vm.gstage.hgatp(vm.vmid)
    return copy


def _user_bit(hart: Any, walk: Any) -> int:
    """Return the U bit of the guest's leaf; without a guest's table, what lets this privilege in."""
    stages = [walk.stage[index] for index in range(walk.count)]
    if STAGE_VS not in stages:
        return 0 if hart.priv == PRIV_S else PTE_U
    last = len(stages) - 1 - stages[::-1].index(STAGE_VS)
    return walk.pte[last] & PTE_U


def _table_entry_wanted(satp: int, gva: int, walk: Any) -> int:
    """Return the GPA of the guest's page-table entry that could not be read."""
    entries = [walk.pte[index] for index in range(walk.count) if walk.stage[index] == STAGE_VS]
    level = (satp >> 60) - 6 - len(entries)
    table = entries[-1] >> 10 << 12 if entries else satp << 12
    return (table & (1 << 56) - 1) + (gva >> (12 + 9 * level) & 511) * 8
