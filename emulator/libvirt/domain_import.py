"""Read libvirt domain XML into a VM's configuration, and name everything in it that has no meaning here.

The text is hostile: its size and depth are limited, a document type declaration (and with it every entity)
is refused, and what the values mean is checked by `VmConfig.from_dict`. Nothing is dropped in silence: each
element or attribute that is not taken stands in `Imported.left_out` with its place and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.etree import ElementTree as ET

from emulator.errors import VmLabError
from emulator.lab.config import VmConfig
from emulator.lab.quantities import format_size
from emulator.lab.values import ConfigError, nearest
from emulator.libvirt.domain_xml import NAMESPACE, SHARES_PER_WEIGHT

MAX_CHARACTERS = 256 << 10
MAX_DEPTH = 32
EMPTY_DISK = "16 MiB"
DISK_SOURCE = "domain/devices/disk/source"
PAGE_BYTES = 4096
# "Domain XML format", element memory: powers of 1000 end in B, of 1024 in iB or are one letter.
UNITS = {
    "b": 1,
    "bytes": 1,
    "KB": 10**3,
    "k": 1 << 10,
    "KiB": 1 << 10,
    "MB": 10**6,
    "M": 1 << 20,
    "MiB": 1 << 20,
    "GB": 10**9,
    "G": 1 << 30,
    "GiB": 1 << 30,
}
REACTIONS = {"on_poweroff": "destroy", "on_reboot": "restart", "on_crash": "preserve"}


class DomainXmlError(VmLabError):
    """A text is no domain XML that a VM can be made of."""


@dataclass(slots=True)
class Imported:
    """A VM's configuration, and what of the XML is not in it: (place, why)."""

    config: VmConfig
    left_out: list[tuple[str, str]]


@dataclass(slots=True)
class _Draft:
    """What has been read so far."""

    programs: Sequence[str]
    values: dict[str, Any] = field(default_factory=dict[str, Any])
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    def leave_out(self, place: str, why: str = "there is nothing like it here") -> None:
        self.left_out.append((place, why))


def read_domain(text: str, programs: Sequence[str]) -> Imported:
    """Return the VM that domain XML describes; `programs` are those that a VM may run.

    Raises DomainXmlError for a text that is no domain, ConfigError for a value that is impossible here.
    """
    root = _parse(text)
    draft = _Draft(programs)
    _attributes(root, "domain", draft, {"id", "type"})
    for child in root:
        place = f"domain/{_shown(child.tag)}"
        read = READERS.get(child.tag)
        if read is None:
            draft.leave_out(place)
        else:
            read(child, place, draft)
    for setting in root.iterfind(f"metadata/{{{NAMESPACE}}}setting"):
        _setting(setting, draft)
    return Imported(VmConfig.from_dict(_complete(draft), "domain"), draft.left_out)


def _parse(text: str) -> ET.Element:
    if len(text) > MAX_CHARACTERS:
        raise DomainXmlError(f"the XML has {len(text)} characters; at most {MAX_CHARACTERS} are read")
    if "<!DOCTYPE" in text:
        raise DomainXmlError("the XML has a document type declaration; domain XML needs none: remove it")
    try:
        root = ET.fromstring(text)
    except (ET.ParseError, ValueError) as error:
        raise DomainXmlError(f"this is not XML: {error}") from error
    if root.tag != "domain":
        raise DomainXmlError(f"the outermost element is <{_shown(root.tag)}>; expected <domain>")
    if any(depth > MAX_DEPTH for depth in _depths(root)):
        raise DomainXmlError(f"the XML is nested more than {MAX_DEPTH} deep")
    return root


def _depths(root: ET.Element) -> Iterator[int]:
    waiting = [(root, 1)]
    while waiting:
        element, depth = waiting.pop()
        yield depth
        if depth <= MAX_DEPTH:
            waiting.extend((child, depth + 1) for child in element)


def _shown(tag: str) -> str:
    """Return a tag without its namespace's URI."""
    return tag.rpartition("}")[2][:60]


def _complete(draft: _Draft) -> dict[str, Any]:
    for key, example in (("name", "<name>web</name>"), ("program", "<os><kernel>hello.s</kernel></os>")):
        if key not in draft.values:
            known = f"; programs here: {', '.join(draft.programs)}" if key == "program" else ""
            raise DomainXmlError(f"the domain has no {key}; add one, like {example}{known}")
    return draft.values


