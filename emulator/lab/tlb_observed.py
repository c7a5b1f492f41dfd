"""Whether a hart's TLB holds a translation now, and what stands in its place otherwise.

The TLBs are part of the hart's state (`core.tlb` describes their tags): a place is chosen by bits of the GVA,
and its tag names the page, the address space (one vsatp under one hgatp, so ASID and VMID) and the permission
class (S, S with SUM, U). An entry holds the page's HPA: the outcome of both stages together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import SUM
from emulator.hypervisor.vcpu import Vcpu
from emulator.lab.byte_views import TlbView
from emulator.lab.observation import AccessKind
from emulator.lab.observing import address
from emulator.state import DTLB_ENTRIES, ITLB_ENTRIES, NO_ADDRESS, PRIV_S

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

PAGE = 0xFFFF_FFFF_FFFF_F000
READ, WRITE, EXECUTE = 2, 4, 8  # bits of an entry
NEEDED = {"load": READ, "store": WRITE, "fetch": EXECUTE}
GUEST_S, GUEST_S_SUM, GUEST_U = 4, 5, 6  # permission classes with V=1
ACCESS_WORDS = {"load": "loads", "store": "stores", "fetch": "fetches"}


def tlb_entry(lab: Lab, vcpu: Vcpu, gva: int, access: AccessKind) -> TlbView:
    """Return what the TLB has for an access of a vCPU: of its pCPU, or of the one that it was on last."""
    pcpu = vcpu.last_pcpu if vcpu.pcpu is None else vcpu.pcpu
    fetch = access == "fetch"
    places = ITLB_ENTRIES if fetch else DTLB_ENTRIES
    place = (gva >> 12 if fetch else gva >> 12 ^ gva >> 21) & places - 1
    view: TlbView = {
        "outcome": "never loaded",
        "loaded": vcpu.pcpu is not None,
        "pcpu": pcpu,
        "buffer": "instruction" if fetch else "data",
        "place": place,
        "places": places,
        "tag": None,
        "page": None,
        "permissions": "",
        "asid": None,
        "vmid": None,
        "explanation": "This vCPU was never on a pCPU, so no TLB knows it.",
    }
    if pcpu is None:
        return view
    hart = lab.hypervisor.pcpus[pcpu].hart
    tag, page = (hart.itlb_tag, hart.itlb_page) if fetch else (hart.dtlb_tag, hart.dtlb_page)
    return view | _read(lab, vcpu, hart, gva, access, tag[place], page[place], pcpu)  # pyright: ignore[reportReturnType]


def _read(
    lab: Lab, vcpu: Vcpu, hart: Any, gva: int, access: AccessKind, tag: int, page: int, pcpu: int
) -> dict[str, Any]:
    where = f"The instruction TLB of pCPU {pcpu}" if access == "fetch" else f"The data TLB of pCPU {pcpu}"
    if vcpu.pcpu is None:
        where = f"{where}, on which vCPU {vcpu.index} was last,"
    if tag == NO_ADDRESS:
        return {"outcome": "miss", "explanation": f"Miss: {where} holds nothing at this place."}
    space = tag >> 6 & 63
    stage1, stage2 = hart.context_stage1[space], hart.context_stage2[space]
    held = {
        "tag": address(tag & PAGE),
        "page": address(page & PAGE),
        "permissions": "".join(
            name if page & bit else "-" for name, bit in (("R", READ), ("W", WRITE), ("X", EXECUTE))
        ),
        "asid": stage1 >> 44 & 0xFFFF,
        "vmid": None if stage2 == NO_ADDRESS else stage2 >> 44 & 0x3FFF,
    }
    record = lab.hypervisor.registers(vcpu)
    if tag & PAGE != gva & PAGE or (stage1, stage2) != (record.vsatp, record.hgatp):
        same = "the same GVA, but of another address space," if tag & PAGE == gva & PAGE else "another page"
        return held | {"outcome": "miss", "explanation": f"Miss: {where} holds {same} at this place."}
    if tag >> 3 & 7 != _permission_class(record, access) or not page & NEEDED[access]:
        accesses = ACCESS_WORDS[access]
        why = (
            f"Not for this: {where} holds the page, but not for {accesses} in this mode;"
            " the MMU would walk again."
        )
        return held | {"outcome": "not for this access", "explanation": why}
    why = f"Hit: {where} holds GVA to HPA, so the MMU reads no page table at all for this access."
    return held | {"outcome": "hit", "explanation": why}


def _permission_class(record: Any, access: AccessKind) -> int:
    if record.priv != PRIV_S:
        return GUEST_U
    return GUEST_S_SUM if access != "fetch" and record.vsstatus & SUM else GUEST_S
