"""Write a VM as libvirt domain XML ("Domain XML format", libvirt documentation).

What libvirt has a place for stands there: name, memory, vCPUs, `cpuset`, shares, quota, kernel, command line,
disk, network card, serial console, entropy, balloon. Every other key of the configuration stands under
`<metadata>` as `<vmlab:setting name="...">` with its value as JSON, so that `domain_import` loses nothing.

libvirt's neutral share is 1024 and ours 256, so a weight is written times four. A cap is in percent of one
pCPU for the whole VM, which is libvirt's `global_quota` in a `global_period`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from xml.etree import ElementTree as ET

from emulator.hypervisor.scheduler import DEFAULT_WEIGHT
from emulator.lab.config import VmConfig

NAMESPACE = "urn:vmlab:domain:1"
SHARES_PER_WEIGHT = 4
QUOTA_PERIOD_US = 100_000
QUOTA_PER_PERCENT = QUOTA_PERIOD_US // 100
# Keys that have a place of their own in domain XML when their values are plain.
AT_HOME = (
    *("name", "vcpus", "memory", "program", "append", "network", "console", "rng", "balloon"),
    *("uuid", "vmgenid"),
    *("weight", "cap", "affinity"),
)


def domain_xml(config: VmConfig, identity: str, number: int | None = None) -> str:
    """Return the domain XML of a VM with this UUID; `number` is its id while it is on."""
    ET.register_namespace("vmlab", NAMESPACE)
    domain = ET.Element("domain", {"type": "qemu"} | ({} if number is None else {"id": str(number)}))
    _text(domain, "name", config.name)
    _text(domain, "uuid", identity)
    if config.vmgenid:
        ET.SubElement(domain, "genid")
    _metadata(domain, config)
    for tag in ("memory", "currentMemory"):
        _text(domain, tag, str(config.memory >> 10), unit="KiB")
    _cpu(domain, config.to_dict(), config.vcpus)
    _boot(domain, config)
    for event, reaction in (("poweroff", "destroy"), ("reboot", "restart"), ("crash", "preserve")):
        _text(domain, f"on_{event}", reaction)
    _devices(ET.SubElement(domain, "devices"), config)
    ET.indent(domain)
    return ET.tostring(domain, encoding="unicode") + "\n"


def _text(parent: ET.Element, tag: str, text: str, **attributes: str) -> ET.Element:
    child = ET.SubElement(parent, tag, attributes)
    child.text = text
    return child


def _metadata(domain: ET.Element, config: VmConfig) -> None:
    values = config.to_dict().items()
    settings = {key: value for key, value in values if key not in AT_HOME or isinstance(value, dict)}
    metadata = ET.SubElement(domain, "metadata")
    for key, value in settings.items():
        setting = ET.SubElement(metadata, f"{{{NAMESPACE}}}setting", {"name": key})
        setting.text = json.dumps(value)


def _cpu(domain: ET.Element, settings: Mapping[str, object], vcpus: int) -> None:
    affinity = {"cpuset": str(settings["affinity"])} if "affinity" in settings else {}
    _text(domain, "vcpu", str(vcpus), placement="static", **affinity)
    tune = ET.SubElement(domain, "cputune")
    weight = settings.get("weight", DEFAULT_WEIGHT)
    _text(tune, "shares", str(int(str(weight)) * SHARES_PER_WEIGHT))
    if "cap" in settings:
        _text(tune, "global_period", str(QUOTA_PERIOD_US))
        _text(tune, "global_quota", str(int(str(settings["cap"])) * QUOTA_PER_PERCENT))


def _boot(domain: ET.Element, config: VmConfig) -> None:
    system = ET.SubElement(domain, "os")
    _text(system, "type", "hvm", arch="riscv64", machine="virt")
    _text(system, "kernel", config.program)
    if config.append:
        _text(system, "cmdline", config.append)


def _devices(devices: ET.Element, config: VmConfig) -> None:
    if config.disk:
        disk = ET.SubElement(devices, "disk", {"type": "file", "device": "disk"})
        ET.SubElement(disk, "driver", {"name": "qemu", "type": "raw"})
        ET.SubElement(disk, "source", {"file": f"{config.name}.img"})
        ET.SubElement(disk, "target", {"dev": "vda", "bus": "virtio"})
        if config.disk.read_only:
            ET.SubElement(disk, "readonly")
    if config.network:
        card = ET.SubElement(devices, "interface", {"type": "network"})
        ET.SubElement(card, "source", {"network": config.network})
        ET.SubElement(card, "model", {"type": "virtio"})
    console = ET.SubElement(devices, "console", {"type": "pty"})
    kind = "virtio" if config.console == "virtio" else "serial"
    ET.SubElement(console, "target", {"type": kind, "port": "0"})
    if config.rng:
        rng = ET.SubElement(devices, "rng", {"model": "virtio"})
        _text(rng, "backend", "/dev/urandom", model="random")
    ET.SubElement(devices, "memballoon", {"model": "virtio" if config.balloon else "none"})
