"""A virtual machine: its settings, the frames behind its memory, its vCPUs, console and counters.

The guest physical map is RAM from GPA 0x8000_0000 and, below it, the devices of its board.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from emulator.devices.virtio.block import MediumError, VirtioBlock
from emulator.hypervisor.console import Console
from emulator.hypervisor.counters import Counters
from emulator.hypervisor.disks import DiskSettings as DiskSettings
from emulator.hypervisor.disks import make_disk
from emulator.hypervisor.gstage import GStage
from emulator.hypervisor.memory.backing import ABSENT, Backing
from emulator.hypervisor.memory.settings import NO_LIMITS, RamSettings
from emulator.hypervisor.network import PLAIN_LINK, LinkSettings
from emulator.hypervisor.scheduler.interface import DEFAULT_WEIGHT, PERIOD_CYCLES
from emulator.hypervisor.storage import Storage
from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.isa.extensions import Isa
from emulator.machine.elf import Executable
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.board import VmBoard
    from emulator.hypervisor.shadow import Shadow

# Which virtio device is in which slot; the others are empty.
DISK_SLOT, NETWORK_SLOT, CONSOLE_SLOT, ENTROPY_SLOT, BALLOON_SLOT = range(5)
SLOT_NAMES = ("disk", "network", "console", "rng", "balloon")  # as in a VM's configuration
# At the PLIC: the power button, the generation ID, the size of memory.
POWER_IRQ, VMGENID_IRQ, MEMORY_SIZE_IRQ = 12, 13, 14
ConsoleKind = Literal["sbi", "virtio"]
OnFault = Literal["crash", "skip", "inject"]
Paging = Literal["nested", "shadow"]


class VmState(Enum):
    """The states of a VM, in libvirt's words."""

    RUNNING = "running"
    IDLE = "idle"  # as seen: running, and every started vCPU is in WFI
    BLOCKED = "blocked"  # as seen: running, and every vCPU that does not wait by itself waits for a disk
    PAUSED = "paused"
    SHUTTING_DOWN = "shutting down"
    SHUT_OFF = "shut off"
    CRASHED = "crashed"


ACTIVE = (VmState.RUNNING, VmState.SHUTTING_DOWN)
ON = (VmState.RUNNING, VmState.SHUTTING_DOWN, VmState.PAUSED)
HOLDS_MEMORY = (VmState.RUNNING, VmState.SHUTTING_DOWN, VmState.PAUSED, VmState.CRASHED)


@dataclass(frozen=True, slots=True)
class CpuSettings:
    """What a VM may have of the pCPUs. These can change while it runs.

    `reservation` is in cycles for each vCPU in each `period` of cycles; `cap` in percent of one pCPU, 0 for
    none; `affinity` holds pCPUs, none for all.
    """

    weight: int = DEFAULT_WEIGHT
    cap: int = 0
    reservation: int = 0
    period: int = PERIOD_CYCLES
    affinity: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class VmSettings:
    """What a VM is made of.

    `executable` is loaded at every start; `append` is a kernel's command line; `network` names a network, ""
    is no network card; `uuid` "" stands for the one that follows from seed and name.
    """

    name: str
    vcpus: int
    memory: int
    executable: Executable
    on_fault: OnFault = "crash"
    append: str = ""
    disk: DiskSettings | None = None
    network: str = ""
    link: LinkSettings = PLAIN_LINK
    console: ConsoleKind = "sbi"
    rng: bool = False
    balloon: bool = False
    cpu: CpuSettings = CpuSettings()
    ram: RamSettings = NO_LIMITS
    paging: Paging = "nested"
    uuid: str = ""
    vmgenid: bool = False

    def occupied_slots(self) -> list[int]:
        """Return the virtio slots that hold a device."""
        present = {
            DISK_SLOT: self.disk is not None,
            NETWORK_SLOT: self.network != "",
            CONSOLE_SLOT: self.console == "virtio",
            ENTROPY_SLOT: self.rng,
            BALLOON_SLOT: self.balloon,
        }
        return [slot for slot, there in present.items() if there]


