"""The devices of a VM: QEMU's `virt` map as far as a guest in VS-mode needs it.

The same device classes, at the same addresses, as on the bare machine; what differs is where their wires
lead. Interrupts go through the PLIC's supervisor contexts to `hvip.VSEIP` of the vCPUs; its machine contexts
lead nowhere. DMA reaches the VM's RAM and nothing else. Every access is an exit. There is no CLINT: timers
and IPIs are SBI calls or Sstc.

A board lives from one start of its VM to the next. The disk's content, the console and the place at the
switch belong to the VM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from emulator.core.csr_bits import VSEI
from emulator.devices.finisher import Finisher
from emulator.devices.memory_size import MemorySize
from emulator.devices.plic import SEI, Plic
from emulator.devices.rtc import EPOCH_NS, Rtc
from emulator.devices.uart import Uart
from emulator.devices.virt import (
    FINISHER,
    PLIC,
    RTC,
    RTC_IRQ,
    UART,
    UART_IRQ,
    VIRTIO,
    VIRTIO_IRQ,
    VIRTIO_SLOTS,
    VIRTIO_STRIDE,
)
from emulator.devices.virtio.balloon import VirtioBalloon
from emulator.devices.virtio.block import VirtioBlock
from emulator.devices.virtio.console import VirtioConsole
from emulator.devices.virtio.entropy import VirtioEntropy
from emulator.devices.virtio.mmio import EmptySlot, VirtioDevice, VirtioMmio
from emulator.devices.virtio.network import VirtioNetwork
from emulator.devices.vmgenid import VmGenId
from emulator.hypervisor import direct_boot, identity
from emulator.hypervisor.plain import Plain, PlainError, decode
from emulator.hypervisor.vcpu import NEVER
from emulator.hypervisor.vm import (
    ACTIVE,
    BALLOON_SLOT,
    CONSOLE_SLOT,
    DISK_SLOT,
    ENTROPY_SLOT,
    MEMORY_SIZE_IRQ,
    NETWORK_SLOT,
    POWER_IRQ,
    SLOT_NAMES,
    VMGENID_IRQ,
    Vm,
)
from emulator.machine.bus import Bus
from emulator.machine.host import PhysicalAddressError
from emulator.state import PAGE_BYTES, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

NS_PER_SECOND = 1_000_000_000


class GuestMemory:
    """What a VM's devices reach by DMA: its RAM, by guest physical address."""

    def __init__(self, hypervisor: Hypervisor, vm: Vm) -> None:
        self._hypervisor = hypervisor
        self._vm = vm

    def read(self, address: int, length: int, /) -> bytes:
        """Return `length` bytes. Raises PhysicalAddressError."""
        self._require(address, length)
        return self._hypervisor.read_guest(self._vm, address, length)

    def write(self, address: int, data: bytes, /) -> None:
        """Write bytes. Raises PhysicalAddressError."""
        self._require(address, len(data))
        self._hypervisor.write_guest(self._vm, address, data)

    def _require(self, address: int, length: int) -> None:
        if not self._vm.contains(address, length):
            raise PhysicalAddressError(f"{address:#x} ({length} bytes) is not in the VM's memory")


