"""Page replacement and balloons whose decisions come from elsewhere (`emulator.hypervisor.decisions`).

Without anybody to answer, the oldest frame goes, and no balloon is asked for anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet

from emulator.hypervisor.decisions import NOBODY, Desk
from emulator.hypervisor.memory import ballooning, replacement
from emulator.hypervisor.memory.ballooning import BalloonPolicy, HostMemory, VmMemory
from emulator.hypervisor.memory.replacement import AccessBits, Replacement


class CustomReplacement(Replacement):
    """Asks the desk of its host which frame goes."""

    name = "custom"
    title = "Custom policy"
    desk: Desk | None = None

    def sit_at(self, desk: Desk) -> None:
        """Ask at `desk` from now on."""
        self.desk = desk
        traits = desk.traits.get("replacement")
        self.ages = traits is not None and traits.ages

    def on_map(self, frame: int, bits: AccessBits) -> None:
        """Take note, and pass it on."""
        super().on_map(frame, bits)
        if self.desk is not None and self.desk.live.replacement is not None:
            self.desk.live.replacement.on_map(frame, bits)

    def on_unmap(self, frame: int) -> None:
        """Forget it, and pass it on."""
        super().on_unmap(frame)
        if self.desk is not None and self.desk.live.replacement is not None:
            self.desk.live.replacement.on_unmap(frame)

    def on_age(self, accessed: AbstractSet[int], bits: AccessBits) -> None:
        """Pass it on."""
        if self.desk is not None and self.desk.live.replacement is not None:
            self.desk.live.replacement.on_age(accessed, bits)

    def victim(self, bits: AccessBits) -> int | None:
        """Take the frame that the policy takes, or took, and clear the A bits that it clears."""
        desk = self.desk
        if desk is None or not desk.asks("replacement", "victim"):
            return super().victim(bits)
        if desk.live.replacement is not None:
            victim, cleared = desk.live.replacement.victim(bits)
            desk.note("victim", [NOBODY if victim is None else victim, cleared])
        elif desk.has("victim"):
            frame, cleared = desk.again("victim")
            victim = None if frame == NOBODY else frame
            self._require_possible(desk, victim, cleared, bits)
        else:
            return super().victim(bits)
        for frame in cleared:
            bits.clear(frame)
        return victim

    def _require_possible(self, desk: Desk, victim: int | None, cleared: list[int], bits: AccessBits) -> None:
        unknown = [frame for frame in cleared if frame not in self.frames]
        if unknown:
            raise desk.impossible("victim", f"clears the A bit of frame {unknown[0]}, which no page has")
        if victim is not None and (victim not in self.frames or not bits.may_go(victim)):
            raise desk.impossible("victim", f"is frame {victim}, which may not go")


class CustomBalloon(BalloonPolicy):
    """Asks the desk of its host for targets."""

    name = "custom"
    title = "Custom policy"
    desk: Desk | None = None

    def targets(self, vms: Sequence[VmMemory], host: HostMemory) -> dict[str, int]:
        """Ask for what the policy asks for, or asked for."""
        desk = self.desk
        if desk is None or not desk.asks("balloon", "targets"):
            return {}
        if desk.live.balloon is not None:
            answer = desk.live.balloon.targets(vms, host)
            desk.note("targets", sorted([name, size] for name, size in answer.items()))
            return answer
        if not desk.has("targets"):
            return {}
        answer: dict[str, int] = dict(desk.again("targets"))
        unknown = next((name for name in answer if all(vm.name != name for vm in vms)), None)
        if unknown is not None:
            raise desk.impossible("targets", f"asks {unknown!r}, which has no balloon here")
        return answer


REPLACEMENTS: dict[str, type[Replacement]] = {
    policy.name: policy for policy in (*replacement.BUILT_IN, CustomReplacement)
}
BALLOON_POLICIES: dict[str, type[BalloonPolicy]] = {
    policy.name: policy for policy in (*ballooning.BUILT_IN, CustomBalloon)
}
