"""SBI calls in words: what a guest asked for, by the name that the log gives the call.

RISC-V SBI 2.0, chapters 4 to 16. Calls without words here are told by their name.
"""

from __future__ import annotations

CALLS = {
    "legacy set_timer": "to be woken by its timer at a later time",
    "legacy console_putchar": "to print a character",
    "legacy console_getchar": "for a character that was typed",
    "legacy send_ipi": "to send another vCPU a signal",
    "legacy remote_sfence_vma": "that other vCPUs forget translations",
    "legacy remote_sfence_vma_asid": "that other vCPUs forget translations of an address space",
    "legacy shutdown": "to be shut off",
    "BASE function 0": "which version of the SBI there is",
    "BASE function 1": "who its hypervisor is",
    "BASE function 2": "which version of the hypervisor there is",
    "BASE function 3": "whether an SBI extension is there",
    "TIME function 0": "to be woken by its timer at a later time",
    "IPI function 0": "to send another vCPU a signal",
    "RFENCE function 0": "that other vCPUs see instructions that it has written",
    "RFENCE function 1": "that other vCPUs forget translations",
    "RFENCE function 2": "that other vCPUs forget translations of an address space",
    "HSM function 0": "to start another vCPU",
    "HSM function 1": "to stop this vCPU",
    "HSM function 2": "what another vCPU does",
    "HSM function 3": "to let this vCPU sleep",
    "SRST function 0": "to be shut off or started anew",
    "DBCN function 0": "to print a text",
    "DBCN function 1": "for what was typed",
    "DBCN function 2": "to print one byte",
    "SUSP function 0": "to sleep with all its memory kept",
    "STA function 0": "to be told how long it has to wait for a pCPU",
}


def wish(call: str) -> str:
    """Return "to print one byte" for "DBCN function 2"; "for a service" for a call without words here."""
    return CALLS.get(call, "for a service")
