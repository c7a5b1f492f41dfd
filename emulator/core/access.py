"""Loads, stores, atomics and fetches that the fast map could not serve.

An access that cannot finish leaves its reason in `hart.trap_cause`: an exception code, or WAIT_DEVICE /
WAIT_STORE. An access to a device is made twice: the first time it leaves a request in `hart.mmio_*` and
waits; once the device has answered, the same instruction runs again and takes the answer.
"""

from emulator.core.bits import sext32
from emulator.core.csr_bits import (
    INSTRUCTION_ACCESS,
    LOAD_ACCESS,
    LOAD_MISALIGNED,
    STORE_ACCESS,
    STORE_MISALIGNED,
)
from emulator.core.debug import note_access
from emulator.core.intrinsics import walk_at
from emulator.core.memory import (
    code_frame_of,
    forget_code,
    frame_bytes,
    frame_of,
    is_ram,
    load_sized,
    ram_read,
    ram_write,
    store_sized,
    writable_bytes,
)
from emulator.core.pmp import pmp_allows
from emulator.core.ptw import data_privilege, sum_of, translate
from emulator.core.tlb import (
    TLB_R,
    TLB_W,
    data_address,
    fetch_address,
    remember_data,
    remember_fetch,
)
from emulator.state import (
    ACCESS_FETCH,
    ACCESS_LOAD,
    ACCESS_STORE,
    FAST_LOAD,
    FAST_STORE,
    MMIO_NONE,
    MMIO_REFUSED,
    MMIO_WAITING,
    NO_ADDRESS,
    NO_TRAP,
    WAIT_DEVICE,
    WAIT_STORE,
    WATCH_LOAD,
    WATCH_STORE,
)


def refuse(hart, cause, va, virt):
    """Note a fault of a data access at `va`."""
    hart.trap_cause = cause
    hart.trap_tval = va
    hart.trap_gpa = 0
    hart.trap_inst = 0
    hart.trap_gva = virt


def device_access(hart, hpa, size, write, value, va, virt):
    """Ask a device, or take its answer.

    Returns the value read; `hart.trap_cause` says whether it is there.
    """
    state = hart.mmio_state
    hart.trap_cause = NO_TRAP
    if state == MMIO_NONE or state == MMIO_WAITING:
        hart.mmio_state = MMIO_WAITING
        hart.mmio_address = hpa
        hart.mmio_size = size
        hart.mmio_write = write
        hart.mmio_value = value
        hart.trap_cause = WAIT_DEVICE
        return 0
    hart.mmio_state = MMIO_NONE
    if state == MMIO_REFUSED:
        refuse(hart, STORE_ACCESS if write else LOAD_ACCESS, va, virt)
    return hart.mmio_value


def load_slow(hart, host, va, size, context):
    """Load `size` bytes, zero-extended, without the help of the fast map."""
    mode = data_privilege(hart)
    priv, virt = mode & 3, mode >> 2
    if va & (size - 1):
        return load_misaligned(hart, host, va, size, priv, virt, context)
    hpa = data_address(hart, host, va, size, ACCESS_LOAD, TLB_R, priv, virt, context)
    if hpa == NO_ADDRESS:
        hart.trap_tval = va
        hart.trap_gva = virt
        return 0
    if not is_ram(host, hpa):
        return device_access(hart, hpa, size, 0, 0, va, virt)
    page = frame_bytes(host, frame_of(host, hpa))
    remember_data(hart, host, va, hpa, context, FAST_LOAD, page)
    note_access(host, hpa, size, WATCH_LOAD)
    return load_sized(page + (hpa & 0xFFF), size)


def load_misaligned(hart, host, va, size, priv, virt, context):
    """Load byte by byte: a misaligned access may touch two pages. Devices refuse it."""
    value = 0
    done = 0
    while done < size:
        byte = va + done
        hpa = data_address(hart, host, byte, 1, ACCESS_LOAD, TLB_R, priv, virt, context)
        if hpa == NO_ADDRESS:
            hart.trap_tval = byte
            hart.trap_gva = virt
            hart.trap_offset = done
            return 0
        if not is_ram(host, hpa):
            refuse(hart, LOAD_ACCESS, byte, virt)
            hart.trap_offset = done
            return 0
        value |= ram_read(host, hpa, 1) << (8 * done)
        note_access(host, hpa, 1, WATCH_LOAD)
        done += 1
    return value


