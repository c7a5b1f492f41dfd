"""The views of a lab that are about whole VMs: snapshots and templates, and a VM as an archive."""

from __future__ import annotations

import base64
from typing import Any

from emulator.lab import Lab, LabError

MAX_EXPORT_BYTES = 8 << 20  # what can come back in, and what a message has room for as base64


def snapshots(lab: Lab) -> dict[str, Any]:
    """Return the snapshots of every VM, and whether it is a template."""
    vms = lab.hypervisor.vms.values()
    return {
        "vms": [
            {
                "name": vm.name,
                "index": vm.index,
                "state": vm.state.value,
                "template": vm.serial in lab.templates,
                "snapshots": lab.snapshots(vm.name),
            }
            for vm in vms
        ]
    }


def export(lab: Lab, vm: str) -> dict[str, str]:
    """Return a VM as an archive in base64; raise LabError if it is too large to be sent."""
    data = lab.export_vm(vm)
    if len(data) > MAX_EXPORT_BYTES:
        raise LabError(
            f"the archive of {vm} has {len(data) >> 20} MiB; at most {MAX_EXPORT_BYTES >> 20} can be sent:"
            " shut the VM down first, so that its memory need not travel",
            "vm",
        )
    return {"vm": vm, "file": f"{vm}.vmlab.zip", "archive": base64.b64encode(data).decode()}
