"""The tables that the hypervisor writes say what they should, bit by bit."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.hypervisor.gstage import GStage, frame_address, table_frames_needed
from emulator.hypervisor.partition import Partition
from emulator.hypervisor.trace import Revision
from emulator.machine.host import Host
from emulator.state import PAGE_BYTES, RAM_BASE


@pytest.fixture
def host(engine: Any) -> Host:
    return Host(1, 8 << 20, 100_000_000, engine)


@pytest.mark.parametrize("pages", [1, 16, 511, 512, 513, 1500])
def test_every_page_is_found_and_its_neighbours_are_not(host: Host, pages: int) -> None:
    partition = Partition(host.frames, Revision())
    table = GStage(host, partition, 0)
    frames = partition.take(pages, 2)
    table.map(RAM_BASE, frames)
    for page, hfn in enumerate(frames):
        entry = table.lookup(RAM_BASE + page * PAGE_BYTES)
        assert entry >> 10 << 12 == frame_address(hfn)
        assert entry & 0xFF == 0b1101_1111, "D A - U X W R V"
    assert table.lookup(RAM_BASE - PAGE_BYTES) == 0
    assert table.lookup(RAM_BASE + pages * PAGE_BYTES) == 0


@given(gpa_page=st.integers(0, (1 << 29) - 2000), pages=st.integers(1, 1500))
@settings(max_examples=100)
def test_frames_needed_are_frames_taken(engine: Any, gpa_page: int, pages: int) -> None:
    host = Host(1, 8 << 20, 100_000_000, engine)
    partition = Partition(host.frames, Revision())
    table = GStage(host, partition, 0)
    table.map(gpa_page * PAGE_BYTES, partition.take(pages, 2))
    assert len(table.frames) == table_frames_needed(gpa_page * PAGE_BYTES, pages)


def test_hgatp_names_mode_vmid_and_root(host: Host) -> None:
    table = GStage(host, Partition(host.frames, Revision()), 0)
    hgatp = table.hgatp(5)
    assert hgatp >> 60 == 8
    assert hgatp >> 44 & 0x3FFF == 5
    assert (hgatp & (1 << 44) - 1) << 12 == frame_address(table.frames[0])
    assert frame_address(table.frames[0]) % (16 << 10) == 0


def test_address_beyond_41_bits_has_no_entry(host: Host) -> None:
    assert GStage(host, Partition(host.frames, Revision()), 0).lookup(1 << 41) == 0
