"""Verbs and states in any order: what is refused changes nothing, what is accepted loses no frame."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.lab.conftest import PROGRAMS

ALLOWED = {
    "start": {"shut off", "crashed"},
    "shutdown": {"running", "idle"},
    "reboot": {"running", "idle"},
    "reset": {"running", "idle", "paused", "shutting down"},
    "destroy": {"running", "idle", "paused", "shutting down", "crashed"},
    "suspend": {"running", "idle", "shutting down"},
    "resume": {"paused"},
    "undefine": {"shut off", "crashed"},
}
NAMES = st.sampled_from("abc")


class Lifecycle(RuleBasedStateMachine):
    """Three VMs on a host with room for two and a half of them."""

    def __init__(self) -> None:
        super().__init__()
        self.config = LabConfig.from_dict({"host": {"memory": "1 MiB"}})
        self.programs = {name: Program(name, source=text) for name, text in PROGRAMS.items()}
        self.lab = Lab(self.config, self.programs, 3, load_engine())

    @rule(
        name=NAMES,
        program=st.sampled_from(sorted(PROGRAMS)),
        pages=st.integers(16, 120),
        vcpus=st.integers(1, 3),
    )
    def define(self, name: str, program: str, pages: int, vcpus: int) -> None:
        action = {"verb": "define", "vm": name, "program": program, "memory": pages * 4096, "vcpus": vcpus}
        self.attempt(action, name not in self.lab.hypervisor.vms)

    @rule(name=NAMES, verb=st.sampled_from(sorted(ALLOWED)))
    def do(self, name: str, verb: str) -> None:
        vm = self.lab.hypervisor.vms.get(name)
        fits = verb != "start" or self.fits(name)
        self.attempt({"verb": verb, "vm": name}, vm is not None and vm.state.value in ALLOWED[verb] and fits)

    def fits(self, name: str) -> bool:
        """Say whether there are frames enough.

        A crashed VM's own count as free, a root needs luck besides.
        """
        vm = self.lab.hypervisor.vms.get(name)
        if vm is None:
            return False
        own = len(vm.frames) + (len(vm.gstage.frames) if vm.gstage else 0)
        free = self.lab.hypervisor.partition.free_count + own
        return vm.settings.memory // 4096 + 6 <= free

    @rule(cycles=st.integers(1, 300_000))
    def run(self, cycles: int) -> None:
        self.lab.advance(self.lab.position + cycles)

    @rule(pcpus=st.integers(1, 3))
    def change_host(self, pcpus: int) -> None:
        holds = any(vm.frames for vm in self.lab.hypervisor.vms.values())
        same = self.lab.config.host.pcpus == pcpus
        self.attempt({"verb": "set_host", "pcpus": pcpus}, same or not holds)

    def attempt(self, action: dict[str, Any], expected: bool) -> None:
        """Apply an action that should be accepted or refused."""
        before, log = self.lab.state_hash(), len(self.lab.log)
        error = None
        try:
            self.lab.apply(action)
        except LabError as refused:
            error = refused
        if error is None:
            assert expected
            assert len(self.lab.log) == log + 1
        else:
            assert not expected or "16 KiB" in str(error), error
            assert self.lab.state_hash() == before
            assert len(self.lab.log) == log

    @invariant()
    def every_frame_has_one_owner(self) -> None:
        hypervisor = self.lab.hypervisor
        held = [hfn for vm in hypervisor.vms.values() for hfn in vm.frames]
        held += [hfn for vm in hypervisor.vms.values() if vm.gstage for hfn in vm.gstage.frames]
        assert len(held) == len(set(held))
        assert hypervisor.partition.free_count == hypervisor.host.frames - len(held)
        assert {hfn for hfn, code in enumerate(hypervisor.partition.codes) if code} == set(held)

    @invariant()
    def free_frames_are_zero(self) -> None:
        hypervisor = self.lab.hypervisor
        assert all(
            hypervisor.host.frame_is_zero(hfn)
            for hfn, code in enumerate(hypervisor.partition.codes)
            if not code
        )

    @invariant()
    def no_vcpu_is_in_two_places(self) -> None:
        hypervisor = self.lab.hypervisor
        loaded = [pcpu.current for pcpu in hypervisor.pcpus if pcpu.current]
        places = [*loaded, *hypervisor.scheduler.queue]
        assert len(places) == len({id(vcpu) for vcpu in places})
        assert all(vcpu.vm is hypervisor.vms[vcpu.vm.name] for vcpu in places)
        assert all(hypervisor.pcpus[vcpu.pcpu or 0].current is vcpu for vcpu in loaded)

    def teardown(self) -> None:
        lab = self.lab
        again = Lab.replay(self.config, self.programs, 3, lab.log, lab.position, lab.engine)
        assert again.state_hash() == lab.state_hash()


Lifecycle.TestCase.settings = settings(max_examples=60, stateful_step_count=30)
TestLifecycle = Lifecycle.TestCase