def _attributes(element: ET.Element, place: str, draft: _Draft, known: set[str]) -> None:
    for name in element.attrib:
        if name not in known:
            draft.leave_out(f"{place}@{_shown(name)}")


def _others(element: ET.Element, place: str, draft: _Draft, known: set[str]) -> None:
    for child in element:
        if child.tag not in known:
            draft.leave_out(f"{place}/{_shown(child.tag)}")


def _words(element: ET.Element | None) -> str:
    return "" if element is None else (element.text or "").strip()


def _number(text: str, place: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise DomainXmlError(f"{place} is {text[:40]!r}; expected a whole number")


def _uuid(element: ET.Element, _place: str, draft: _Draft) -> None:
    draft.values["uuid"] = _words(element)


def _genid(element: ET.Element, place: str, draft: _Draft) -> None:
    draft.values["vmgenid"] = True
    if _words(element):
        draft.leave_out(place, "its value: generations are numbered by the lab")


def _name(element: ET.Element, _place: str, draft: _Draft) -> None:
    draft.values["name"] = _words(element)


def _memory(element: ET.Element, place: str, draft: _Draft) -> None:
    _attributes(element, place, draft, {"unit"})
    draft.values["memory"] = format_size(_bytes(element, place))


def _bytes(element: ET.Element, place: str) -> int:
    """Return an amount of memory in bytes, rounded up to a page."""
    unit = element.get("unit", "KiB")
    if unit not in UNITS:
        raise DomainXmlError(f"{place}@unit is {unit[:20]!r}; expected one of {', '.join(UNITS)}")
    return -(-_number(_words(element), place) * UNITS[unit] // PAGE_BYTES) * PAGE_BYTES


def _current_memory(element: ET.Element, place: str, draft: _Draft) -> None:
    memory = draft.values.get("memory")
    if memory is not None and format_size(_bytes(element, place)) != memory:
        draft.leave_out(place, "a VM starts with all its memory; move its balloon afterwards")


def _vcpu(element: ET.Element, place: str, draft: _Draft) -> None:
    _attributes(element, place, draft, {"placement", "cpuset", "current"})
    count = element.get("current", _words(element))
    draft.values["vcpus"] = _number(count, place)
    if count != _words(element):
        draft.leave_out(place, f"its maximum of {_words(element)[:20]}: vCPUs can always be added here")
    if "cpuset" in element.attrib:
        draft.values["affinity"] = element.attrib["cpuset"]


def _cputune(element: ET.Element, place: str, draft: _Draft) -> None:
    _others(element, place, draft, {"shares", "global_period", "global_quota", "period", "quota", "vcpupin"})
    shares = element.find("shares")
    if shares is not None:
        draft.values["weight"] = max(1, _number(_words(shares), f"{place}/shares") // SHARES_PER_WEIGHT)
    _quota(element, place, draft, "global_", 1)
    _quota(element, place, draft, "", draft.values.get("vcpus", 1))
    pins = {pin.get("cpuset", "") for pin in element.iterfind("vcpupin")}
    if len(pins) == 1:
        draft.values["affinity"] = pins.pop()
    elif pins:
        draft.leave_out(f"{place}/vcpupin", "all vCPUs of a VM have one affinity here")


def _quota(element: ET.Element, place: str, draft: _Draft, prefix: str, vcpus: int) -> None:
    """Take a quota per period as a cap in percent of one pCPU."""
    quota = _words(element.find(f"{prefix}quota"))
    period = _words(element.find(f"{prefix}period")) or str(100_000)
    if not quota or quota.startswith("-"):
        return
    whole = 100 * vcpus * _number(quota, f"{place}/{prefix}quota")
    cap, rest = divmod(whole, max(1, _number(period, f"{place}/{prefix}period")))
    draft.values["cap"] = max(1, cap)
    if rest:
        draft.leave_out(
            f"{place}/{prefix}quota", f"a cap is a whole number of percent; {max(1, cap)} was taken"
        )


def _os(element: ET.Element, place: str, draft: _Draft) -> None:
    _others(element, place, draft, {"type", "kernel", "cmdline"})
    kind = element.find("type")
    if kind is not None and kind.get("arch", "riscv64") != "riscv64":
        draft.leave_out(f"{place}/type@arch", f"{kind.get('arch', '')[:20]}: guests here are riscv64")
    if kind is not None and kind.get("machine", "virt") != "virt":
        draft.leave_out(f"{place}/type@machine", "every VM is a `virt` machine")
    kernel = _words(element.find("kernel"))
    if kernel:
        draft.values["program"] = _program(kernel, draft.programs)
    if _words(element.find("cmdline")):
        draft.values["append"] = _words(element.find("cmdline"))


def _program(kernel: str, programs: Sequence[str]) -> str:
    """Return the program that a kernel's path means: its whole name, or its last part."""
    for candidate in (kernel, kernel.rpartition("/")[2]):
        if candidate in programs:
            return candidate
    hint = nearest(kernel, list(programs)) or f"; programs here: {', '.join(programs)}"
    raise ConfigError("domain/os/kernel", f"is {kernel[:80]!r}, and there is no such program{hint}")


def _reaction(element: ET.Element, place: str, draft: _Draft) -> None:
    if _words(element) != REACTIONS[element.tag]:
        draft.leave_out(place, f"it is always {REACTIONS[element.tag]} here")


def _devices(element: ET.Element, place: str, draft: _Draft) -> None:
    seen: set[str] = set()
    for device in element:
        where = f"{place}/{_shown(device.tag)}"
        read = DEVICES.get(device.tag)
        if read is None:
            draft.leave_out(where)
        elif device.tag in seen:
            draft.leave_out(where, "a VM has one of them at most")
        else:
            seen.add(device.tag)
            read(device, where, draft)


def _disk(element: ET.Element, place: str, draft: _Draft) -> None:
    _others(element, place, draft, {"driver", "source", "target", "readonly", "capacity"})
    if element.get("device", "disk") != "disk":
        draft.leave_out(f"{place}@device", f"{element.get('device', '')[:20]}: there are disks only")
        return
    target = element.find("target")
    if target is not None and target.get("bus", "virtio") != "virtio":
        draft.leave_out(f"{place}/target@bus", "the disk is a virtio disk")
    draft.values["disk"] = {"size": EMPTY_DISK, "read_only": element.find("readonly") is not None}
    draft.leave_out(DISK_SOURCE, f"its contents; an empty disk of {EMPTY_DISK} takes its place")


def _interface(element: ET.Element, place: str, draft: _Draft) -> None:
    _others(element, place, draft, {"source", "model"})
    source = element.find("source")
    network = "" if source is None else source.get("network", source.get("bridge", ""))
    if not network:
        draft.leave_out(place, "it names no network")
        return
    draft.values["network"] = network
    model = element.find("model")
    if model is not None and model.get("type", "virtio") != "virtio":
        draft.leave_out(f"{place}/model@type", "the card is a virtio card")


def _console(element: ET.Element, place: str, draft: _Draft) -> None:
    target = element.find("target")
    draft.values["console"] = "virtio" if target is not None and target.get("type") == "virtio" else "sbi"
    _others(element, place, draft, {"target", "source", "alias"})


def _rng(element: ET.Element, place: str, draft: _Draft) -> None:
    _others(element, place, draft, {"backend"})
    draft.values["rng"] = True


def _balloon(element: ET.Element, place: str, draft: _Draft) -> None:
    draft.values["balloon"] = element.get("model") != "none"
    _others(element, place, draft, set())


def _metadata(element: ET.Element, place: str, draft: _Draft) -> None:
    for child in element:
        if child.tag != f"{{{NAMESPACE}}}setting":
            draft.leave_out(f"{place}/{_shown(child.tag)}")


def _setting(element: ET.Element, draft: _Draft) -> None:
    """Take a key of the configuration that libvirt has no place for, over anything said before."""
    key = element.get("name", "")
    try:
        draft.values[key] = json.loads(element.text or "null")
    except (json.JSONDecodeError, RecursionError) as error:
        raise DomainXmlError(f"domain/metadata/setting {key[:40]!r} is not JSON: {error}") from error
    if key == "disk":
        draft.left_out = [entry for entry in draft.left_out if entry[0] != DISK_SOURCE]


Reader = Callable[[ET.Element, str, _Draft], None]
READERS: dict[str, Reader] = {
    "name": _name,
    "uuid": _uuid,
    "genid": _genid,
    "metadata": _metadata,
    "memory": _memory,
    "currentMemory": _current_memory,
    "vcpu": _vcpu,
    "cputune": _cputune,
    "os": _os,
    **dict.fromkeys(REACTIONS, _reaction),
    "devices": _devices,
}
DEVICES: dict[str, Reader] = {
    "disk": _disk,
    "interface": _interface,
    "console": _console,
    "rng": _rng,
    "memballoon": _balloon,
}
