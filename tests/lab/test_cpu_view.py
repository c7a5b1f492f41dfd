"""What a vCPU does now: code around its pc as it stands in memory, with symbols, lines and decoded CSRs."""

from collections.abc import Callable

import pytest

from emulator.lab import Lab, LabError

MakeLab = Callable[..., Lab]


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab("count", "nap", pcpus=1)
    lab.apply({"verb": "start", "vm": "a"})
    return lab


def test_code_around_the_pc_has_labels_and_source_lines(lab: Lab) -> None:
    lab.run_until(
        {"kind": "breakpoint", "vm": "a", "address": lab.program("a").executable.symbols["spend"]}, 10**6
    )
    view = lab.cpu("a", 0, count=12)
    lines = view["code"]["lines"]
    assert view["code"]["where"] == "spend"
    here = next(line for line in lines if line["address"] == view["code"]["pc"])
    assert (here["label"], here["source"], here["text"]) == ("spend", "spend:  li t1, 3", "li      t1,3")
    assert lines.index(here) == 4, "a third of the lines stand before the pc"
    assert lines[0]["text"].startswith("sd")


def test_code_is_what_stands_in_memory_not_in_the_file(lab: Lab) -> None:
    lab.advance(20)
    entry = lab.program("a").executable.entry
    lab.hypervisor.write_guest(lab.vm("a"), entry, bytes.fromhex("13000000"))
    assert lab.cpu("a", 0, at=entry, count=1)["code"]["lines"][0]["text"] == "nop"


def test_code_that_cannot_be_fetched_says_why(lab: Lab) -> None:
    assert lab.cpu("a", 0, at=0x1000, count=4)["code"]["lines"] == [
        {
            "address": "0x0000000000001000",
            "code": "",
            "text": "instruction guest-page fault",
            "label": None,
            "line": None,
            "source": "",
            "length": 2,
        }
    ]


def test_csrs_come_apart_into_fields(lab: Lab) -> None:
    fields = lab.cpu("a", 0)["fields"]
    hgatp = {one["name"]: one["says"] for one in fields["hgatp"]}
    assert hgatp["MODE"] == "Sv39x4"
    assert hgatp["PPN"].startswith("HPA 0x8")
    assert next(one for one in fields["sstatus"] if one["name"] == "UXL")["says"] == "64 bits"


def test_wrong_vcpu_and_count_are_refused(lab: Lab) -> None:
    with pytest.raises(LabError, match="start it first"):
        lab.cpu("b", 0)
    with pytest.raises(LabError, match="from 1 to 256"):
        lab.cpu("a", 0, count=0)
