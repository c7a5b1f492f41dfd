"""Makes a policy's text safe to call: refuses what makes no sense in one, and counts what it does.

The text is parsed, and its tree changed before it is compiled; lines and columns stay those of the text.
Into every loop, comprehension and function goes a call of `step`; operators and calls that can make
something large go through the functions of `meter`. What is refused: imports beyond a small list, names
with two underscores (the way to whatever lies behind an object), `global`, `async`, `except` without a
name, and a few string methods.

This keeps honest mistakes from hanging a lab, and makes them end at the same line everywhere. It is no
sandbox: nothing inside an interpreter is. What confines a policy is the browser's worker that it runs in,
and the worker's content security policy. That is why its text is never run in a server.
"""

from __future__ import annotations

import ast
import re
from typing import TypeVar

from emulator.policy.errors import PolicyError
from emulator.policy.modules import ALLOWED

MAX_TEXT = 64 << 10
MAX_DEPTH = 100  # of one thing inside another
FILE = "<policy>"
HIDDEN = "__vmlab_{}__"  # names that a policy's text cannot say; a class does not mangle them
SPECIAL_METHODS = {
    f"__{name}__"
    for name in (
        *(
            "init",
            "repr",
            "str",
            "eq",
            "ne",
            "lt",
            "le",
            "gt",
            "ge",
            "hash",
            "bool",
            "len",
            "contains",
            "iter",
        ),
        *("next", "getitem", "setitem", "add", "sub", "mul", "neg", "post_init", "call", "enter", "exit"),
    )
}
REFUSED_METHODS = {
    *("format", "format_map", "ljust", "rjust", "center", "zfill", "expandtabs", "translate", "replace"),
    *("gi_frame", "gi_code", "f_globals", "f_builtins", "f_locals", "f_back", "tb_frame", "cr_frame", "mro"),
}
GROWING_METHODS = {"extend", "extendleft", "update", "join", "union", "fromkeys"}
CONSTRUCTORS = {"list", "tuple", "set", "frozenset", "dict", "sorted", "sum"}
OPERATORS: dict[type[ast.operator], str] = {
    ast.Mult: "multiply",
    ast.Pow: "power",
    ast.LShift: "shift",
    ast.Mod: "remainder",
}
Node = TypeVar("Node", bound=ast.AST)
Function = TypeVar("Function", ast.FunctionDef, ast.Lambda)
Comprehension = TypeVar("Comprehension", ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def guarded(text: str) -> ast.Module:
    """Return the tree of a policy's text with its guards. Raises PolicyError."""
    tree = parsed(text)
    return ast.fix_missing_locations(_Guard().visit(tree))


def parsed(text: str) -> ast.Module:
    """Return the tree of a text. Raises PolicyError."""
    if len(text) > MAX_TEXT:
        raise PolicyError(f"the text has {len(text):,} characters; a policy has at most {MAX_TEXT:,}")
    try:
        tree = ast.parse(text, FILE)
    except SyntaxError as error:
        raise PolicyError(f"{error.msg}", error.lineno or 0, error.offset or 0) from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise PolicyError(f"this cannot be read as Python: {error}") from None
    _require_flat(tree)
    return tree


def _require_flat(tree: ast.AST) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    line = next((getattr(node, "lineno", 0) for node in level if hasattr(node, "lineno")), 0)
    raise PolicyError(f"more than {MAX_DEPTH} things inside each other", line)


def refuse(node: ast.AST, problem: str) -> PolicyError:
    """Return the error for a node."""
    return PolicyError(problem, getattr(node, "lineno", 0), getattr(node, "col_offset", -1) + 1)


def _call(name: str, *arguments: ast.expr) -> ast.Call:
    return ast.Call(ast.Name(HIDDEN.format(name), ast.Load()), list(arguments), [])


def _at(new: Node, old: ast.AST) -> Node:
    """Return a new node, and all that is in it, with the place of an old one."""
    ast.copy_location(new, old)
    for child in ast.walk(new):
        if "lineno" in child._attributes and not hasattr(child, "lineno"):
            ast.copy_location(child, old)
    return new


class _Guard(ast.NodeTransformer):
    """One pass over the tree."""

    def __init__(self) -> None:
        self._temporaries = 0

    # What is refused

    def visit_Import(self, node: ast.Import) -> ast.AST:
        for alias in node.names:
            if alias.name not in ALLOWED:
                raise refuse(
                    node, f"a policy cannot import {alias.name}; there are {', '.join(sorted(ALLOWED))}"
                )
        return node

    def visit_ImportFrom(self, node: ast.ImportFrom) -> ast.AST:
        if node.module == "__future__":
            return node
        if node.level or node.module not in ALLOWED:
            raise refuse(
                node, f"a policy cannot import from {node.module}; there are {', '.join(sorted(ALLOWED))}"
            )
        return node

    def visit_Global(self, node: ast.Global) -> ast.AST:
        raise refuse(node, "a policy keeps what it remembers in self, not in global variables")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        raise refuse(node, "a policy answers at once: there is no async here")

    def visit_Try(self, node: ast.Try) -> ast.AST:
        for handler in node.handlers:
            if handler.type is None:
                raise refuse(handler, "name the exceptions to catch, e.g. `except KeyError:`")
        return self.generic_visit(node)

    def visit_TryStar(self, node: ast.AST) -> ast.AST:
        raise refuse(node, "there is no except* here")

    def visit_Name(self, node: ast.Name) -> ast.AST:
        if node.id.startswith("__"):
            raise refuse(node, f"{node.id}: names with two underscores are not for policies")
        if isinstance(node.ctx, ast.Store | ast.Del) and node.id in CONSTRUCTORS | {"range"}:
            raise refuse(node, f"{node.id} is a built-in function; choose another name")
        return node

    def visit_arg(self, node: ast.arg) -> ast.AST:
        if node.arg.startswith("__") or node.arg in CONSTRUCTORS | {"range"}:
            raise refuse(node, f"{node.arg} cannot be the name of an argument here")
        return self.generic_visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        if node.attr.startswith("__") and node.attr != "__init__":
            raise refuse(node, f"{node.attr}: names with two underscores are not for policies")
        if node.attr in REFUSED_METHODS:
            hint = "; use an f-string" if node.attr.startswith("format") else ""
            raise refuse(node, f"there is no {node.attr} for policies{hint}")
        return self.generic_visit(node)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> ast.AST:
        spec = node.format_spec
        parts = spec.values if isinstance(spec, ast.JoinedStr) else []
        for part in parts:
            if not isinstance(part, ast.Constant) or re.search(r"[0-9]{4}", str(part.value)):
                raise refuse(node, "the format of a value is a text with widths up to 999")
        self.visit(node.value)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        if node.keywords or node.name.startswith("__"):
            raise refuse(node, "a class here has a plain name, and no keywords")
        return self.generic_visit(node)

    # What is counted

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        if node.name.startswith("__") and node.name not in SPECIAL_METHODS:
            raise refuse(node, f"{node.name} cannot be defined by a policy")
        if node.name in CONSTRUCTORS | {"range"}:
            raise refuse(node, f"{node.name} is a built-in function; choose another name")
        self.generic_visit(node)
        described = ast.get_docstring(node, clean=False) is not None
        node.body.insert(int(described), _at(ast.Expr(_call("step")), node))
        return node

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        self.generic_visit(node)
        node.body = _at(ast.BoolOp(ast.Or(), [_call("step"), node.body]), node.body)
        return node

    def visit_While(self, node: ast.While) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, _at(ast.Expr(_call("step")), node))
        return node

    def visit_For(self, node: ast.For) -> ast.AST:
        self.generic_visit(node)
        node.body.insert(0, _at(ast.Expr(_call("step")), node))
        return node

    def visit_comprehension(self, node: ast.comprehension) -> ast.AST:
        if node.is_async:
            raise refuse(node.target, "a policy answers at once: there is no async here")
        self.generic_visit(node)
        counted = ast.Compare(_call("step"), [ast.Is()], [ast.Constant(None)])
        node.ifs.insert(0, _at(counted, node.target))
        return node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name) and node.func.id in CONSTRUCTORS:
            node.func = _at(ast.Name(HIDDEN.format(node.func.id), ast.Load()), node.func)
        if isinstance(node.func, ast.Attribute) and node.func.attr in GROWING_METHODS:
            node.args = [one if isinstance(one, ast.Starred) else self._grown(one) for one in node.args]
        for keyword in node.keywords:
            if keyword.arg is None:
                keyword.value = self._grown(keyword.value)
        return _at(_call("charge", node), node)

    def visit_Starred(self, node: ast.Starred) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load):
            node.value = self._grown(node.value)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.AST:
        self.generic_visit(node)
        pairs = zip(node.keys, node.values, strict=True)
        node.values = [self._grown(value) if key is None else value for key, value in pairs]
        return node

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.ctx, ast.Load) and isinstance(node.slice, ast.Slice):
            return _at(_call("charge", node), node)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        if any(isinstance(one, ast.Subscript) and isinstance(one.slice, ast.Slice) for one in node.targets):
            node.value = self._grown(node.value)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        name = OPERATORS.get(type(node.op))
        if name is not None:
            return _at(_call(name, node.left, node.right), node)
        return _at(_call("charge", node), node) if isinstance(node.op, ast.Add) else node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.BitOr):
            node.value = self._grown(node.value)
        name = OPERATORS.get(type(node.op))
        if name is None:
            return node
        before, target = self._twice(node.target)
        source = ast.copy_location(_reading(target), node.target)
        assignment = ast.Assign([target], _call(name, source, node.value))
        return [*before, _at(assignment, node)]

    def _twice(self, target: ast.expr) -> tuple[list[ast.stmt], ast.expr]:
        """Return statements after which a target can be evaluated twice, and the target then."""
        if isinstance(target, ast.Attribute):
            kept, name = self._kept(target.value)
            return [kept], _at(ast.Attribute(name, target.attr, ast.Store()), target)
        if isinstance(target, ast.Subscript):
            first, name = self._kept(target.value)
            second, index = self._kept(target.slice)
            return [first, second], _at(ast.Subscript(name, index, ast.Store()), target)
        return [], target

    def _kept(self, value: ast.expr) -> tuple[ast.stmt, ast.expr]:
        self._temporaries += 1
        name = HIDDEN.format(f"kept{self._temporaries}")
        statement = ast.Assign([ast.Name(name, ast.Store())], value)
        return _at(statement, value), _at(ast.Name(name, ast.Load()), value)

    def _grown(self, value: ast.expr) -> ast.expr:
        return _at(_call("grow", value), value)


def _reading(target: ast.expr) -> ast.expr:
    """Return a target as a value to read."""
    if isinstance(target, ast.Attribute):
        return _at(ast.Attribute(target.value, target.attr, ast.Load()), target)
    if isinstance(target, ast.Subscript):
        return _at(ast.Subscript(target.value, target.slice, ast.Load()), target)
    assert isinstance(target, ast.Name)
    return _at(ast.Name(target.id, ast.Load()), target)
