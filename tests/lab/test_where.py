"""One byte in all spaces: its walk reference by reference, the TLB, names of addresses, and the way back."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

# Maps GVA 0x4000_0000 to page `page` through a table of `levels` levels, by a leaf of level `leaf`; and the
# GiB at 0x8000_0000 onto itself, so that the program goes on.
TABLES = """
        .globl _start
_start: la t0, table
        la t1, table + 4096
        li t2, {levels} - 1
        la t3, table                # where code goes on: a leaf of 1 GiB of level 2
        j 3f
1:      srli t4, t1, 2
        ori t4, t4, 1
        sd t4, (t0)
        mv t0, t1
        li t4, 4096
        add t1, t1, t4
        addi t2, t2, -1
3:      li t4, 2
        bgt t2, t4, 1b
        li t4, (0x80000000 >> 12) * 1024 + 0xCF
        sd t4, 16(t0)
        li t5, {leaf}
        li t4, 2
        beq t5, t4, 4f
        srli t4, t1, 2
        ori t4, t4, 1
        sd t4, 8(t0)                # level 1
        mv t0, t1
        li t4, 1
        beq t5, t4, 5f
        li t4, 4096
        add t1, t1, t4
        srli t4, t1, 2
        ori t4, t4, 1
        sd t4, (t0)                 # level 0
        la t4, page
        srli t4, t4, 2
        ori t4, t4, 0xCF
        sd t4, (t1)
        j 6f
4:      li t4, (0x80000000 >> 12) * 1024 + 0xCF
        sd t4, 8(t0)
        j 6f
5:      li t4, (0x80000000 >> 12) * 1024 + 0xCF
        sd t4, (t0)
6:      srli t0, t3, 12
        li t1, {mode} << 60
        or t0, t0, t1
        csrw satp, t0
        sfence.vma
        li s0, 0x40000000
loop:   ld s1, (s0)
        j loop
        .bss
        .balign 4096
