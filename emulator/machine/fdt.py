"""Flattened device trees: how firmware tells an operating system what machine it runs on.

Source: Devicetree Specification 0.4, chapter 5 "Flattened Devicetree (DTB) Format", version 17. The memory
reservation block is empty: nothing is kept from the guest.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from emulator.errors import VmLabError

MAGIC, VERSION, COMPATIBLE_VERSION = 0xD00D_FEED, 17, 16
BEGIN_NODE, END_NODE, PROPERTY, NOP, END = 1, 2, 3, 4, 9
MAX_DEPTH = 64
HEADER = struct.Struct(">10I")
RESERVATIONS = bytes(16)  # only the entry that ends the list

Value = int | str | bytes | list[int] | list[str] | None


class FdtError(VmLabError):
    """Bytes are not a flattened device tree; the message says where they go wrong."""


@dataclass
class Node:
    """A node: `properties` in order, then its children.

    A value is a 32-bit cell, cells, a string, strings, raw bytes, or None for a property that is only there.
    """

    name: str
    properties: dict[str, Value] = field(default_factory=dict[str, Value])
    children: list[Node] = field(default_factory=list["Node"])

    def add(self, name: str, **properties: Value) -> Node:
        """Add a child and return it.

        In keyword names `_` and `__` stand for `-` and `,`, and `address_cells` for `#address-cells`.
        """
        child = Node(name, {_property_name(key): value for key, value in properties.items()})
        self.children.append(child)
        return child

    def find(self, path: str) -> Node | None:
        """Return the node below this one at a path like `images/kernel`, or None."""
        node: Node | None = self
        for name in path.split("/"):
            node = next((child for child in node.children if child.name == name), None) if node else None
        return node


def _property_name(key: str) -> str:
    """`riscv__isa` is `riscv,isa`; the properties that count cells begin with `#`; one has an underscore."""
    if key == "device_type":
        return key
    name = key.replace("__", ",").replace("_", "-")
    return "#" + name if name.endswith("-cells") else name


def cells64(*values: int) -> list[int]:
    """Return 64-bit numbers as pairs of cells."""
    return [half for value in values for half in (value >> 32, value & 0xFFFF_FFFF)]


def flatten(root: Node) -> bytes:
    """Return the blob of a tree; its length is a multiple of 8."""
    strings: dict[str, int] = {}
    structure = _node(root, strings) + struct.pack(">I", END)
    names = b"".join(name.encode() + b"\0" for name in strings)
    reserve_at = HEADER.size
    structure_at = reserve_at + len(RESERVATIONS)
    names_at = structure_at + len(structure)
    size = (names_at + len(names) + 7) & ~7
    header = HEADER.pack(
        *(MAGIC, size, structure_at, names_at, reserve_at),
        *(VERSION, COMPATIBLE_VERSION, 0, len(names), len(structure)),
    )
    return (header + RESERVATIONS + structure + names).ljust(size, b"\0")


def _node(node: Node, strings: dict[str, int]) -> bytes:
    parts = [struct.pack(">I", BEGIN_NODE), _padded(node.name.encode() + b"\0")]
    for name, value in node.properties.items():
        if name not in strings:
            strings[name] = sum(len(one) + 1 for one in strings)
        data = _bytes(value)
        parts.append(struct.pack(">III", PROPERTY, len(data), strings[name]) + _padded(data))
    parts += [_node(child, strings) for child in node.children]
    return b"".join(parts) + struct.pack(">I", END_NODE)


def _bytes(value: Value) -> bytes:
    if value is None:
        return b""
    if isinstance(value, bytes):
        return value
    if isinstance(value, int):
        return struct.pack(">I", value)
    if isinstance(value, str):
        return value.encode() + b"\0"
    return b"".join(_bytes(one) for one in value)


def _padded(data: bytes) -> bytes:
    return data.ljust((len(data) + 3) & ~3, b"\0")


def parse(data: bytes) -> Node:
    """Return the root of a blob; every value is bytes. Raises FdtError."""
    if len(data) < HEADER.size:
        raise FdtError(f"has {len(data)} bytes; a device tree begins with a header of {HEADER.size}")
    magic, size, structure_at, names_at, _, _, compatible, _, names_size, structure_size = HEADER.unpack_from(
        data
    )
    if magic != MAGIC:
        raise FdtError(f"begins with {magic:#010x}; a device tree begins with {MAGIC:#010x}")
    if compatible > VERSION:
        raise FdtError(f"is of version {compatible}; {VERSION} is read here")
    if size > len(data) or structure_at + structure_size > size or names_at + names_size > size:
        raise FdtError(f"its blocks end past its end ({len(data):#x})")
    return _Reader(
        data[structure_at : structure_at + structure_size], data[names_at : names_at + names_size]
    ).root()


class _Reader:
    """Reads a structure block from its start to its END."""

    def __init__(self, structure: bytes, names: bytes) -> None:
        self._structure = structure
        self._names = names
        self._at = 0

    def root(self) -> Node:
        open_nodes: list[Node] = []
        while True:
            token = self._cell()
            if token == BEGIN_NODE:
                node = Node(self._name())
                if open_nodes:
                    open_nodes[-1].children.append(node)
                open_nodes.append(node)
                if len(open_nodes) > MAX_DEPTH:
                    raise FdtError(f"has nodes more than {MAX_DEPTH} deep")
            elif token == PROPERTY and open_nodes:
                length, name_at = self._cell(), self._cell()
                open_nodes[-1].properties[self._string(self._names, name_at)] = self._take(length)
            elif token == END_NODE and open_nodes:
                node = open_nodes.pop()
                if not open_nodes:
                    return node
            elif token != NOP:
                raise FdtError(f"has token {token:#x} at {self._at - 4:#x} of its structure, where none fits")

    def _cell(self) -> int:
        return int.from_bytes(self._take(4), "big")

    def _take(self, length: int) -> bytes:
        if length > len(self._structure) - self._at:
            raise FdtError(f"its structure ends inside the item at {self._at:#x}")
        found = self._structure[self._at : self._at + length]
        self._at += (length + 3) & ~3
        return found

    def _name(self) -> str:
        name = self._string(self._structure, self._at)
        self._at += (len(name.encode()) + 4) & ~3
        return name

    @staticmethod
    def _string(block: bytes, at: int) -> str:
        end = block.find(b"\0", at) if at < len(block) else -1
        if end < 0:
            raise FdtError(f"has a name at {at:#x} that does not end")
        try:
            return block[at:end].decode("ascii")
        except UnicodeDecodeError as error:
            raise FdtError(f"has a name at {at:#x} that is not ASCII") from error
