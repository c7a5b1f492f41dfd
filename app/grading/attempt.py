"""Does a lesson without a page: builds its lab, applies a script of actions, and keeps the answers.

The same actions as a student's, so that a solution proves that a student can do it. Policies (`set_policy`)
run here: a script is done on its author's own computer only.
"""

from collections.abc import Callable
from typing import Any

from app.lessons.model import Lesson
from app.lessons.script import Act, Answer, Edit, Run, Script, ScriptStep
from emulator.lab import Lab, LabError

Progress = Callable[[str, float], None]


class Attempt:
    """A lab of a lesson and what was answered so far."""

    def __init__(self, lesson: Lesson, engine: Any) -> None:
        """Build the lab; raise LabError if it cannot be built."""
        self.lesson = lesson
        self.lab = Lab(lesson.lab_config, dict(lesson.programs), lesson.seed, engine)
        self.lab.policies.enable()
        self._sources = {vm.name: lesson.programs[vm.program].source or "" for vm in lesson.lab_config.vms}

    @property
    def answers(self) -> dict[str, Any]:
        """Return the answers given so far, by question."""
        return dict(self.lab.answers)

    def follow(
        self, script: Script, progress: Progress | None = None, after: Callable[[], object] | None = None
    ) -> None:
        """Do the steps of a script, calling `after` behind each.

        Raise LessonError at a step that cannot be done.
        """
        for number, step in enumerate(script.steps):
            if progress:
                progress(f"step {number + 1} of {len(script.steps)}", number / len(script.steps))
            try:
                self._do(script, step)
            except LabError as error:
                raise script.error(step, str(error)) from error
            if after:
                after()

    def run(self, duration_ns: int) -> None:
        """Let virtual time pass."""
        self.run_to(self.lab.now_ns + duration_ns)

    def run_to(self, time_ns: int) -> None:
        """Run until a virtual time, or until nothing can happen any more."""
        self.lab.advance(self.lab.position_at(time_ns))

    def _do(self, script: Script, step: ScriptStep) -> None:
        match step:
            case Run(duration_ns=duration, absolute=absolute):
                self.run_to(duration) if absolute else self.run(duration)
            case Act(action=action, refused=True):
                self._be_refused(script, step, dict(action))
            case Act(action=action):
                self._apply(dict(action))
            case Answer(question=question, value=value):
                self.lab.apply({"verb": "answer", "question": question, "value": value})
            case Edit():
                self._apply({"verb": "set_program", "vm": step.vm, "source": self._edited(script, step)})

    def _be_refused(self, script: Script, step: ScriptStep, action: dict[str, Any]) -> None:
        try:
            self.lab.apply(action)
        except LabError:
            return
        raise script.error(step, f"the lab does not refuse this '{action['verb']}'; write `action:` instead")

    def _apply(self, action: dict[str, Any]) -> None:
        self.lab.apply(action)
        if action["verb"] == "define":
            program = self.lesson.programs.get(str(action.get("program")))
            self._sources[str(action.get("name") or action.get("vm"))] = (program and program.source) or ""
        if action["verb"] == "set_program":
            self._sources[str(action["vm"])] = str(action["source"])

    def _edited(self, script: Script, step: Edit) -> str:
        source = self._sources.get(step.vm)
        if source is None:
            raise script.error(step, f"there is no VM '{step.vm}' whose program could be edited")
        found = source.count(step.old)
        if found != 1:
            raise script.error(
                step, f"'{step.old}' occurs {found} times in the program of VM {step.vm}; must be once"
            )
        return source.replace(step.old, step.new)
