"""Control and status registers: who may touch which, what reading gives, what writing keeps.

Privileged ISA 20240411: chapter 2 (address map), 3 (M), 10 (S), 18 (H and VS). With V=1 the supervisor CSR
numbers reach the vs* registers. There are no debug triggers (tdata1 has type 0). Left out for now:
performance counters read zero.
"""

from emulator.core.csr_bits import (
    ENVCFG_STCE,
    EXT_C,
    EXT_H,
    EXT_SMSTATEEN,
    EXT_SSTATEEN,
    EXT_SSTC,
    EXT_ZICNTR,
    EXT_ZIHPM,
    GVA,
    HEDELEG_WRITABLE,
    HS_ONLY_INTERRUPTS,
    HSTATUS_VSXL,
    HSTATUS_WRITABLE,
    ILLEGAL_INSTRUCTION,
    M_INTERRUPTS,
    MEDELEG_HYPERVISOR,
    MEDELEG_WRITABLE,
    MISA_FIXED,
    MISA_LETTERS,
    MPP,
    MPV,
    MSTATUS_WRITABLE,
    S_INTERRUPTS,
    SEI,
    SSI,
    SSTATUS_VISIBLE,
    SSTATUS_WRITABLE,
    STI,
    TVM,
    VIRTUAL_INSTRUCTION,
    VS_INTERRUPTS,
    VSSI,
    VSTI,
    VTVM,
    XLEN_64,
)
from emulator.core.envcfg import visible_henvcfg, write_henvcfg, write_menvcfg, write_senvcfg
from emulator.core.fcsr import FCSR, FFLAGS, legal_status, read_float, visible_status, write_float
from emulator.core.pmp import write_pmpaddr, write_pmpcfg
from emulator.core.stateen import (
    HSTATEEN0,
    MSTATEEN0,
    SSTATEEN0,
    read_hstateen,
    state_is_closed,
    state_is_closed_to_guest,
    write_hstateen,
    write_mstateen,
)
from emulator.core.tlb import flush_all
from emulator.state import NO_TRAP, PRIV_M, PRIV_S, PRIV_U

CYCLE, TIME, INSTRET = 0xC00, 0xC01, 0xC02


def time_of(hart, host):
    """The `time` counter: ticks of virtual time."""
    return (hart.clock + hart.retired) // host.cycles_per_tick


def pending(hart, host):
    """mip as software sees it: software bits, device lines, hvip, and the Sstc comparators."""
    bits = hart.mip | hart.lines | (hart.hvip & VS_INTERRUPTS)
    if hart.menvcfg & ENVCFG_STCE:
        now = time_of(hart, host)
        bits &= ~STI
        if now >= hart.stimecmp:
            bits |= STI
        if (hart.henvcfg & ENVCFG_STCE) and now + hart.htimedelta >= hart.vstimecmp:
            bits |= VSTI
    return bits


def cycles_to_timer(hart, host):
    """Cycles until an Sstc comparator raises its interrupt; all ones when none is in the future."""
    if (hart.menvcfg & ENVCFG_STCE) == 0:
        return NO_TRAP
    now = time_of(hart, host)
    wait = NO_TRAP
    if hart.stimecmp > now:
        wait = hart.stimecmp - now
    if hart.henvcfg & ENVCFG_STCE:
        guest_now = now + hart.htimedelta
        if hart.vstimecmp > guest_now and hart.vstimecmp - guest_now < wait:
            wait = hart.vstimecmp - guest_now
    if wait > NO_TRAP // host.cycles_per_tick:
        return NO_TRAP
    return wait * host.cycles_per_tick - (hart.clock + hart.retired) % host.cycles_per_tick


def virtual_number(hart, number):
    """The register that a CSR number reaches: with V=1, supervisor numbers reach the vs* registers."""
    if hart.virt == 0:
        return number
    if number == 0x100 or number == 0x104 or number == 0x105 or number == 0x180 or number == 0x14D:
        return number + 0x100
    if number >= 0x140 and number <= 0x144:
        return number + 0x100
    return number


