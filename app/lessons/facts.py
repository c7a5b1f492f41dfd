"""The words of check expressions: every function over a lab's state and history, with its types.

This is the vocabulary only; `app.grading.facts` looks the facts up. Names and reasons are those of the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from emulator.lab.observation import VmState

REASONS = (
    "guest page fault",
    "mmio",
    "sbi",
    "wfi",
    "timer",
    "external interrupt",
    "virtual instruction",
    "budget",
)
STATES = (*get_args(VmState), "undefined")


@dataclass(frozen=True)
class Type:
    """A type of the language; `item` is the element type of a list, `values` all that a text can be."""

    name: str
    item: "Type | None" = None
    values: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"list of {self.item}" if self.item else self.name

    def accepts(self, other: "Type") -> bool:
        """Return whether a value of the other type can stand here (an int can stand for a double)."""
        if self.item and other.item:
            return self.item.accepts(other.item)
        return self.name == other.name or (self.name, other.name) == ("double", "int")


BOOL, INT, DOUBLE, TEXT = Type("bool"), Type("int"), Type("double"), Type("text")
REASON = Type("text", values=REASONS)
STATE = Type("text", values=STATES)
FAULT, FRAMES = Type("fault"), Type("frames")


def list_of(item: Type) -> Type:
    """Return the type of a list."""
    return Type("list", item)


RECORDS: Mapping[str, Mapping[str, Type]] = {
    "fault": {
        "cause": TEXT,
        "gpa": INT,
        "gva": INT,
        "pc": INT,
        "instruction": TEXT,
        "neighbours_unchanged": BOOL,
    },
    "frames": {"count": INT, "hash": TEXT, "at_start": TEXT, "unchanged": BOOL},
}


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function. `names` says what it must name; an optional one may be left out."""

    name: str
    type: Type
    names: Literal["", "vm", "question"] = ""
    optional: bool = False


@dataclass(frozen=True)
class Function:
    """A function over the lab: `phrase` names its value in the messages that students read."""

    name: str
    parameters: tuple[Parameter, ...]
    result: Type
    phrase: str
    meaning: str


_VM = Parameter("vm", TEXT, names="vm")

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Function(
            "vms", (), list_of(TEXT), "the list of defined VMs", "names of the VMs that are defined now"
        ),
        Function(
            "state", (_VM,), STATE, "the state of VM {vm}", "state now; undefined if there is no such VM"
        ),
        Function("starts", (_VM,), INT, "the number of starts of VM {vm}", "how often the VM was started"),
        Function("vcpus", (_VM,), INT, "the number of vCPUs of VM {vm}", "vCPUs now; 0 if undefined"),
        Function("memory_kib", (_VM,), INT, "the memory of VM {vm} in KiB", "memory now; 0 if undefined"),
        Function(
            "console", (_VM,), TEXT, "the console of VM {vm}", "all text written since the VM was started"
        ),
        Function(
            "history", (_VM,), TEXT, "everything VM {vm} ever printed", "console text of all its starts"
        ),
        Function(
            "exits",
            (_VM, Parameter("reason", REASON, optional=True)),
            INT,
            "the number of {reason} exits of VM {vm}",
            "exits since the VM was started, of one reason or of all",
        ),
        Function(
            "faults",
            (_VM,),
            list_of(FAULT),
            "the list of faults of VM {vm}",
            "isolation faults, oldest first",
        ),
        Function("frames", (_VM,), FRAMES, "the frames of VM {vm}", "the frames that hold the VM's RAM"),
        Function(
            "ran",
            (_VM, Parameter("other", TEXT, names="vm")),
            BOOL,
            "VM {vm} and VM {other} ran at the same time",
            "whether both were on pCPUs at the same virtual time, ever",
        ),
        Function("run_ms", (_VM,), DOUBLE, "the run time of VM {vm} in ms", "virtual time on pCPUs"),
        Function("ready_ms", (_VM,), DOUBLE, "the ready time of VM {vm} in ms", "ready (steal) time"),
        Function("idle_ms", (_VM,), DOUBLE, "the idle time of VM {vm} in ms", "idle time"),
        Function("timeslice_us", (), INT, "the host's timeslice in µs", "the scheduler's timeslice now"),
        Function("pcpus", (), INT, "the number of pCPUs", "pCPUs of the host now"),
        Function(
            "correct",
            (Parameter("question", TEXT, names="question"),),
            BOOL,
            "the question {question} is answered correctly",
            "whether a predict-question was answered correctly",
        ),
        Function("time_ms", (), DOUBLE, "the virtual time in ms", "virtual time now"),
    )
}

METHODS: Mapping[tuple[str, str], tuple[tuple[Type, ...], Type]] = {
    ("text", "contains"): ((TEXT,), BOOL),
    ("text", "startsWith"): ((TEXT,), BOOL),
    ("text", "endsWith"): ((TEXT,), BOOL),
    ("text", "count"): ((TEXT,), INT),
    ("text", "size"): ((), INT),
    ("list", "size"): ((), INT),
}
MACROS = ("exists", "all", "filter", "map")
