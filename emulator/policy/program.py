"""A policy's text, made into something that can be called: compiled with its guards, called within limits."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable
from types import CodeType, TracebackType
from typing import Any, TypeVar

from emulator.hypervisor.decisions import Traits
from emulator.policy.errors import LimitReached, PolicyError
from emulator.policy.guard import CONSTRUCTORS, FILE, HIDDEN, guarded, parsed
from emulator.policy.interfaces import INTERFACES, Interface
from emulator.policy.lines import follow
from emulator.policy.meter import BYTES, STEPS, Meter, held_bytes
from emulator.policy.modules import importer
from emulator.state import PAGE_BYTES, RAM_BASE

T = TypeVar("T")
MAX_WINDOW = 1 << 20
_PLAIN = (
    *("abs", "all", "any", "bool", "bytearray", "bytes", "callable", "chr", "classmethod", "complex", "dict"),
    *(
        "divmod",
        "enumerate",
        "filter",
        "float",
        "frozenset",
        "int",
        "isinstance",
        "len",
        "list",
        "map",
        "max",
    ),
    *("min", "object", "ord", "property", "repr", "reversed", "set", "slice", "staticmethod", "str", "super"),
    *("tuple", "zip", "next", "hex", "bin", "__build_class__"),
    *("ArithmeticError", "AssertionError", "AttributeError", "Exception", "IndexError", "KeyError"),
    *("LookupError", "NotImplementedError", "OverflowError", "RuntimeError", "StopIteration", "TypeError"),
    *("ValueError", "ZeroDivisionError", "NotImplemented", "True", "False", "None", "Ellipsis"),
)


class Program:
    """A policy that can be used: its text, what is fixed about it, and the way to make one."""

    def __init__(self, interface: Interface, text: str) -> None:
        """Compile the text, run it once and make one policy of it. Raises PolicyError."""
        self.interface = interface
        self.text = text
        self._code: CodeType = compile(guarded(text), FILE, "exec", dont_inherit=True)
        follow(self._code)
        self._lines = _lines_of(parsed(text))
        caller = self.start(1, 0)
        own = vars(_kind_of(caller.policy)).get("title")
        self.name = (own if isinstance(own, str) and own else _kind_of(caller.policy).__name__)[:60]
        self.traits = _traits(caller, interface)

    def start(self, timeslice: int, seed: int) -> Caller:
        """Return a policy that remembers nothing yet. Raises PolicyError."""
        meter = Meter()
        space = _namespace(meter)
        name = self.interface.base.__name__
        base = type(name, (self.interface.base,), {"__doc__": ""})
        space[name] = base
        caller = Caller(None, meter, self._lines)
        caller(exec, self._code, space)
        made = [one for one in space.values() if isinstance(one, type) and issubclass(one, base)]
        policies = [one for one in made if one is not base]
        if not policies:
            raise PolicyError(f"there is no class here that extends {name}: class Mine({name}):", 1)
        arguments = (timeslice, seed) if self.interface.name == "scheduler" else ()
        caller.policy = caller(policies[-1], *arguments)
        return caller


def load(interface: str, text: str) -> Program:
    """Return the policy of a text. Raises PolicyError."""
    return Program(INTERFACES[interface], text)


class Caller:
    """Calls a policy within its limits; what goes wrong is told with its line."""

    def __init__(self, policy: Any, meter: Meter, lines: dict[str, int]) -> None:
        """Call methods of `policy`; `lines` says where each returns, for answers that make no sense."""
        self.policy = policy
        self.meter = meter
        self._lines = lines
        self._reset, self._settle = meter.reset, meter.settle

    def ask(self, function: Callable[[Any, Any], T], one: Any, two: Any) -> T:
        """Call a function of two arguments: the same as `self(function, one, two)` in less time."""
        self._reset()
        try:
            answer = function(one, two)
        except (Exception, LimitReached) as error:  # noqa: BLE001  whatever a student's text may raise
            raise self._explained(error) from None
        due = self._settle()
        if due or due is None:
            self._look(function, due)
        return answer

    def _look(self, function: Callable[..., Any], due: bool | None) -> None:
        """Look at what a call has used (`Meter.settle`). Raises PolicyError if it was too much."""
        if due is None:
            raise PolicyError(f"more than {STEPS:,} steps, or {BYTES >> 20} MiB, in one call")
        if due and held_bytes(self.policy, BYTES) > BYTES:
            raise self.wrong(
                function.__name__, f"the policy keeps more than {BYTES >> 20} MiB from call to call"
            )

    def __call__(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function of the policy's text. Raises PolicyError."""
        self._reset()
        try:
            answer = function(*arguments)
        except (Exception, LimitReached) as error:  # noqa: BLE001  whatever a student's text may raise
            raise self._explained(error) from None
        self._look(function, self._settle())
        return answer

    def wrong(self, method: str, problem: str) -> PolicyError:
        """Return the error for an answer of a method that makes no sense."""
        return PolicyError(problem, self._lines.get(method, 0))

    def _explained(self, error: BaseException) -> PolicyError:
        line = _line_of(error.__traceback__)
        if isinstance(error, LimitReached):
            return PolicyError(str(error), line)
        if isinstance(error, RecursionError):
            return PolicyError("functions call each other too deep: does this end?", line)
        if isinstance(error, MemoryError):
            return PolicyError("there is no memory for this", line)
        return PolicyError(f"{type(error).__name__}: {str(error)[:300]}".rstrip(": "), line)


