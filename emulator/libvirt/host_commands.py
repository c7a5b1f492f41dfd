"""virsh's commands about the host, and its help."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.libvirt.commands import COMMANDS, Arguments, VirshError, command, pairs

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

GROUP = "Host and Hypervisor"


@command("help", "[<command>]", "print help", "virsh itself")
def print_help(_lab: Lab, arguments: Arguments) -> str:
    """Return the list of commands, or what one of them takes."""
    wanted = arguments.get("command")
    if wanted is None:
        return "".join(_group(group) for group in dict.fromkeys(one.group for one in COMMANDS.values()))
    if wanted not in COMMANDS:
        raise VirshError(f"command '{wanted[:40]}' doesn't exist; `help` lists those that do")
    one = COMMANDS[wanted]
    return f"  NAME\n    {one.name} - {one.summary}\n\n  SYNOPSIS\n    {one.usage}\n\n"


def _group(group: str) -> str:
    lines = [f"    {one.name:<16} {one.summary}\n" for one in COMMANDS.values() if one.group == group]
    return f" {group}:\n{''.join(sorted(lines))}\n"


@command("hostname", "", "print the hypervisor hostname", GROUP)
def hostname(_lab: Lab, _arguments: Arguments) -> str:
    """Return the name of the host."""
    return "vmlab\n\n"


@command("uri", "", "print the hypervisor canonical URI", GROUP)
def uri(_lab: Lab, _arguments: Arguments) -> str:
    """Return what this console is connected to."""
    return "vmlab:///lab\n\n"


@command("nodeinfo", "", "node information", GROUP)
def nodeinfo(lab: Lab, _arguments: Arguments) -> str:
    """Return what the host is made of."""
    host = lab.host_config
    values = {
        "CPU model": "riscv64",
        "CPU(s)": host.pcpus - len(host.offline),
        "CPU frequency": f"{host.clock // 1_000_000} MHz",
        "CPU socket(s)": 1,
        "Core(s) per socket": host.pcpus,
        "Thread(s) per core": 1,
        "NUMA cell(s)": 1,
        "Memory size": f"{host.memory >> 10} KiB",
    }
    return pairs(values, 21)


@command("nodecpustats", "", "Prints cpu stats of the node.", GROUP)
def nodecpustats(lab: Lab, _arguments: Arguments) -> str:
    """Return the time of all pCPUs together, in nanoseconds: in guests, in the hypervisor, idle."""
    pcpus = lab.observe(lab.revision.value)["host"]["pcpus"]
    times = {
        "user": sum(pcpu["run_cycles"] for pcpu in pcpus),
        "system": sum(pcpu["hypervisor_cycles"] for pcpu in pcpus),
        "idle": sum(pcpu["idle_cycles"] for pcpu in pcpus),
    }
    return pairs({key: f"{lab.to_ns(cycles):>20}" for key, cycles in times.items()}, 8)


@command("nodememstats", "", "Prints memory stats of the node.", GROUP)
def nodememstats(lab: Lab, _arguments: Arguments) -> str:
    """Return the host's memory and what is free of it."""
    host = lab.observe(lab.revision.value)["host"]
    values = {"total": host["memory_bytes"] >> 10, "free": host["frames_free"] << 2}
    return pairs({key: f"{kibibytes:>20} KiB" for key, kibibytes in values.items()}, 8)
