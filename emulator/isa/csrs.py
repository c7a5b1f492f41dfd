"""Control and status registers: names, numbers, and what a number says about who may use it.

Source: The RISC-V Instruction Set Manual, Volume II (Privileged, 20240411), "CSR Listing"; Smstateen, Sstc,
Sscofpmf, Ssaia, Smrnmi and Sdtrig. Left out: RV32's upper halves (`cycleh`).
"""

from collections.abc import Iterator, Mapping

_LISTING = """
001 fflags frm fcsr
008 vstart vxsat vxrm
00f vcsr
011 ssp
015 seed
017 jvt
c00 cycle time instret
c20 vl vtype vlenb
100 sstatus
104 sie stvec scounteren
10a senvcfg
10c sstateen0 sstateen1 sstateen2 sstateen3
120 scountinhibit
140 sscratch sepc scause stval sip
14d stimecmp
150 siselect sireg sireg2 sireg3
155 sireg4 sireg5 sireg6
15c stopei
180 satp
5a8 scontext
da0 scountovf
db0 stopi
600 hstatus
602 hedeleg hideleg hie htimedelta hcounteren hgeie hvien hvictl henvcfg
60c hstateen0 hstateen1 hstateen2 hstateen3
643 htval hip hvip hviprio1 hviprio2
64a htinst
680 hgatp
6a8 hcontext
e12 hgeip
200 vsstatus
204 vsie vstvec
240 vsscratch vsepc vscause vstval vsip
24d vstimecmp
250 vsiselect vsireg vsireg2 vsireg3
255 vsireg4 vsireg5 vsireg6
25c vstopei
280 vsatp
eb0 vstopi
f11 mvendorid marchid mimpid mhartid mconfigptr
300 mstatus misa medeleg mideleg mie mtvec mcounteren
308 mvien mvip menvcfg
30c mstateen0 mstateen1 mstateen2 mstateen3
320 mcountinhibit mcyclecfg minstretcfg
340 mscratch mepc mcause mtval mip
34a mtinst mtval2
350 miselect mireg mireg2 mireg3
355 mireg4 mireg5 mireg6
35c mtopei
740 mnscratch mnepc mncause
744 mnstatus
747 mseccfg
7a0 tselect tdata1 tdata2 tdata3 tinfo
7a8 mcontext
7b0 dcsr dpc dscratch0 dscratch1
b00 mcycle
b02 minstret
fb0 mtopi
"""


def _listed() -> Iterator[tuple[str, int]]:
    """Yield the CSRs of the listing; the names of a line have consecutive numbers."""
    for line in _LISTING.strip().splitlines():
        first, *names = line.split()
        yield from ((name, int(first, 16) + offset) for offset, name in enumerate(names))


def _numbered() -> Iterator[tuple[str, int]]:
    """Yield the families of CSRs with a number in their name."""
    for counter in range(3, 32):
        yield f"hpmcounter{counter}", 0xC00 + counter
        yield f"mhpmcounter{counter}", 0xB00 + counter
        yield f"mhpmevent{counter}", 0x320 + counter
    for entry in range(64):
        yield f"pmpaddr{entry}", 0x3B0 + entry
    for register in range(0, 16, 2):  # with XLEN = 64 the odd ones do not exist
        yield f"pmpcfg{register}", 0x3A0 + register


CSR_NUMBERS: Mapping[str, int] = dict(sorted((*_listed(), *_numbered()), key=lambda item: item[1]))
CSR_NAMES: Mapping[int, str] = {number: name for name, number in CSR_NUMBERS.items()}


def csr_name(number: int) -> str:
    """Return a CSR's name, or its number in hexadecimal if it has none."""
    return CSR_NAMES.get(number, f"0x{number:03x}")


def lowest_privilege(number: int) -> str:
    """Return the lowest privilege level that may access a CSR: `U`, `S`, `HS` or `M`.

    Bits 9:8 of the number encode it; the hypervisor's registers and the VS-mode ones need HS-mode.
    """
    return ("U", "S", "HS", "M")[number >> 8 & 3]


def is_read_only(number: int) -> bool:
    """Tell whether writing a CSR is an illegal instruction: bits 11:10 of its number are both set."""
    return number >> 10 & 3 == 3