class Vm:
    """One VM. `lifecycle` never is IDLE; `state` is what people are shown."""

    def __init__(self, settings: VmSettings, index: int, serial: int, storage: Storage, isa: Isa) -> None:
        """Define a VM that is shut off.

        `index` picks its colour, `serial` (from 1, never reused) its VMID; `storage` has its volume;
        its harts have `isa`.
        """
        self.settings = settings
        self.isa = isa
        self.index = index
        self.serial = serial
        self.vmid = serial & 0x3FFF
        self.tagged = True  # its TLB entries carry its VMID
        self.lifecycle = VmState.SHUT_OFF
        self.resumes_to = VmState.RUNNING
        self.restart_on_shutdown = False
        self.gstage: GStage | None = None
        self.shadow: Shadow | None = None
        self.frames: list[int] = []  # HFN of each page of RAM, in order of GPA, or ABSENT
        self.backing = Backing()
        self.wanting = 0  # vCPUs that run or want to
        self.vcpus: list[Vcpu] = []  # of the last start, so that their counters can still be read
        self.board: VmBoard | None = None  # of the last start
        self.console = Console()
        self.exits: dict[str, int] = {}
        self.removed = Counters()  # of vCPUs that were taken away
        self.faults: list[int] = []  # event ids
        self.fault_count = 0
        self.starts = 0
        self.storage = storage
        self._disk: tuple[DiskSettings, VirtioBlock] | None = None
        self.start_digest = ""
        self.generation = 0  # how often it was made of an image, from wherever that count began
        self.time_offset = 0  # host ticks when its `time` was 0
        self.paused_at = 0

    @property
    def name(self) -> str:
        """Its name."""
        return self.settings.name

    @property
    def tag(self) -> int:
        """The VMID in force: 0 for every VM of a host without VMIDs, and where hgatp is Bare."""
        return self.vmid if self.tagged and self.shadow is None else 0

    @property
    def hgatp(self) -> int:
        """The value of `hgatp` while one of its vCPUs runs; 0 without memory and with shadow paging."""
        return self.gstage.hgatp(self.tag) if self.gstage and self.shadow is None else 0

    @property
    def state(self) -> VmState:
        """Its state as people are shown it."""
        waiting = (VcpuState.IDLE, VcpuState.SUSPENDED, VcpuState.STOPPED)
        awake = {vcpu.state for vcpu in self.vcpus if vcpu.state not in waiting}
        if self.lifecycle is VmState.RUNNING and awake <= {VcpuState.BLOCKED}:
            return VmState.BLOCKED if awake else VmState.IDLE
        return self.lifecycle

    def disk(self) -> VirtioBlock:
        """Return its disk with all that was ever written to it; a new one once its settings have changed."""
        settings = self.settings.disk
        assert settings is not None
        if self._disk is None or not self._disk[0].same_disk(settings):
            self._disk = settings, make_disk(settings, self.storage, self.name)
        self._disk[1].limits = settings.limits
        return self._disk[1]

    def disk_if_any(self) -> VirtioBlock | None:
        """Return its disk if it has one and that was ever there."""
        return self.disk() if self.settings.disk is not None and self._disk is not None else None

    def settle_disk(self) -> None:
        """Write its disk's cache back; what cannot be written now stays there."""
        if self._disk is not None:
            with suppress(MediumError):
                self._disk[1].write_back()

    def contains(self, gpa: int, length: int = 1) -> bool:
        """Return whether `length` bytes from a GPA are all in its RAM. Any ints are fine."""
        return gpa >= RAM_BASE and length >= 0 and gpa + length <= RAM_BASE + self.settings.memory

    def hpa(self, gpa: int) -> int:
        """Return the host physical address of a GPA in its RAM, whose page has a frame."""
        page, offset = divmod(gpa - RAM_BASE, PAGE_BYTES)
        assert self.frames[page] != ABSENT
        return RAM_BASE + self.frames[page] * PAGE_BYTES + offset

    def pieces(self, gpa: int, length: int) -> list[tuple[int, int, int]]:
        """Return the `(page, offset, length)` pieces of a GPA range, none of which crosses a page."""
        pieces: list[tuple[int, int, int]] = []
        while length > 0:
            page, offset = divmod(gpa - RAM_BASE, PAGE_BYTES)
            part = min(length, PAGE_BYTES - offset)
            pieces.append((page, offset, part))
            gpa, length = gpa + part, length - part
        return pieces

    def state_parts(self) -> Iterator[bytes]:
        """Return everything that is state, for the state hash."""
        settings = self.settings
        plain: list[Any] = [
            [settings.name, settings.vcpus, settings.memory, settings.on_fault, settings.executable.entry],
            [settings.append, settings.network, settings.console, settings.rng, settings.balloon],
            [astuple(settings.cpu), astuple(settings.ram), self.backing.state()],
            [self.index, self.vmid, self.lifecycle.value, self.resumes_to.value, self.restart_on_shutdown],
            [self.starts, self.time_offset, self.paused_at, self.fault_count],
            [self.frames, self.gstage.frames if self.gstage else [], self.exits],
            [settings.paging, self.shadow.tables.state() if self.shadow else []],
            [settings.uuid, settings.vmgenid, self.generation if settings.vmgenid else 0],
        ]
        parts: list[bytes] = []
        for vcpu in self.vcpus:
            registers, numbers = vcpu.state_parts()
            parts.append(registers)
            plain.append(numbers)
        yield json.dumps(plain, sort_keys=True).encode()
        yield self.console.state_bytes()
        yield from parts
        if self.board is not None:
            yield from self.board.state_parts()
