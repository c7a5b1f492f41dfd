"""The facts of a real lab, read once from what it shows; nothing in the lab changes."""

from collections.abc import Mapping
from typing import Literal

from app.grading.facts import Disk, Event, Fault, Frames, Memory, Network, Volume, Walks
from app.grading.windows import Windows
from app.lessons.errors import LessonError
from app.lessons.model import Lesson
from emulator.lab import Lab
from emulator.lab.observation import FaultView, VmView

NS_PER_MS = 1_000_000
HZ_PER_MHZ = 1_000_000
KIB_PER_PAGE = 4


class LabFacts:
    """Implements `app.grading.facts.Facts` for a lab as it stands now."""

    def __init__(self, lesson: Lesson, lab: Lab, answers: Mapping[str, object]) -> None:
        """Take one whole observation; `answers` are the student's, by question."""
        self._lesson = lesson
        self._lab = lab
        self._answers = answers
        self._seen = lab.observe(None)
        self._vms: dict[str, VmView] = {vm["name"]: vm for vm in self._seen["vms"]}
        self._windows = Windows(lab)

    def vms(self) -> list[str]:
        return list(self._vms)

    def state(self, vm: str) -> str:
        return self._vms[vm]["state"] if vm in self._vms else "undefined"

    def starts(self, vm: str) -> int:
        return self._vms[vm]["starts"] if vm in self._vms else 0

    def vcpus(self, vm: str) -> int:
        return len(self._vms[vm]["vcpus"]) if vm in self._vms else 0

    def memory_kib(self, vm: str) -> int:
        return self._vms[vm]["memory_bytes"] // 1024 if vm in self._vms else 0

    def console(self, vm: str) -> str:
        return self._lab.console(vm) if vm in self._vms else ""

    def history(self, vm: str) -> str:
        return self._lab.history(vm) if vm in self._vms else ""

    def exits(self, vm: str, reason: str = "", last: str = "") -> int:
        if vm not in self._vms:
            return 0
        if last:
            return self._windows.exits(vm, reason, last)
        return self._vms[vm]["exits"].get(reason, 0) if reason else self._vms[vm]["exits_total"]

    def faults(self, vm: str) -> list[Fault]:
        return [_fault(story) for story in self._lab.faults(vm)]

    def frames(self, vm: str) -> Frames:
        if vm not in self._vms:
            return {"count": 0, "hash": "", "at_start": "", "unchanged": False}
        digest = self._lab.digest(vm)
        return {
            "count": digest["frames"],
            "hash": digest["digest"],
            "at_start": digest["at_start"],
            "unchanged": digest["unchanged"],
        }

    def ran(self, vm: str, other: str) -> bool:
        pairs = {frozenset(pair) for pair in self._seen["together"]}
        return frozenset((vm, other)) in pairs

    def run_ms(self, vm: str) -> float:
        return self._cycles(vm, "run_cycles")

    def ready_ms(self, vm: str) -> float:
        return self._cycles(vm, "ready_cycles")

    def idle_ms(self, vm: str) -> float:
        return self._cycles(vm, "idle_cycles")

    def exit_ms(self, vm: str, reason: str = "") -> float:
        cycles = self._vms[vm]["exit_cycles"] if vm in self._vms else {}
        spent = cycles.get(reason, 0) if reason else sum(cycles.values())
        return spent * 1000 / self._seen["host"]["clock_hz"]

    def cpu_share(self, vm: str, last: str) -> float:
        return self._windows.share(vm, "cpu", last) if vm in self._vms else 0.0

    def steal(self, vm: str, last: str) -> float:
        return self._windows.share(vm, "ready", last) if vm in self._vms else 0.0

    def idle_share(self, vm: str, last: str) -> float:
        return self._windows.share(vm, "idle", last) if vm in self._vms else 0.0

    def measured(self, vm: str, signal: str, last: str) -> float:
        return self._windows.measured(vm, signal, last) if vm in self._vms else 0.0

    def samples(self, vm: str, signal: str, last: str) -> list[float]:
        return self._windows.samples(vm, signal, last) if vm in self._vms else []

    def events(self, kind: str, vm: str = "") -> list[Event]:
        if kind == "console":
            return [line for name in self._vms if vm in ("", name) for line in self._lines(name)]
        return [
            {
                "kind": event["kind"],
                "vm": event["vm"] or "",
                "reason": event["reason"],
                "text": event["text"],
                "at_ms": event["at_ns"] / NS_PER_MS,
            }
            for event in self._seen["events"]
            if event["kind"] == kind and vm in ("", event["vm"])
        ]

    def _lines(self, vm: str) -> list[Event]:
        """Return the lines that a VM has printed, also those that it has forgotten since, by a revert."""
        text = ""
        lines: list[Event] = []
        for name, _, end, piece in self._lab.hypervisor.trace.prints:
            *whole, text = (text + piece).split("\n") if name == vm else (text,)
            at_ms = end * 1000 / self._seen["host"]["clock_hz"]
            for one in whole:
                lines.append({"kind": "console", "vm": vm, "reason": "line", "text": one, "at_ms": at_ms})
        return lines

    def memory(self, vm: str) -> Memory:
        pages = self._vms[vm]["memory"] if vm in self._vms else None
        return {
            "kib": self.memory_kib(vm),
            "resident_kib": pages["resident"] * KIB_PER_PAGE if pages else 0,
            "shared_kib": pages["shared"] * KIB_PER_PAGE if pages else 0,
            "swapped_kib": pages["swapped"] * KIB_PER_PAGE if pages else 0,
            "balloon_kib": pages["balloon"] * KIB_PER_PAGE if pages else 0,
            "swapped_in": pages["swapped_in"] if pages else 0,
            "swapped_out": pages["swapped_out"] if pages else 0,
        }

    def host_free_kib(self) -> int:
        return self._lab.hypervisor.partition.free_count * KIB_PER_PAGE

    def disk(self, vm: str) -> Disk:
        found = [disk for disk in self._lab.storage()["disks"] if disk["vm"] == vm]
        return {
            "reads": sum(disk["reads"] for disk in found),
            "writes": sum(disk["writes"] for disk in found),
            "flushes": sum(disk["flushes"] for disk in found),
            "errors": sum(disk["errors"] for disk in found),
            "read_kib": sum(disk["read_bytes"] for disk in found) // 1024,
            "written_kib": sum(disk["written_bytes"] for disk in found) // 1024,
            "volume": found[0]["volume"] if found else "",
            "lost_kib": sum(disk["lost_bytes"] for disk in found) / 1024,
        }

    def volume(self, name: str) -> Volume:
        found = self._lab.hypervisor.storage.state.volumes.get(name)
        return {
            "format": found.format if found else "",
            "thick": bool(found and found.preallocated),
            "capacity_kib": found.capacity // 1024 if found else 0,
            "allocation_kib": found.allocation // 1024 if found else 0,
            "backing": found.backing if found else "",
        }

    def network(self, vm: str) -> Network:
        networks = self._lab.networks()
        ports = [port for each in networks for port in each["ports"] if port["name"] == vm]
        return {
            "sent": sum(port["sent"] for port in ports),
            "received": sum(port["received"] for port in ports),
            "dropped": sum(sum(port["dropped"].values()) for port in ports),
        }

    def walks(self, vm: str) -> Walks:
        if vm not in self._vms:
            return {"references": 0, "tlb_misses": 0}
        counted = self._vms[vm]["translations"]
        return {
            "references": counted["walk_references"],
            "tlb_misses": counted["itlb_misses"] + counted["dtlb_misses"],
        }

    def paging(self, vm: str) -> str:
        return self._vms[vm]["paging"] if vm in self._vms else ""

    def instructions(self, vm: str) -> int:
        return sum(vcpu["retired"] for vcpu in self._vms[vm]["vcpus"]) if vm in self._vms else 0

    def scheduler(self) -> str:
        return self._seen["host"]["scheduler"]

    def weight(self, vm: str) -> int:
        return self._vms[vm]["weight"] if vm in self._vms else 0

    def cap(self, vm: str) -> int:
        return self._vms[vm]["cap"] if vm in self._vms else 0

    def reservation_mhz(self, vm: str) -> float:
        return self._vms[vm]["reservation_hz"] / HZ_PER_MHZ if vm in self._vms else 0.0

    def affinity(self, vm: str) -> list[int]:
        return list(self._vms[vm]["affinity"]) if vm in self._vms else []

    def snapshots(self, vm: str) -> list[str]:
        return [taken["name"] for taken in self._lab.snapshots(vm)] if vm in self._vms else []

    def timeslice_us(self) -> int:
        return self._seen["host"]["timeslice_ns"] // 1000

    def pcpus(self) -> int:
        return len(self._seen["host"]["pcpus"])

    def correct(self, question: str) -> bool:
        if question not in self._answers:
            return False
        try:
            return self._lesson.question(question).judge(self._answers[question]).correct
        except LessonError:
            return False

    def time_ms(self) -> float:
        return self._seen["now_ns"] / NS_PER_MS

    def _cycles(self, vm: str, kind: Literal["run_cycles", "ready_cycles", "idle_cycles"]) -> float:
        if vm not in self._vms:
            return 0.0
        cycles = sum(vcpu[kind] for vcpu in self._vms[vm]["vcpus"])
        return cycles * 1000 / self._seen["host"]["clock_hz"]


def _fault(story: FaultView) -> Fault:
    return {
        "cause": story["cause_name"],
        "gpa": int(story["gpa"], 16),
        "gva": int(story["gva"], 16),
        "pc": int(story["pc"], 16),
        "instruction": story["instruction"],
        "neighbours_unchanged": all(neighbour["unchanged"] for neighbour in story["neighbours"]),
    }
