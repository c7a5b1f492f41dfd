"""The words of check expressions: every function over a lab's state and history, with its types.

This is the vocabulary only; `app.grading.facts` looks the facts up. Names and reasons are those of the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from emulator.hypervisor.costs import BY_REASON
from emulator.hypervisor.scheduler import POLICIES
from emulator.hypervisor.storage.state import VolumeFormat
from emulator.isa.causes import EXCEPTIONS
from emulator.lab.actions import VERBS
from emulator.lab.config import Paging
from emulator.lab.monitoring.signals import SIGNALS
from emulator.lab.observation import EventKind, VmState

REASONS = tuple(BY_REASON)
STATES = (*get_args(VmState), "undefined")


@dataclass(frozen=True)
class Type:
    """A type of the language; `item` is the element type of a list, `values` all that a text can be.

    Of a text that is a name, `names` says of what; of an event, `about` is its kind if that is known.
    """

    name: str
    item: "Type | None" = None
    values: tuple[str, ...] = ()
    names: Literal["", "vm", "volume", "snapshot"] = ""
    about: str = ""

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
KIND = Type("text", values=get_args(EventKind))
SIGNAL = Type("text", values=tuple(SIGNALS))
VM_NAME, VOLUME_NAME, SNAPSHOT_NAME = (
    Type("text", names="vm"),
    Type("text", names="volume"),
    Type("text", names="snapshot"),
)
CAUSE = Type("text", values=tuple(cause.name for cause in EXCEPTIONS.values()))
FAULT, FRAMES, EVENT, MEMORY = Type("fault"), Type("frames"), Type("event"), Type("memory")
DISK, NETWORK, WALKS, VOLUME = Type("disk"), Type("network"), Type("walks"), Type("volume")


def list_of(item: Type) -> Type:
    """Return the type of a list."""
    return Type("list", item)


RECORDS: Mapping[str, Mapping[str, Type]] = {
    "fault": {
        "cause": CAUSE,
        "gpa": INT,
        "gva": INT,
        "pc": INT,
        "instruction": TEXT,
        "neighbours_unchanged": BOOL,
    },
    "frames": {"count": INT, "hash": TEXT, "at_start": TEXT, "unchanged": BOOL},
    "event": {"kind": KIND, "vm": VM_NAME, "reason": TEXT, "text": TEXT, "at_ms": DOUBLE},
    "memory": {
        "kib": INT,
        "resident_kib": INT,
        "shared_kib": INT,
        "swapped_kib": INT,
        "balloon_kib": INT,
        "swapped_in": INT,
        "swapped_out": INT,
    },
    "disk": {
        "reads": INT,
        "writes": INT,
        "flushes": INT,
        "errors": INT,
        "read_kib": INT,
        "written_kib": INT,
        "volume": VOLUME_NAME,
        "lost_kib": DOUBLE,
    },
    "volume": {
        "format": Type("text", values=(*get_args(VolumeFormat), "")),
        "thick": BOOL,
        "capacity_kib": INT,
        "allocation_kib": INT,
        "backing": VOLUME_NAME,
    },
    "network": {"sent": INT, "received": INT, "dropped": INT},
    "walks": {"references": INT, "tlb_misses": INT},
    "int": {"count": INT},
}
"""Fields by type. A number may be asked for its `count`, so that `exits("a").count` reads well."""

EVENT_REASONS: Mapping[str, Type] = {
    "action": Type("text", values=tuple(VERBS)),
    "exit": REASON,
    "fault": CAUSE,
}
"""What the `reason` of an event of some kinds can be."""


@dataclass(frozen=True)
class Parameter:
    """A parameter of a function. `names` says what it must name; an optional one may be left out."""

    name: str
    type: Type
    names: Literal["", "vm", "question", "volume", "duration"] = ""
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
_LAST = Parameter("last", TEXT, names="duration")
_REASON = Parameter("reason", REASON, optional=True)

FUNCTIONS: Mapping[str, Function] = {
    function.name: function
    for function in (
        Function(
            "vms", (), list_of(VM_NAME), "the list of defined VMs", "names of the VMs that are defined now"
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
            (_VM, _REASON, Parameter("last", TEXT, names="duration", optional=True)),
            INT,
            "the number of {reason} exits of VM {vm}{ in the last }{last}",
            "exits since the VM was started or in the time given, of one reason or of all",
        ),
        Function(
            "exit_ms",
            (_VM, _REASON),
            DOUBLE,
            "the time spent on {reason} exits of VM {vm} in ms",
            "pCPU time that the hypervisor spent on its exits since it was started",
        ),
        Function(
            "cpu_share",
            (_VM, _LAST),
            DOUBLE,
            "the share of a pCPU that VM {vm} held in the last {last}",
            "pCPU time that it held, guest and exits; 1 is one pCPU",
        ),
        Function(
            "steal",
            (_VM, _LAST),
            DOUBLE,
            "the steal time of VM {vm} in the last {last}, as a share",
            "part of the time in which its vCPUs wanted a pCPU and had none",
        ),
        Function(
            "idle_share",
            (_VM, _LAST),
            DOUBLE,
            "the idle time of VM {vm} in the last {last}, as a share",
            "part of the time in which its vCPUs slept",
        ),
        Function(
            "measured",
            (_VM, Parameter("signal", SIGNAL), _LAST),
            DOUBLE,
            "{signal} of VM {vm} in the last {last}",
            "a signal of the monitor, over the time given",
        ),
        Function(
            "samples",
            (_VM, Parameter("signal", SIGNAL), _LAST),
            list_of(DOUBLE),
            "{signal} of VM {vm}, sample by sample, in the last {last}",
            "the same for each interval between two samples of the monitor",
        ),
        Function(
            "events",
            (Parameter("kind", KIND), Parameter("vm", TEXT, names="vm", optional=True)),
            list_of(EVENT),
            "the list of {kind} events of VM {vm}",
            "lines of the lab's log, oldest first",
        ),
        Function("memory", (_VM,), MEMORY, "the memory of VM {vm}", "what stands behind its memory"),
        Function("host_free_kib", (), INT, "the host's free memory in KiB", "memory that nobody owns"),
        Function("disk", (_VM,), DISK, "the disk of VM {vm}", "what its disk has done"),
        Function(
            "volume",
            (Parameter("name", TEXT, names="volume"),),
            VOLUME,
            "the volume {name}",
            "what a volume of a pool is and takes",
        ),
        Function("network", (_VM,), NETWORK, "the network card of VM {vm}", "frames of its network card"),
        Function("walks", (_VM,), WALKS, "the page walks of VM {vm}", "what the MMU has counted"),
        Function(
            "paging",
            (_VM,),
            Type("text", values=(*get_args(Paging), "")),
            "the paging of VM {vm}",
            "nested or shadow; empty if undefined",
        ),
        Function("instructions", (_VM,), INT, "the instructions of VM {vm}", "retired since its start"),
        Function(
            "scheduler",
            (),
            Type("text", values=tuple(POLICIES)),
            "the host's scheduler",
            "the scheduler now",
        ),
        Function("weight", (_VM,), INT, "the weight of VM {vm}", "its CPU weight now"),
        Function("cap", (_VM,), INT, "the cap of VM {vm} in percent", "of one pCPU; 0 is none"),
        Function(
            "reservation_mhz",
            (_VM,),
            DOUBLE,
            "the reservation of VM {vm} in MHz",
            "pCPU time that it is guaranteed",
        ),
        Function("affinity", (_VM,), list_of(INT), "the pCPUs of VM {vm}", "those it may run on; empty: all"),
        Function(
            "snapshots",
            (_VM,),
            list_of(SNAPSHOT_NAME),
            "the snapshots of VM {vm}",
            "their names, oldest first",
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
