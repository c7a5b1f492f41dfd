"""A flattened device tree (Devicetree Specification 0.4, chapter 5), written from nested nodes.

Left out: parsing, overlays, memory reservations.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

FDT_MAGIC = 0xD00D_FEED
FDT_BEGIN_NODE, FDT_END_NODE, FDT_PROP, FDT_END = 1, 2, 3, 9
HEADER = struct.Struct(">10I")
VERSION, LAST_COMPATIBLE_VERSION = 17, 16

Value = bytes | str | int | list[int] | list[str] | None


@dataclass
class Node:
    """A node: properties, then children.

    A property is None (present, empty), a cell, a list of cells, a string, a list of strings, or bytes.
    """

    name: str
    properties: dict[str, Value] = field(default_factory=dict[str, Value])
    children: list[Node] = field(default_factory=list["Node"])

    def add(self, name: str, **properties: Value) -> Node:
        """Append a child and return it; `_` and `__` in keyword names stand for `-` and `,`."""
        child = Node(name, {_property(key): value for key, value in properties.items()})
        self.children.append(child)
        return child


def cells64(*values: int) -> list[int]:
    """Return 64-bit numbers as pairs of cells."""
    return [part for value in values for part in (value >> 32, value & 0xFFFF_FFFF)]


def flatten(root: Node) -> bytes:
    """Return the tree as a device tree blob, version 17."""
    strings: dict[str, int] = {}
    body = b"".join(_node(root, strings)) + struct.pack(">I", FDT_END)
    names = b"".join(name.encode() + b"\0" for name in strings)
    reservations = HEADER.size
    reservations += -reservations % 8
    structure = reservations + 16
    total = structure + len(body) + len(names)
    header = HEADER.pack(
        FDT_MAGIC, total, structure, structure + len(body), reservations, VERSION, LAST_COMPATIBLE_VERSION,
        0, len(names), len(body),
    )  # fmt: skip
    return header.ljust(reservations, b"\0") + bytes(16) + body + names


def _property(key: str) -> str:
    """`riscv__isa` is `riscv,isa`; `address_cells` is `#address-cells`, as `size_` and `interrupt_cells`."""
    if key == "device_type":
        return key
    name = key.replace("__", ",").replace("_", "-")
    return "#" + name if name.endswith("-cells") else name


def _node(node: Node, strings: dict[str, int]) -> Iterator[bytes]:
    yield struct.pack(">I", FDT_BEGIN_NODE) + _padded(node.name.encode() + b"\0")
    for name, value in node.properties.items():
        data = _encoded(value)
        if name not in strings:
            strings[name] = sum(len(known.encode()) + 1 for known in strings)
        yield struct.pack(">3I", FDT_PROP, len(data), strings[name]) + _padded(data)
    for child in node.children:
        yield from _node(child, strings)
    yield struct.pack(">I", FDT_END_NODE)


def _encoded(value: Value) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode() + b"\0"
    if isinstance(value, int):
        return struct.pack(">I", value)
    return b"".join(_encoded(part) for part in value)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