def counter_refusal(hart, number):
    """Cause for reading a counter (0xC00 to 0xC1F), or NO_TRAP: m-, h- and scounteren must allow it."""
    bit = 1 << (number & 31)
    if hart.priv == PRIV_M:
        return NO_TRAP
    if (hart.mcounteren & bit) == 0:
        return ILLEGAL_INSTRUCTION
    if hart.virt and (hart.hcounteren & bit) == 0:
        return VIRTUAL_INSTRUCTION
    if hart.priv == PRIV_U and (hart.scounteren & bit) == 0:
        return VIRTUAL_INSTRUCTION if hart.virt else ILLEGAL_INSTRUCTION
    return NO_TRAP


def timer_absent(hart, number):
    """True for stimecmp and vstimecmp where no mode but M may touch them (Sstc, section 2)."""
    if (number != 0x14D and number != 0x24D) or hart.priv == PRIV_M:
        return False
    return (hart.menvcfg & ENVCFG_STCE) == 0 or (hart.mcounteren & 2) == 0


def timer_refusal(hart):
    """Cause for touching stimecmp in VS-mode, where it is vstimecmp, or NO_TRAP (Sstc, section 2)."""
    if hart.virt and ((hart.henvcfg & ENVCFG_STCE) == 0 or (hart.hcounteren & 2) == 0):
        return VIRTUAL_INSTRUCTION
    return NO_TRAP


def csr_refusal(hart, number, writes):
    """Cause for accessing CSR `number` at the current privilege, or NO_TRAP.

    The register is known to exist.
    """
    if writes and (number >> 10) == 3:
        return ILLEGAL_INSTRUCTION
    needs = (number >> 8) & 3
    if needs == 3:
        return NO_TRAP if hart.priv == PRIV_M else ILLEGAL_INSTRUCTION
    if timer_absent(hart, number) or state_is_closed(hart, number):
        return ILLEGAL_INSTRUCTION
    if hart.virt and (needs == 2 or (needs == 1 and hart.priv == PRIV_U)):
        # "attempts to access an implemented hypervisor CSR or VS CSR when V=1", and from VU-mode a supervisor
        # CSR
        return VIRTUAL_INSTRUCTION
    if needs != 0 and hart.priv == PRIV_U:
        return ILLEGAL_INSTRUCTION
    if number == 0x180:
        if hart.virt and (hart.hstatus & VTVM):
            return VIRTUAL_INSTRUCTION
        if hart.virt == 0 and hart.priv == PRIV_S and (hart.mstatus & TVM):
            return ILLEGAL_INSTRUCTION
    if number == 0x680 and hart.priv == PRIV_S and (hart.mstatus & TVM):
        return ILLEGAL_INSTRUCTION
    if number >= 0xC00 and number <= 0xC1F:
        return counter_refusal(hart, number)
    if number == 0x14D or number == 0x24D:
        return timer_refusal(hart)
    return VIRTUAL_INSTRUCTION if state_is_closed_to_guest(hart, number) else NO_TRAP


def csr_is_absent(hart, number):
    """True for a register of an extension that the hart has not."""
    needs = 0
    if ((number >> 8) & 3) == 2 or number == 0x34A or number == 0x34B:
        needs = EXT_H
    if number == 0x14D or number == 0x24D:
        needs |= EXT_SSTC
    elif number >= CYCLE and number <= INSTRET:
        needs |= EXT_ZICNTR
    elif number > INSTRET and number <= 0xC1F:
        needs |= EXT_ZIHPM
    elif (number & ~3) == SSTATEEN0 or (number & ~3) == HSTATEEN0:
        needs |= EXT_SSTATEEN
    elif (number & ~3) == MSTATEEN0:
        needs |= EXT_SMSTATEEN
    return (needs & ~hart.extensions) != 0


def csr_read(hart, host, number):
    """Value of a CSR (after `virtual_number`); `hart.trap_cause` is ILLEGAL_INSTRUCTION if there is none."""
    hart.trap_cause = NO_TRAP
    if csr_is_absent(hart, number):
        return no_such_csr(hart)
    level = (number >> 8) & 3
    if level == 3:
        return read_machine(hart, host, number)
    if level == 2:
        return read_hypervisor(hart, host, number)
    return read_supervisor(hart, host, number)


def no_such_csr(hart):
    hart.trap_cause = ILLEGAL_INSTRUCTION
    return 0


