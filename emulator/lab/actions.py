"""What a student may do to a lab: one function for each verb.

Every action is checked completely before anything changes. It comes from a browser or a log, so nothing
about its shape is taken for granted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from emulator.errors import VmLabError
from emulator.hypervisor import lifecycle
from emulator.hypervisor.admission import AdmissionError
from emulator.hypervisor.hypervisor import Hypervisor
from emulator.hypervisor.vm import ON, Vm, VmState
from emulator.lab import defining
from emulator.lab.config import LIVE_VM_KEYS, VM_KEYS, HostConfig, VmConfig
from emulator.lab.device_faults import DEVICE_FAULT_VERBS
from emulator.lab.errors import LabError
from emulator.lab.memory_actions import MEMORY_VERBS
from emulator.lab.memory_config import HOST_MEMORY_KEYS
from emulator.lab.monitoring.rules import read_rules, sampling_interval
from emulator.lab.network_actions import NETWORK_VERBS
from emulator.lab.poking import POKING_VERBS
from emulator.lab.policies import POLICY_VERBS
from emulator.lab.programs import Program
from emulator.lab.snapshot_actions import SNAPSHOT_VERBS
from emulator.lab.storage_actions import STORAGE_VERBS
from emulator.lab.values import ConfigError, nearest

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]
MAX_INPUT_CHARACTERS = 4096
MAX_QUESTION_CHARACTERS = 200
MAX_ANSWER_CHARACTERS = 4096
MAX_ANSWERS = 500


def apply(lab: Lab, action: Mapping[str, Any]) -> Result:
    """Do an action. Raises LabError; then nothing has changed."""
    verb = action.get("verb")
    serve = VERBS.get(verb) if isinstance(verb, str) else None
    if serve is None:
        known = list(VERBS)
        hint = nearest(str(verb), known) or "; verbs are " + ", ".join(known)
        raise LabError(f"there is no verb {verb!r}{hint}", "verb")
    try:
        return serve(lab, {key: value for key, value in action.items() if key != "verb"})
    except LabError:
        raise
    except ConfigError as error:
        raise LabError(str(error), error.path) from error
    except AdmissionError as error:
        raise LabError(str(error), error.key) from error
    except VmLabError as error:
        raise LabError(str(error)) from error


def _note(lab: Lab, verb: str, text: str, vm: Vm | None = None) -> None:
    hypervisor = lab.hypervisor
    hypervisor.trace.log("action", verb, text, lab.position, hypervisor.now, vm.name if vm else None)


def _only(arguments: Mapping[str, Any], *known: str) -> None:
    for key in arguments:
        if key not in known:
            raise LabError(f"{key!r} is no part of this action; known: {', '.join(known)}", str(key))


def _lifecycle_verb(verb: str, act: Callable[[Lab, Vm], None]) -> Callable[[Lab, Result], Result]:
    """Return the function of a verb that needs nothing but a VM."""

    def serve(lab: Lab, arguments: Result) -> Result:
        _only(arguments, "vm")
        vm = lab.vm(arguments.get("vm"))
        act(lab, vm)
        return {"vm": vm.name, "state": vm.state.value}

    serve.__name__ = verb
    return serve


def _by_hypervisor(act: Callable[[Hypervisor, Vm], None]) -> Callable[[Lab, Vm], None]:
    return lambda lab, vm: act(lab.hypervisor, vm)


def _define(lab: Lab, arguments: Result) -> Result:
    """Define a VM: `vm` is a mapping as in a lesson, or the keys stand beside the verb."""
    given = arguments.get("vm")
    if isinstance(given, Mapping):
        _only(arguments, "vm")
        data: object = cast("Mapping[str, Any]", given)
    else:
        data = {"name": given, **arguments} if isinstance(given, str) else arguments
        data = {key: value for key, value in data.items() if key != "vm"}
    vm = defining.define(lab, VmConfig.from_dict(data, "vm"))
    _note(lab, "define", f"{vm.name} was defined", vm)
    return {"vm": vm.name, "index": vm.index}


def _undefine(lab: Lab, arguments: Result) -> Result:
    _only(arguments, "vm")
    vm = lab.vm(arguments.get("vm"))
    lifecycle.undefine(lab.hypervisor, vm)
    defining.forget(lab, vm.name)
    _note(lab, "undefine", f"{vm.name} was undefined")
    return {"vm": vm.name, "state": "undefined"}


def _set_vm(lab: Lab, arguments: Result) -> Result:
    vm = lab.vm(arguments.get("vm"))
    changes = {key: value for key, value in arguments.items() if key != "vm"}
    still = [key for key in changes if key not in LIVE_VM_KEYS]
    live = vm.lifecycle is not VmState.SHUT_OFF
    if live and (still or not changes or vm.lifecycle not in ON):
        what = ", ".join(still) or "it"
        raise LabError(
            f"cannot change {what} of {vm.name}: it is {vm.state.value}; force it to shut down first", "vm"
        )
    if not changes:
        raise LabError(f"nothing to change; give one of {', '.join(VM_KEYS)}", "vm")
    old = lab.vm_configs[vm.name]
    config = VmConfig.from_dict({**old.to_dict(), **changes}, "vm")
    if config.name != old.name and config.name in lab.hypervisor.vms:
        raise LabError(f"there is a VM {config.name!r} already; choose another name", "name")
    defining.require_program(lab, config.program, "program")
    defining.require_command_line_fits(lab, config)
    defining.require_volume(lab, config)
    defining.require_new_uuid(lab, config, old.name)
    if live:
        defining.reconfigure_cpu(lab, vm, config)
    else:
        defining.reconfigure(lab, vm, config)
    _note(lab, "set_vm", f"{config.name} was changed: {', '.join(sorted(changes))}", vm)
    return {"vm": vm.name, "was": {key: old.full_dict()[key] for key in changes}}


def _set_host(lab: Lab, arguments: Result) -> Result:
    own_keys = ("pcpus", "memory", "timeslice", "scheduler", "period", "offline", "costs", "vmid")
    keys = (*own_keys, *HOST_MEMORY_KEYS)
    _only(arguments, *keys)
    if not arguments:
        raise LabError(f"nothing to change; give one of {', '.join(keys)}")
    config = HostConfig.from_dict({**lab.host_config.to_dict(), **arguments})
    old = lab.host_config
    if (config.pcpus, config.memory) != (old.pcpus, old.memory) or config.giving.differs(old.giving):
        lab.replace_host(config)
    else:
        defining.reconfigure_host(lab, config)
    _note(lab, "set_host", f"the host was changed: {', '.join(sorted(arguments))}")
    was = {key: value for key, value in old.full_dict().items() if key in arguments}
    return {"host": config.to_dict(), "was": was}


def _set_rules(lab: Lab, arguments: Result) -> Result:
    """Watch other rules (`rules`), or take samples more or less often (`sampling`)."""
    _only(arguments, "rules", "sampling")
    if not arguments:
        raise LabError("nothing to change; give rules or sampling")
    monitor = lab.monitor
    rules = read_rules(arguments["rules"]) if "rules" in arguments else monitor.rules
    every = sampling_interval(arguments["sampling"]) if "sampling" in arguments else monitor.every_ns
    was = lab.config.to_dict()
    monitor.set_rules(rules)
    monitor.every_ns = every
    names = ", ".join(rule.name for rule in rules) or "none"
    _note(lab, "set_rules", f"rules are now: {names}")
    return {"was": {key: was.get(key, [] if key == "rules" else "10 ms") for key in arguments}}


def _set_program(lab: Lab, arguments: Result) -> Result:
    """Assemble a VM's program; it starts anew if it is on."""
    _only(arguments, "vm", "source")
    vm = lab.vm(arguments.get("vm"))
    source = arguments.get("source")
    if not isinstance(source, str):
        raise LabError("source must be the text of an assembly program", "source")
    program = Program(lab.vm_configs[vm.name].program, source=source)
    restarted = defining.change_program(lab, vm, program)
    _note(lab, "set_program", f"the program of {vm.name} was changed", vm)
    return {"vm": vm.name, "restarted": restarted, "state": vm.state.value}


