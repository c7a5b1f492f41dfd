"""Breakpoints and watched ranges: when a hart stops for somebody who looks at the machine from outside.

This is not the guest's own debug support (Sdtrig's registers are not there) but the machine's: nothing here
is state, and a run with stops goes through the same states as one without.

A breakpoint names a virtual address and may name an address space. It fires before anything is done about the
instruction, its fetch included, which is Sdtrig's priority for "execute address before". Whether the loop
comes past here is decided by the offset in the page alone: an instruction at the offset of a breakpoint is
never kept decoded (`run.decode_at`), so that breakpoints need no translation, follow every change of tables
and cost other instructions nothing.

A watched range is of physical addresses. The fast map takes no page of it, so that its accesses come through
`access`, which notes here what they touched; the hart stops after the instruction. Page-table walks, fetches
and writes of devices and of the hypervisor are left out.
"""

from emulator.state import DEBUG_BREAKPOINT, DEBUG_WATCH, NO_ADDRESS, PAGE_BYTES


def at_breakpoint(hart, host, pc):
    """Note that the hart stands at a breakpoint, unless it has stopped for that at this very clock.

    `hart.retired` has the cycles of this run so far.
    """
    now = hart.clock + hart.retired + 1
    if hart.debug_clock == now:
        return False
    number = 0
    while number < host.break_count:
        if host.break_pc[number] == pc and in_address_space(
            hart, host.break_vmid[number], host.break_root[number]
        ):
            hart.debug_clock = now
            host.debug_hit = DEBUG_BREAKPOINT
            host.debug_number = number
            host.debug_address = pc
            return True
        number += 1
    return False


def in_address_space(hart, vmid, root):
    """Is this the VM and the table that a breakpoint asks for? NO_ADDRESS asks for none."""
    if vmid != NO_ADDRESS and (hart.virt == 0 or ((hart.hgatp >> 44) & 0x3FFF) != vmid):
        return False
    return root == NO_ADDRESS or root == (hart.vsatp if hart.virt else hart.satp)


def has_break_offset(host, offset):
    """Does a breakpoint lie at this offset of a page?"""
    number = 0
    while number < host.break_count:
        if (host.break_pc[number] & (PAGE_BYTES - 1)) == offset:
            return True
        number += 1
    return False


def watch_at(host, start, size, kinds):
    """Number of the first watched range that an access of these kinds overlaps, or NO_ADDRESS."""
    number = 0
    while number < host.watch_count:
        if (
            (host.watch_kinds[number] & kinds) != 0
            and start < host.watch_end[number]
            and host.watch_start[number] < start + size
        ):
            return number
        number += 1
    return NO_ADDRESS


def note_access(host, hpa, size, kinds):
    """Note that RAM was loaded from or stored to, if somebody watches it."""
    if host.watch_count == 0:
        return
    number = watch_at(host, hpa, size, kinds)
    if number != NO_ADDRESS:
        host.debug_hit = DEBUG_WATCH
        host.debug_number = number
        host.debug_address = hpa
