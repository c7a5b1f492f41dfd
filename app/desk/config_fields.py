"""The fields of the configuration form: the keys of a lab's configuration in groups, with their help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.desk.config_form import Field, Group, Table, flat
from app.workers.protocol import JsonObject
from emulator.hypervisor.costs import DEFAULTS
from emulator.hypervisor.memory.custom import BALLOON_POLICIES, REPLACEMENTS
from emulator.lab.config import MAX_VMS, HostConfig, VmConfig
from emulator.lab.cpu import SCHEDULER_TITLES


def _switch(key: str, label: str, help: str = "") -> Field:
    return Field(key, label, "switch", help, choices={"false": "no", "true": "yes"})


def _choice(key: str, label: str, choices: Mapping[str, str], help: str = "") -> Field:
    return Field(key, label, "choice", help, choices=choices)


def _same(*names: str) -> dict[str, str]:
    return {name: name for name in names}


HOST = (
    Field("pcpus", "pCPUs", "number", low=1, high=8, required=True),
    Field("memory", "Host memory", required=True),
    Field("timeslice", "Timeslice", required=True),
    _choice("scheduler", "Scheduler", SCHEDULER_TITLES),
)
VM = (
    Field("name", "Name", "text", required=True),
    Field("memory", "Memory", required=True),
    Field("vcpus", "vCPUs", "number", low=1, high=8, required=True),
)
PROGRAM = Field("program", "Program", "text", required=True)
INTERVAL = "10 ms"

CPU = Group(
    "cpu",
    "Who gets how much CPU time?",
    (
        Field("offline", "Unplugged pCPUs", "text", "numbers from 0, like `0-1` or `0,3`.", "none"),
        Field("period", "Accounting period", empty=INTERVAL),
    ),
    tables=(
        Table(
            "CPU time",
            (
                Field(
                    "weight",
                    "Weight",
                    "number",
                    "the VM’s share when pCPUs are short. Used by stride, lottery, credit and fair.",
                    "256",
                    low=1,
                    high=65_535,
                ),
                Field(
                    "cap",
                    "Cap (%)",
                    "number",
                    "at most so much of one pCPU in each accounting period, even if pCPUs are idle.",
                    "none",
                    high=800,
                ),
                Field(
                    "reservation",
                    "Reservation",
                    help="cycles per second, guaranteed in every period. Only earliest deadline first can.",
                    empty="0 MHz",
                ),
                Field("period", "Period", empty="the host’s"),
                Field("affinity", "pCPUs", "text", "those it may run on.", "all"),
            ),
        ),
    ),
)

MEMORY = Group(
    "memory",
    "How is memory given?",
    (
        Field(
            "overcommit",
            "Overcommit",
            help="off is a static partition: each VM has all its frames from its start. A ratio like `150 %`"
            " lets VMs together have more than the host; a page then gets its frame at the first touch.",
            empty="off",
        ),
        Field(
            "swap",
            "Swap",
            help="a disk area for pages that lose their frame. Needs overcommit.",
            empty="none",
        ),
        _choice("swap_policy", "Swap policy", _same(*REPLACEMENTS), "which page loses its frame."),
        _switch("ksm", "KSM", "equal pages share one frame until somebody writes."),
        _choice(
            "balloon_policy",
            "Balloon policy",
            _same(*BALLOON_POLICIES),
            "who is asked for memory when it is short; manual: nobody but you, under Memory.",
        ),
    ),
    (
        Field("swap_latency", "Latency of swap", empty="100 us"),
        Field("swap_interval", "Look at A bits every", empty=INTERVAL),
        Field("ksm_pages", "KSM scans (pages)", "number", empty="100", low=1, high=100_000),
        Field("ksm_interval", "KSM scans every", empty=INTERVAL),
        Field("balloon_interval", "Balloon policy asked every", empty=INTERVAL),
    ),
    "How often does the host look?",
    (
        Table(
            "Memory",
            (
                Field(
                    "max_memory",
                    "Maximum",
                    help="to which its memory can grow while it is on.",
                    empty="as it is",
                ),
                Field("memory_limit", "Limit", help="of host frames that it may have.", empty="none"),
                Field("memory_reservation", "Reservation", help="of host frames, kept for it.", empty="none"),
                _choice(
                    "pages",
                    "G-stage pages",
                    _same("4 KiB", "2 MiB"),
                    "2 MiB leaves where adjacent frames are free: fewer TLB misses. Static partition only.",
                ),
                _switch("balloon", "Balloon", "a device by which its guest can give memory back."),
            ),
        ),
    ),
)

EXITS = Group(
    "exits",
    "What do exits and translations cost?",
    (
        _choice(
            "vmid",
            "VMIDs",
            _same("on", "off"),
            "off: TLB entries do not say whose they are, so each world switch flushes the TLBs.",
        ),
    ),
    tuple(
        Field(
            f"costs.{name}",
            name.replace("_", " ")
            .capitalize()
            .replace("Sbi", "SBI")
            .replace("Wfi", "WFI")
            .replace("Mmio", "MMIO"),
            "number",
            empty=str(cycles),
            high=100_000,
        )
        for name, cycles in DEFAULTS.items()
    ),
    "Prices in cycles",
    (
        Table(
            "Exits",
            (
                _choice(
                    "paging",
                    "Paging",
                    _same("nested", "shadow"),
                    "nested: the MMU walks both tables; shadow: the hypervisor keeps one table made of both.",
                ),
                _choice(
                    "on_fault",
                    "On a fault",
                    {"crash": "crash the VM", "skip": "skip the instruction", "inject": "inject it"},
                    "what happens on an access outside its memory.",
                ),
            ),
        ),
    ),
)

DEVICES = Group(
    "devices",
    "Which disks, network cards and consoles are there?",
    tables=(
        Table(
            "Disk",
            (
                Field("disk.size", "Size", help="of a disk of its own, like `16 MiB`.", empty="no disk"),
                Field(
                    "disk.volume", "Volume", "text", "of a pool, instead of a size.", "none", known="volumes"
                ),
                _switch("disk.read_only", "Read only"),
                Field("disk.iops", "IOPS", "number", "requests a second at most.", "any"),
                Field(
                    "disk.bandwidth", "Bandwidth", help="bytes a second at most, like `4 MiB/s`.", empty="any"
                ),
                Field("disk.latency", "Latency", empty="0 ms"),
                _choice(
                    "disk.cache",
                    "Cache",
                    _same("writethrough", "writeback"),
                    "writeback acknowledges a write before it is durable.",
                ),
            ),
        ),
        Table(
            "Network card",
            (
                Field(
                    "network.name",
                    "Network",
                    "text",
                    "the switch it is plugged into.",
                    "no card",
                    known="networks",
                ),
                Field("network.vlan", "VLAN", "number", empty="1", low=1, high=4094),
                Field(
                    "network.trunk", "Trunk", "numbers", "other VLANs that it may tag, like `10,20`.", "none"
                ),
                Field("network.rate", "Rate", help="like `10 Mbit/s`.", empty="any"),
                Field("network.latency", "Latency", empty="0 ms"),
                Field("network.loss", "Loss", "text", "of frames, like `1 %`.", "0 %"),
                _choice("network.link", "Link", _same("up", "down")),
            ),
        ),
        Table(
            "Console and start",
            (
                _choice("console", "Console", {"sbi": "SBI calls", "virtio": "virtio, too"}),
                _switch("rng", "Entropy"),
                _switch(
                    "vmgenid", "vmgenid", "a device that tells its guest when it was cloned or taken back."
                ),
                _switch("autostart", "Autostart"),
                Field(
                    "append",
                    "Command line",
                    "text",
                    "of a kernel, like `console=hvc0 quiet`.",
                    "the kernel’s",
                ),
                Field("uuid", "UUID", "text", empty="from its name"),
            ),
        ),
    ),
)
GROUPS = (CPU, MEMORY, EXITS, DEVICES)


def _host_fields() -> Iterator[Field]:
    yield from (*HOST, Field("clock", "Clock", required=True))
    for group in GROUPS:
        yield from (*group.host, *group.more)


def _vm_fields() -> Iterator[Field]:
    yield from (*VM, PROGRAM)
    for group in GROUPS:
        for table in group.tables:
            yield from table.fields


HOST_FIELDS = {field.name: field for field in _host_fields()}
VM_FIELDS = {field.name: field for field in _vm_fields()}
MOST = len(HOST_FIELDS) + MAX_VMS * (len(VM_FIELDS) + 1) + 4


def host_values(data: JsonObject) -> JsonObject:
    """Return what the form shows of a host."""
    config = HostConfig.from_dict(data)
    return {**flat(config.full_dict()), "vmid": "on" if config.vmid else "off"}


def vm_values(data: JsonObject) -> JsonObject:
    """Return what the form shows of a VM."""
    return flat(VmConfig.from_dict(data, "vm").full_dict())


def form_context() -> JsonObject:
    """Return what the template of the form needs beside the configuration."""
    return {"fields": {"host": HOST, "vm": VM, "groups": GROUPS}, "form_values": form_values}


def form_values(config: JsonObject) -> JsonObject:
    """Return what the form shows of a configuration: values by field, and the names that may be chosen."""
    vms = [vm_values(vm) for vm in config["vms"]]
    pools: list[JsonObject] = config.get("pools", [])
    networks: list[JsonObject] = config.get("networks", [])
    names = [network["name"] for network in networks] + [vm["network-name"] for vm in vms]
    fresh = vm_values({"name": "new", "program": "new", "memory": "1 MiB"})
    return {
        "host": host_values(config["host"]),
        "vms": vms,
        "volumes": [volume["name"] for pool in pools for volume in pool["volumes"]],
        "networks": sorted({name for name in names if name}),
        "fresh": {**fresh, "name": "", "program": ""},
    }
