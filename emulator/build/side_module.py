"""Link one relocatable WebAssembly object into a side module, which a running program loads beside itself.

LLVM writes relocatable objects; Emscripten's `dlopen` takes modules with a `dylink.0` section. The kernels
are a single object without undefined functions, so that of a linker's work three things are left: lay the
data segments out behind each other, fill their addresses in, and write imports, exports and `dylink.0`. All
indices stay what they are in the object. Whatever else an object may hold is refused by name.

Specifications: WebAssembly core 2.0, chapter 5 (binary format); WebAssembly tool-conventions, Linking.md
(version 2) and DynamicLinking.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from emulator.errors import VmLabError

MAGIC = b"\0asm\1\0\0\0"
CUSTOM, TYPE, IMPORT, FUNCTION, EXPORT, CODE, DATA = 0, 1, 2, 3, 7, 10, 11
_NAMES = {7: "export", 4: "table", 5: "memory", 6: "global", 8: "start", 9: "element", 13: "tag"}
_SEGMENT_INFO, _SYMBOLS = 5, 8
_SYMBOL_FUNCTION, _SYMBOL_DATA, _SYMBOL_GLOBAL, _SYMBOL_SECTION, _SYMBOL_TABLE = 0, 1, 2, 3, 5
_UNDEFINED, _EXPLICIT_NAME = 0x10, 0x40
_IMPORT_FUNCTION, _IMPORT_TABLE, _IMPORT_MEMORY, _IMPORT_GLOBAL = 0, 1, 2, 3
# Relocations whose field holds its final value already, because indices stay as they are: function, type
# and global index. And the one that does not: an address as a distance from __memory_base.
_KEPT = {0: "R_WASM_FUNCTION_INDEX_LEB", 6: "R_WASM_TYPE_INDEX_LEB", 7: "R_WASM_GLOBAL_INDEX_LEB"}
_MEMORY_ADDRESS_RELATIVE = 11


class SideModuleError(VmLabError):
    """An object that cannot become a side module: 'core.o: undefined function `fmod`; expected none'."""


@dataclass
class _Reader:
    """Reads the binary format; `at` is the position of the next byte."""

    data: bytes
    at: int = 0

    def byte(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def unsigned(self) -> int:
        """An unsigned LEB128 integer."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def signed(self) -> int:
        """A signed LEB128 integer."""
        start = self.at
        value = self.unsigned()
        bits = 7 * (self.at - start)
        return value - (1 << bits) if value >> (bits - 1) else value

    def block(self) -> bytes:
        """Bytes after their number."""
        length = self.unsigned()
        self.at += length
        return self.data[self.at - length : self.at]

    def name(self) -> str:
        return self.block().decode()

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


@dataclass(frozen=True)
class _Symbol:
    kind: int
    flags: int
    name: str
    index: int = 0
    offset: int = 0


@dataclass(frozen=True)
class _Import:
    module: str
    name: str
    kind: int
    rest: bytes


@dataclass
class _Object:
    """What is kept of an object; `segments` are contents, `alignments` powers of two, one for each."""

    sections: dict[int, bytes] = field(default_factory=dict[int, bytes])
    order: list[int] = field(default_factory=list[int])
    imports: list[_Import] = field(default_factory=list[_Import])
    segments: list[bytes] = field(default_factory=list[bytes])
    alignments: list[int] = field(default_factory=list[int])
    symbols: list[_Symbol] = field(default_factory=list[_Symbol])
    relocations: list[tuple[int, int, int, int]] = field(default_factory=list[tuple[int, int, int, int]])


