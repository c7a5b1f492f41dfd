"""A VM at one instant as data: what snapshots, clones and archives are made of.

An image holds all that the guest can see or has changed: registers, devices, console, disk and RAM. Times are
kept relative to the instant, so that a VM that is put back later finds its own time where it was. What
belongs to the host is left out: which frames and pCPUs it had, what the scheduler thought of it, TLBs.

RAM is held by slots (`Host.hold`), not copied, so that an image costs memory only where its VM, or whoever
was made of it, writes afterwards. Disks share their unchanged sectors in the same way: they are immutable.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.devices.virt import VIRTIO, VIRTIO_STRIDE
from emulator.devices.virtio.block import SECTOR_BYTES, BlockState
from emulator.errors import VmLabError
from emulator.hypervisor import identity, lifecycle
from emulator.hypervisor.guest_isa import guest_envcfg
from emulator.hypervisor.memory import fitting
from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.partition import ram_code
from emulator.hypervisor.plain import Plain, PlainError, decode, put, to_plain
from emulator.hypervisor.storage.state import CLUSTER_BYTES
from emulator.hypervisor.vcpu import NEVER, SWITCHED, StealTime, Vcpu, VcpuState
from emulator.hypervisor.vm import ACTIVE, DISK_SLOT, HOLDS_MEMORY, Vm, VmSettings, VmState
from emulator.machine.pages import ZERO_PAGE, Pages
from emulator.state import HART, PAGE_BYTES

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

DISK_BASE = VIRTIO + DISK_SLOT * VIRTIO_STRIDE
WANTING = (VcpuState.RUNNING, VcpuState.READY)
# Of a vCPU: where it stands on the host, and what is derived from something else.
NOT_KEPT = frozenset(
    {"vm", "info", "context", "index", "pcpu", "last_pcpu", "born", "since", "deadline", "alarm"}
)
TYPES: dict[str, Any] = {"steal": StealTime | None}
COUNTED = ("run_cycles", "hypervisor_cycles", "ready_cycles", "idle_cycles", "off_cycles")
# All that a world switch carries, but where its table is, when its time began, and what its host lets it use.
REGISTERS = tuple(
    name
    for name, _ in HART.fields
    if name not in ("hgatp", "htimedelta", "henvcfg")
    and any(span.start <= HART.offset(name) < span.stop for span in SWITCHED)
)
COUNTS = dict(HART.fields)
MAX_REGISTER = 1 << 64
MAX_WIRED = 8


class ImageError(VmLabError):
    """A VM's state cannot be kept or put back: what, why, and what helps."""


@dataclass(frozen=True)
class VmImage:
    """`state` is plain data; `pages` is RAM in order of GPA, None for a VM that was shut off.

    `clusters` are those of the volume that is its disk, if it is one.
    """

    settings: VmSettings
    state: Plain
    pages: Pages | None
    clusters: dict[int, bytes] | None

    @property
    def lifecycle(self) -> VmState:
        """What the VM was doing."""
        return VmState(self.state["lifecycle"])

    @property
    def disk_bytes(self) -> int:
        """What its disk has that its base has not."""
        devices: dict[int, Plain] = dict(self.state["devices"] or ())
        disk: Plain = devices[DISK_BASE]["device"] if self.settings.disk and devices else self.state["disk"]
        changed = len(disk["changed"]) * SECTOR_BYTES if disk else 0
        return changed + len(self.clusters or ()) * CLUSTER_BYTES

    def release(self) -> None:
        """Let go of its memory."""
        if self.pages is not None:
            self.pages.release()


# Taking


def take(hypervisor: Hypervisor, vm: Vm) -> VmImage:
    """Return a VM as it is now; nothing changes. Raises ImageError."""
    holds = vm.lifecycle in HOLDS_MEMORY
    if holds and not hypervisor.host.can_hold:
        raise ImageError(
            f"there is no room to keep the memory of {vm.name}: delete a snapshot, or give the host more"
            " memory"
        )
    pages = _hold_memory(hypervisor, vm) if holds else None
    return VmImage(vm.settings, _state_of(hypervisor, vm, holds), pages, _clusters(vm))


