"""Balloon policies: how much memory a host asks back from its VMs.

A policy is one small class over plain data, so that students can write their own:

    class Half(BalloonPolicy):
        name = "half"

        def targets(self, vms, host):
            return {vm.name: vm.memory // 2 for vm in vms}

The host calls `targets` in every interval of virtual time and asks each VM named in the answer for a balloon
of so many bytes; other VMs keep their target. A balloon only grows by pages that the guest names, so a
target is a wish: a guest that has nothing to give keeps its memory. Carl Waldspurger, "Memory Resource
Management in VMware ESX Server" (OSDI 2002), sections 3.2 and 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAGE = 4096
LOW, HIGH = 10, 20  # percent of the host's memory that are free: too little, and enough


@dataclass(frozen=True, slots=True)
class VmMemory:
    """What a policy knows of a VM with a balloon, in bytes.

    `resident` is what it has of the host's memory, `balloon` what it has given up, `target` what it was last
    asked for. `free` is what the guest says it does not use, None if it says nothing.
    """

    name: str
    memory: int
    resident: int
    balloon: int
    target: int
    reservation: int
    free: int | None


@dataclass(frozen=True, slots=True)
class HostMemory:
    """The host's memory in bytes: all of it, and what nobody has."""

    memory: int
    free: int

    @property
    def shortage(self) -> int:
        """What has to come back until enough is free; negative if more than enough is."""
        return self.memory * HIGH // 100 - self.free

    @property
    def is_short(self) -> bool:
        """Whether too little is free."""
        return self.free < self.memory * LOW // 100


class BalloonPolicy:
    """Asks for nothing: targets are set by hand (`set_balloon`)."""

    name = "manual"
    title = "Manual"

    def targets(self, vms: Sequence[VmMemory], host: HostMemory) -> dict[str, int]:
        """Return the size of the balloon, in bytes, for each VM that is to change its own."""
        del vms, host
        return {}


class Proportional(BalloonPolicy):
    """While the host is short, takes what is missing from all VMs, by what they have beyond reservations;
    gives it back in the same way when more than enough is free.
    """

    name = "proportional"
    title = "Proportional"

    def targets(self, vms: Sequence[VmMemory], host: HostMemory) -> dict[str, int]:
        """Share the shortage out."""
        if host.is_short:
            weights = {vm.name: max(0, vm.resident - vm.reservation) for vm in vms}
        elif host.shortage < 0:
            weights = {vm.name: vm.balloon for vm in vms}
        else:
            return {}
        total = sum(weights.values())
        if not total:
            return {}
        return {
            vm.name: _pages(
                vm.balloon + host.shortage * weights[vm.name] // total, vm.memory - vm.reservation
            )
            for vm in vms
            if weights[vm.name]
        }


class FreePages(BalloonPolicy):
    """While the host is short of memory, takes from each VM what its guest says is free, but for a tenth of
    its memory; gives it back when more than enough is free.
    """

    name = "free-pages"
    title = "Free pages"
    cushion = 10  # percent

    def targets(self, vms: Sequence[VmMemory], host: HostMemory) -> dict[str, int]:
        """Follow what guests report."""
        if not host.is_short:
            share = max(0, -host.shortage) // max(1, len(vms))
            return {vm.name: _pages(vm.balloon - share, vm.memory) for vm in vms if share and vm.balloon}
        spare = {vm.name: max(0, (vm.free or 0) - vm.memory * self.cushion // 100) for vm in vms}
        return {vm.name: _pages(vm.balloon + spare[vm.name], vm.memory - vm.reservation) for vm in vms}


BUILT_IN = (BalloonPolicy, Proportional, FreePages)


def _pages(size: int, most: int) -> int:
    """Return a size from 0 to `most` in whole pages."""
    return max(0, min(size, most)) // PAGE * PAGE
