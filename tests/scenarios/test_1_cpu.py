"""CPU time: every scheduler on the same guests, promises that are kept, and those that are refused."""

import pytest

from tests.scenarios.desk import Desk

PROGRAMS = {
    "spin": "1: addi s0, s0, 1\n j 1b",
    # Starts its second vCPU (SBI HSM), and both count.
    "pair": """
        li a7, 0x48534d
        li a6, 0
        li a0, 1
        la a1, count
        li a2, 0
        ecall
count:  addi s0, s0, 1
        j count
    """,
    # Sleeps for 500 us, and says so.
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
}
PARTS = ("run_cycles", "hypervisor_cycles", "ready_cycles", "idle_cycles", "blocked_cycles", "off_cycles")


def vm(name: str, program: str = "spin", **keys: object) -> dict[str, object]:
    return {"name": name, "program": program, "memory": "64 KiB", "autostart": True, **keys}


def test_every_scheduler_shares_one_host_as_it_promises() -> None:
    desk = Desk(PROGRAMS, [vm("a", weight=512), vm("b"), vm("c", "nap")], {"memory": "2 MiB"})
    even = desk.gained(100, "a", "b")
    assert even["a"] == pytest.approx(even["b"], rel=0.05)  # round robin
    for scheduler, slack in [("stride", 0.03), ("credit", 0.05), ("fair", 0.03), ("lottery", 0.3)]:
        desk.do("set_host", scheduler=scheduler)
        desk.run(20)
        held = desk.gained(200, "a", "b")
        assert held["a"] == pytest.approx(2 * held["b"], rel=slack), scheduler
    # Who sleeps much is served at once by feedback queues.
    desk.do("set_host", scheduler="mlfq")
    desk.run(20)
    waited, printed = desk.see("c")["vcpus"][0]["ready_cycles"], len(desk.lab.console("c"))
    desk.run(100)
    naps = len(desk.lab.console("c")) - printed
    assert naps > 150
    assert (desk.see("c")["vcpus"][0]["ready_cycles"] - waited) / naps < 20_000
    desk.replays()


def test_promises_are_kept_whatever_happens_to_the_host_and_no_others_are_made() -> None:
    desk = Desk(
        PROGRAMS,
        [vm("a", reservation="60 MHz"), vm("b", cap=20), vm("c", affinity="0"), vm("d", "pair", vcpus=2)],
        {"pcpus": 2, "memory": "2 MiB", "scheduler": "edf"},
    )
    desk.run(20)
    held = desk.gained(100, "a", "b", "d")  # of 10 million cycles of each pCPU
    assert held["a"] >= 6_000_000
    assert 1_800_000 < held["b"] <= 2_000_000
    assert held["d"] > 1_000_000
    desk.do("set_host", offline="1")
    assert "reserves 50.0 % of a pCPU" in desk.refused("set_vm", "c", reservation="50 MHz")
    held = desk.gained(100, "a", "b")
    assert held["a"] >= 6_000_000
    assert held["b"] <= 2_000_000
    assert [pcpu["online"] for pcpu in desk.host()["pcpus"]] == [True, False]
    desk.do("set_host", offline="")
    # A third vCPU is plugged in; its guest does not start it.
    desk.do("set_vm", "d", vcpus=3)
    assert [one["state"] == "stopped" for one in desk.see("d")["vcpus"]] == [False, False, True]
    # A gang runs at the same time or not at all.
    desk.do("set_vm", "d", vcpus=2)
    desk.do("set_vm", "a", reservation=0)
    desk.do("set_host", scheduler="gang")
    desk.run(50)
    first, second = (one["run_cycles"] for one in desk.see("d")["vcpus"][:2])
    desk.run(100)
    ran = [one["run_cycles"] for one in desk.see("d")["vcpus"][:2]]
    assert ran[0] - first == pytest.approx(ran[1] - second, rel=0.05)
    for name in "abcd":
        for index, vcpu in enumerate(desk.see(name)["vcpus"]):
            age = desk.lab.hypervisor.mean_clock - desk.lab.vm(name).vcpus[index].born
            # Clocks of pCPUs differ by up to one quantum.
            assert abs(sum(vcpu[part] for part in PARTS) - age) <= 10_000, (name, index)
    desk.replays()
