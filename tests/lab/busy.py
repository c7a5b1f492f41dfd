"""A lab in which much happens, what a reader sees of it, and things to do to it."""

from typing import Any

from hypothesis import strategies as st

from emulator.lab import Lab, LabError

BUSY = {
    "scribble.s": """
        la s0, data
1:      ld t0, (s0)
        addi t0, t0, 3
        sd t0, (s0)
        slli t1, t0, 3
        li t2, 0x7fff
        and t1, t1, t2
        andi t1, t1, -8
        li t2, 0x80002000
        add t1, t1, t2
        sd t0, (t1)
        andi t2, t0, 255
        bnez t2, 1b
        li a0, '.'
        li a7, 1
        ecall
        j 1b
        .data
        .balign 8
data:   .dword 1
    """
}
STEPS = st.lists(
    st.one_of(
        st.integers(1, 400_000),
        st.sampled_from(
            [
                {"verb": "suspend", "vm": "b"},
                {"verb": "resume", "vm": "b"},
                {"verb": "destroy", "vm": "a"},
                {"verb": "start", "vm": "a"},
                {"verb": "reset", "vm": "c"},
                {"verb": "console_input", "vm": "d", "text": "hé"},
                {"verb": "set_host", "timeslice": "2 ms"},
                {"verb": "define", "vm": "e", "program": "spin.s", "memory": "64 KiB"},
                {"verb": "undefine", "vm": "e"},
                {"verb": "set_program", "vm": "b", "source": "1: j 1b"},
                {"verb": "reset_lab"},
                {"verb": "answer", "question": "q", "value": 3},
            ]
        ),
    ),
    max_size=6,
)


def history(lab: Lab) -> list[Any]:
    """Return everything that a reader sees, without the numbers of the readers' cursors."""
    seen: Any = lab.observe()
    del seen["cursor"]
    faults = [(one.id, one.position, one.registers) for one in lab.hypervisor.faults.values()]
    lanes = [tuple(one)[2:] for one in lab.hypervisor.trace.slices_since(-1)]
    return [
        seen,
        faults,
        lanes,
        lab.log,
        {vm.name: vm.console.history() for vm in lab.hypervisor.vms.values()},
    ]


def play(lab: Lab, steps: list[Any]) -> None:
    """Run by cycles and apply actions; those that do not fit are refused and change nothing."""
    for step in steps:
        if isinstance(step, int):
            lab.advance(lab.position + step)
            continue
        try:
            lab.apply(step)
        except LabError:
            continue
