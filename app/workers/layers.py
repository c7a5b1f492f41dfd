"""The view `layer`: a layer of a map of memory for the page that shows it, as a difference from what it has.

A map has up to 262,144 bytes and little of it changes between two looks: what is sent is the exclusive or
with an earlier answer that the page still has, compressed (zlib, RFC 1950). The page asks while it shows it.
"""

from __future__ import annotations

import itertools
import zlib
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from app.workers.inspection import number, word
from emulator.lab import Lab
from emulator.lab.layers import FREE, KEYS, OTHER, SAMPLED, UNKNOWN, host_layer, vm_layer
from emulator.lab.sampling import FIRST, Samples

KEPT = 6
LEVEL = 3
OF_ALL = {FREE: "free", OTHER: "other", UNKNOWN: "unknown"}


class Layers:
    """What readers of one lab have been told, and the looks that were taken for them."""

    def __init__(self) -> None:
        """Nobody has asked."""
        self._samples = Samples()
        self._told: OrderedDict[int, bytes] = OrderedDict()
        self._tokens = itertools.count(1)

    def view(self, lab: Lab, args: Mapping[str, Any]) -> dict[str, Any]:
        """Return a layer; raise ArgumentError or LabError.

        `name` is a key of `KEYS`; `vm` names a VM, "" is the host; `have` is the token of an earlier answer.
        """
        name, vm = word(args, "name", tuple(KEYS)), word(args, "vm", default="")
        have = number(args, "have", 0)
        if name == "backing" and not vm:
            name = "sharing"
        hypervisor = lab.hypervisor
        machine = lab.vm(vm) if vm else None
        if name in SAMPLED:
            self._samples.look(hypervisor, lab.now_ns)
        codes, note = (
            host_layer(hypervisor, name, self._samples)
            if machine is None
            else vm_layer(hypervisor, machine, name, self._samples)
        )
        times = self._samples.times
        return {
            "name": name,
            "vm": vm,
            "position": lab.position,
            "count": len(codes),
            "note": note,
            "legend": _legend(name, codes),
            "looks": len(times),
            "looked_ns": times[-1] - times[0] if times else 0,
            **self._packed(codes, have),
        }

    def _packed(self, codes: bytes, have: int) -> dict[str, Any]:
        """Return codes as `data`, exclusive or with those of the answer `base` (0: as they are)."""
        before = self._told.get(have)
        data, base = codes, 0
        if before is not None and len(before) == len(codes):
            mixed = int.from_bytes(before, "little") ^ int.from_bytes(codes, "little")
            data, base = mixed.to_bytes(len(codes), "little"), have
        token = next(self._tokens)
        self._told[token] = codes
        while len(self._told) > KEPT:
            self._told.popitem(last=False)
        return {"token": token, "base": base, "data": b64encode(zlib.compress(data, LEVEL)).decode()}


def _legend(name: str, codes: bytes) -> list[dict[str, Any]]:
    """Return what the codes mean and how many there are; of those that every layer has, the ones in use."""
    found = [{"code": code, "key": key, "count": codes.count(code)} for code, key in OF_ALL.items()]
    found = [entry for entry in found if entry["count"]]
    for place, key in enumerate(KEYS[name]):
        found.append({"code": FIRST + place, "key": key, "count": codes.count(FIRST + place)})
    return found
