"""An exit in a sentence that a newcomer understands, and what the guest noticed of it."""

from __future__ import annotations

from typing import Any

from emulator.isa.causes import describe
from emulator.lab.byte_views import ChangeView, InstantView
from emulator.lab.observation import WalkView
from emulator.lab.sbi_words import wish
from emulator.state import NO_ADDRESS

# What the guest did where; with and without its number of bytes.
DEEDS = {
    "fetch": "The guest fetched an instruction from {where}",
    "load": "The guest loaded from {where}",
    "store": "The guest stored to {where}",
}
DEEDS_WITH_BYTES = {
    **DEEDS,
    "load": "The guest loaded {amount} from {where}",
    "store": "The guest stored {amount} to {where}",
}
WITHOUT_ADDRESS = {
    "sbi": "The guest asked its hypervisor {wish} (ecall, {text}).",
    "wfi": "The guest had nothing to do and waited for an interrupt, so its vCPU gave the pCPU up.",
    "timer": "The guest ran, and a time that was asked for came: {text}.",
    "budget": "The guest ran until the hypervisor's own timer fired: {text}.",
    "virtual instruction": "The guest executed an instruction that only its hypervisor may do: {text}.",
    "satp access": "With shadow paging the hypervisor keeps satp for the guest: {text}.",
    "address fence": "With shadow paging the hypervisor has to know when the guest fences: {text}.",
}
AFTER_WALK = {
    "guest page fault": "{mapped}, so the walk ended at {ended}.",
    "mmio": "A device stands there and no memory, so the hypervisor did the access in its place: {text}.",
    "demand paging": "No frame stood behind that page yet, so the walk ended at {ended}, and the hypervisor"
    " gave it one.",
    "swap in": "The page was in the host's swap area, so the walk ended at {ended}, and the hypervisor had it"
    " read back.",
    "copy on write": "The page's frame was shared and read-only, so the walk ended at {ended}, and the guest"
    " got a copy of its own.",
    "shadow miss": "Both tables allow it, but the shadow table had no entry yet: the hypervisor made one.",
    "reflected page fault": "The guest's own page table does not allow it: the walk ended at {ended}, and the"
    " guest got the fault.",
}


def explanation(reason: str, text: str, vm: str, instant: InstantView | None) -> str:
    """Return what happened, one idea after the other; `text` is the log's."""
    if reason in WITHOUT_ADDRESS:
        return WITHOUT_ADDRESS[reason].format(text=_short(text), wish=wish(text))
    if instant is None or instant["access"] is None or instant["gva"] is None:
        return f"{vm} left its guest code: {reason}, {_short(text)}."
    walk = instant["walk"]
    ended = (walk["ended"] if walk else None) or "its last level"
    rest = AFTER_WALK.get(reason, "{text}.").format(ended=ended, text=_short(text), mapped=_mapped(walk))
    return f"{_deed(instant)}. {rest}"


def did(reason: str, text: str, instant: InstantView | None) -> str:
    """Return what the hypervisor did about it; `text` is the log's."""
    if reason == "guest page fault":
        return _refused(text, instant)
    if reason == "sbi":
        return f"It carried the call out: {_short(text)}."
    if reason == "mmio":
        return f"It let the device do it: {_short(text)}."
    return f"{text[0].upper()}{_short(text[1:])}."


def _refused(text: str, instant: InstantView | None) -> str:
    """Return what was done about an access to memory that the VM does not have (`on_fault`)."""
    after = {one["name"] for one in instant["changes"]} if instant else set[str]()
    if "sepc" in after or "scause" in after:
        return "It handed the guest an access fault, as missing hardware would."
    if "pc" in after:
        return "It skipped the instruction and let the VM go on."
    return (
        "It stopped the VM and kept everything as it was at this instant." if instant else f"{_short(text)}."
    )


def _mapped(walk: WalkView | None) -> str:
    empty = walk is None or not walk["steps"] or "V" not in walk["steps"][-1]["flags"]
    return "Nothing is mapped there" if empty else "What is mapped there does not allow it"


def _deed(instant: InstantView) -> str:
    """Return "The guest stored 8 bytes to GVA 0x..., which is GPA 0x..."."""
    assert instant["access"] is not None
    assert instant["gva"] is not None
    size, access = instant["bytes"], instant["access"]
    where = _place(instant, int(instant["gva"], 16))
    if size is None:
        return DEEDS[access].format(where=where)
    amount = "1 byte" if size == 1 else f"{size} bytes"
    return DEEDS_WITH_BYTES[access].format(amount=amount, where=where)


def _place(instant: InstantView, gva: int) -> str:
    gpa = None if instant["gpa"] is None else int(instant["gpa"], 16)
    if gpa is None:
        return f"GVA {gva:#x}"
    if gpa == gva:
        return f"GPA {gpa:#x}"
    walk = instant["walk"]
    if walk is not None and walk["gpa"] is None:
        return f"GVA {gva:#x}, and to translate it the MMU had to read GPA {gpa:#x}"
    return f"GVA {gva:#x}, which its own page table turns into GPA {gpa:#x}"


def _short(text: str) -> str:
    return text.removesuffix(".")


def saw(reason: str, changes: list[ChangeView], pc: int, after: Any, stopped: bool) -> str:
    """Return what the guest noticed."""
    if stopped and reason in ("sbi", "mmio"):
        return "Nothing more: its VM stands still now, as it had asked for."
    if stopped:
        return f"Nothing more: its VM was stopped, with this instruction (pc {pc:#x}) not carried out."
    changed = {one["name"]: one["after"] for one in changes}
    if "sepc" in changed or "scause" in changed:
        cause = describe(after.vscause).name
        return f"It took a trap of its own: {cause}. It goes on in its handler, at pc {after.pc:#x}."
    registers = [name for name in changed if name not in ("pc", "mode", "sip", "stval", "satp")]
    said = [f"its {name} is now {int(changed[name], 16):#x}" for name in registers[:4]]
    if "sip" in changed:
        said.append("an interrupt is pending for it")
    step = (after.pc - pc) & NO_ADDRESS
    if step in (2, 4):
        said.append("it goes on with the next instruction")
    elif step:
        said.append(f"it goes on at pc {after.pc:#x}")
    elif not said:
        again = "it tries the same instruction again" if reason in AFTER_WALK else "it goes on where it was"
        return f"Nothing: {again}, as if nothing had happened."
    text = "; ".join(said)
    return f"{text[0].upper()}{text[1:]}."