def _hold_memory(hypervisor: Hypervisor, vm: Vm) -> Pages:
    host, frames = hypervisor.host, vm.frames
    if ABSENT not in frames:
        return host.hold(frames)
    numbers = [page for page, hfn in enumerate(frames) if hfn != ABSENT]
    held = host.hold(frames[page] for page in numbers)
    slots = array("I", bytes(4 * len(frames)))
    for page, slot in zip(numbers, held.take_over(), strict=True):
        slots[page] = slot
    for page, hfn in enumerate(frames):
        if hfn == ABSENT and (content := hypervisor.pager.content(vm, page)) != ZERO_PAGE:
            slots[page] = host.keep(content)
    return Pages(host, slots)


def _clusters(vm: Vm) -> dict[int, bytes] | None:
    disk = vm.settings.disk
    return dict(vm.storage.volume(disk.volume).clusters) if disk and disk.volume else None


def _state_of(hypervisor: Hypervisor, vm: Vm, holds: bool) -> Plain:
    paused = vm.lifecycle is VmState.PAUSED
    ticks = vm.paused_at if paused else hypervisor.now_ticks
    now = ticks * hypervisor.host.record.cycles_per_tick if paused else hypervisor.now
    board = vm.board if holds else None
    disk = vm.disk_if_any()
    return {
        "lifecycle": vm.lifecycle.value,
        "resumes_to": vm.resumes_to.value,
        "restart_on_shutdown": vm.restart_on_shutdown,
        "ticks": ticks - vm.time_offset,
        "starts": vm.starts,
        "exits": to_plain(vm.exits),
        "start_digest": vm.start_digest,
        "console": vm.console.to_plain(),
        "vcpus": [_vcpu_state(hypervisor, vcpu, now) for vcpu in vm.vcpus] if holds else [],
        "devices": board and [[base, to_plain(one.state)] for base, one in board.bus.devices.items()],
        "wires": board and board.wires(),
        "disk": disk and to_plain(disk.state) if board is None else None,
        "host_ns": hypervisor.now_ns,
    }


def _vcpu_state(hypervisor: Hypervisor, vcpu: Vcpu, now: int) -> Plain:
    registers = hypervisor.registers(vcpu)
    kept = {name: to_plain(getattr(vcpu, name)) for name in Vcpu.__slots__ if name not in NOT_KEPT}
    kept["state"] = (VcpuState.READY if vcpu.state in WANTING else vcpu.state).value
    kept["deadline"] = None if vcpu.deadline == NEVER else vcpu.deadline - now
    kept["registers"] = {
        name: list(getattr(registers, name)) if COUNTS[name] > 1 else getattr(registers, name)
        for name in REGISTERS
    }
    return kept


# Putting back


def require_fits(hypervisor: Hypervisor, vm: Vm, image: VmImage) -> None:
    """Raise ImageError if a VM cannot take over an image, as there is no memory for it."""
    if image.pages is None:
        return
    before, vm.settings = vm.settings, image.settings
    try:
        refusal = fitting.refusal(hypervisor, vm)
        if not refusal and hypervisor.pager.settings.on_demand:
            needed = sum(1 for slot in image.pages.slots if slot)
            have = hypervisor.pager.obtainable(vm) + vm.backing.resident
            if needed > have:
                refusal = f"its memory takes {needed} host frames and {have} can be had; shut a VM off"
    finally:
        vm.settings = before
    if refusal:
        raise ImageError(f"cannot put {vm.name} back: {refusal}")


def put_back(hypervisor: Hypervisor, vm: Vm, image: VmImage, text: str) -> None:
    """Let a VM be what an image says.

    Raises ImageError, and then nothing has changed; PlainError for data that no VM has written.
    """
    require_fits(hypervisor, vm, image)
    lifecycle.unload(hypervisor, vm)
    vm.lifecycle = VmState.SHUT_OFF
    if vm.settings.network:
        hypervisor.networks.switch(vm.settings.network).unplug(vm.serial)
    if vm.frames and not _can_stay(hypervisor, vm, image):
        lifecycle.take_memory_away(hypervisor, vm)
    vm.settings = image.settings
    _put_disk(vm, image)
    if image.pages is not None:
        if not vm.frames:
            lifecycle.give_memory(hypervisor, vm)
        _put_memory(hypervisor, vm, image.pages)
    _put_state(hypervisor, vm, image)
    hypervisor.set_state(vm, image.lifecycle, text)
    identity.renew(hypervisor, vm)


