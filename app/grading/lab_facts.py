"""The facts of a real lab, read once from what it shows; nothing in the lab changes."""

from collections.abc import Mapping
from typing import Literal

from app.grading.facts import Fault, Frames
from app.lessons.errors import LessonError
from app.lessons.model import Lesson
from emulator.lab import Lab
from emulator.lab.observation import FaultView, VmView

NS_PER_MS = 1_000_000


class LabFacts:
    """Implements `app.grading.facts.Facts` for a lab as it stands now."""

    def __init__(self, lesson: Lesson, lab: Lab, answers: Mapping[str, object]) -> None:
        """Take one whole observation; `answers` are the student's, by question."""
        self._lesson = lesson
        self._lab = lab
        self._answers = answers
        self._seen = lab.observe(None)
        self._vms: dict[str, VmView] = {vm["name"]: vm for vm in self._seen["vms"]}

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

    def exits(self, vm: str, reason: str = "") -> int:
        if vm not in self._vms:
            return 0
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