def unsigned(value: int) -> bytes:
    """Return an unsigned integer as LEB128."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def link(content: bytes, exports: Sequence[str], name: str = "object") -> bytes:
    """Return the object's code and data as a side module that exports the functions named.

    Raises SideModuleError when the object has, or lacks, what such a module cannot have.
    """
    parsed = _parse(content, name)
    places, data = _lay_out(parsed)
    _fill_in(parsed, places, name)
    alignment = max(parsed.alignments, default=0)
    memory = unsigned(len(data)) + unsigned(alignment)
    parts = [MAGIC, _section(CUSTOM, _string("dylink.0") + b"\1" + _sized(memory + b"\0\0"))]
    parts += [
        _section(TYPE, parsed.sections[TYPE]),
        _section(IMPORT, _vector(_imports(parsed.imports, name))),
    ]
    parts += [_section(FUNCTION, parsed.sections[FUNCTION])]
    parts += [_section(EXPORT, _vector(_exports(parsed.symbols, exports, name)))]
    parts += [_section(CODE, parsed.sections[CODE])]
    if data:
        parts.append(_section(DATA, _vector([_based_segment(parsed.imports, data, name)])))
    return b"".join(parts)


def _parse(content: bytes, name: str) -> _Object:
    if not content.startswith(MAGIC):
        raise SideModuleError(f"{name}: not a WebAssembly object of version 1")
    found, reader = _Object(), _Reader(content, len(MAGIC))
    custom: dict[str, _Reader] = {}
    while reader.more:
        kind, body = reader.byte(), reader.block()
        found.order.append(kind)
        if kind == CUSTOM:
            inside = _Reader(body)
            custom[inside.name()] = inside
        elif kind in (TYPE, IMPORT, FUNCTION, CODE, DATA):
            found.sections[kind] = body
        elif kind in _NAMES:
            raise SideModuleError(f"{name}: has a {_NAMES[kind]} section; a kernel object has none")
    if "linking" not in custom:
        raise SideModuleError(f"{name}: not relocatable: it has no section `linking`")
    found.imports = list(_read_imports(_Reader(found.sections[IMPORT])))
    found.segments = list(_read_segments(_Reader(found.sections.get(DATA, b"\0"))))
    _read_linking(custom["linking"], found, name)
    for section, relocations in custom.items():
        if section.startswith("reloc.") and section != "reloc.CODE":
            if not section.startswith("reloc..debug"):
                raise SideModuleError(
                    f"{name}: addresses inside data (`{section}`) need a linker at run time"
                )
        elif section == "reloc.CODE":
            found.relocations = list(_read_relocations(relocations, found, name))
    return found


def _read_imports(reader: _Reader) -> Iterator[_Import]:
    for _ in range(reader.unsigned()):
        module, name, kind, start = reader.name(), reader.name(), reader.byte(), reader.at
        if kind == _IMPORT_FUNCTION:
            reader.unsigned()
        elif kind == _IMPORT_GLOBAL:
            reader.at += 2
        else:
            reader.at += kind == _IMPORT_TABLE
            flags = reader.byte()
            reader.unsigned()
            if flags & 1:
                reader.unsigned()
        yield _Import(module, name, kind, reader.data[start : reader.at])


def _read_segments(reader: _Reader) -> Iterator[bytes]:
    """Yield the contents of active segments (`i32.const` address `end`)."""
    for _ in range(reader.unsigned()):
        assert reader.unsigned() == 0, "LLVM writes active segments of memory 0"
        reader.at += 1
        reader.signed()
        reader.at += 1
        yield reader.block()


def _read_linking(reader: _Reader, found: _Object, name: str) -> None:
    version = reader.unsigned()
    if version != 2:
        raise SideModuleError(f"{name}: linking metadata of version {version}; expected 2")
    while reader.more:
        kind, body = reader.byte(), _Reader(reader.block())
        if kind == _SEGMENT_INFO:
            for _ in range(body.unsigned()):
                body.name()
                found.alignments.append(body.unsigned())
                body.unsigned()
        elif kind == _SYMBOLS:
            found.symbols = [_read_symbol(body, found.imports) for _ in range(body.unsigned())]


def _read_symbol(reader: _Reader, imports: Sequence[_Import]) -> _Symbol:
    kind, flags = reader.byte(), reader.unsigned()
    defined = not flags & _UNDEFINED
    if kind == _SYMBOL_SECTION:
        return _Symbol(kind, flags, "", reader.unsigned())
    if kind == _SYMBOL_DATA:
        name = reader.name()
        place = [reader.unsigned() for _ in range(3)] if defined else [0, 0, 0]
        return _Symbol(kind, flags, name, place[0], place[1])
    index = reader.unsigned()
    if defined or flags & _EXPLICIT_NAME:
        return _Symbol(kind, flags, reader.name(), index)
    wanted = {
        _SYMBOL_FUNCTION: _IMPORT_FUNCTION,
        _SYMBOL_GLOBAL: _IMPORT_GLOBAL,
        _SYMBOL_TABLE: _IMPORT_TABLE,
    }
    same = [one for one in imports if one.kind == wanted[kind]]
    return _Symbol(kind, flags, same[index].name, index)


def _read_relocations(reader: _Reader, found: _Object, name: str) -> Iterator[tuple[int, int, int, int]]:
    """Yield type, offset in the code section, symbol and addend."""
    section = reader.unsigned()
    assert found.order[section] == CODE
    for _ in range(reader.unsigned()):
        kind, offset, index = reader.byte(), reader.unsigned(), reader.unsigned()
        if kind not in _KEPT and kind != _MEMORY_ADDRESS_RELATIVE:
            raise SideModuleError(
                f"{name}: relocation of type {kind} at {offset:#x} of the code; see Linking.md"
            )
        yield kind, offset, index, reader.signed() if kind == _MEMORY_ADDRESS_RELATIVE else 0


def _lay_out(parsed: _Object) -> tuple[list[int], bytes]:
    """Return the place of each segment in the module's data, and the data."""
    data, places = bytearray(), list[int]()
    for content, alignment in zip(parsed.segments, parsed.alignments, strict=True):
        data += bytes(-len(data) % (1 << alignment))
        places.append(len(data))
        data += content
    return places, bytes(data)


