"""Bits and masks of CSRs (Privileged ISA 20240411, chapters 3, 10 and 18), and of a hart's extensions."""

from emulator.isa.extensions import DEFAULT_ISA, extension_bit

# mstatus, sstatus, vsstatus
SIE, MIE = 1 << 1, 1 << 3
SPIE, UBE, MPIE = 1 << 5, 1 << 6, 1 << 7
SPP = 1 << 8
MPP_LOW = 11
MPP = 3 << 11
FS = 3 << 13
MPRV, SUM, MXR = 1 << 17, 1 << 18, 1 << 19
TVM, TW, TSR = 1 << 20, 1 << 21, 1 << 22
GVA, MPV = 1 << 38, 1 << 39
XLEN_64 = 0xA_0000_0000  # UXL = SXL = 64 bit
SD = 1 << 63
MSTATUS_WRITABLE = SIE | MIE | SPIE | MPIE | SPP | MPP | FS | MPRV | SUM | MXR | TVM | TW | TSR | GVA | MPV
SSTATUS_WRITABLE = SIE | SPIE | SPP | FS | SUM | MXR
SSTATUS_VISIBLE = SSTATUS_WRITABLE | 3 << 32 | SD

# hstatus
HSTATUS_GVA, SPV, SPVP, HU = 1 << 6, 1 << 7, 1 << 8, 1 << 9
VTVM, VTW, VTSR = 1 << 20, 1 << 21, 1 << 22
HSTATUS_WRITABLE = HSTATUS_GVA | SPV | SPVP | HU | VTVM | VTW | VTSR
HSTATUS_VSXL = 2 << 32

# interrupts
SSI, VSSI, MSI = 1 << 1, 1 << 2, 1 << 3
STI, VSTI, MTI = 1 << 5, 1 << 6, 1 << 7
SEI, VSEI, MEI = 1 << 9, 1 << 10, 1 << 11
SGEI = 1 << 12
S_INTERRUPTS = SSI | STI | SEI
VS_INTERRUPTS = VSSI | VSTI | VSEI
M_INTERRUPTS = MSI | MTI | MEI
HS_ONLY_INTERRUPTS = VS_INTERRUPTS | SGEI

# menvcfg, henvcfg
ENVCFG_STCE, ENVCFG_PBMTE, ENVCFG_ADUE = 1 << 63, 1 << 62, 1 << 61
ENVCFG_FIOM, ENVCFG_CBIE, ENVCFG_CBCFE, ENVCFG_CBZE = 1, 3 << 4, 1 << 6, 1 << 7

# mstateen, hstateen: each register's own enable, and that of xenvcfg in the first
STATEEN_SE, STATEEN_ENVCFG = 1 << 63, 1 << 62

# misa beside the letters of extensions: MXL 64 bits, S- and U-mode
MISA_FIXED, MISA_LETTERS = DEFAULT_ISA.misa & ~DEFAULT_ISA.bits, (1 << 26) - 1

# hart.extensions
EXT_C, EXT_F, EXT_H = extension_bit("c"), extension_bit("f"), extension_bit("h")
EXT_SMSTATEEN, EXT_SSTATEEN = extension_bit("smstateen"), extension_bit("ssstateen")
EXT_SSTC, EXT_SVADU = extension_bit("sstc"), extension_bit("svadu")
EXT_SVNAPOT, EXT_SVPBMT = extension_bit("svnapot"), extension_bit("svpbmt")
EXT_ZICBOM, EXT_ZICBOZ = extension_bit("zicbom"), extension_bit("zicboz")
EXT_ZICNTR, EXT_ZIHPM = extension_bit("zicntr"), extension_bit("zihpm")

# Exceptions that may be delegated. An ecall from M-mode (11) never goes lower.
MEDELEG_WRITABLE, MEDELEG_HYPERVISOR = 0xB3FF, 0xF0_0400
# "Synchronous exceptions from VS-mode ecalls and all guest-page faults can't be delegated to VS-mode."
HEDELEG_WRITABLE = 0xB1FF

INTERRUPT = 1 << 63

# Exception codes
INSTRUCTION_MISALIGNED, INSTRUCTION_ACCESS, ILLEGAL_INSTRUCTION, BREAKPOINT = 0, 1, 2, 3
LOAD_MISALIGNED, LOAD_ACCESS, STORE_MISALIGNED, STORE_ACCESS = 4, 5, 6, 7
ECALL_U, ECALL_S, ECALL_VS, ECALL_M = 8, 9, 10, 11
INSTRUCTION_PAGE, LOAD_PAGE, STORE_PAGE = 12, 13, 15
INSTRUCTION_GUEST_PAGE, LOAD_GUEST_PAGE, VIRTUAL_INSTRUCTION, STORE_GUEST_PAGE = 20, 21, 22, 23

# Page-table entries
PTE_V, PTE_R, PTE_W, PTE_X, PTE_U, PTE_G, PTE_A, PTE_D = 1, 2, 4, 8, 16, 32, 64, 128
PTE_N, PTE_PBMT = 1 << 63, 3 << 61  # Svnapot, Svpbmt
PTE_RESERVED = 0x1FC0_0000_0000_0000
PTE_PPN = 0x3F_FFFF_FFFF_FC00
