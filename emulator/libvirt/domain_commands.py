"""virsh's commands about domains: their life, what they are, and what they may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emulator.hypervisor.memory.daemon import balloon_pages
from emulator.lab.cpu import MAX_PCPUS, format_pcpus
from emulator.lab.observation import VmView
from emulator.lab.quantities import format_size
from emulator.libvirt.commands import Arguments, Change, Serve, VirshError, command, pairs, table
from emulator.libvirt.domain_import import UNITS, read_domain
from emulator.libvirt.domain_xml import domain_xml
from emulator.libvirt.domains import (
    STATES,
    VCPU_STATES,
    all_domains,
    cpu_ns,
    domain,
    held_cycles,
    identity,
    is_on,
    number,
    to_ns,
)

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

# Command, action, what virsh prints when it is done, what it says before an error, and what it is for.
LIFE = (
    ("start", "start", "Domain '{}' started", "start", "start a (previously defined) inactive domain"),
    ("shutdown", "shutdown", "Domain '{}' is being shutdown", "shutdown", "gracefully shutdown a domain"),
    ("destroy", "destroy", "Domain '{}' destroyed", "destroy", "destroy (stop) a domain"),
    ("reboot", "reboot", "Domain '{}' is being rebooted", "reboot", "reboot a domain"),
    ("reset", "reset", "Domain '{}' was reset", "reset", "reset a domain"),
    ("suspend", "suspend", "Domain '{}' suspended", "suspend", "suspend a domain"),
    ("resume", "resume", "Domain '{}' resumed", "resume", "resume a domain"),
    ("undefine", "undefine", "Domain '{}' has been undefined", "undefine", "undefine a domain"),
)


def _life(verb: str, done: str, failed: str) -> Serve:
    def serve(lab: Lab, arguments: Arguments) -> Change:
        name = domain(lab, arguments["domain"])["name"]
        action = {"verb": verb, "vm": name}
        return Change(action, f"{done.format(name)}\n\n", f"Failed to {failed} domain '{name}'")

    return serve


for _name, _verb, _done, _failed, _summary in LIFE:
    command(_name, "<domain>", _summary)(_life(_verb, _done, _failed))


@command("list", "[--all] [--inactive] [--name]", "list domains")
def list_domains(lab: Lab, arguments: Arguments) -> str:
    """Return the VMs that are on, those that are not, or all."""
    wanted = {True, False} if "all" in arguments else {"inactive" not in arguments}
    chosen = [vm for vm in all_domains(lab) if is_on(vm) in wanted]
    if "name" in arguments:
        return "".join(f"{vm['name']}\n" for vm in chosen) + "\n"
    rows = [(str(number(lab, vm) or "-"), vm["name"], STATES[vm["state"]][1]) for vm in chosen]
    return table((f"{'Id':<4}".rstrip(), "Name", "State"), rows)


@command("dominfo", "<domain>", "domain information")
def dominfo(lab: Lab, arguments: Arguments) -> str:
    """Return the summary of a VM."""
    vm = domain(lab, arguments["domain"])
    kibibytes = vm["memory_bytes"] >> 10
    values = {
        "Id": number(lab, vm) or "-",
        "Name": vm["name"],
        "UUID": identity(lab, vm["name"]),
        "OS Type": "hvm",
        "State": STATES[vm["state"]][1],
        "CPU(s)": len(vm["vcpus"]) if is_on(vm) else lab.vm_configs[vm["name"]].vcpus,
        **({"CPU time": f"{cpu_ns(lab, vm) / 1e9:.1f}s"} if is_on(vm) else {}),
        "Max memory": f"{kibibytes} KiB",
        "Used memory": f"{_given(lab, vm) >> 10} KiB",
        "Persistent": "yes",
        "Autostart": "enable" if vm["autostart"] else "disable",
        "Managed save": "no",
        "Security model": "none",
        "Security DOI": 0,
    }
    return pairs(values, 16)


@command("domstate", "<domain> [--reason]", "domain state")
def domstate(lab: Lab, arguments: Arguments) -> str:
    """Return the state of a VM, and since which event."""
    vm = domain(lab, arguments["domain"])
    reason = ""
    if "reason" in arguments:
        events = [e for e in lab.observe(None)["events"] if e["kind"] == "state" and e["vm"] == vm["name"]]
        reason = f" ({events[-1]['text']})" if events else " (unknown)"
    return f"{STATES[vm['state']][1]}{reason}\n\n"


@command("domid", "<domain>", "convert a domain name or UUID to domain id")
def domid(lab: Lab, arguments: Arguments) -> str:
    """Return the id of a VM, or a hyphen."""
    return f"{number(lab, domain(lab, arguments['domain'])) or '-'}\n\n"


@command("domname", "<domain>", "convert a domain id or UUID to domain name")
def domname(lab: Lab, arguments: Arguments) -> str:
    """Return the name of a VM."""
    return f"{domain(lab, arguments['domain'])['name']}\n\n"


@command("domuuid", "<domain>", "convert a domain name or id to domain UUID")
def domuuid(lab: Lab, arguments: Arguments) -> str:
    """Return the UUID of a VM."""
    return f"{identity(lab, domain(lab, arguments['domain'])['name'])}\n\n"


@command("domrename", "<domain> <new-name>", "rename a domain")
def domrename(lab: Lab, arguments: Arguments) -> Change:
    """Rename a VM that is shut off."""
    name = domain(lab, arguments["domain"])["name"]
    action = {"verb": "set_vm", "vm": name, "name": arguments["new-name"]}
    return Change(action, "Domain successfully renamed\n\n", f"Failed to rename domain '{name}'")


@command("autostart", "<domain> [--disable]", "autostart a domain")
def autostart(lab: Lab, arguments: Arguments) -> Change:
    """Mark a VM to be started with the lab, or unmark it."""
    name, off = domain(lab, arguments["domain"])["name"], "disable" in arguments
    action = {"verb": "set_vm", "vm": name, "autostart": not off}
    failed = f"Failed to {'un' if off else ''}mark domain '{name}' as autostarted"
    return Change(action, f"Domain '{name}' {'un' if off else ''}marked as autostarted\n\n", failed)


@command("dumpxml", "<domain>", "domain information in XML")
def dumpxml(lab: Lab, arguments: Arguments) -> str:
    """Return the domain XML of a VM."""
    vm = domain(lab, arguments["domain"])
    return domain_xml(lab.vm_configs[vm["name"]], identity(lab, vm["name"]), number(lab, vm)) + "\n"


@command("define", "<xml>", "define (but don't start) a domain from domain XML, typed or pasted behind it")
def define(lab: Lab, arguments: Arguments) -> Change:
    """Define a VM by domain XML, and name what of it was left out."""
    imported = read_domain(arguments["xml"], list(lab.programs))
    notes = "".join(f"warning: left out {place}: {why}\n" for place, why in imported.left_out)
    name = imported.config.name
    action = {"verb": "define", "vm": imported.config.to_dict()}
    return Change(action, f"{notes}Domain '{name}' defined\n\n", f"Failed to define domain '{name}'")


@command("setvcpus", "<domain> <count> [--live] [--config]", "change number of virtual CPUs")
def setvcpus(lab: Lab, arguments: Arguments) -> Change:
    """Change how many vCPUs a VM has; more can be added while it runs."""
    name = domain(lab, arguments["domain"])["name"]
    action = {"verb": "set_vm", "vm": name, "vcpus": _count(arguments["count"], "count")}
    return Change(action, "\n", f"Failed to change the vCPUs of domain '{name}'")


@command("setmaxmem", "<domain> <size> [--config]", "change maximum memory limit (KiB, or with a unit: 4MiB)")
def setmaxmem(lab: Lab, arguments: Arguments) -> Change:
    """Change the memory of a VM that is shut off."""
    name = domain(lab, arguments["domain"])["name"]
    action = {"verb": "set_vm", "vm": name, "memory": format_size(_size(arguments["size"]))}
    return Change(action, "\n", f"Unable to change MaxMemorySize of domain '{name}'")


@command(
    "setmem", "<domain> <size> [--live] [--config]", "change memory allocation (KiB, or with a unit: 4MiB)"
)
def setmem(lab: Lab, arguments: Arguments) -> str | Change:
    """Ask the guest of a VM that is on for a balloon; change the memory of one that is shut off."""
    vm = domain(lab, arguments["domain"])
    if not is_on(vm):
        return setmaxmem(lab, arguments)
    taken = vm["memory_bytes"] - _size(arguments["size"])
    if taken < 0:
        raise VirshError("cannot set memory higher than max memory; shut it off and use setmaxmem")
    action = {"verb": "set_balloon", "vm": vm["name"], "target": format_size(taken)}
    return Change(action, "\n", f"Failed to change the memory of domain '{vm['name']}'")


def _given(lab: Lab, vm: VmView) -> int:
    """Return the memory that a VM has, less what its guest has given back."""
    taken = balloon_pages(lab.vm(vm["name"])) if is_on(vm) else 0
    return vm["memory_bytes"] - (taken << 12)


def _count(text: str, what: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 12:
        return int(text)
    raise VirshError(f"numeric value '{text[:40]}' for <{what}> option is malformed or out of range")


def _size(text: str) -> int:
    """Return a size in bytes: KiB unless it has a unit, as in virsh."""
    digits = text.rstrip("".join(set("".join(UNITS))))
    unit = text[len(digits) :] or "KiB"
    if unit not in UNITS:
        raise VirshError(f"unknown suffix '{unit[:20]}'; use one of {', '.join(UNITS)}")
    return _count(digits, "size") * UNITS[unit]


@command("vcpucount", "<domain>", "domain vcpu counts")
def vcpucount(lab: Lab, arguments: Arguments) -> str:
    """Return how many vCPUs a VM may have and has."""
    vm = domain(lab, arguments["domain"])
    configured = lab.vm_configs[vm["name"]].vcpus
    rows = [("maximum", "config", MAX_PCPUS), ("current", "config", configured)]
    if is_on(vm):
        rows += [("maximum", "live", MAX_PCPUS), ("current", "live", len(vm["vcpus"]))]
    return "".join(f"{what:<12} {which:<12} {count:>3}\n" for what, which, count in rows) + "\n"


@command("vcpuinfo", "<domain>", "detailed domain vcpu information")
def vcpuinfo(lab: Lab, arguments: Arguments) -> str:
    """Return where each vCPU of a VM is and how long it had a pCPU."""
    vm = domain(lab, arguments["domain"])
    allowed = _allowed(lab, vm)
    parts = [
        pairs(
            {
                "VCPU": vcpu["index"],
                "CPU": "N/A" if vcpu["last_pcpu"] is None else vcpu["last_pcpu"],
                "State": VCPU_STATES[vcpu["state"]][1],
                "CPU time": f"{to_ns(lab, held_cycles(vcpu)) / 1e9:.1f}s",
                "CPU Affinity": allowed,
            },
            16,
        )
        for vcpu in vm["vcpus"]
        if is_on(vm)
    ]
    return "".join(parts) or "\n"


def _allowed(lab: Lab, vm: VmView) -> str:
    """Return a letter for each pCPU: y where the VM may run, else a hyphen."""
    return "".join(
        "y" if not vm["affinity"] or pcpu in vm["affinity"] else "-" for pcpu in range(lab.host_config.pcpus)
    )


@command("vcpupin", "<domain> [<vcpu>] [<cpulist>]", "control or query domain vcpu affinity")
def vcpupin(lab: Lab, arguments: Arguments) -> str | Change:
    """Return, or change, the pCPUs that a VM may run on: all its vCPUs together."""
    vm = domain(lab, arguments["domain"])
    if "cpulist" in arguments:
        action = {"verb": "set_vm", "vm": vm["name"], "affinity": arguments["cpulist"]}
        return Change(action, "\n", f"Failed to pin domain '{vm['name']}'")
    allowed = format_pcpus(vm["affinity"] or range(lab.host_config.pcpus))
    count = len(vm["vcpus"]) if is_on(vm) else lab.vm_configs[vm["name"]].vcpus
    wanted = range(count) if "vcpu" not in arguments else [_count(arguments["vcpu"], "vcpu")]
    return table(("VCPU", "CPU Affinity"), [(str(index), allowed) for index in wanted])


@command(
    "schedinfo",
    "<domain> [--weight <number>] [--cap <number>] [--set <setting>]",
    "show/set scheduler parameters",
)
def schedinfo(lab: Lab, arguments: Arguments) -> str | Change:
    """Return, or change, what the scheduler knows of a VM."""
    vm = domain(lab, arguments["domain"])
    changes = {key: arguments[key] for key in ("weight", "cap") if key in arguments}
    if "set" in arguments:
        key, _, value = arguments["set"].partition("=")
        if key not in ("weight", "cap", "reservation", "period") or not value:
            raise VirshError("--set takes weight=, cap=, reservation= or period=, e.g. --set weight=512")
        changes[key] = value
    if not changes:
        return _schedule(lab, vm["name"])
    numbers = {key: int(value) if value.isdecimal() else value for key, value in changes.items()}
    after = "\n".join(f"{key:<15}: {value}" for key, value in changes.items())
    done = f"{'Scheduler':<15}: {lab.host_config.scheduler}\n{after}\n\n"
    return Change({"verb": "set_vm", "vm": vm["name"], **numbers}, done, "Failed to set scheduler parameters")


def _schedule(lab: Lab, name: str) -> str:
    values = lab.vm_configs[name].cpu.full_dict()
    shown = {
        "Scheduler": lab.host_config.scheduler,
        **{key: value for key, value in values.items() if value != ""},
    }
    return "".join(f"{key:<15}: {value}\n" for key, value in shown.items()) + "\n"


@command("cpu-stats", "<domain>", "show domain cpu statistics")
def cpu_stats(lab: Lab, arguments: Arguments) -> str:
    """Return the CPU time of a VM."""
    vm = domain(lab, arguments["domain"])
    if not is_on(vm):
        raise VirshError("Requested operation is not valid: domain is not running; start it first")
    return f"Total:\n\tcpu_time {cpu_ns(lab, vm) / 1e9:>18.9f} seconds\n\n"


@command("domstats", "[<domain>]", "get statistics about one or multiple domains", "Monitoring")
def domstats(lab: Lab, arguments: Arguments) -> str:
    """Return the counters of one VM, or of all."""
    chosen = [domain(lab, arguments["domain"])] if "domain" in arguments else all_domains(lab)
    return "".join(
        f"Domain: '{vm['name']}'\n" + "".join(f"  {key}={value}\n" for key, value in _stats(lab, vm)) + "\n"
        for vm in chosen
    )


def _stats(lab: Lab, vm: VmView) -> Iterator[tuple[str, int]]:
    yield "state.state", STATES[vm["state"]][0]
    yield "balloon.current", _given(lab, vm) >> 10
    yield "balloon.maximum", vm["memory_bytes"] >> 10
    if not is_on(vm):
        return
    yield "cpu.time", cpu_ns(lab, vm)
    yield "cpu.user", to_ns(lab, sum(vcpu["run_cycles"] for vcpu in vm["vcpus"]))
    yield "cpu.system", to_ns(lab, sum(vcpu["hypervisor_cycles"] for vcpu in vm["vcpus"]))
    yield "vcpu.current", len(vm["vcpus"])
    yield "vcpu.maximum", MAX_PCPUS
    for vcpu in vm["vcpus"]:
        prefix = f"vcpu.{vcpu['index']}"
        yield f"{prefix}.state", VCPU_STATES[vcpu["state"]][0]
        yield f"{prefix}.time", to_ns(lab, held_cycles(vcpu))
        yield f"{prefix}.delay", to_ns(lab, vcpu["ready_cycles"])
        yield f"{prefix}.wait", to_ns(lab, vcpu["idle_cycles"])
    for reason, count in sorted(vm["exits"].items()):
        yield f"exits.{reason.replace(' ', '_')}", count


@command("dommemstat", "<domain>", "get memory statistics for a domain", "Monitoring")
def dommemstat(lab: Lab, arguments: Arguments) -> str:
    """Return how much memory a VM has and how much of the host's is behind it, in KiB."""
    vm = domain(lab, arguments["domain"])
    return f"actual {_given(lab, vm) >> 10}\nrss {(vm['frames_ram'] + vm['frames_table']) << 2}\n\n"
