"""Facts as they might stand in a report, to evaluate expressions over."""

from dataclasses import dataclass

import pytest

from app.grading.facts import Disk, Event, Fault, Frames, Memory, Network, Volume, Walks

FAULT: Fault = {
    "cause": "load guest-page fault",
    "gpa": 0x8010_0000,
    "gva": 0x8010_0000,
    "pc": 0x8000_0010,
    "instruction": "lbu t1, 0(s0)",
    "neighbours_unchanged": True,
}


@dataclass
class RecordedFacts:
    """VM a printed and switched itself off; VM b hit the wall."""

    timeslice: int = 1000

    def vms(self) -> list[str]:
        return ["a", "b"]

    def state(self, vm: str) -> str:
        return {"a": "shut off", "b": "crashed"}.get(vm, "undefined")

    def starts(self, vm: str) -> int:
        return int(vm in self.vms())

    def vcpus(self, vm: str) -> int:
        return int(vm in self.vms())

    def memory_kib(self, vm: str) -> int:
        return 1024

    def console(self, vm: str) -> str:
        return "Hello from inside!\n" if vm == "a" else ""

    def history(self, vm: str) -> str:
        return self.console(vm)

    def exits(self, vm: str, reason: str = "", last: str = "") -> int:
        counts = {"sbi": 20, "timer": 1} if vm == "a" else {}
        return counts.get(reason, 0) if reason else sum(counts.values())

    def faults(self, vm: str) -> list[Fault]:
        return [FAULT] if vm == "b" else []

    def frames(self, vm: str) -> Frames:
        return {"count": 256, "hash": "abc", "at_start": "abc", "unchanged": True}

    def ran(self, vm: str, other: str) -> bool:
        return {vm, other} <= {"a", "b"}

    def run_ms(self, vm: str) -> float:
        return 2.5

    def ready_ms(self, vm: str) -> float:
        return 0.0

    def idle_ms(self, vm: str) -> float:
        return 0.0

    def exit_ms(self, vm: str, reason: str = "") -> float:
        return 0.2

    def cpu_share(self, vm: str, last: str) -> float:
        return 0.75 if vm == "a" else 0.25

    def steal(self, vm: str, last: str) -> float:
        return 0.5

    def idle_share(self, vm: str, last: str) -> float:
        return 0.0

    def measured(self, vm: str, signal: str, last: str) -> float:
        return 12.0

    def samples(self, vm: str, signal: str, last: str) -> list[float]:
        return [10.0, 14.0]

    def events(self, kind: str, vm: str = "") -> list[Event]:
        return [{"kind": kind, "vm": vm, "reason": "running", "text": "VM a runs", "at_ms": 1.0}]

    def memory(self, vm: str) -> Memory:
        return {
            "kib": 1024,
            "resident_kib": 512,
            "shared_kib": 0,
            "swapped_kib": 0,
            "balloon_kib": 0,
            "swapped_in": 0,
            "swapped_out": 0,
        }

    def host_free_kib(self) -> int:
        return 4096

    def disk(self, vm: str) -> Disk:
        return {
            "reads": 1,
            "writes": 2,
            "flushes": 0,
            "errors": 0,
            "read_kib": 1,
            "written_kib": 1,
            "volume": "",
            "lost_kib": 0.0,
        }

    def volume(self, name: str) -> Volume:
        return {"format": "", "thick": False, "capacity_kib": 0, "allocation_kib": 0, "backing": ""}

    def network(self, vm: str) -> Network:
        return {"sent": 3, "received": 2, "dropped": 0}

    def walks(self, vm: str) -> Walks:
        return {"references": 100, "tlb_misses": 9}

    def paging(self, vm: str) -> str:
        return "nested"

    def instructions(self, vm: str) -> int:
        return 1000

    def scheduler(self) -> str:
        return "credit"

    def weight(self, vm: str) -> int:
        return 256

    def cap(self, vm: str) -> int:
        return 0

    def reservation_mhz(self, vm: str) -> float:
        return 30.0

    def affinity(self, vm: str) -> list[int]:
        return [1]

    def snapshots(self, vm: str) -> list[str]:
        return ["before"]

    def timeslice_us(self) -> int:
        return self.timeslice

    def pcpus(self) -> int:
        return 2

    def correct(self, question: str) -> bool:
        return question == "one"

    def time_ms(self) -> float:
        return 10.0


@pytest.fixture
def facts() -> RecordedFacts:
    """Return facts of a lab in which VM a was well and VM b was not."""
    return RecordedFacts()