def _console_input(lab: Lab, arguments: Result) -> Result:
    _only(arguments, "vm", "text")
    vm, text = lab.vm(arguments.get("vm")), arguments.get("text")
    if not isinstance(text, str) or len(text) > MAX_INPUT_CHARACTERS:
        raise LabError(f"text must be a text of at most {MAX_INPUT_CHARACTERS} characters", "text")
    if not lab.is_on(vm):
        raise LabError(f"cannot type into {vm.name}: it is {vm.state.value}; start it first", "vm")
    dropped = lab.hypervisor.type(vm, text)
    lab.revision.advance()
    return {"vm": vm.name, "dropped": dropped}


def _answer(lab: Lab, arguments: Result) -> Result:
    _only(arguments, "question", "value")
    question, value = arguments.get("question"), arguments.get("value")
    if not isinstance(question, str) or not 0 < len(question) <= MAX_QUESTION_CHARACTERS:
        raise LabError("question must be the id of a question", "question")
    if question not in lab.answers and len(lab.answers) >= MAX_ANSWERS:
        raise LabError("there are too many answers", "question")
    if value is None or not _is_answer(value):
        raise LabError("value must be a text, a number, true or false, or a list of texts", "value")
    lab.answers[question] = value
    lab.revision.advance()
    return {"question": question, "value": value}


def _is_answer(value: object) -> bool:
    if isinstance(value, list):
        items = cast("list[object]", value)
        return len(items) <= 50 and all(isinstance(item, str) and len(item) <= 200 for item in items)
    if isinstance(value, str):
        return len(value) <= MAX_ANSWER_CHARACTERS
    if isinstance(value, float):
        return value == value and abs(value) != float("inf")
    return isinstance(value, bool) or (isinstance(value, int) and abs(value) < 1 << 64)


def _reset_lab(lab: Lab, arguments: Result) -> Result:
    _only(arguments)
    lab.reset()
    _note(lab, "reset_lab", "the lab was reset")
    return {}


VERBS: dict[str, Callable[[Lab, Result], Result]] = {
    "start": _lifecycle_verb("start", lambda lab, vm: defining.start(lab, vm)),
    "shutdown": _lifecycle_verb("shutdown", _by_hypervisor(lifecycle.shutdown)),
    "destroy": _lifecycle_verb("destroy", _by_hypervisor(lifecycle.destroy)),
    "reboot": _lifecycle_verb("reboot", _by_hypervisor(lifecycle.reboot)),
    "reset": _lifecycle_verb("reset", _by_hypervisor(lifecycle.reset)),
    "suspend": _lifecycle_verb("suspend", _by_hypervisor(lifecycle.suspend)),
    "resume": _lifecycle_verb("resume", _by_hypervisor(lifecycle.resume)),
    "undefine": _undefine,
    "define": _define,
    "set_vm": _set_vm,
    "set_host": _set_host,
    "set_rules": _set_rules,
    "set_program": _set_program,
    "console_input": _console_input,
    "answer": _answer,
    "reset_lab": _reset_lab,
    **SNAPSHOT_VERBS,
    **STORAGE_VERBS,
    **NETWORK_VERBS,
    **MEMORY_VERBS,
    **DEVICE_FAULT_VERBS,
    **POLICY_VERBS,
    **POKING_VERBS,
}
