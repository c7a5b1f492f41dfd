"""What the state of an imported VM must be beyond its types, so that nothing in it can do harm.

A guest can put anything into its own registers and memory; but no guest could point its address translation
at the host's memory, enable interrupts that are not there, or give a device numbers that no driver can write.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from emulator.core.csr_bits import HEDELEG_WRITABLE, HSTATUS_GVA, SPV, SPVP, VS_INTERRUPTS
from emulator.devices.plic import MAX_PRIORITY, SOURCES
from emulator.devices.virt import PLIC, UART, VIRTIO, VIRTIO_STRIDE
from emulator.devices.virtio.block import SECTOR_BYTES
from emulator.devices.virtio.network import FRAME_MAX, FRAME_MIN, WAITING_MAX
from emulator.hypervisor.plain import Plain
from emulator.hypervisor.sbi_pmu import FIRMWARE_EVENTS, HARDWARE
from emulator.hypervisor.vcpu import COUNTERS, NEVER
from emulator.hypervisor.vm import DISK_SLOT, HOLDS_MEMORY, NETWORK_SLOT, VmState
from emulator.lab.config import VmConfig
from emulator.lab.errors import LabError
from emulator.state import RAM_BASE

STEAL_BYTES = 64
MODES = (0, 8, 9, 10)  # of vsatp: Bare, Sv39, Sv48, Sv57


class ArchiveError(LabError):
    """An archive is damaged, of another version, or made to do harm: 'the archive: ram.bin is cut off'."""

    def __init__(self, problem: str) -> None:
        """Say what is wrong with it."""
        super().__init__(f"the archive: {problem}", "archive")


def check_state(state: Plain, config: VmConfig) -> None:
    """Raise ArchiveError, or what reading data of a wrong shape raises, for a state that no VM has written.

    The registers that are the hypervisor's are replaced by what they always are.
    """
    lifecycle = VmState(state["lifecycle"])
    _require(lifecycle is not VmState.IDLE, "lifecycle cannot be idle")
    _require(0 <= state["ticks"] < NEVER, "ticks is out of range")
    _require(abs(state["host_ns"]) < NEVER, "host_ns is out of range")
    if lifecycle not in HOLDS_MEMORY:
        _require(state["devices"] is None and state["vcpus"] == [], "a VM that is off has no devices")
        _check_disk(state["disk"], config)
        return
    _require(len(state["vcpus"]) == config.vcpus, f"has {len(state['vcpus'])} vCPUs; expected {config.vcpus}")
    for vcpu in state["vcpus"]:
        _check_vcpu(vcpu, config)
    _require(state["disk"] is None, "disk stands among the devices")
    _check_devices(dict(state["devices"]), config)


def _require(holds: bool, problem: str) -> None:
    if not holds:
        raise ArchiveError(f"state.json: {problem}")


def _numbers(plain: Plain) -> Iterator[Any]:
    if isinstance(plain, list):
        for one in cast("list[Any]", plain):
            yield from _numbers(one)
    elif isinstance(plain, dict):
        for one in cast("dict[str, Any]", plain).values():
            yield from _numbers(one)
    elif isinstance(plain, int):
        yield plain


def _check_vcpu(vcpu: dict[str, Any], config: VmConfig) -> None:
    deadline = vcpu["deadline"]
    _require(deadline is None or abs(deadline) < NEVER, "a deadline is out of range")
    others = {key: value for key, value in vcpu.items() if key != "deadline"}
    _require(all(0 <= one < 1 << 64 for one in _numbers(others)), "a number of a vCPU is out of range")
    steal = vcpu["steal"]
    end = RAM_BASE + config.memory - STEAL_BYTES
    _require(steal is None or RAM_BASE <= steal["gpa"] <= end, "steal.gpa is not in its memory")
    for counter in vcpu["pmu"]["counters"][len(HARDWARE) :]:
        event = counter["event"]
        _require(event is None or event & 0xFFFF < FIRMWARE_EVENTS, "a counter counts an unknown event")
    _tame(vcpu["registers"])


def _tame(registers: dict[str, Any]) -> None:
    """Check what a guest may have; set what is the hypervisor's."""
    _require(registers["priv"] in (0, 1) and registers["virt"] == 1, "a vCPU is not in VS- or VU-mode")
    _require(registers["pc"] & 1 == 0, "a pc is odd")
    _require(registers["vsatp"] >> 60 in MODES, "vsatp has an unknown mode")
    registers["hstatus"] = SPV | SPVP | registers["hstatus"] & HSTATUS_GVA
    registers["hedeleg"], registers["hideleg"] = HEDELEG_WRITABLE, VS_INTERRUPTS
    registers["hcounteren"], registers["hgeie"] = COUNTERS, 0
    registers["mie"] &= VS_INTERRUPTS
    registers["hvip"] &= VS_INTERRUPTS
    registers["x"][0] = 0


def _check_devices(devices: dict[int, Any], config: VmConfig) -> None:
    plic = devices[PLIC]
    bits = [*plic["enabled"], plic["levels"], plic["pending"], plic["claimed"]]
    _require(all(0 <= one < 1 << SOURCES for one in bits), "the PLIC has sources that do not exist")
    _require(all(0 <= one <= MAX_PRIORITY for one in plic["priority"]), "a priority is out of range")
    _require(all(0 <= one < 256 for one in devices[UART]["received"]), "the UART received no bytes")
    for base in range(VIRTIO, VIRTIO + 8 * VIRTIO_STRIDE, VIRTIO_STRIDE):
        for queue in devices[base].get("queues", []):
            _require(0 <= queue["next_available"] < 1 << 16, "a queue's index is out of range")
            _require(0 <= queue["next_used"] < 1 << 16, "a queue's index is out of range")
            _require(all(0 <= one < 1 << 64 for one in queue.values()), "a queue's address is out of range")
    if config.disk is not None:
        _check_disk(devices[VIRTIO + DISK_SLOT * VIRTIO_STRIDE]["device"], config)
    if config.network:
        waiting = devices[VIRTIO + NETWORK_SLOT * VIRTIO_STRIDE]["device"]["waiting"]
        sound = all(FRAME_MIN <= len(frame) <= FRAME_MAX for frame in waiting)
        _require(sound and len(waiting) <= WAITING_MAX, "a frame that waits is too long or too short")


def _check_disk(disk: Any, config: VmConfig) -> None:
    if disk is None:
        return
    _require(config.disk is not None, "has a disk that config.json has not")
    sectors = config.disk.size // SECTOR_BYTES if config.disk else 0
    for table in (disk["changed"], disk["dirty"]):
        for number, data in table:
            _require(0 <= number < sectors and len(data) == SECTOR_BYTES, "a sector is not on the disk")
    _require(len(disk["arrivals"]) <= 1 << 10, "too many requests wait at the disk")