def store_slow(hart, host, va, value, size, context):
    """Store `size` bytes without the help of the fast map."""
    mode = data_privilege(hart)
    priv, virt = mode & 3, mode >> 2
    if va & (size - 1):
        store_misaligned(hart, host, va, value, size, priv, virt, context)
        return
    hpa = data_address(hart, host, va, size, ACCESS_STORE, TLB_W, priv, virt, context)
    if hpa == NO_ADDRESS:
        hart.trap_tval = va
        hart.trap_gva = virt
        return
    if not is_ram(host, hpa):
        device_access(hart, hpa, size, 1, value, va, virt)
        return
    frame = frame_of(host, hpa)
    page = writable_bytes(host, frame)
    if page == 0:
        hart.trap_cause = WAIT_STORE
        return
    forget_code(host, frame, hpa & 0xFFF, size)
    store_sized(page + (hpa & 0xFFF), value, size)
    remember_data(hart, host, va, hpa, context, FAST_STORE, page)
    note_access(host, hpa, size, WATCH_STORE)


def store_misaligned(hart, host, va, value, size, priv, virt, context):
    """Store byte by byte, after both ends have been translated: a store happens wholly or not at all."""
    done = 0
    while done < size:
        byte = va + done
        hpa = data_address(hart, host, byte, 1, ACCESS_STORE, TLB_W, priv, virt, context)
        if hpa == NO_ADDRESS:
            hart.trap_tval = byte
            hart.trap_gva = virt
            hart.trap_offset = done
            return
        if not is_ram(host, hpa):
            refuse(hart, STORE_ACCESS, byte, virt)
            hart.trap_offset = done
            return
        if writable_bytes(host, frame_of(host, hpa)) == 0:
            hart.trap_cause = WAIT_STORE
            return
        done += 1
    done = 0
    while done < size:
        hpa = data_address(hart, host, va + done, 1, ACCESS_STORE, TLB_W, priv, virt, context)
        ram_write(host, hpa, (value >> (8 * done)) & 0xFF, 1)
        note_access(host, hpa, 1, WATCH_STORE)
        done += 1


def atomic_address(hart, host, va, size, access, context):
    """Host physical address for LR, SC or an AMO, which must be aligned and in RAM."""
    mode = data_privilege(hart)
    priv, virt = mode & 3, mode >> 2
    if va & (size - 1):
        refuse(hart, LOAD_MISALIGNED if access == ACCESS_LOAD else STORE_MISALIGNED, va, virt)
        return NO_ADDRESS
    needed = TLB_R if access == ACCESS_LOAD else TLB_W
    hpa = data_address(hart, host, va, size, access, needed, priv, virt, context)
    if hpa == NO_ADDRESS:
        hart.trap_tval = va
        hart.trap_gva = virt
    elif not is_ram(host, hpa):
        refuse(hart, LOAD_ACCESS if access == ACCESS_LOAD else STORE_ACCESS, va, virt)
        return NO_ADDRESS
    return hpa


def load_reserved(hart, host, va, size, context):
    hpa = atomic_address(hart, host, va, size, ACCESS_LOAD, context)
    if hpa == NO_ADDRESS:
        return 0
    hart.reservation = hpa
    host.reservation_hart = hart.hart_id
    note_access(host, hpa, size, WATCH_LOAD)
    value = ram_read(host, hpa, size)
    return value if size == 8 else sext32(value)


def store_conditional(hart, host, va, value, size, context):
    """0 if the store was made, 1 if the reservation was gone."""
    hpa = atomic_address(hart, host, va, size, ACCESS_STORE, context)
    if hpa == NO_ADDRESS:
        return 0
    held = hart.reservation == hpa and host.reservation_hart == hart.hart_id
    # "Regardless of success or failure, executing an SC instruction invalidates any reservation held by this
    # hart."
    hart.reservation = NO_ADDRESS
    if not held:
        return 1
    if not ram_write(host, hpa, value, size):
        hart.reservation = hpa
        hart.trap_cause = WAIT_STORE
        return 0
    note_access(host, hpa, size, WATCH_STORE)
    return 0


def atomic_load(hart, host, va, size, context):
    """First half of an AMO: the old value, sign-extended.

    The page is then writable, so that the second half cannot fail.
    """
    hpa = atomic_address(hart, host, va, size, ACCESS_STORE, context)
    if hpa == NO_ADDRESS:
        return 0
    if writable_bytes(host, frame_of(host, hpa)) == 0:
        hart.trap_cause = WAIT_STORE
        return 0
    hart.value = hpa
    value = ram_read(host, hpa, size)
    return value if size == 8 else sext32(value)


