"""Time travel: any instant again, the last time that something happened, and another way on from there."""

from tests.scenarios.desk import Desk

PROGRAMS = {
    "nap": """
        li t0, 1 << 5
        csrs sie, t0
1:      rdtime a0
        li t0, 5000
        add a0, a0, t0
        li a7, 0
        ecall
        wfi
        li a0, 'z'
        li a7, 1
        ecall
        j 1b
    """,
    # Writes its own word after a while, then reads where nothing is.
    "stray": """
        la s0, word
        li t0, 300000
1:      addi t0, t0, -1
        bnez t0, 1b
        sd s0, (s0)
        li t0, 300000
2:      addi t0, t0, -1
        bnez t0, 2b
        li t0, 0x90000000
        ld t0, (t0)
        .data
        .balign 8
word:   .dword 0
    """,
}


def test_a_recorded_lab_is_taken_back_and_goes_on_by_two_ways() -> None:
    vms = [
        {"name": name, "program": name, "memory": "64 KiB", "autostart": True} for name in ("nap", "stray")
    ]
    desk = Desk(PROGRAMS, vms, {"memory": "2 MiB", "pcpus": 1})
    lab = desk.lab
    lab.record(spacing=500_000)
    seen: dict[int, str] = {}
    for _ in range(10):
        desk.run(1.3)
        seen[lab.position] = lab.state_hash()
    assert desk.see("stray")["state"] == "crashed"
    end = lab.position
    for position in [*reversed(seen), *seen]:
        if position <= lab.position:
            lab.rewind(position)
        else:
            lab.advance(position)
        assert lab.state_hash() == seen[position]

    # The fault, the write before it, the exit and the turn before that.
    assert lab.position == end
    assert lab.back_to({"kind": "fault", "vm": "stray"})
    fault = lab.position
    assert desk.see("stray")["faults"] == 1
    assert lab.back_to({"kind": "watch", "vm": "stray", "address": "0x80001000", "access": "store"})
    written = lab.position
    assert written < fault
    assert lab.back_to({"kind": "exit", "vm": "nap"})
    exited = lab.position
    assert lab.back_to({"kind": "timeslice"})
    assert lab.position < exited < written
    assert desk.see("stray")["faults"] == 0

    # Another way on: the stray VM is stopped before it can fault. Then the first way again.
    desk.do("destroy", "stray")
    desk.run(10)
    assert desk.see("stray")["state"] == "shut off"
    other = lab.state_hash(), lab.position
    lab.undo(exited // 2, 0)
    branch = next(iter(lab.past.branches))
    lab.advance(end)
    assert lab.state_hash() == seen[end]
    lab.return_to(branch)
    assert (lab.state_hash(), lab.position) == other
