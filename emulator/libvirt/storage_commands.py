"""virsh's commands about pools, volumes and backing chains.

`blockcommit` leaves the overlay in the chain, and empty, as `qemu-img commit` does; `blockpull` copies up
what lies between a disk and its new base. A VM has one disk here, `vda`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.lab.quantities import format_size
from emulator.lab.resources import PoolView, VolumeView
from emulator.libvirt.commands import Arguments, Change, VirshError, command, pairs, table
from emulator.libvirt.domain_import import UNITS
from emulator.libvirt.domains import domain

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

POOLS, VOLUMES = "Storage Pool", "Storage Volume"
TARGET = "vda"


@command("pool-list", "[--details]", "list pools", POOLS)
def pool_list(lab: Lab, arguments: Arguments) -> str:
    """Return the pools."""
    if "details" not in arguments:
        return table(("Name", "State", "Autostart"), [(one["name"], "active", "yes") for one in _pools(lab)])
    rows = [(one["name"], "running", *(_mebi(size) for size in _sizes(one))) for one in _pools(lab)]
    return table(("Name", "State", "Capacity", "Allocation", "Available"), rows)


@command("pool-info", "<pool>", "storage pool information", POOLS)
def pool_info(lab: Lab, arguments: Arguments) -> str:
    """Return what a pool has and what is taken of it."""
    pool = _pool(lab, arguments["pool"])
    sizes = zip(("Capacity", "Allocation", "Available"), map(_mebi, _sizes(pool)), strict=True)
    head = {"Name": pool["name"], "State": "running", "Persistent": "yes", "Autostart": "yes"}
    return pairs({**head, **dict(sizes)}, 16)


@command("vol-list", "<pool> [--details]", "list vols", VOLUMES)
def vol_list(lab: Lab, arguments: Arguments) -> str:
    """Return the volumes of a pool."""
    pool = _pool(lab, arguments["pool"])
    paths = [(one["name"], _path(one)) for one in pool["volumes"]]
    if "details" not in arguments:
        return table(("Name", "Path"), paths)
    sizes = [(_mebi(one["capacity_bytes"]), _mebi(one["allocation_bytes"])) for one in pool["volumes"]]
    rows = [(*path, "file", *size) for path, size in zip(paths, sizes, strict=True)]
    return table(("Name", "Path", "Type", "Capacity", "Allocation"), rows)


@command("vol-info", "<vol>", "storage vol information", VOLUMES)
def vol_info(lab: Lab, arguments: Arguments) -> str:
    """Return what a volume can hold and what it takes."""
    one = _volume(lab, arguments["vol"])
    sizes = {"Capacity": _mebi(one["capacity_bytes"]), "Allocation": _mebi(one["allocation_bytes"])}
    return pairs({"Name": one["name"], "Type": "file", **sizes}, 16)


@command(
    "vol-create-as",
    "<pool> <name> <capacity> [--allocation <size>] [--format <string>] [--backing-vol <vol>]",
    "create a volume from a set of args",
    VOLUMES,
)
def vol_create_as(lab: Lab, arguments: Arguments) -> Change:
    """Make a volume: raw and thick as in virsh, unless its allocation is 0 or its format qcow2."""
    name, capacity = arguments["name"], _size(arguments["capacity"])
    form = arguments.get("format", "raw")
    allocation = _size(arguments.get("allocation", str(capacity if form == "raw" else 0)))
    if allocation not in (0, capacity):
        raise VirshError(f"an allocation is 0 (thin) or all of the {capacity} bytes (thick, raw only)")
    action = {
        "verb": "vol_create",
        "volume": name,
        "pool": arguments["pool"],
        "capacity": format_size(capacity),
        "format": form,
        **({"backing": arguments["backing-vol"]} if "backing-vol" in arguments else {}),
        **({"preallocated": True} if allocation else {}),
    }
    return Change(action, f"Vol {name} created\n\n", f"Failed to create vol {name}")


@command("vol-delete", "<vol> [--pool <pool>]", "delete a vol", VOLUMES)
def vol_delete(lab: Lab, arguments: Arguments) -> Change:
    """Delete a volume that nobody uses and that backs no other."""
    name = _volume(lab, arguments["vol"])["name"]
    return Change(
        {"verb": "vol_delete", "volume": name}, f"Vol {name} deleted\n\n", f"Failed to delete vol {name}"
    )


@command("vol-resize", "<vol> <capacity> [--pool <pool>]", "resize a vol", VOLUMES)
def vol_resize(lab: Lab, arguments: Arguments) -> Change:
    """Grow a volume."""
    name, capacity = _volume(lab, arguments["vol"])["name"], format_size(_size(arguments["capacity"]))
    done = f"Size of volume '{name}' successfully changed to {capacity}\n\n"
    action = {"verb": "vol_resize", "volume": name, "capacity": capacity}
    return Change(action, done, f"Failed to change size of volume '{name}' to {capacity}")


@command("domblklist", "<domain>", "list all domain blocks", "Monitoring")
def domblklist(lab: Lab, arguments: Arguments) -> str:
    """Return where a VM's disk is kept."""
    vm = domain(lab, arguments["domain"])["name"]
    disks = [one for one in lab.storage()["disks"] if one["vm"] == vm]
    rows = [(TARGET, _path(_volume(lab, one["volume"])) if one["volume"] else "-") for one in disks]
    return table(("Target", "Source"), rows)


