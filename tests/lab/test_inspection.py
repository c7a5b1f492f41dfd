"""Registers, memory, walks, frames, listings and the stories of faults."""

from collections.abc import Callable

import pytest

from emulator.lab import Lab, LabError

MakeLab = Callable[..., Lab]
# Maps the GiB at GVA 0x4000_0000 onto the one at GPA 0x8000_0000 and goes on there.
OWN_TABLE = """
        .globl _start
_start: la t0, table
        li t1, (0x80000000 >> 12) * 1024 + 0xCF
        sd t1, 16(t0)
        sd t1, 8(t0)
        srli t0, t0, 12
        li t1, 8 << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li s0, 0x40000000
        ld s1, (s0)
        li s2, 0x50000000
wild:   {access}
1:      j 1b
        .bss
        .balign 4096
table:  .skip 4096
"""


def with_program(lab: Lab, source: str, vm: str = "a") -> Lab:
    """Give a VM a program, start it, and let it run."""
    lab.apply({"verb": "set_program", "vm": vm, "source": source})
    lab.apply({"verb": "start", "vm": vm})
    lab.advance(lab.position + 50_000)
    return lab


def test_registers_mark_what_has_changed(make_lab: MakeLab) -> None:
    lab = make_lab("count")
    lab.apply({"verb": "start", "vm": "a"})
    for _ in range(2):
        lab.run_until({"kind": "instruction", "vm": "a"}, 10_000)
    lab.registers("a", 0)
    lab.run_until({"kind": "instruction", "vm": "a"}, 10_000)
    for view in (lab.registers("a", 0), lab.registers("a", 0)):
        changed = {one["name"] for one in view["general"] if one["changed"]}
        assert changed == {"t0"}
    view = lab.registers("a", 0)
    assert view["instruction"].split() == ["addi", "t0,t0,1"]
    assert view["line"] == 5
    hgatp = next(one for one in view["hypervisor"] if one["name"] == "hgatp")
    assert hgatp["meaning"].startswith("Sv39x4, VMID 1, root table at HPA 0x8")


FLOATS = """
    li t0, 0x2000
    csrs sstatus, t0
    li t0, 0x4004000000000000
    fmv.d.x fa0, t0
    li t0, 0x3fc00000
    fmv.w.x ft11, t0
    li t0, 0x43
    fscsr t0
1:  wfi
    j 1b
"""


def test_registers_show_floating_point_once_the_guest_has_it_on(make_lab: MakeLab) -> None:
    view = with_program(make_lab("spin"), FLOATS).registers("a", 0)
    shown = {one["name"]: one["meaning"] for one in view["floating"]}
    assert len(shown) == 33
    assert (shown["fa0"], shown["ft11"]) == ("double 2.5", "single 1.5")
    assert shown["fcsr"] == "rounds rdn, raised: NX UF"
    assert with_program(make_lab("spin"), "1: wfi\n j 1b").registers("a", 0)["floating"] == []


def test_memory_by_gva_gpa_and_hpa_is_the_same_memory(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), OWN_TABLE.format(access="nop"))
    gva = lab.memory("a", 0, 0x4000_0000, "gva", 16)["pages"][0]
    gpa = lab.memory("a", 0, 0x8000_0000, "gpa", 16)["pages"][0]
    hpa = lab.memory(None, 0, int(gva["hpa"] or "0", 16), "hpa", 16)["pages"][0]
    assert gva["data"] == gpa["data"] == hpa["data"]
    assert gva["gpa"] == "0x0000000080000000"
    assert hpa["gpa"] == gva["gpa"]
    assert hpa["owner"] == "a"


def test_memory_that_is_not_there_says_why(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), OWN_TABLE.format(access="nop"))
    pages = lab.memory("a", 0, 0x8000_F000, "gpa", 8192)["pages"]
    assert pages[0]["data"] is not None
    assert pages[1]["data"] is None
    assert "outside the memory of a" in pages[1]["reason"]
    assert lab.memory("a", 0, 0, "gva", 8)["pages"][0]["reason"] == "load page fault"
    assert lab.memory(None, 0, 0, "hpa", 8)["pages"][0]["data"] is None
    top = lab.memory("a", 0, (1 << 64) - 4, "gva", 64)["pages"]
    assert [page["data"] for page in top] == [None]


def test_walk_of_two_stages_reads_seven_entries(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), OWN_TABLE.format(access="nop"))
    walk = lab.walk("a", 0, 0x4000_0008, "load")
    assert [(step["stage"], step["level"]) for step in walk["steps"]] == [
        ("G", 2), ("G", 1), ("G", 0), ("VS", 2), ("G", 2), ("G", 1), ("G", 0),
    ]  # fmt: skip
    assert walk["ok"]
    assert walk["gpa"] == "0x0000000080000008"
    assert walk["owner"] == "a"
    assert [step["outcome"] for step in walk["steps"]] == [
        *["next level"] * 2,
        "leaf",
        "leaf",
        *["next level"] * 2,
        "leaf",
    ]
    table = lab.program("a").executable.symbols["table"]
    assert walk["steps"][3]["table_gpa"] == f"{table:#018x}"
    frame = lab.frame(walk["hfn"] or 0)
    assert (frame["vm"], frame["gpa"], frame["permissions"]) == ("a", "0x0000000080000000", "RWX")


def test_walk_into_the_void_ends_in_the_g_stage(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), "1: j 1b")
    walk = lab.walk("a", 0, 0x9000_0000, "store")
    assert (walk["ok"], walk["cause"], walk["hpa"]) == (False, 23, None)
    assert walk["steps"][-1]["outcome"] == "fault"
    assert walk["vs_mode"] == "Bare"
    assert "second stage ends the walk" in walk["explanation"]