def read_machine(hart, host, number):
    if number == 0x300:
        return visible_status(hart.mstatus) | XLEN_64
    if number == 0x301:
        return MISA_FIXED | (hart.extensions & MISA_LETTERS)
    if number == 0x302:
        return hart.medeleg
    if number == 0x303:
        return hart.mideleg
    if number == 0x304:
        return hart.mie
    if number == 0x305:
        return hart.mtvec
    if number == 0x306:
        return hart.mcounteren
    if number == 0x30A:
        return hart.menvcfg
    if number >= 0x30C and number <= 0x30F:
        return hart.mstateen[number - 0x30C]
    if number == 0x320:
        return hart.mcountinhibit
    if number == 0x340:
        return hart.mscratch
    if number == 0x341:
        return hart.mepc
    if number == 0x342:
        return hart.mcause
    if number == 0x343:
        return hart.mtval
    if number == 0x344:
        return pending(hart, host)
    if number == 0x34A:
        return hart.mtinst
    if number == 0x34B:
        return hart.mtval2
    if number >= 0x3A0 and number <= 0x3BF and hart.pmp_entries != 0:
        if number >= 0x3B0:
            return hart.pmpaddr[number - 0x3B0]
        if number == 0x3A0 or number == 0x3A2:
            return hart.pmpcfg[(number - 0x3A0) >> 1]
    if number >= 0x7A0 and number <= 0x7A4:
        # tinfo: "If the currently selected trigger doesn't exist, this field contains 1."
        return 1 if number == 0x7A4 else 0
    if number == 0xB00:
        return hart.mcycle + hart.retired
    if number == 0xB02:
        return hart.minstret + hart.retired - hart.trapped
    if number == 0xF14:
        return hart.hart_id
    if number >= 0xF11 and number <= 0xF15:
        return 0
    if (number >= 0xB03 and number <= 0xB1F) or (number >= 0x323 and number <= 0x33F):
        return 0
    return no_such_csr(hart)


def read_hypervisor(hart, host, number):
    if number == 0x600:
        return hart.hstatus | HSTATUS_VSXL
    if number == 0x602:
        return hart.hedeleg
    if number == 0x603:
        return hart.hideleg
    if number == 0x604:
        return hart.mie & HS_ONLY_INTERRUPTS
    if number == 0x605:
        return hart.htimedelta
    if number == 0x606:
        return hart.hcounteren
    if number == 0x607:
        return hart.hgeie
    if number == 0x60A:
        return visible_henvcfg(hart)
    if number >= 0x60C and number <= 0x60F:
        return read_hstateen(hart, number - 0x60C)
    if number == 0x643:
        return hart.htval
    if number == 0x644:
        return pending(hart, host) & HS_ONLY_INTERRUPTS
    if number == 0x645:
        return hart.hvip
    if number == 0x64A:
        return hart.htinst
    if number == 0x680:
        return hart.hgatp
    if number == 0xE12:
        return 0
    if number == 0x200:
        return visible_status(hart.vsstatus) | 2 << 32
    if number == 0x204:
        return (hart.mie & hart.hideleg & VS_INTERRUPTS) >> 1
    if number == 0x205:
        return hart.vstvec
    if number == 0x240:
        return hart.vsscratch
    if number == 0x241:
        return hart.vsepc
    if number == 0x242:
        return hart.vscause
    if number == 0x243:
        return hart.vstval
    if number == 0x244:
        return (pending(hart, host) & hart.hideleg & VS_INTERRUPTS) >> 1
    if number == 0x24D:
        return hart.vstimecmp
    if number == 0x280:
        return hart.vsatp
    return no_such_csr(hart)


def read_supervisor(hart, host, number):
    if number >= FFLAGS and number <= FCSR:
        return read_float(hart, number)
    if number == 0x100:
        return (visible_status(hart.mstatus) | XLEN_64) & SSTATUS_VISIBLE
    if number == 0x104:
        return hart.mie & hart.mideleg & S_INTERRUPTS
    if number == 0x105:
        return hart.stvec
    if number == 0x106:
        return hart.scounteren
    if number == 0x10A:
        return hart.senvcfg
    if number >= 0x10C and number <= 0x10F:
        return 0
    if number == 0x140:
        return hart.sscratch
    if number == 0x141:
        return hart.sepc
    if number == 0x142:
        return hart.scause
    if number == 0x143:
        return hart.stval
    if number == 0x144:
        return pending(hart, host) & hart.mideleg & S_INTERRUPTS
    if number == 0x14D:
        return hart.stimecmp
    if number == 0x180:
        return hart.satp
    if number == CYCLE:
        return hart.mcycle + hart.retired
    if number == TIME:
        now = time_of(hart, host)
        return now + hart.htimedelta if hart.virt else now
    if number == INSTRET:
        return hart.minstret + hart.retired - hart.trapped
    if number > INSTRET and number <= 0xC1F:
        return 0
    return no_such_csr(hart)


