"""virsh's commands about snapshots. "Creation time" is virtual time, as everywhere in a lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from emulator.lab.snapshots import SnapshotView
from emulator.libvirt.commands import Arguments, Change, VirshError, command, pairs, table
from emulator.libvirt.domains import domain

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

GROUP = "Snapshots"
STATE_WORDS: Mapping[str, str] = {"shut off": "shutoff", "shutting down": "shutdown"}


def _all(lab: Lab, arguments: Arguments) -> tuple[str, Sequence[SnapshotView]]:
    """Return the name of a domain and its snapshots."""
    name = domain(lab, arguments["domain"])["name"]
    return name, lab.snapshots(name)


def _one(lab: Lab, arguments: Arguments) -> tuple[str, SnapshotView]:
    name, found = _all(lab, arguments)
    wanted = arguments.get("snapshotname")
    for one in found:
        if one["name"] == wanted or (wanted is None and one["current"]):
            return name, one
    known = ", ".join(one["name"] for one in found) or "none"
    raise VirshError(f"Domain snapshot not found: '{wanted or 'current'}'; snapshots of {name}: {known}")


@command("snapshot-create-as", "<domain> <name>", "Create a snapshot from a set of args", GROUP)
def snapshot_create_as(lab: Lab, arguments: Arguments) -> Change:
    """Take a snapshot of a VM, running or not, with its memory and its disk."""
    name, snapshot = domain(lab, arguments["domain"])["name"], arguments["name"]
    action = {"verb": "snapshot_create", "vm": name, "name": snapshot}
    return Change(action, f"Domain snapshot {snapshot} created\n\n", f"Failed to snapshot domain '{name}'")


@command("snapshot-revert", "<domain> <snapshotname>", "Revert a domain to a snapshot", GROUP)
def snapshot_revert(lab: Lab, arguments: Arguments) -> Change:
    """Make a VM what it was."""
    name, snapshot = _one(lab, arguments)
    action = {"verb": "snapshot_revert", "vm": name, "name": snapshot["name"]}
    done = f"Domain snapshot {snapshot['name']} reverted\n\n"
    return Change(action, done, f"Failed to revert snapshot {snapshot['name']}")


@command("snapshot-delete", "<domain> <snapshotname> [--children]", "Delete a domain snapshot", GROUP)
def snapshot_delete(lab: Lab, arguments: Arguments) -> Change:
    """Delete a snapshot, alone or with what descends from it."""
    name, snapshot = _one(lab, arguments)
    children = "children" in arguments
    action = {"verb": "snapshot_delete", "vm": name, "name": snapshot["name"], "children": children}
    done = f"Domain snapshot {snapshot['name']} deleted\n\n"
    return Change(action, done, f"Failed to delete snapshot {snapshot['name']}")


@command("snapshot-list", "<domain> [--tree]", "List snapshots for a domain", GROUP)
def snapshot_list(lab: Lab, arguments: Arguments) -> str:
    """Return the snapshots of a VM, as a table or as a tree."""
    _, found = _all(lab, arguments)
    if "tree" in arguments:
        return "".join(f"{line}\n" for line in _tree(found, "", 0)) + "\n"
    rows = [(one["name"], f"{one['at_ns'] / 1e9:.6f} s", _state(one)) for one in found]
    return table(("Name", "Creation Time", "State"), rows)


def _tree(found: Sequence[SnapshotView], parent: str, depth: int) -> Iterator[str]:
    for one in found:
        if one["parent"] == parent:
            yield f"{'  ' * depth}{'+- ' if depth else ''}{one['name']}"
            yield from _tree(found, one["name"], depth + 1)


def _state(one: SnapshotView) -> str:
    return STATE_WORDS.get(one["state"], one["state"])


@command("snapshot-info", "<domain> [<snapshotname>]", "snapshot information", GROUP)
def snapshot_info(lab: Lab, arguments: Arguments) -> str:
    """Return what is known of a snapshot; without a name, of the current one."""
    name, one = _one(lab, arguments)
    _, found = _all(lab, arguments)
    values = {
        "Name": one["name"],
        "Domain": name,
        "Current": "yes" if one["current"] else "no",
        "State": _state(one),
        "Location": "internal",
        "Parent": one["parent"] or "-",
        "Children": sum(other["parent"] == one["name"] for other in found),
        "Memory, own": f"{one['own_bytes'] >> 10} KiB",
        "Memory, shared": f"{one['shared_bytes'] >> 10} KiB",
    }
    return pairs(values, 16)


@command("snapshot-current", "<domain>", "Get the current snapshot", GROUP)
def snapshot_current(lab: Lab, arguments: Arguments) -> str:
    """Return the name of the snapshot that a VM goes on from."""
    return f"{_one(lab, arguments)[1]['name']}\n\n"


@command("snapshot-parent", "<domain> <snapshotname>", "Get the name of the parent of a snapshot", GROUP)
def snapshot_parent(lab: Lab, arguments: Arguments) -> str:
    """Return the name of a snapshot's parent."""
    _, one = _one(lab, arguments)
    if not one["parent"]:
        raise VirshError(f"snapshot '{one['name']}' has no parent")
    return f"{one['parent']}\n\n"


@command("clone", "<domain> <name> [--full]", "clone a domain, linked unless --full (virt-clone)", GROUP)
def clone(lab: Lab, arguments: Arguments) -> Change:
    """Make another VM that is what a VM is now."""
    source, name = domain(lab, arguments["domain"])["name"], arguments["name"]
    action = {"verb": "clone", "vm": source, "name": name, "linked": "full" not in arguments}
    return Change(action, f"Clone '{name}' created successfully.\n\n", f"Failed to clone domain '{source}'")