page:   .skip 4096
table:  .skip 4096 * 6
"""


@pytest.fixture
def mapped(engine: Any) -> Callable[..., Lab]:
    """Make a lab whose guest has mapped a page by its own table, and is reading it."""

    def make(levels: int = 3, leaf: int = 0, paging: str = "nested", **more: Any) -> Lab:
        vms = [{"name": "a", "program": "t.s", "memory": "64 KiB", "paging": paging, **more}]
        source = TABLES.format(levels=levels, leaf=leaf, mode=levels + 5)
        config = LabConfig.from_dict({"host": {"memory": "8 MiB"}, "vms": vms})
        lab = Lab(config, {"t.s": Program("t.s", source=source)}, 7, engine)
        lab.apply({"verb": "start", "vm": "a"})
        lab.advance(60_000)
        return lab

    return make


@pytest.mark.parametrize(
    ("levels", "leaf", "references", "most"),
    [(3, 0, 15, 15), (3, 1, 11, 15), (3, 2, 7, 15), (4, 0, 19, 19), (5, 0, 23, 23)],
)
def test_every_reference_of_a_walk_is_told_in_the_order_of_the_hart(
    mapped: Callable[..., Lab], levels: int, leaf: int, references: int, most: int
) -> None:
    lab = mapped(levels, leaf)
    walk = lab.where("a", 0, "gva", "s0")["walk"]
    assert walk is not None
    assert walk["ok"], walk["explanation"]
    assert [step["number"] for step in walk["steps"]] == list(range(1, references + 1))
    assert walk["most"] == most
    tables = [row for row in walk["rows"] if row["kind"] == "table"]
    assert [row["level"] for row in tables] == list(range(levels - 1, leaf - 1, -1))
    assert walk["rows"][-1]["kind"] == "byte"
    for step in walk["steps"]:
        value = int(step["input"], 16) >> step["low"] & (1 << step["high"] - step["low"] + 1) - 1
        assert value == step["index"]


def test_an_entry_is_told_bit_by_bit(mapped: Callable[..., Lab]) -> None:
    walk = mapped().where("a", 0, "gva", "s0")["walk"]
    assert walk is not None
    leaf = [step for step in walk["steps"] if step["stage"] == "VS"][-1]
    fields = {field["name"]: int(field["value"], 0) for field in leaf["fields"]}
    names = ["N", "PBMT", "reserved", "PPN", "RSW", "D", "A", "G", "U", "X", "W", "R", "V"]
    assert list(fields) == names
    assert [fields[name] for name in names if len(name) == 1] == [0, 1, 1, 0, 0, 1, 1, 1, 1]
    whole = sum(int(field["value"], 0) << field["low"] for field in leaf["fields"])
    assert whole == int(leaf["pte"] or "", 16)


def test_the_tlb_is_asked_as_the_hart_would(mapped: Callable[..., Lab]) -> None:
    lab = mapped()
    for access, outcome in (("load", "hit"), ("store", "hit"), ("fetch", "miss")):
        seen = lab.where("a", 0, "gva", "s0", access)["tlb"]  # pyright: ignore[reportArgumentType]
        assert seen is not None
        assert seen["outcome"] == outcome, seen
        assert seen["loaded"]
    hit = lab.where("a", 0, "gva", "s0")
    assert hit["tlb"] is not None
    assert int(hit["tlb"]["page"] or "", 16) == int(hit["hpa"] or "", 16)
    other = lab.where("a", 0, "gva", "0x40200000")["tlb"]
    assert other is not None
    assert other["outcome"] == "miss"


def test_shadow_paging_shows_the_one_table_and_the_two_it_stands_for(mapped: Callable[..., Lab]) -> None:
    found = mapped(paging="shadow").where("a", 0, "gva", "s0")
    assert found["walk"] is not None
    assert found["shadow"] is not None
    assert len(found["walk"]["steps"]) == 15
    assert (len(found["shadow"]["steps"]), found["shadow"]["most"]) == (3, 3)
    assert found["shadow"]["hpa"] == found["walk"]["hpa"] == found["hpa"]
    assert found["tlb"] is not None
    assert found["tlb"]["outcome"] == "hit"


def test_a_walk_that_fails_says_where_and_why(mapped: Callable[..., Lab]) -> None:
    lab = mapped()
    wild = lab.where("a", 0, "gva", "0x40001000")["walk"]
    assert wild is not None
    assert wild["ended"] == "VS-stage, level 0"
    assert "V=0" in wild["steps"][-1]["explanation"]
    beyond = lab.where("a", 0, "gpa", "0x90000000")["walk"]
    assert beyond is not None
    assert beyond["ended"] == "G-stage, level 1"
    assert [step["stage"] for step in beyond["steps"]] == ["G", "G"]
    far = lab.where("a", 0, "gva", "0x7fffffffffffffff")["walk"]
    assert far is not None
    assert not far["steps"]
    assert far["ended"] is not None


def test_addresses_may_be_named(mapped: Callable[..., Lab]) -> None:
    lab = mapped()
    loop = lab.where("a", 0, "gva", "loop")
    assert loop["name"] == "loop"
    for asked in ("loop+4", "loop + 0x4", "0x%x" % (int(loop["address"], 16) + 4)):
        assert lab.where("a", 0, "gva", asked)["name"] == "loop+0x4"
    assert lab.where("a", 0, "gva", "s0-8")["address"] == "0x000000003ffffff8"
    assert lab.where("a", 0, "gpa", "0x1000_0000")["device"].startswith("Uart")
    for wrong in ("", "nosuch", "s0+", "1 2", "-1", "0x1" + "0" * 16, "x" * 200, "s0+0x", "٣"):
        with pytest.raises(LabError):
            lab.where("a", 0, "gva", wrong)


@pytest.mark.parametrize("leaf", [0, 1, 2])
def test_a_frame_knows_everyone_who_maps_it(mapped: Callable[..., Lab], leaf: int) -> None:
    lab = mapped(leaf=leaf)
    found = lab.where("a", 0, "gva", "s0")
    assert found["hfn"] is not None
    frame = lab.frame(found["hfn"])
    guest = [one["gva"] for one in frame["mappers"] if one["kind"] == "guest table"]
    assert "0x0000000040000000" in guest
    assert [one["gpa"] for one in frame["mappers"] if one["kind"] == "G-stage"] == [found["gpa"]]
    assert found["walk"] is not None
    for step in found["walk"]["steps"]:
        texts = [one["text"] for one in lab.frame(step["table_hfn"])["mappers"] if one["kind"] == "table"]
        assert any(f"level {step['level']}" in text or f"(level {step['level']})" in text for text in texts)


def test_a_table_page_has_the_entries_that_were_read(mapped: Callable[..., Lab]) -> None:
    lab = mapped()
    walk = lab.where("a", 0, "gva", "s0")["walk"]
    assert walk is not None
    for step in walk["steps"]:
        entries = {entry["index"]: entry for entry in lab.table(step["table_hfn"])["entries"]}
        assert entries[step["index"] % 512]["pte"] == step["pte"]


def test_a_guest_with_tables_without_end_is_not_searched_forever(
    mapped: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    from emulator.lab import mappers

    monkeypatch.setattr(mappers, "MOST_TABLES", 1)
    lab = mapped()
    frame = lab.frame(lab.where("a", 0, "gva", "page")["hfn"] or 0)
    assert "not searched" in frame["cut"]


def test_looking_changes_nothing(mapped: Callable[..., Lab]) -> None:
    lab = mapped()
    before = lab.state_hash()
    for space in ("gva", "gpa", "hpa"):
        hfn = lab.where("a", 0, space, "s0")["hfn"]  # pyright: ignore[reportArgumentType]
        lab.frame(hfn or 0)
        lab.table(hfn or 0)
    assert lab.state_hash() == before
