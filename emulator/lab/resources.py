"""Storage and networks as people and pages are shown them: JSON-ready, counted, cheap, changing nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from emulator.hypervisor.network.dhcp import pool
from emulator.hypervisor.network.packets import text
from emulator.hypervisor.network.state import NetworkMode, PortState
from emulator.hypervisor.storage.state import VolumeFormat, VolumeState
from emulator.hypervisor.vm import Vm
from emulator.lab.network_config import link_to_dict
from emulator.lab.storage_config import limits_to_dict

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

ADDRESSES_SHOWN = 64


class VolumeView(TypedDict):
    """A volume; `chain` begins with it and ends with its last backing volume."""

    name: str
    pool: str
    format: VolumeFormat
    capacity_bytes: int
    allocation_bytes: int
    chain: list[str]
    overlays: list[str]
    used_by: list[str]


class PoolView(TypedDict):
    """A pool; where more is promised than it has, a guest's write may find it full."""

    name: str
    capacity_bytes: int
    allocation_bytes: int
    promised_bytes: int  # the capacities of its volumes together
    full: bool  # a write has been refused since it was last extended
    volumes: list[VolumeView]


class DiskView(TypedDict):
    """A VM's disk. Latencies are virtual time."""

    vm: str
    volume: str  # "" for a disk of its own
    size_bytes: int
    read_only: bool
    limits: dict[str, object]  # those that are set
    changed_bytes: int  # of a disk of its own: what is not its base's any more
    reads: int
    writes: int
    flushes: int
    errors: int
    read_bytes: int
    written_bytes: int
    latency_mean_ns: int
    latency_max_ns: int
    depth: int  # requests that wait
    depth_max: int
    delayed: int
    cached_bytes: int  # acknowledged, not flushed
    lost_bytes: int
    faults: int  # injected and not used up


class StorageView(TypedDict):
    """Everything about storage."""

    pools: list[PoolView]
    disks: list[DiskView]


class PortView(TypedDict):
    """A port of a switch. `received` came from what is plugged in, `sent` went to it."""

    name: str
    kind: str  # "vm", "gateway" or "bridge"
    vlan: int
    link: dict[str, object]  # settings that are not the default
    received: int
    received_bytes: int
    sent: int
    sent_bytes: int
    dropped: dict[str, int]
    under_way: int


class AddressView(TypedDict):
    """Where a switch has seen a source address last."""

    vlan: int
    mac: str
    port: str


class NetworkView(TypedDict):
    """A network."""

    name: str
    mode: NetworkMode
    address: str  # of its gateway, "" without one
    to: str
    forwarded: int
    flooded: int
    ports: list[PortView]
    addresses: list[AddressView]  # the newest 64
    leases: dict[str, str]  # MAC address -> IPv4 address
    dhcp: str  # the range, "" without DHCP
    router: dict[str, int]  # what the gateway has done with packets from here
    capturing: bool
    captured: int
    capture_lost: int


def storage_view(lab: Lab) -> StorageView:
    """Return pools, volumes with their chains, and disks with their counters."""
    storage = lab.hypervisor.storage
    pools: list[PoolView] = []
    for pool_state in storage.state.pools.values():
        volumes = [one for one in storage.state.volumes.values() if one.pool == pool_state.name]
        pools.append(
            {
                "name": pool_state.name,
                "capacity_bytes": pool_state.capacity,
                "allocation_bytes": storage.allocation(pool_state.name),
                "promised_bytes": sum(one.capacity for one in volumes),
                "full": pool_state.was_full,
                "volumes": [_volume(lab, one) for one in volumes],
            }
        )
    vms = [vm for vm in lab.hypervisor.vms.values() if vm.settings.disk is not None]
    return {"pools": pools, "disks": [_disk(vm) for vm in vms]}


def _volume(lab: Lab, volume: VolumeState) -> VolumeView:
    storage = lab.hypervisor.storage
    disks = ((vm.name, vm.settings.disk) for vm in lab.hypervisor.vms.values())
    return {
        "name": volume.name,
        "pool": volume.pool,
        "format": volume.format,
        "capacity_bytes": volume.capacity,
        "allocation_bytes": volume.allocation,
        "chain": [one.name for one in storage.chain(volume.name)],
        "overlays": storage.overlays_of(volume.name),
        "used_by": [vm for vm, disk in disks if disk and disk.volume == volume.name],
    }


def _disk(vm: Vm) -> DiskView:
    settings, disk = vm.settings.disk, vm.disk()
    assert settings is not None
    state, counters = disk.state, disk.state.counters
    done = counters.reads + counters.writes + counters.flushes + counters.errors
    return {
        "vm": vm.name,
        "volume": settings.volume,
        "size_bytes": disk.sectors * 512,
        "read_only": settings.read_only,
        "limits": limits_to_dict(settings.limits),
        "changed_bytes": len(state.changed) * 512,
        "reads": counters.reads,
        "writes": counters.writes,
        "flushes": counters.flushes,
        "errors": counters.errors,
        "read_bytes": counters.read_bytes,
        "written_bytes": counters.written_bytes,
        "latency_mean_ns": counters.latency_ns // max(1, done),
        "latency_max_ns": counters.latency_max_ns,
        "depth": len(state.arrivals),
        "depth_max": counters.depth_max,
        "delayed": counters.delayed,
        "cached_bytes": len(state.dirty) * 512,
        "lost_bytes": counters.lost_sectors * 512,
        "faults": len(state.faults),
    }


def networks_view(lab: Lab) -> list[NetworkView]:
    """Return networks with their ports and counters."""
    return [_network(lab, name) for name in lab.hypervisor.networks.names()]


def _network(lab: Lab, name: str) -> NetworkView:
    networks = lab.hypervisor.networks
    settings, state = networks.settings(name), networks.switch(name).state
    interface = networks.router.state.interfaces.get(name)
    given = pool(settings) if settings.dhcp else None
    return {
        "name": name,
        "mode": settings.mode,
        "address": f"{text(settings.address)}/{settings.prefix}" if settings.address else "",
        "to": settings.to,
        "forwarded": state.forwarded,
        "flooded": state.flooded,
        "ports": [_port(number, port) for number, port in state.ports.items()],
        "addresses": [
            {
                "vlan": int.from_bytes(key[:2], "big"),
                "mac": key[2:].hex(":"),
                "port": state.ports[seen.port].name if seen.port in state.ports else "",
            }
            for key, seen in list(state.table.items())[-ADDRESSES_SHOWN:]
        ],
        "leases": {mac.hex(":"): text(one.address) for mac, one in interface.leases.items()}
        if interface
        else {},
        "dhcp": f"{text(given[0])} to {text(given[-1])}" if given else "",
        "router": dict(interface.counters) if interface else {},
        "capturing": state.capturing,
        "captured": len(state.captured),
        "capture_lost": state.capture_lost,
    }


def _port(number: int, port: PortState) -> PortView:
    counters = port.counters
    bridge = number < 0
    link = {key: value for key, value in link_to_dict(port.settings).items() if key != "vlan"}
    return {
        "name": port.name,
        "kind": "bridge" if bridge else "vm" if number else "gateway",
        "vlan": port.settings.vlan,
        "link": {} if bridge else link,
        "received": counters.received,
        "received_bytes": counters.received_bytes,
        "sent": counters.sent,
        "sent_bytes": counters.sent_bytes,
        "dropped": dict(counters.dropped),
        "under_way": len(port.under_way),
    }