class VmBoard:
    """The devices of one VM. `deadline` is when one of them does something by itself, in cycles."""

    def __init__(
        self,
        hypervisor: Hypervisor,
        vm: Vm,
        harts: int,
        stop: Callable[[int], None],
        reset: Callable[[], None],
    ) -> None:
        """Power on, with wires to the first `harts` vCPUs.

        `stop(code)` and `reset()` are what the test finisher does.
        """
        self._hypervisor = hypervisor
        self._vm = vm
        self._memory = GuestMemory(hypervisor, vm)
        self.deadline = NEVER
        self.disk: VirtioBlock | None = None
        self.card: VirtioNetwork | None = None
        self.generation: VmGenId | None = None
        self._memory_size: MemorySize | None = None
        self.bus = Bus()
        self._lines = [False] * harts
        self._power_pressed = False
        self._attach(Finisher(stop, reset))

    def _attach(self, finisher: Finisher) -> None:
        vm, bus = self._vm, self.bus
        self.plic = Plic(len(self._lines), self._set_line)
        self.uart = Uart(self._print, self.plic.source(UART_IRQ), vm.console.input)
        self.rtc = Rtc(EPOCH_NS, self._now_ns, self.plic.source(RTC_IRQ))
        bus.attach(FINISHER, finisher)
        bus.attach(RTC, self.rtc)
        bus.attach(PLIC, self.plic)
        bus.attach(UART, self.uart)
        if vm.settings.vmgenid:
            generation = identity.generation_of(self._hypervisor.seed, vm)
            self.generation = VmGenId(generation, self.plic.source(VMGENID_IRQ))
            bus.attach(direct_boot.VMGENID, self.generation)
        if vm.settings.ram.most:
            self._memory_size = MemorySize(self._sizes, self.plic.source(MEMORY_SIZE_IRQ))
            bus.attach(direct_boot.MEMORY_SIZE, self._memory_size)
        devices = self._virtio_devices()
        self.virtio: dict[int, VirtioMmio] = {}
        for slot in range(VIRTIO_SLOTS):
            transport = EmptySlot()
            if slot in devices:
                interrupt = self.plic.source(VIRTIO_IRQ + slot)
                transport = self.virtio[slot] = VirtioMmio(devices[slot], self._memory, interrupt)
                transport.on_broken = partial(self._broken, SLOT_NAMES[slot])
            bus.attach(VIRTIO + slot * VIRTIO_STRIDE, transport)

    def _broken(self, name: str, why: str) -> None:
        text = f"the {name} of {self._vm.name} needs a reset by its driver: {why}"
        self._hypervisor.note_device("device broken", text, self._vm)

    def _virtio_devices(self) -> dict[int, VirtioDevice]:
        vm = self._vm
        make: dict[int, Callable[[], VirtioDevice]] = {
            DISK_SLOT: self._disk,
            NETWORK_SLOT: self._network_card,
            CONSOLE_SLOT: lambda: VirtioConsole(self._print, vm.console.read),
            ENTROPY_SLOT: lambda: VirtioEntropy(
                int.from_bytes(self._hypervisor.entropy(vm, "rng"), "little")
            ),
            BALLOON_SLOT: lambda: VirtioBalloon(self._pages(), self._release),
        }
        return {slot: make[slot]() for slot in vm.settings.occupied_slots()}

    def _disk(self) -> VirtioBlock:
        """Return the VM's disk, without the requests of its last start."""
        disk = self.disk = self._vm.disk()
        disk.now_ns = self._now_ns
        disk.reset()
        return disk

    def _network_card(self) -> VirtioNetwork:
        """Return a new card, plugged in where the VM's last one was."""
        hypervisor, vm = self._hypervisor, self._vm
        switch, port = hypervisor.networks.switch(vm.settings.network), vm.serial
        address = identity.mac_address(hypervisor.seed, vm.settings)
        card = VirtioNetwork(address, lambda frame: switch.send(port, frame))
        card.link_up = lambda: vm.settings.link.up
        switch.plug(port, self._arrived, vm.name, vm.settings.link)
        self.card = card
        return card

    def _arrived(self, frame: bytes, at: int) -> None:
        """Take a frame from the switch, or note that one is under way."""
        if frame and self.card:
            self.card.receive(frame, self._vm.lifecycle in ACTIVE)
        else:
            self._find_deadline()

    def link_changed(self) -> None:
        """Tell the guest that its cable was pulled, or plugged in."""
        if self.card:
            self.card.config_changed()
        self._find_deadline()

    # What the guest does

    def has(self, gpa: int) -> bool:
        """Return whether a device answers at a GPA."""
        return self.bus.base_of(gpa) is not None

    def access(self, gpa: int, size: int, write: bool, value: int) -> int:
        """Write the low `size` bytes of `value`, or return the bytes read. Raises BusFault."""
        answer = self.bus.access(gpa, size, write, value)
        if write:
            # Reading a register gives no device anything to do later.
            self._find_deadline()
        return answer

    def _find_deadline(self) -> None:
        due = [self.rtc.deadline_ns(), self.disk.deadline_ns if self.disk else None]
        if self.card:
            network = self._hypervisor.networks.switch(self._vm.settings.network)
            due.append(network.next_due(self._vm.serial))
        first = min((one for one in due if one is not None), default=None)
        if first is None:
            self.deadline = NEVER
            return
        before = self.deadline
        self.deadline = min(NEVER, -(-first * self._hypervisor.host.clock_hz // NS_PER_SECOND))
        causes = self._hypervisor.trace.causes
        if causes.now and self.deadline != before:
            causes.devices[self._vm.serial] = causes.now

    # What the host does

    def elapse(self) -> None:
        """Let the devices do what is due."""
        self.rtc.elapse(self._now_ns())
        if self.disk:
            self.disk.elapse()
        if self.card:
            network = self._hypervisor.networks.switch(self._vm.settings.network)
            network.elapse(self._vm.serial, self._now_ns())
        self._find_deadline()

    def typed(self) -> None:
        """Look at the console's input: something was typed."""
        if self._vm.lifecycle in ACTIVE:
            self.uart.input_changed()
            if CONSOLE_SLOT in self.virtio:
                self.virtio[CONSOLE_SLOT].process(0)

    def resume(self) -> None:
        """Take up what came while the VM was paused."""
        self.uart.input_changed()
        for transport in self.virtio.values():
            transport.process_all()
        self._find_deadline()

    def press_power_button(self) -> None:
        """Interrupt the guest by the button's source at the PLIC.

        Until a guest has enabled any source, the button is wired to the external interrupt of vCPU 0.
        """
        self._power_pressed = True
        self.plic.set_level(POWER_IRQ, True)
        self.plic.set_level(POWER_IRQ, False)

    def refresh(self, index: int) -> None:
        """Drive the external interrupt of a vCPU that has lost it by being started.

        A vCPU that was added since the VM was started has no wire from the PLIC.
        """
        if index >= len(self._lines):
            return
        self._lines[index] = False
        self.plic.drive_lines()

    # Wires

    @property
    def harts(self) -> int:
        """How many vCPUs have wires: those that the VM was started with."""
        return len(self._lines)

    def wires(self) -> Plain:
        """Return the levels of the wires between devices and vCPUs, as plain data."""
        return {"lines": list(self._lines), "power_pressed": self._power_pressed}

    def put_wires(self, plain: Plain) -> None:
        """Take them over; the devices have their state already. Raises PlainError."""
        lines = decode(plain["lines"], list[bool], "wires.lines")
        if len(lines) != len(self._lines):
            raise PlainError(f"wires.lines has {len(lines)} elements; expected {len(self._lines)}")
        self._lines = lines
        self._power_pressed = decode(plain["power_pressed"], bool, "wires.power_pressed")
        self._find_deadline()

    def _set_line(self, index: int, bit: int, level: bool) -> None:
        if bit != SEI or index >= len(self._vm.vcpus):  # no wire, or its vCPU was taken away
            return
        if index == 0 and self._power_pressed and not any(self.plic.state.enabled):
            level = True
        if level == self._lines[index]:
            return
        self._lines[index] = level
        vcpu = self._vm.vcpus[index]
        if level:
            self._hypervisor.interrupt(vcpu, VSEI, self._hypervisor.now)
        else:
            self._hypervisor.registers(vcpu).hvip &= ~VSEI

    def _now_ns(self) -> int:
        return self._hypervisor.now * NS_PER_SECOND // self._hypervisor.host.clock_hz

    def _print(self, data: bytes) -> None:
        self._hypervisor.print(self._vm, data)

    def memory_grew(self) -> None:
        """Tell the guest, and let the balloon take the new pages as well; DMA asks the VM each time."""
        if self._memory_size:
            self._memory_size.grown()
        if BALLOON_SLOT in self.virtio:
            balloon = self.virtio[BALLOON_SLOT].device
            assert isinstance(balloon, VirtioBalloon)
            balloon.own(self._pages())

    def _sizes(self) -> tuple[int, int]:
        return self._vm.settings.memory, max(self._vm.settings.memory, self._vm.settings.ram.most)

    def _pages(self) -> range:
        first = RAM_BASE // PAGE_BYTES
        return range(first, first + self._vm.settings.memory // PAGE_BYTES)

    def _release(self, pages: Iterable[int]) -> None:
        """Take back the frames of pages that the balloon has taken: they read zero."""
        first = RAM_BASE // PAGE_BYTES
        self._hypervisor.pager.release(self._vm, (page - first for page in pages))

    def state_parts(self) -> Iterator[bytes]:
        """Yield the state of the devices and their wires."""
        yield from self.bus.state_parts()
        yield repr((self._lines, self._power_pressed)).encode()