def csr_write(hart, number, value):
    """Write a CSR that exists and may be written here; each keeps the values that it can hold (WARL)."""
    level = (number >> 8) & 3
    if level == 3:
        write_machine(hart, number, value)
    elif level == 2:
        write_hypervisor(hart, number, value)
    else:
        write_supervisor(hart, number, value)


def merge(old, value, mask):
    return (old & ~mask) | (value & mask)


def vector(value):
    """xtvec: mode 0 direct or 1 vectored; the reserved mode bit reads zero."""
    return value & 0xFFFF_FFFF_FFFF_FFFD


def legal_satp(old, value):
    """satp, vsatp: "if satp is written with an unsupported MODE, the entire write has no effect"."""
    mode = value >> 60
    if mode == 0 or (mode >= 8 and mode <= 10):
        return value
    return old


def legal_hgatp(old, value):
    """hgatp: Bare, Sv39x4, Sv48x4, Sv57x4; a 14-bit VMID; a root of 16 KiB, so PPN bits 1:0 read zero."""
    mode = value >> 60
    if mode == 0 or (mode >= 8 and mode <= 10):
        return value & 0xF3FF_FFFF_FFFF_FFFC
    return merge(old, value, 0x03FF_FFFF_FFFF_FFFC)


def legal_epc(hart, value):
    """xepc: without compressed instructions, which alone can stand at odd halfwords, bits 1:0 are zero."""
    return value & ~1 if hart.extensions & EXT_C else value & ~3


def hypervisor_bits(hart, bits):
    """`bits` if the hart has the H extension, else none."""
    return bits if hart.extensions & EXT_H else 0


def legal_mstatus(hart, old, value):
    fresh = merge(old, value, MSTATUS_WRITABLE & ~(MPV | GVA) | hypervisor_bits(hart, MPV | GVA))
    if (fresh & MPP) == (2 << 11):
        fresh = merge(fresh, old, MPP)
    return fresh


def write_machine(hart, number, value):
    if number == 0x300:
        hart.mstatus = legal_status(hart, legal_mstatus(hart, hart.mstatus, value))
    elif number == 0x302:
        hart.medeleg = value & (MEDELEG_WRITABLE | hypervisor_bits(hart, MEDELEG_HYPERVISOR))
    elif number == 0x303:
        # "bits of mideleg for VS-level and guest external interrupts are each read-only one"
        hart.mideleg = (value & S_INTERRUPTS) | hypervisor_bits(hart, HS_ONLY_INTERRUPTS)
    elif number == 0x304:
        hart.mie = value & (M_INTERRUPTS | S_INTERRUPTS | hypervisor_bits(hart, HS_ONLY_INTERRUPTS))
    elif number == 0x305:
        hart.mtvec = vector(value)
    elif number == 0x306:
        hart.mcounteren = value & 0xFFFF_FFFF
    elif number == 0x30A:
        write_menvcfg(hart, value)
    elif number >= 0x30C and number <= 0x30F:
        write_mstateen(hart, number - 0x30C, value)
    elif number == 0x340:
        hart.mscratch = value
    elif number == 0x341:
        hart.mepc = legal_epc(hart, value)
    elif number == 0x342:
        hart.mcause = value
    elif number == 0x343:
        hart.mtval = value
    elif number == 0x344:
        # csrrs and csrrc must not store the PLIC's signal into SEIP: while it is high, a 1 stores nothing.
        kept = ~(hart.lines & value & SEI)
        # Sstc: with STCE set, STIP is read-only and reflects the comparator.
        hart.mip = merge(hart.mip, value, (SSI | SEI if hart.menvcfg & ENVCFG_STCE else S_INTERRUPTS) & kept)
        hart.hvip = merge(hart.hvip, value, hypervisor_bits(hart, VSSI))
    elif number == 0x34A:
        hart.mtinst = value
    elif number == 0x34B:
        hart.mtval2 = value
    elif number >= 0x3A0 and number <= 0x3BF:
        if number >= 0x3B0:
            write_pmpaddr(hart, number - 0x3B0, value)
        else:
            write_pmpcfg(hart, (number - 0x3A0) >> 1, value)
        flush_all(hart)
    elif number == 0xB00:
        hart.mcycle = value - hart.retired - 1
    elif number == 0xB02:
        hart.minstret = value - (hart.retired - hart.trapped) - 1


