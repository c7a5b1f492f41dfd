"""Exits: the same work by two ways, and what each costs in exits, cycles and walk references."""

from tests.lab.test_exits import BY_UART, BY_VIRTIO, TEXT, TIMES, TOUCH
from tests.scenarios.desk import Desk

# Turns its own paging on (one leaf of 1 GiB), then reads through 400 pages in turn: more than a TLB holds.
PAGED = """
        la t0, root
        li t1, 0x200000cf           # 0x80000000, D A X W R V
        sd t1, 16(t0)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li a0, 'p'
        li a7, 1
        ecall
1:      li s0, 0x80010000
        li s1, 400
        li s2, 4096
2:      ld t0, (s0)
        add s0, s0, s2
        addi s1, s1, -1
        bnez s1, 2b
        j 1b
        .data
        .balign 4096
root:   .zero 4096
"""


def vm(name: str, program: str, **keys: object) -> dict[str, object]:
    return {"name": name, "program": program, "memory": "2 MiB", "autostart": True, **keys}


def test_emulated_against_paravirtual_tagged_against_flushed_nested_against_shadow() -> None:
    programs = {"uart": BY_UART, "virtio": BY_VIRTIO}
    desk = Desk(programs, [vm("uart", "uart"), vm("virtio", "virtio", console="virtio")], {"pcpus": 2})
    desk.run(1000)
    uart, virtio = desk.see("uart"), desk.see("virtio")
    assert desk.lab.console("uart") == desk.lab.console("virtio") == TEXT * TIMES
    assert uart["exits"]["mmio"] == 2 * len(TEXT) * TIMES
    assert uart["exit_cycles"]["mmio"] == 1500 * uart["exits"]["mmio"] > 70 * virtio["exit_cycles"]["mmio"]
    desk.do("set_host", costs={"mmio": 3000})
    desk.do("reset", "uart")
    desk.run(1000)
    dearer = desk.see("uart")
    assert dearer["exit_cycles"]["mmio"] == 2 * uart["exit_cycles"]["mmio"]

    touch = {"low": TOUCH.replace("SKIP", "0"), "high": TOUCH.replace("SKIP", "64")}
    desk = Desk(touch, [vm("a", "low"), vm("b", "high")], {"timeslice": "100 us"})
    desk.run(20)
    tagged = desk.see("a")
    desk.do("set_host", vmid="off")
    desk.run(20)
    flushed = desk.see("a")
    assert tagged["translations"]["tlb_flushes"] == 0
    switches = flushed["switches"] - tagged["switches"]
    assert abs(flushed["translations"]["tlb_flushes"] - switches) <= 1
    more = flushed["translations"]["walk_references"] - tagged["translations"]["walk_references"]
    assert more > 20 * tagged["translations"]["walk_references"]
    assert flushed["vcpus"][0]["retired"] < 2 * tagged["vcpus"][0]["retired"]
    desk.replays()

    modes = [vm("nested", "paged"), vm("shadow", "paged", paging="shadow")]
    desk = Desk({"paged": PAGED}, modes, {"pcpus": 2})
    desk.run(60)
    nested, shadow = desk.see("nested"), desk.see("shadow")
    assert desk.lab.console("nested") == desk.lab.console("shadow") == "p"
    assert "shadow miss" not in nested["exits"]
    assert shadow["exits"]["shadow miss"] >= 400
    walks = [one["translations"]["walk_references"] / one["vcpus"][0]["retired"] for one in (nested, shadow)]
    assert walks[1] < walks[0]
    desk.replays()
