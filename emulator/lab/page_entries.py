"""The bits of a page-table entry and the parts of an address, by name.

Privileged ISA 20240411, 10.4 to 10.6 (Sv39, Sv48, Sv57: the entry's format, the parts of a virtual address)
and 18.5.1 (Sv39x4: two more bits at the root), Svnapot (N) and Svpbmt (PBMT).
"""

from __future__ import annotations

from emulator.lab.byte_views import AddressPart, EntryField, FieldReading

PAGE_BITS, INDEX_BITS, EXTRA_ROOT_BITS = 12, 9, 2
FLAG_NAMES = "VRWXUGAD"
V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
MEANINGS = {
    "V": ("not valid: the other bits mean nothing", "valid"),
    "R": ("not readable", "readable"),
    "W": ("not writable", "writable"),
    "X": ("not executable", "executable"),
    "U": ("for S-mode", "for U-mode; in the G-stage every access counts as one of U-mode"),
    "G": ("in one address space", "global: in all address spaces"),
    "A": ("not accessed since this was cleared", "accessed"),
    "D": ("not written since this was cleared", "dirty: written"),
}
PAGE_TYPES = ("PMA: as the memory is", "NC: not cached", "IO: not cached, strongly ordered", "reserved")
# Name, highest and lowest bit, from the left.
LAYOUT = (("N", 63, 63), ("PBMT", 62, 61), ("reserved", 60, 54), ("PPN", 53, 10), ("RSW", 9, 8))


def entry_fields(pte: int) -> list[EntryField]:
    """Return the fields of an entry, highest bit first."""
    fields = [_field(name, high, low, pte) for name, high, low in LAYOUT]
    for bit in range(7, -1, -1):
        name, value = FLAG_NAMES[bit], pte >> bit & 1
        fields.append(
            {"name": name, "high": bit, "low": bit, "value": str(value), "meaning": MEANINGS[name][value]}
        )
    return fields


def _field(name: str, high: int, low: int, pte: int) -> EntryField:
    reading = _read(name, pte >> low & (1 << high - low + 1) - 1)
    return {"name": name, "high": high, "low": low, **reading}


def _read(name: str, value: int) -> FieldReading:
    if name == "PPN":
        return {"value": f"{value:#x}", "meaning": f"page number: the address is {value << PAGE_BITS:#x}"}
    if name == "N":
        return {"value": str(value), "meaning": "one of 16 pages of 64 KiB" if value else "a page of its own"}
    if name == "PBMT":
        return {"value": str(value), "meaning": PAGE_TYPES[value]}
    if name == "RSW":
        return {"value": str(value), "meaning": "for software: the hart ignores it"}
    return {"value": f"{value:#x}", "meaning": "must be 0"}


def flags(pte: int) -> str:
    """Return "VRWXUGAD" with "-" for a clear bit."""
    return "".join(name if pte >> bit & 1 else "-" for bit, name in enumerate(FLAG_NAMES))


def index_bits(level: int, wide: bool) -> tuple[int, int]:
    """Return the highest and lowest bit of an address that choose the entry of a level; `wide`: a G root."""
    low = PAGE_BITS + INDEX_BITS * level
    return low + INDEX_BITS - 1 + (EXTRA_ROOT_BITS if wide else 0), low


def address_parts(value: int, levels: int, guest: bool) -> list[AddressPart]:
    """Return an address cut into the index of each level and the offset; `guest`: a GPA for a G-stage."""
    parts: list[AddressPart] = []
    for level in range(levels - 1, -1, -1):
        high, low = index_bits(level, guest and level == levels - 1)
        parts.append(_part(f"{'PPN' if guest else 'VPN'}[{level}]", level, high, low, value))
    parts.append(_part("offset", None, PAGE_BITS - 1, 0, value))
    return parts


def _part(name: str, level: int | None, high: int, low: int, value: int) -> AddressPart:
    return {
        "name": name,
        "level": level,
        "high": high,
        "low": low,
        "value": value >> low & (1 << high - low + 1) - 1,
    }