def write_hypervisor(hart, number, value):
    if number == 0x600:
        hart.hstatus = value & HSTATUS_WRITABLE
    elif number == 0x602:
        hart.hedeleg = value & HEDELEG_WRITABLE
    elif number == 0x603:
        hart.hideleg = value & VS_INTERRUPTS
    elif number == 0x604:
        hart.mie = merge(hart.mie, value, HS_ONLY_INTERRUPTS)
    elif number == 0x605:
        hart.htimedelta = value
    elif number == 0x606:
        hart.hcounteren = value & 0xFFFF_FFFF
    elif number == 0x60A:
        write_henvcfg(hart, value)
    elif number >= 0x60C and number <= 0x60F:
        write_hstateen(hart, number - 0x60C, value)
    elif number == 0x643:
        hart.htval = value
    elif number == 0x644:
        hart.hvip = merge(hart.hvip, value, VSSI)
    elif number == 0x645:
        hart.hvip = value & VS_INTERRUPTS
    elif number == 0x64A:
        hart.htinst = value
    elif number == 0x680:
        hart.hgatp = legal_hgatp(hart.hgatp, value)
    elif number == 0x200:
        hart.vsstatus = legal_status(hart, value & SSTATUS_WRITABLE)
    elif number == 0x204:
        hart.mie = merge(hart.mie, value << 1, hart.hideleg & VS_INTERRUPTS)
    elif number == 0x205:
        hart.vstvec = vector(value)
    elif number == 0x240:
        hart.vsscratch = value
    elif number == 0x241:
        hart.vsepc = legal_epc(hart, value)
    elif number == 0x242:
        hart.vscause = value
    elif number == 0x243:
        hart.vstval = value
    elif number == 0x244:
        hart.hvip = merge(hart.hvip, value << 1, hart.hideleg & VSSI)
    elif number == 0x24D:
        hart.vstimecmp = value
    elif number == 0x280:
        hart.vsatp = legal_satp(hart.vsatp, value)


def write_supervisor(hart, number, value):
    if number >= FFLAGS and number <= FCSR:
        write_float(hart, number, value)
    elif number == 0x100:
        hart.mstatus = legal_status(hart, merge(hart.mstatus, value, SSTATUS_WRITABLE))
    elif number == 0x104:
        hart.mie = merge(hart.mie, value, hart.mideleg & S_INTERRUPTS)
    elif number == 0x105:
        hart.stvec = vector(value)
    elif number == 0x106:
        hart.scounteren = value & 0xFFFF_FFFF
    elif number == 0x10A:
        write_senvcfg(hart, value)
    elif number == 0x140:
        hart.sscratch = value
    elif number == 0x141:
        hart.sepc = legal_epc(hart, value)
    elif number == 0x142:
        hart.scause = value
    elif number == 0x143:
        hart.stval = value
    elif number == 0x144:
        hart.mip = merge(hart.mip, value, hart.mideleg & SSI)
    elif number == 0x14D:
        hart.stimecmp = value
    elif number == 0x180:
        hart.satp = legal_satp(hart.satp, value)


def csr_is_plain(register):
    """True for xscratch, xepc, xcause, xtval, which a write may change without the boundary's knowledge."""
    return (register & 0xCFC) == 0x040


def csr_access(hart, host, number, writes):
    """Read a CSR for an instruction; `hart.trap_cause` holds the exception if it may not.

    Returns (register, old value).
    """
    register = virtual_number(hart, number)
    old = csr_read(hart, host, register)
    if hart.trap_cause == NO_TRAP:
        hart.trap_cause = csr_refusal(hart, number, writes)
    return register, old