def atomic_store(hart, host, value, size):
    """Second half of an AMO, to the address that `atomic_load` left in `hart.value`."""
    ram_write(host, hart.value, value, size)
    note_access(host, hart.value, size, WATCH_LOAD | WATCH_STORE)


def fetch_page(hart, host, pc, context):
    """Address of the decoded page that holds `pc`, or 0 with `hart.trap_*` set."""
    hpa = fetch_address(hart, host, pc, context)
    if hpa == NO_ADDRESS:
        hart.trap_tval = pc
        hart.trap_gva = hart.virt
        return 0
    frame = code_frame_of(host, hpa)
    if frame == NO_ADDRESS:
        refuse(hart, INSTRUCTION_ACCESS, pc, hart.virt)
        return 0
    return remember_fetch(hart, host, pc, frame, context)


def fetch_half(hart, host, pc, context):
    """The 16 bits at `pc`, with `hart.trap_*` set on a fault."""
    hpa = fetch_address(hart, host, pc, context)
    if hpa == NO_ADDRESS:
        hart.trap_tval = pc
        hart.trap_gva = hart.virt
        return 0
    frame = code_frame_of(host, hpa)
    if frame == NO_ADDRESS:
        refuse(hart, INSTRUCTION_ACCESS, pc, hart.virt)
        return 0
    return load_sized(frame_bytes(host, frame) + (hpa & 0xFFF), 2)


def fetch_word(hart, host, pc, context):
    """The instruction at `pc` as it stands in memory: 16 or 32 bits. `hart.trap_cause` tells of a fault."""
    low = fetch_half(hart, host, pc, context)
    if hart.trap_cause != NO_TRAP or (low & 3) != 3:
        return low
    return low | fetch_half(hart, host, pc + 2, context) << 16


def hypervisor_allowed(hart, hpa, size, access, priv, by_execute):
    """Physical memory protection of HLV, HLVX, HSV; HLVX needs both read and execute permission."""
    if by_execute and not pmp_allows(hart, hpa, size, ACCESS_FETCH, priv):
        return False
    return pmp_allows(hart, hpa, size, access, priv)


def hypervisor_address(hart, host, va, size, access, by_execute):
    """Host physical address for HLV, HLVX, HSV: translated as in VS or VU mode (hstatus.SPVP), not cached."""
    priv = (hart.hstatus >> 8) & 1
    walk = walk_at(host.walk)
    hpa = translate(hart, host, walk, va, access, priv, 1, sum_of(hart, 1), by_execute, 1)
    if hpa == NO_ADDRESS:
        hart.trap_tval = va
        hart.trap_gva = 1
    elif not is_ram(host, hpa) or not hypervisor_allowed(hart, hpa, size, access, priv, by_execute):
        refuse(hart, LOAD_ACCESS if access == ACCESS_LOAD else STORE_ACCESS, va, 1)
        return NO_ADDRESS
    return hpa


def hypervisor_load(hart, host, va, size, by_execute):
    """HLV, HLVX: at once when aligned, else byte by byte."""
    step = 1 if va & (size - 1) else size
    value = 0
    done = 0
    while done < size:
        hpa = hypervisor_address(hart, host, va + done, step, ACCESS_LOAD, by_execute)
        if hpa == NO_ADDRESS:
            hart.trap_offset = done
            return 0
        value |= ram_read(host, hpa, step) << (8 * done)
        note_access(host, hpa, step, WATCH_LOAD)
        done += step
    return value


def hypervisor_store(hart, host, va, value, size):
    """HSV: wholly or not at all, so everything is translated before anything is written."""
    step = 1 if va & (size - 1) else size
    done = 0
    while done < size:
        hpa = hypervisor_address(hart, host, va + done, step, ACCESS_STORE, 0)
        if hpa == NO_ADDRESS:
            hart.trap_offset = done
            return
        if writable_bytes(host, frame_of(host, hpa)) == 0:
            hart.trap_cause = WAIT_STORE
            return
        done += step
    done = 0
    while done < size:
        hpa = hypervisor_address(hart, host, va + done, step, ACCESS_STORE, 0)
        ram_write(host, hpa, value >> (8 * done), step)
        note_access(host, hpa, step, WATCH_STORE)
        done += step