@command(
    "blockcommit", "<domain> <path> [--active] [--keep-overlay]", "Start a block commit operation.", "Domains"
)
def blockcommit(lab: Lab, arguments: Arguments) -> Change:
    """Write what a disk's overlay holds into the volume below it."""
    action = {"verb": "vol_commit", "volume": _source(lab, arguments)}
    return Change(action, "Block commit complete\n\n", "Failed to commit the overlay")


@command("blockpull", "<domain> <path> [--base <vol>]", "Populate a disk from its backing image.", "Domains")
def blockpull(lab: Lab, arguments: Arguments) -> Change:
    """Copy what a disk shows of the volumes below it into it, down to a base or of all of them."""
    action = {
        "verb": "vol_rebase",
        "volume": _source(lab, arguments),
        "backing": arguments.get("base", ""),
    }
    return Change(action, "Block Pull complete\n\n", "Failed to pull the blocks")


def _source(lab: Lab, arguments: Arguments) -> str:
    """Return the volume that a domain's disk is. Raises VirshError."""
    vm = domain(lab, arguments["domain"])["name"]
    found = [one["volume"] for one in lab.storage()["disks"] if one["vm"] == vm and one["volume"]]
    if arguments["path"] != TARGET or not found:
        raise VirshError(
            f"domain '{vm}' has no disk '{arguments['path'][:40]}' in a pool; see domblklist {vm}"
        )
    return found[0]


def _pools(lab: Lab) -> list[PoolView]:
    return lab.storage()["pools"]


def _pool(lab: Lab, name: str) -> PoolView:
    lab.hypervisor.storage.pool(name)
    return next(one for one in _pools(lab) if one["name"] == name)


def _volume(lab: Lab, name: str) -> VolumeView:
    lab.hypervisor.storage.volume(name)
    return next(one for pool in _pools(lab) for one in pool["volumes"] if one["name"] == name)


def _path(volume: VolumeView) -> str:
    return f"/{volume['pool']}/{volume['name']}"


def _sizes(pool: PoolView) -> tuple[int, int, int]:
    """Return capacity, allocation and what is available."""
    taken = pool["allocation_bytes"]
    return pool["capacity_bytes"], taken, max(0, pool["capacity_bytes"] - taken)


def _mebi(size: int) -> str:
    unit, step = ("MiB", 1 << 20) if size >= 1 << 20 else ("KiB", 1 << 10)
    return f"{size / step:.2f} {unit}"


def _size(text: str) -> int:
    """Return a size in bytes, which is the unit unless it has one."""
    digits = text.rstrip("".join(set("".join(UNITS))))
    unit = text[len(digits) :]
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 12) or unit not in ("", *UNITS):
        raise VirshError(f"'{text[:40]}' is no size; write e.g. 256KiB (with no space)")
    return int(digits) * UNITS.get(unit, 1)