def _put_disk(vm: Vm, image: VmImage) -> None:
    """Put the disk's content back; the requests it had to do are the board's business."""
    if image.clusters is not None and vm.settings.disk is not None:
        clusters = vm.storage.volume(vm.settings.disk.volume).clusters
        clusters.clear()
        clusters.update(image.clusters)
    if image.state["disk"] is not None and vm.settings.disk is not None:
        put(vm.disk().state, image.state["disk"], None, "disk")


def _can_stay(hypervisor: Hypervisor, vm: Vm, image: VmImage) -> bool:
    """Return whether a VM has all the frames that an image takes, and nobody else has them."""
    if image.pages is None or len(image.pages) != len(vm.frames) or ABSENT in vm.frames:
        return False
    if image.settings.paging != "nested" or vm.shadow is not None:
        return False
    if image.settings.ram.page != vm.settings.ram.page:
        return False
    codes, own = hypervisor.partition.codes, ram_code(vm.index)
    return not hypervisor.pager.settings.on_demand and all(codes[hfn] == own for hfn in vm.frames)


def _put_memory(hypervisor: Hypervisor, vm: Vm, pages: Pages) -> None:
    if not hypervisor.pager.settings.on_demand:
        hypervisor.host.adopt(vm.frames, pages.slots)
        hypervisor.host.flush_all()
        return
    for page, slot in enumerate(pages.slots):
        if slot:
            # One after the other: to give a page its frame may take another one's away, with what is in it.
            hfn = hypervisor.pager.writable(vm, page)
            if hfn == ABSENT:
                raise ImageError(f"there is no frame for page {page} of {vm.name}")
            hypervisor.host.adopt([hfn], array("I", [slot]))
    hypervisor.host.flush_all()


def _put_state(hypervisor: Hypervisor, vm: Vm, image: VmImage) -> None:
    state, now = image.state, hypervisor.now
    vm.resumes_to = decode(state["resumes_to"], VmState, "resumes_to")
    vm.restart_on_shutdown = decode(state["restart_on_shutdown"], bool, "restart_on_shutdown")
    vm.starts = decode(state["starts"], int, "starts")
    vm.start_digest = decode(state["start_digest"], str, "start_digest")
    vm.exits = decode(state["exits"], dict[str, int], "exits")
    vm.console.put_plain(state["console"])
    vm.faults.clear()
    vm.paused_at = hypervisor.now_ticks
    vm.time_offset = hypervisor.now_ticks - decode(state["ticks"], int, "ticks")
    vm.vcpus = []
    if image.pages is None:
        return
    vm.vcpus = [Vcpu(vm, index) for index in range(len(state["vcpus"]))]
    vm.board = lifecycle.new_board(hypervisor, vm, _harts_wired(state))
    wanting = [
        vcpu
        for vcpu, one in zip(vm.vcpus, state["vcpus"], strict=True)
        if _put_vcpu(hypervisor, vcpu, one, now)
    ]
    _put_devices(hypervisor, vm, state)
    if image.lifecycle in ACTIVE:
        hypervisor.update_scheduler(vm)
        vm.lifecycle = image.lifecycle
        for vcpu in wanting:
            hypervisor.wake(vcpu, now)


def _harts_wired(state: Plain) -> int:
    """Return how many vCPUs have wires: those that were added since the VM was started have none."""
    wired = len(decode(state["wires"]["lines"], list[bool], "wires.lines"))
    if not 0 < wired <= MAX_WIRED:
        raise PlainError(f"wires.lines has {wired} elements; expected 1 to {MAX_WIRED}")
    return wired