@pytest.mark.parametrize(
    ("access", "cause", "kind"),
    [("ld a0, (s2)", 21, "load"), ("sd a0, (s2)", 23, "store"), ("jr s2", 20, "fetch")],
)
def test_story_of_a_fault_has_everything(make_lab: MakeLab, access: str, cause: int, kind: str) -> None:
    lab = make_lab("spin", "wait")
    lab.apply({"verb": "start", "vm": "b"})
    with_program(lab, OWN_TABLE.format(access=access))
    story = lab.fault(lab.vm("a").faults[0])
    wild = lab.program("a").executable.symbols["wild"]
    assert (story["vm"], story["cause"], story["access"], story["action"]) == ("a", cause, kind, "crash")
    assert story["gva"] == "0x0000000050000000"
    assert story["gpa"] == "0x0000000090000000"
    assert int(story["htval"], 16) == 0x9000_0000 >> 2
    assert story["walk"]["steps"][-1]["stage"] == "G"
    assert story["neighbours"][0]["vm"] == "b"
    assert story["neighbours"][0]["unchanged"]
    if kind == "fetch":
        assert story["instruction_word"] is None
    else:
        assert int(story["pc"], 16) == wild
        assert story["source"] is not None
        assert story["source"]["text"] == f"wild:   {access}"
        assert story["instruction"].split()[0] == access.split()[0]
    assert "a tried to" in story["explanation"]


def test_story_survives_what_happens_to_the_vm_later(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), OWN_TABLE.format(access="ld a0, (s2)"))
    event = lab.vm("a").faults[0]
    before = lab.fault(event)
    lab.apply({"verb": "set_program", "vm": "a", "source": "nop"})
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.apply({"verb": "set_vm", "vm": "a", "name": "z"})
    lab.apply({"verb": "set_host", "memory": "1 MiB"})
    assert lab.fault(event) == before
    assert lab.faults("a") == [before]


def test_guest_without_a_trap_handler_gets_both_stories(make_lab: MakeLab) -> None:
    lab = with_program(make_lab("spin"), ".word 0")
    (story,) = lab.faults("a")
    assert story["original_trap"] is not None
    assert story["original_trap"]["cause_name"] == "illegal instruction"
    assert "illegal instruction in line 1 of spin.s" in story["explanation"]


def test_listing_pairs_source_and_code(make_lab: MakeLab) -> None:
    lab = make_lab("count")
    lab.apply({"verb": "start", "vm": "a"})
    listing = lab.listing("a")
    assert listing["kind"] == "source"
    assert listing["pcs"] == [3]
    line = listing["lines"][3]
    assert line["text"].strip() == "again:  ld t0, (s0)"
    assert line["symbol"] == "again"
    assert line["code"] != ""
    value = next(one for one in listing["lines"] if ".dword" in one["text"])
    assert value["code"] == "2800000000000000"


def test_listing_of_an_elf_is_its_disassembly(make_lab: MakeLab) -> None:
    from emulator.isa.assembler import assemble
    from emulator.isa.elf_writer import program_to_elf
    from emulator.lab.programs import Program

    lab = make_lab("count")
    lab.programs["count.s"] = Program("count.s", elf=program_to_elf(assemble("li a0, 5\n1: j 1b")))
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(20_000)
    listing = lab.listing("a")
    assert listing["kind"] == "disassembly"
    assert "li" in listing["lines"][0]["text"]
    assert listing["pcs"] == [2]


def test_frame_tells_owner_role_and_content(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    assert lab.frame(0) | {"digest": ""} == {
        "hfn": 0, "hpa": "0x0000000080000000", "owner": "free", "vm": None, "role": "free", "gpa": None,
        "permissions": "---", "zero": True, "digest": "", "preview": "00" * 64,
        "sharers": [], "mappers": [], "cut": "",
    }  # fmt: skip
    lab.apply({"verb": "start", "vm": "a"})
    root = lab.frame(lab.vm("a").gstage.frames[0])  # type: ignore[union-attr]
    assert (root["owner"], root["role"], root["gpa"]) == ("vm", "G-stage table", None)
    assert not root["zero"]


def test_digest_tells_whether_memory_is_as_it_was_loaded(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "count")
    for vm in "ab":
        lab.apply({"verb": "start", "vm": vm})
    lab.advance(50_000)
    assert lab.digest("a")["unchanged"]
    assert lab.digest("a")["frames"] == 16
    assert not lab.digest("b")["unchanged"]


def test_questions_about_what_is_not_there_are_answered_with_reasons(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    for ask in (
        lambda: lab.registers("a", 0),
        lambda: lab.registers("nobody", 0),
        lambda: lab.memory("a", 0, 0, "gpa", 8),
        lambda: lab.walk("a", 0, 0, "load"),
        lambda: lab.frame(512),
        lambda: lab.frame(-1),
        lambda: lab.fault(1),
        lambda: lab.listing("b"),
    ):
        with pytest.raises(LabError) as caught:
            ask()
        assert len(str(caught.value)) > 15
    lab.apply({"verb": "start", "vm": "a"})
    for ask in (
        lambda: lab.registers("a", 1),
        lambda: lab.walk("a", 0, 1 << 64, "load"),
        lambda: lab.walk("a", 0, 0, "touch"),  # type: ignore[arg-type]
        lambda: lab.memory("a", 0, 0, "gpa", 1 << 20),
    ):
        with pytest.raises(LabError):
            ask()
