"""Layers of the maps of memory say what the tables, the store and the books of the hypervisor say."""

from typing import Any

import pytest

from app.workers.layers import Layers
from emulator.build.engine import load_engine
from emulator.hypervisor.memory.backing import ABSENT
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from tests.workers.unpacking import unpacked

# Reads 16 pages, writes to 8 others again and again.
GUEST = """
_start: li s0, 0x80010000
 li s1, 16
 li t2, 4096
read: lb t0, 0(s0)
 add s0, s0, t2
 addi s1, s1, -1
 bnez s1, read
again: li s0, 0x80080000
 li s1, 8
write: addi s2, s2, 1
 sd s2, 0(s0)
 add s0, s0, t2
 addi s1, s1, -1
 bnez s1, write
 j again
"""


def lab_of(limit: str = "1 MiB", **host: Any) -> Lab:
    """One VM of 1 MiB on a host of 4 MiB, after 2 ms."""
    config: dict[str, Any] = {
        "host": {"pcpus": 1, "memory": "4 MiB", **host},
        "vms": [{"name": "a", "memory": "1 MiB", "memory_limit": limit, "program": "guest.s"}],
    }
    lab = Lab(LabConfig.from_dict(config), {"guest.s": Program("guest.s", GUEST)}, 1, load_engine())
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(lab.position + 200_000)
    return lab


class Map:
    """A page that shows layers."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.layers = Layers()

    def ask(self, name: str, vm: str = "", **more: Any) -> dict[str, Any]:
        return self.layers.view(self.lab, {"name": name, "vm": vm, **more})

    def keys(self, name: str, vm: str = "") -> tuple[list[str], str]:
        """Return what is said of each frame or page, and the note."""
        answer = self.ask(name, vm)
        meaning = {entry["code"]: entry["key"] for entry in answer["legend"]}
        codes = unpacked(answer)
        assert all(entry["count"] == codes.count(entry["code"]) for entry in answer["legend"])
        return [meaning[code] for code in codes], answer["note"]

    def pages(self, name: str) -> list[str]:
        """Return what is said of the pages of VM a, which is the same as of the frames behind them."""
        of_pages = self.keys(name, "a")[0]
        of_frames = self.keys(name)[0]
        for page, hfn in enumerate(self.lab.hypervisor.vms["a"].frames):
            assert hfn == ABSENT or of_frames[hfn] == of_pages[page]
        return of_pages


@pytest.fixture(scope="module")
def shown() -> Map:
    return Map(lab_of(overcommit=1.5, swap="1 MiB", swap_policy="lru", swap_interval="1 ms"))


def test_a_page_that_was_read_is_never_written_and_one_that_was_written_is_dirty(shown: Map) -> None:
    pages = shown.pages("dirty")
    assert set(pages[0x10:0x20]) == {"never-written"}
    assert set(pages[0x80:0x88]) == {"dirty"}
    assert pages[0xF0] == "free"


def test_permissions_are_those_of_the_leaves(shown: Map) -> None:
    assert set(shown.pages("permissions")) == {"rwx", "free"}


def test_what_stands_behind_a_page(shown: Map) -> None:
    pages, _ = shown.keys("backing", "a")
    assert pages.count("resident") == shown.lab.hypervisor.vms["a"].backing.resident
    assert pages[0x80] == "resident"
    assert pages[0xF0] == "free"


def test_age_and_heat_compare_looks(shown: Map) -> None:
    assert shown.keys("age")[1] == "one-look"
    for _ in range(9):
        shown.lab.advance(shown.lab.position + 300_000)
        shown.keys("age")
    ages, heat = shown.pages("age"), shown.pages("heat")
    assert set(ages[0x80:0x88]) == {"newest"}
    assert set(ages[0x10:0x20]) == {"not-seen"}
    assert set(heat[0x80:0x88]) == {"hottest"}
    assert set(heat[0x10:0x20]) == {"cold"}


def test_looking_changes_nothing(shown: Map) -> None:
    before = shown.lab.state_hash()
    for name in ("sharing", "dirty", "swap", "age", "permissions", "heat", "balloon"):
        shown.keys(name)
    assert shown.lab.state_hash() == before


def test_what_is_not_measured_says_so() -> None:
    shown = Map(lab_of())
    ages, note = shown.keys("age")
    assert note == "no-aging"
    assert set(ages) == {"free", "other", "unknown"}
    shown.lab.advance(shown.lab.position + 100_000)
    shown.keys("heat")
    shown.lab.advance(shown.lab.position + 100_000)
    assert shown.keys("heat")[1] == "writes-only"
    assert shown.keys("balloon")[1] == "choose-vm"
    assert set(shown.keys("balloon", "a")[0]) == {"unknown"}
    shown.lab.apply({"verb": "destroy", "vm": "a"})
    assert shown.keys("dirty", "a") == ([], "off")


def test_pages_that_ksm_has_merged_are_shared_and_read_only() -> None:
    shown = Map(lab_of(overcommit=1.5, ksm=True, ksm_interval="1 ms", ksm_pages=400))
    shown.lab.advance(shown.lab.position + 1_000_000)
    sharing = shown.pages("sharing")
    assert set(sharing[0x10:0x20]) == {"merged"}
    assert set(shown.pages("permissions")[0x10:0x20]) == {"rx"}
    assert sharing[0x80] == "own"


def test_frames_of_a_linked_clone_have_their_content_from_its_original() -> None:
    lab = lab_of()
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.apply({"verb": "clone", "vm": "a", "name": "b", "linked": True})
    assert "copy-on-write" in Map(lab).keys("sharing")[0]


def test_what_went_to_the_swap_area_says_so() -> None:
    shown = Map(lab_of(limit="64 KiB", overcommit=1.5, swap="1 MiB"))
    shown.lab.advance(shown.lab.position + 1_000_000)
    pages, _ = shown.keys("swap", "a")
    assert "swapped" in pages
    assert pages == [
        "swapped" if page in shown.lab.hypervisor.vms["a"].backing.swapped else said
        for page, said in enumerate(pages)
    ]
