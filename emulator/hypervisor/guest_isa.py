"""Which of the host's extensions a guest has, and what henvcfg must be so that it can use them.

Privileged ISA 20240411, sections 3.1.18 and 18.2.5. A guest has all but these: H, because nested
virtualisation is a bare machine's; Smstateen, which is machine mode's; and Svadu where there is Svade too, so
that accessed and dirty bits are set by the guest's own page-fault handler unless a host can do nothing else.
"""

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ENVCFG_PBMTE,
    ENVCFG_STCE,
)
from emulator.isa.extensions import Isa, make_isa

ENABLES = {
    "sstc": ENVCFG_STCE,
    "svpbmt": ENVCFG_PBMTE,
    "svadu": ENVCFG_ADUE,
    "zicbom": ENVCFG_CBIE | ENVCFG_CBCFE,
    "zicboz": ENVCFG_CBZE,
}


def guest_isa(host: Isa) -> Isa:
    """Return the extensions of a guest on harts with these."""
    kept_back = {"h", "smstateen", "svadu"} if "svade" in host else {"h", "smstateen"}
    return make_isa(name for name in host.names() if name not in kept_back)


def guest_envcfg(isa: Isa) -> int:
    """Return the value of henvcfg, and the least of menvcfg, for a guest with these extensions."""
    enabled = 0
    for name, fields in ENABLES.items():
        if name in isa:
            enabled |= fields
    return enabled