def _fill_in(parsed: _Object, places: Sequence[int], name: str) -> None:
    """Check every relocation, and write the addresses of data into the code."""
    code = bytearray(parsed.sections[CODE])
    for kind, offset, index, addend in parsed.relocations:
        if kind == _MEMORY_ADDRESS_RELATIVE:
            symbol = parsed.symbols[index]
            if symbol.flags & _UNDEFINED:
                raise SideModuleError(f"{name}: undefined data `{symbol.name}`; expected none")
            code[offset : offset + 5] = _padded(places[symbol.index] + symbol.offset + addend)
    parsed.sections[CODE] = bytes(code)


def _padded(value: int) -> bytes:
    """A signed LEB128 integer in the five bytes that a relocatable object reserves."""
    return bytes([*(value >> shift & 0x7F | 0x80 for shift in (0, 7, 14, 21)), value >> 28 & 0x7F])


def _imports(imports: Iterable[_Import], name: str) -> Iterator[bytes]:
    for one in imports:
        if one.kind == _IMPORT_FUNCTION:
            raise SideModuleError(f"{name}: undefined function `{one.name}`; expected none")
        if one.module != "env":
            raise SideModuleError(f"{name}: needs `{one.name}` of `{one.module}`; only `env` is there")
        # An object calls the memory of the program that loads it __linear_memory.
        known = "memory" if one.kind == _IMPORT_MEMORY else one.name
        yield _string("env") + _string(known) + bytes([one.kind]) + one.rest


def _exports(symbols: Iterable[_Symbol], exports: Sequence[str], name: str) -> Iterator[bytes]:
    functions = {one.name: one.index for one in symbols if one.kind == _SYMBOL_FUNCTION}
    for wanted in exports:
        if wanted not in functions:
            raise SideModuleError(f"{name}: has no function `{wanted}` to export")
        yield _string(wanted) + b"\0" + unsigned(functions[wanted])


def _based_segment(imports: Sequence[_Import], data: bytes, name: str) -> bytes:
    """An active segment at the address that the loader puts into the global __memory_base."""
    names = [one.name for one in imports if one.kind == _IMPORT_GLOBAL]
    if "__memory_base" not in names:
        raise SideModuleError(
            f"{name}: has data but no global __memory_base; compile it with relocation `pic`"
        )
    return b"\0\x23" + unsigned(names.index("__memory_base")) + b"\x0b" + _sized(data)


def _section(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _sized(body)


def _sized(body: bytes) -> bytes:
    return unsigned(len(body)) + body


def _string(text: str) -> bytes:
    return _sized(text.encode())


def _vector(items: Iterable[bytes]) -> bytes:
    listed = list(items)
    return unsigned(len(listed)) + b"".join(listed)
