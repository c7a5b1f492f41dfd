"""Where an administrator sits: a lab, the verbs, and what can be read off it."""

from collections.abc import Mapping
from typing import Any

from emulator.build.engine import load_engine
from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

MS = 1_000_000
FAR = 400_000_000


class Desk:
    """A lab of VMs that run these programs (name: text, or a program)."""

    def __init__(
        self,
        programs: Mapping[str, str | Program],
        vms: list[dict[str, Any]],
        host: Mapping[str, Any] | None = None,
        **others: Any,
    ) -> None:
        """Build it; `others` are further keys of a lab's configuration."""
        known = {name: Program(name, source=text) for name, text in programs.items() if isinstance(text, str)}
        known |= {name: one for name, one in programs.items() if isinstance(one, Program)}
        config = {"host": {"pcpus": 1, **(host or {})}, "vms": vms, **others}
        self.lab = Lab(LabConfig.from_dict(config), known, 5, load_engine())

    def do(self, verb: str, vm: str = "", **arguments: Any) -> dict[str, Any]:
        """Apply an action."""
        return self.lab.apply({"verb": verb, **({"vm": vm} if vm else {}), **arguments})

    def refused(self, verb: str, vm: str = "", **arguments: Any) -> str:
        """Return what an action is refused with."""
        try:
            self.do(verb, vm, **arguments)
        except LabError as error:
            return str(error)
        raise AssertionError(f"{verb} was not refused")

    def run(self, ms: float) -> None:
        """Let virtual time pass."""
        self.lab.advance(self.lab.position_at(self.lab.now_ns + round(ms * MS)))

    def wait(self, vm: str, text: str) -> None:
        """Run until a console shows a text."""
        shown = self.lab.run_until({"kind": "console", "vm": vm, "text": text}, self.lab.position + FAR)
        assert shown, self.lab.console(vm)[-300:]

    def see(self, vm: str) -> Any:
        """Return what an observation shows of a VM."""
        return next(one for one in self.lab.observe()["vms"] if one["name"] == vm)

    def host(self) -> Any:
        """Return what an observation shows of the host."""
        return self.lab.observe()["host"]

    def events(self, kind: str) -> list[tuple[str, str | None]]:
        """Return the log's entries of a kind: (reason, VM)."""
        return [(one["reason"], one["vm"]) for one in self.lab.observe()["events"] if one["kind"] == kind]

    def held(self, *vms: str) -> dict[str, int]:
        """Return the cycles for which each VM held pCPUs so far."""
        return {
            vm: sum(vcpu["run_cycles"] + vcpu["hypervisor_cycles"] for vcpu in self.see(vm)["vcpus"])
            for vm in vms
        }

    def gained(self, ms: float, *vms: str) -> dict[str, int]:
        """Let virtual time pass; return the cycles for which each VM held pCPUs meanwhile."""
        before = self.held(*vms)
        self.run(ms)
        return {vm: cycles - before[vm] for vm, cycles in self.held(*vms).items()}

    def replays(self) -> None:
        """Check that the whole history comes again from its log."""
        lab = self.lab
        again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
        assert again.state_hash() == lab.state_hash()