def _put_vcpu(hypervisor: Hypervisor, vcpu: Vcpu, state: Plain, now: int) -> bool:
    """Fill a fresh vCPU; return whether it wants to run."""
    path = f"vcpus[{vcpu.index}]"
    for name in Vcpu.__slots__:
        if name not in NOT_KEPT:
            fresh = getattr(vcpu, name)
            setattr(vcpu, name, put(fresh, state[name], TYPES.get(name, type(fresh)), f"{path}.{name}"))
    deadline = decode(state["deadline"], int | None, f"{path}.deadline")
    vcpu.deadline = NEVER if deadline is None else max(0, now + deadline)
    _put_registers(vcpu, state["registers"], f"{path}.registers")
    vcpu.context.hgatp = vcpu.vm.hgatp
    vcpu.context.henvcfg = guest_envcfg(vcpu.vm.isa)
    if vcpu.vm.shadow is not None:
        vcpu.vm.shadow.adopt(vcpu)
    vcpu.set_time_offset(vcpu.vm.time_offset)
    vcpu.since = now
    vcpu.born = now - sum(getattr(vcpu, name) for name in COUNTED)
    vcpu.set_alarm(hypervisor.host.record.cycles_per_tick)
    return vcpu.state is VcpuState.READY


def _put_registers(vcpu: Vcpu, registers: Plain, path: str) -> None:
    for name, value in _registers(registers, path):
        count = COUNTS[name]
        numbers = decode(value if count > 1 else [value], list[int], f"{path}.{name}")
        if len(numbers) != count or not all(0 <= one < MAX_REGISTER for one in numbers):
            raise PlainError(f"{path}.{name} is not {count} numbers of 64 bits")
        if count > 1:
            getattr(vcpu.context, name)[:] = numbers
        else:
            setattr(vcpu.context, name, numbers[0])


def _registers(registers: Plain, path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(registers, dict) or set(registers) != set(REGISTERS):  # pyright: ignore[reportUnknownArgumentType]
        raise PlainError(f"{path} are not the registers of a hart of this version")
    for name in REGISTERS:
        yield name, registers[name]


def _put_devices(hypervisor: Hypervisor, vm: Vm, state: Plain) -> None:
    board = vm.board
    assert board is not None
    devices = dict(state["devices"])
    if set(devices) != set(board.bus.devices):
        raise PlainError("devices are not those of this VM's settings")
    for base, device in board.bus.devices.items():
        put(device.state, devices[base], None, f"devices[{base:#x}]")
    if board.disk is not None:
        _shift(board.disk.state, hypervisor.now_ns - decode(state["host_ns"], int, "host_ns"))
    board.put_wires(state["wires"])


def _shift(disk: BlockState, ns: int) -> None:
    """Let what a disk was about to do be due as much later as it is now."""
    disk.arrivals[:] = [at + ns for at in disk.arrivals]
    for rate in ("iops_full_ns", "bandwidth_full_ns"):
        full = getattr(disk.throttle, rate)
        setattr(disk.throttle, rate, full + ns if full else 0)
    if disk.head is not None:
        disk.head.due_ns += ns


def digest_parts(image: VmImage) -> list[Any]:
    """Return what an image says, to compare two of them: plain data, and the contents of RAM."""
    ram = [image.pages.page(index) for index in range(len(image.pages))] if image.pages else []
    return [image.state, image.clusters, ram]


def page_count(image: VmImage) -> int:
    """Return how many pages of RAM are not zero."""
    return sum(1 for slot in image.pages.slots if slot) if image.pages else 0


def sizes(image: VmImage) -> tuple[int, int]:
    """Return the bytes of RAM that only this image has, and those that it shares with others."""
    if image.pages is None:
        return 0, 0
    own = image.pages.own_bytes()
    return own, page_count(image) * PAGE_BYTES - own


def copy_of(hypervisor: Hypervisor, image: VmImage) -> VmImage:
    """Return an image that shares no memory with another: a full copy of RAM."""
    if image.pages is None:
        return image
    pages = image.pages
    slots = array(
        "I", (hypervisor.host.keep(pages.page(n)) if slot else 0 for n, slot in enumerate(pages.slots))
    )
    return VmImage(image.settings, image.state, Pages(hypervisor.host, slots), image.clusters)
