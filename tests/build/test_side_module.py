"""Objects become side modules that a WebAssembly engine runs; what cannot be one is refused."""

import ctypes
from typing import Any

import llvmlite.binding as llvm
import pytest
import wasmtime

from emulator.build.side_module import SideModuleError, link, unsigned
from emulator.build.wasm import FEATURES, TRIPLE

BASE = 4096
SQUARES = """
@odd = internal constant i8 7
@squares = internal constant [4 x i64] [i64 0, i64 1, i64 4, i64 9]
@seven = internal constant [3 x i32] [i32 70, i32 71, i32 72]
define i64 @odd_one() {
  %value = load volatile i8, ptr @odd
  %wide = zext i8 %value to i64
  ret i64 %wide
}
define i64 @square(i64 %n) {
  %place = getelementptr [4 x i64], ptr @squares, i64 0, i64 %n
  %value = load volatile i64, ptr %place
  ret i64 %value
}
define i64 @last() {
  %value = load volatile i32, ptr getelementptr ([3 x i32], ptr @seven, i32 0, i32 2)
  %wide = zext i32 %value to i64
  %square = call i64 @square(i64 3)
  %both = add i64 %wide, %square
  ret i64 %both
}
"""


def compiled(text: str) -> bytes:
    """Return a relocatable object of some LLVM code."""
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(reloc="pic", features=FEATURES)
    module: Any = llvm.parse_assembly(f'target triple = "{TRIPLE}"\n{text}')
    return machine.emit_object(module)


def loaded(content: bytes) -> tuple[Any, Any]:
    """Run a side module as a dynamic linker would; return its store and exports."""
    store = wasmtime.Store()
    memory = wasmtime.Memory(store, wasmtime.MemoryType(wasmtime.Limits(2, None)))
    kind = wasmtime.GlobalType(wasmtime.ValType.i32(), False)
    mutable = wasmtime.GlobalType(wasmtime.ValType.i32(), True)
    given: dict[str, Any] = {
        "memory": memory,
        "__memory_base": wasmtime.Global(store, kind, wasmtime.Val.i32(BASE)),
        "__stack_pointer": wasmtime.Global(store, mutable, wasmtime.Val.i32(BASE)),
    }
    module = wasmtime.Module(store.engine, content)
    assert {one.module for one in module.imports} <= {"env"}
    imports = [given[str(one.name)] for one in module.imports]
    return store, wasmtime.Instance(store, module, imports).exports(store)


def test_data_is_where_the_loader_says() -> None:
    store, exports = loaded(link(compiled(SQUARES), ["odd_one", "square", "last"]))
    assert [exports["square"](store, n) for n in range(4)] == [0, 1, 4, 9]
    assert exports["odd_one"](store) == 7
    assert exports["last"](store) == 81


def test_loader_is_told_how_much_memory_the_data_needs() -> None:
    module = link(compiled(SQUARES), ["last"])
    # After the header: a custom section `dylink.0` first; its memory information is size and alignment.
    at = module.index(b"dylink.0") + len("dylink.0")
    kind, _, size, alignment = module[at : at + 4]
    assert kind == 1
    assert 8 + 32 + 12 <= size <= 64
    assert 1 << alignment >= 8


def test_only_what_is_named_is_exported() -> None:
    _, exports = loaded(link(compiled(SQUARES), ["last"]))
    assert list(exports) == ["last"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "declare i64 @far()\ndefine i64 @f() {\n%a = call i64 @far()\nret i64 %a\n}",
            "undefined function `far`",
        ),
        ("define i64 @g() { ret i64 0 }", "no function `f` to export"),
        ("@p = global ptr @p\ndefine ptr @f() { ret ptr @p }", "addresses inside data"),
        ("define i64 @f() {\n%a = ptrtoint ptr @f to i64\nret i64 %a\n}", "needs `f` of `GOT.func`"),
    ],
    ids=["undefined", "missing", "pointer in data", "address of a function"],
)
def test_what_cannot_be_a_side_module_is_refused(text: str, message: str) -> None:
    with pytest.raises(SideModuleError, match=message):
        link(compiled(text), ["f"])


@pytest.mark.parametrize("content", [b"", b"\x7fELF", b"\0asm\2\0\0\0"])
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises(SideModuleError, match="not a WebAssembly object"):
        link(content, ["f"])


def test_linked_module_is_not_linked_again() -> None:
    with pytest.raises(SideModuleError, match="export section"):
        link(link(compiled(SQUARES), ["last"]), ["last"])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 624485, (1 << 32) - 1])
def test_integers_are_written_in_leb128(value: int) -> None:
    text = unsigned(value)
    found = sum((byte & 0x7F) << 7 * place for place, byte in enumerate(text))
    assert found == value
    assert [byte >> 7 for byte in text] == [1] * (len(text) - 1) + [0]
    assert ctypes.sizeof(ctypes.c_uint32) >= len(text) - 1
