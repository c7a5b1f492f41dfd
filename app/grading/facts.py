"""What checks may ask about a lab. The words and their types are those of `app.lessons.facts`."""

from typing import Protocol, TypedDict


class Fault(TypedDict):
    """An isolation fault: an access outside a VM's memory that the MMU refused."""

    cause: str
    gpa: int
    gva: int
    pc: int
    instruction: str
    neighbours_unchanged: bool


class Frames(TypedDict):
    """The frames that hold a VM's RAM: how many, and a digest of their content now and at its start."""

    count: int
    hash: str
    at_start: str
    unchanged: bool


class Event(TypedDict):
    """A line of the lab's log."""

    kind: str
    vm: str
    reason: str
    text: str
    at_ms: float


class Memory(TypedDict):
    """What stands behind a VM's memory, and how many pages its swapping moved."""

    kib: int
    resident_kib: int
    shared_kib: int
    swapped_kib: int
    balloon_kib: int
    swapped_in: int
    swapped_out: int


class Disk(TypedDict):
    """What a VM's disk has done."""

    reads: int
    writes: int
    flushes: int
    errors: int
    read_kib: int
    written_kib: int
    volume: str
    lost_kib: float


class Volume(TypedDict):
    """A volume of a pool; of one that is not there, everything is empty."""

    format: str
    thick: bool
    capacity_kib: int
    allocation_kib: int
    backing: str


class Network(TypedDict):
    """Frames of a VM's network card."""

    sent: int
    received: int
    dropped: int


class Walks(TypedDict):
    """What the MMU has counted for a VM."""

    references: int
    tlb_misses: int


class Facts(Protocol):
    """One method per function of `app.lessons.facts.FUNCTIONS`, with the same parameter names.

    Asked about a VM that is not defined, each answers as for a VM to which nothing ever happened.
    """

    def vms(self) -> list[str]: ...
    def state(self, vm: str) -> str: ...
    def starts(self, vm: str) -> int: ...
    def vcpus(self, vm: str) -> int: ...
    def memory_kib(self, vm: str) -> int: ...
    def console(self, vm: str) -> str: ...
    def history(self, vm: str) -> str: ...
    def exits(self, vm: str, reason: str = "", last: str = "") -> int: ...
    def exit_ms(self, vm: str, reason: str = "") -> float: ...
    def cpu_share(self, vm: str, last: str) -> float: ...
    def steal(self, vm: str, last: str) -> float: ...
    def idle_share(self, vm: str, last: str) -> float: ...
    def measured(self, vm: str, signal: str, last: str) -> float: ...
    def samples(self, vm: str, signal: str, last: str) -> list[float]: ...
    def events(self, kind: str, vm: str = "") -> list[Event]: ...
    def memory(self, vm: str) -> Memory: ...
    def host_free_kib(self) -> int: ...
    def disk(self, vm: str) -> Disk: ...
    def volume(self, name: str) -> Volume: ...
    def network(self, vm: str) -> Network: ...
    def walks(self, vm: str) -> Walks: ...
    def paging(self, vm: str) -> str: ...
    def instructions(self, vm: str) -> int: ...
    def scheduler(self) -> str: ...
    def weight(self, vm: str) -> int: ...
    def cap(self, vm: str) -> int: ...
    def reservation_mhz(self, vm: str) -> float: ...
    def affinity(self, vm: str) -> list[int]: ...
    def snapshots(self, vm: str) -> list[str]: ...
    def faults(self, vm: str) -> list[Fault]: ...
    def frames(self, vm: str) -> Frames: ...
    def ran(self, vm: str, other: str) -> bool: ...
    def run_ms(self, vm: str) -> float: ...
    def ready_ms(self, vm: str) -> float: ...
    def idle_ms(self, vm: str) -> float: ...
    def timeslice_us(self) -> int: ...
    def pcpus(self) -> int: ...
    def correct(self, question: str) -> bool: ...
    def time_ms(self) -> float: ...