def _namespace(meter: Meter) -> dict[str, Any]:
    """Return the names that a policy's text finds."""
    table: dict[str, Any] = {name: getattr(builtins, name) for name in _PLAIN if hasattr(builtins, name)}
    table |= {
        "range": meter.range,
        "pow": meter.power,
        "round": meter.round,
        "iter": meter.iterate,
        "print": meter.show,
        "bytes": meter.octets(bytes),
        "bytearray": meter.octets(bytearray),
        "__import__": importer(),
    }
    space: dict[str, Any] = {"__builtins__": table, "__name__": "policy"}
    space |= {HIDDEN.format(kind): meter.made(getattr(builtins, kind)) for kind in CONSTRUCTORS}
    own = ("step", "charge", "grow", "multiply", "power", "shift", "remainder")
    space |= {HIDDEN.format(name): getattr(meter, name) for name in own}
    return space


def _traits(caller: Caller, interface: Interface) -> Traits:
    """Return what is fixed about a policy. Raises PolicyError."""
    policy: Any = caller.policy
    kind: Any = _kind_of(policy)
    asks = tuple(one for one in interface.answers if getattr(kind, one) is not getattr(interface.base, one))
    if not asks:
        raise PolicyError(f"{kind.__name__} defines none of {', '.join(interface.answers)}", 1)
    if interface.name != "exits":
        flags = {name: bool(getattr(policy, name, False)) for name in ("preemptive", "always_asks", "ages")}
        return Traits(asks, **flags)
    base, size = policy.base, policy.size
    for value in (base, size):
        if type(value) is not int or value % PAGE_BYTES or value < 0:
            raise PolicyError(f"base and size are whole pages of {PAGE_BYTES} bytes, not {value!r}", 1)
    if size > MAX_WINDOW or base + size > RAM_BASE:
        raise PolicyError(f"the window has at most {MAX_WINDOW >> 20} MiB and lies below {RAM_BASE:#x}", 1)
    return Traits(asks, base=base, size=size)


def _kind_of(policy: object) -> type[Any]:
    return type(policy)


def _line_of(trace: TracebackType | None) -> int:
    """Return the line of a policy's text in which something was raised: the innermost."""
    line = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _lines_of(tree: ast.Module) -> dict[str, int]:
    """Return for each method the line of its return, or of its beginning if there are several."""
    lines: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            returns = [one.lineno for one in ast.walk(node) if isinstance(one, ast.Return)]
            lines[node.name] = returns[0] if len(returns) == 1 else node.lineno
    return lines
