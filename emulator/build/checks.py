"""Put a bounds check around every raw access of the kernels, for `generate.py`.

The check is part of the text, so that kernels made without it are the same as if this file were not there.
Each access is told which region of `state.REGIONS` it may touch. What that is follows from its address: from
the array of the host that it begins with, else from the table below. An access that neither knows is an
error here, so that none is forgotten.
"""

import ast
from collections.abc import Iterable

from emulator.state import EXIT_BOUNDS, HART, HOST, REGIONS, WALK

# What a function's variable points into.
_POINTERS = {
    ("copy_page", "source"): "store",
    ("copy_page", "target"): "fresh",
    ("load_sized", "address"): "store",
    ("store_sized", "address"): "store",
    ("zero_block", "page"): "store",
    ("hold_slots", "table"): "buffer",
    ("release_slots", "table"): "buffer",
    ("adopt_slots", "table"): "buffer",
    ("copy_from_ram", "target"): "buffer",
    ("copy_to_ram", "source"): "buffer",
    ("forget_addresses", "entry"): "fast",
    ("forget_stores", "entry"): "fast",
    ("forget_fetches", "entry"): "fast",
    ("flush_fast", "entry"): "own",
    ("remember_data", "entry"): "own",
    ("remember_fetch", "entry"): "own",
    ("remember_fetch", "scratch"): "code",
    ("decode_at", "scratch"): "code",
    ("decode_at", "page"): "code",
    ("code_page", "page"): "code",
    ("forget_code", "page"): "code",
    ("record_trap", "event"): "events",
    ("run", "entry"): "own",
    ("run", "code"): "code",
    # A load or store of the guest, by an entry of the fast map.
    ("run", "address"): "store",
}
_SIZES = {f"{kind}_u{bits}": bits // 8 for kind in ("load", "store") for bits in (8, 16, 32, 64)}
_COUNTS = {name: count for layout in (HART, HOST, WALK) for name, count in layout.fields if count > 1}
_UNCHECKED = frozenset(
    {"violated", "bounds_broken", "note_pc", "within", "bounded", "bounded_store", "bounded_code"}
    | {"bounded_index"}
)


def check_accesses(functions: Iterable[ast.stmt]) -> list[ast.stmt]:
    """Return the functions with a check around each address and each index, and `run` looking for the result.

    Raises ValueError for an access of which it is not known what it may touch.
    """
    return [_checked(node) for node in functions]


def _checked(node: ast.stmt) -> ast.stmt:
    if not isinstance(node, ast.FunctionDef) or node.name in _UNCHECKED:
        return node
    checked = _Checks(node.name).visit(node)
    if node.name == "run":
        _stop_when_broken(checked)
    return ast.fix_missing_locations(checked)


def _stop_when_broken(run: ast.FunctionDef) -> None:
    """Let both loops of `run` end after a violation, and the inner one say which instruction it runs."""
    outer, inner = (node for node in ast.walk(run) if isinstance(node, ast.While))
    leaving = f"if bounds_broken():\n    return leave(hart, pc, n, traps, {EXIT_BOUNDS})\nnote_pc(pc)"
    outer.body[:0] = ast.parse(leaving).body
    inner.test = ast.BoolOp(ast.And(), [inner.test, ast.parse("not bounds_broken()", mode="eval").body])
    inner.body[:0] = ast.parse("note_pc(pc)").body


class _Checks(ast.NodeTransformer):
    def __init__(self, function: str) -> None:
        self.function = function

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _SIZES:
            node.args[0] = self._guarded(node.args[0], _SIZES[name], int(name.startswith("store")))
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        array = node.value
        name = array.attr if isinstance(array, ast.Attribute) else getattr(array, "id", "")
        if name not in _COUNTS:
            raise ValueError(f"{self.function}: {ast.unparse(node)} is an array of unknown length")
        node.slice = _call("bounded_index", node.slice, ast.Constant(_COUNTS[name]))
        return node

    def _guarded(self, address: ast.expr, size: int, write: int) -> ast.expr:
        region = self._region(address)
        number, rest = ast.Constant(REGIONS.index(region)), (ast.Constant(size), ast.Constant(write))
        if region == "code":
            return _call("bounded_code", address, *rest)
        if region in ("store", "fresh"):
            return _call("bounded_store", number, address, *rest)
        return _call("bounded", number, address, *rest)

    def _region(self, address: ast.expr) -> str:
        """Name the region of an address by what its sum begins with."""
        first = address
        while isinstance(first, ast.BinOp):
            first = first.left
        region = None
        if isinstance(first, ast.Attribute) and first.attr in REGIONS:
            owner = ast.unparse(first.value)
            region = "own" if (owner, first.attr) == ("hart", "fast") else first.attr
        elif isinstance(first, ast.Call) and ast.unparse(first.func) == "frame_bytes":
            region = "store"
        elif isinstance(first, ast.Name):
            region = "own" if first.id == "fast" else _POINTERS.get((self.function, first.id))
        if region is None:
            raise ValueError(f"{self.function}: what may be accessed at {ast.unparse(address)}?")
        return region


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), list(arguments), [])
