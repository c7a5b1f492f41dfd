"""Device trees are written as the specification says, and read whatever bytes they are made of."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.machine.fdt import FdtError, Node, cells64, flatten, parse


def _tree() -> Node:
    root = Node("", {"#address-cells": 2, "compatible": ["vmlab,vm", "riscv-virtio"]})
    root.add("memory@80000000", device_type="memory", reg=cells64(0x8000_0000, 1 << 33))
    cpus = root.add("cpus")
    cpus.add("cpu@0", reg=0, device_type="cpu", empty=None)
    return root


def test_a_tree_is_read_back_as_it_was_written():
    root = parse(flatten(_tree()))
    assert root.properties["compatible"] == b"vmlab,vm\0riscv-virtio\0"
    memory, cpu = root.find("memory@80000000"), root.find("cpus/cpu@0")
    assert memory is not None
    assert memory.properties["reg"] == struct.pack(">QQ", 0x8000_0000, 1 << 33)
    assert cpu is not None
    assert cpu.properties == {"reg": bytes(4), "device_type": b"cpu\0", "empty": b""}
    assert root.find("cpus/cpu@1") is None


def test_the_header_tells_the_blocks_that_are_there():
    blob = flatten(_tree())
    magic, size, structure_at, names_at, reserve_at, version, *_ = struct.unpack_from(">10I", blob)
    assert (magic, size, reserve_at, version) == (0xD00DFEED, len(blob), 40, 17)
    assert size % 8 == 0
    assert blob[structure_at : structure_at + 4] == b"\0\0\0\1"
    assert blob[names_at:].startswith(b"#address-cells\0")


def test_a_blob_that_ends_early_is_refused():
    blob = flatten(_tree())
    with pytest.raises(FdtError, match="end past its end"):
        parse(blob[:-8])


@given(st.data())
def test_no_bytes_upset_the_reader(data: st.DataObject):
    blob = bytearray(flatten(_tree()))
    for _ in range(data.draw(st.integers(1, 8))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FdtError):
        parse(bytes(blob))
