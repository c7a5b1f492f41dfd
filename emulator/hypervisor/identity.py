"""Who a VM is: its UUID, the address of its network card, and its generation.

All follow from the lab's seed. The UUID stays for life, by whatever name, and goes with an exported VM; a
clone has another one. The *generation* is another each time the VM is made of an image (clone, revert,
import): the guest then goes on from an instant from which it, or another VM, may have gone on before.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from emulator.devices.vmgenid import ID_BYTES
from emulator.hypervisor import direct_boot
from emulator.hypervisor.vm import Vm, VmSettings

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor


def uuid_of(seed: int, settings: VmSettings) -> str:
    """Return the UUID of a VM: its own, else one of the seed and its name (RFC 4122, version 5)."""
    return settings.uuid or str(uuid.uuid5(uuid.UUID(int=seed % (1 << 128)), settings.name))


def mac_address(seed: int, settings: VmSettings) -> bytes:
    """Return the address of a VM's network card: 52:54:00 as QEMU's, then three bytes of its own."""
    return b"\x52\x54\x00" + direct_boot.entropy_of(seed, uuid_of(seed, settings), "mac")[:3]


def generation_of(seed: int, vm: Vm) -> bytes:
    """Return the generation ID of a VM, 16 bytes that no other VM has and that it never had before."""
    return direct_boot.entropy_of(seed, "generation", vm.serial, vm.generation)[:ID_BYTES]


def renew(hypervisor: Hypervisor, vm: Vm) -> None:
    """Let a VM be of a new generation, and tell its guest."""
    vm.generation += 1
    if vm.board is not None and vm.board.generation is not None:
        vm.board.generation.change(generation_of(hypervisor.seed, vm))
