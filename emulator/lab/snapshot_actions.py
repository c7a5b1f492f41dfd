"""What a student may do with whole VMs: keep and revert them, clone them, make templates of them."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from emulator.hypervisor.vm import Vm, VmState
from emulator.lab import archive, cloning, snapshots
from emulator.lab.errors import LabError
from emulator.lab.values import boolean, table_of

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]
MAX_IMPORT_CHARACTERS = 16 << 20


def _note(lab: Lab, verb: str, text: str, vm: Vm) -> None:
    lab.hypervisor.trace.log("action", verb, text, lab.position, lab.hypervisor.now, vm.name)


def _vm(lab: Lab, arguments: Mapping[str, Any], verb: str, *keys: str) -> Vm:
    """Return the VM of an action that has no keys but these. Raises LabError or ConfigError."""
    table_of(arguments, verb, ("vm", *keys))
    return lab.vm(arguments.get("vm"))


def _create(lab: Lab, arguments: Result) -> Result:
    vm = _vm(lab, arguments, "snapshot_create", "name")
    one = snapshots.create(lab, vm, arguments.get("name"))
    _note(lab, "snapshot_create", f"snapshot {one.name} of {vm.name} was taken", vm)
    return {"vm": vm.name, "name": one.name, "parent": one.parent, "state": one.image.lifecycle.value}


def _revert(lab: Lab, arguments: Result) -> Result:
    vm = _vm(lab, arguments, "snapshot_revert", "name")
    one = snapshots.revert(lab, vm, arguments.get("name"))
    _note(lab, "snapshot_revert", f"{vm.name} is as in snapshot {one.name}", vm)
    return {"vm": vm.name, "name": one.name, "state": vm.state.value}


def _delete(lab: Lab, arguments: Result) -> Result:
    vm = _vm(lab, arguments, "snapshot_delete", "name", "children")
    children = boolean(arguments.get("children", False), "children")
    names = snapshots.delete(lab, vm, arguments.get("name"), children)
    _note(lab, "snapshot_delete", f"snapshots of {vm.name} were deleted: {', '.join(names)}", vm)
    return {"vm": vm.name, "deleted": names}


def _clone(lab: Lab, arguments: Result) -> Result:
    source = _vm(lab, arguments, "clone", "name", "linked")
    linked = boolean(arguments.get("linked", True), "linked")
    vm = cloning.clone(lab, source, arguments.get("name"), linked)
    kind = "a linked" if linked else "a full"
    _note(lab, "clone", f"{vm.name} is {kind} clone of {source.name}", vm)
    return {"vm": vm.name, "source": source.name, "state": vm.state.value}


def _set_template(lab: Lab, arguments: Result) -> Result:
    vm = _vm(lab, arguments, "set_template", "template")
    template = boolean(arguments.get("template", True), "template")
    if template and vm.lifecycle is not VmState.SHUT_OFF:
        raise LabError(f"{vm.name} is {vm.state.value}; a template is shut off: shut it down first", "vm")
    (lab.templates.add if template else lab.templates.discard)(vm.serial)
    said = f"{vm.name} is a template now" if template else f"{vm.name} is an ordinary VM now"
    _note(lab, "set_template", said, vm)
    return {"vm": vm.name, "template": template}


def _import(lab: Lab, arguments: Result) -> Result:
    table_of(arguments, "import_vm", ("archive", "name"))
    text = arguments.get("archive")
    if not isinstance(text, str) or len(text) > MAX_IMPORT_CHARACTERS:
        raise LabError(f"archive must be base64 of at most {MAX_IMPORT_CHARACTERS} characters", "archive")
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise LabError(f"archive is no base64: {error}", "archive") from error
    vm = archive.import_vm(lab, data, arguments.get("name"))
    _note(lab, "import_vm", f"{vm.name} was imported", vm)
    return {"vm": vm.name, "state": vm.state.value}


SNAPSHOT_VERBS: dict[str, Callable[[Lab, Result], Result]] = {
    "snapshot_create": _create,
    "snapshot_revert": _revert,
    "snapshot_delete": _delete,
    "clone": _clone,
    "set_template": _set_template,
    "import_vm": _import,
}
