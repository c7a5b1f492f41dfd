"""Write the kernel module: the functions of `emulator/core` in one file, with what the encodings table adds.

Four things happen to the sources, and only these:

* the line `dispatch()` in `run` becomes one branch for each row of the table that runs often; the rest go
  into `perform_atomic` and `perform_system`; `decode_word` is written from the same rows;
* a call of a one-line semantic function is replaced by that line, which spares numba two hundred small
  compilations;
* every integer constant becomes a `np.uint64`, because numba gives a plain literal the type int64, and int64
  with uint64 makes float64 or a wrong comparison;
* every function is marked for compilation.

With `checked`, `checks.py` also puts a bounds check around every raw access.

The same text, loaded with `VMLAB_JIT=0`, is plain Python: the oracle for the compiled kernels.
"""

import ast
import copy
import importlib
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType

from emulator.build import float_branches
from emulator.build.checks import check_accesses
from emulator.isa.encodings import COMPRESSED, TABLE
from emulator.isa.extensions import NAMES, extension_bit
from emulator.isa.instruction import Instruction, Segment

CORE = Path(__file__).parent.parent / "core"
# Callees first: numba compiles a function when it first meets its caller.
MODULES = (
    "bits", "csr_bits", "memory", "sharing", "debug", "pmp", "ptw", "tlb", "access", "rv_i", "rv_m", "rv_a",
    "rv_zicsr", "rv_zb", "rv_h", "softfloat", "rv_f", "rv_d", "fastfloat", "fcsr", "envcfg", "stateen", "csr",
    "tinst", "trap", "system", "cmo", "run", "entry",
)  # fmt: skip
# One-line functions with such a name are inlined, like those of instructions.
INLINED = ("quick_",)
ILLEGAL = len(TABLE) + 1

_HEADER = '''"""Written by emulator.build.generate from emulator/core and the encodings table. Do not edit."""

import numpy as np
from numba import cfunc, njit, types

from emulator.core.intrinsics import (
    JIT, hart_at, host_at, leading_zeros, load_u8, load_u16, load_u32, load_u64, store_u8, store_u16,
    store_u32, store_u64, walk_at,
)
from emulator.core.hostfloat import HOST_OPERATIONS

# Only the C callbacks at the end are called from Python: wrappers for the other functions would cost a
# quarter of the compile time.
options = {"error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
kernel = njit(**options) if JIT else lambda function: function

'''

_JUMP = """
n += 1
if (target ^ pc) < 4096:
    pc = target
    code = page + (pc & 0xFFF) * 4
    continue
pc = target
entry = fast + FAST_FETCH + ((pc >> 12) & (ITLB_ENTRIES - 1)) * 16
if load_u64(entry) != (pc & PAGE_MASK) | context:
    break
page = load_u64(entry + 8)
code = page + (pc & 0xFFF) * 4
continue
"""

_CSR = """
register, old = csr_access(hart, host, (word >> IMM) & 0xFFF, {writes})
if hart.trap_cause != NO_TRAP:
    return pc
if {writes}:
    csr_write(hart, register, {function}(old, {operand}))
    hart.settled = csr_is_plain(register)
else:
    hart.settled = 1
{rd} = old
return pc + 4
"""


def _indent(text: str) -> str:
    return "\n".join("    " + line for line in text.strip().splitlines())


_PERFORM_ATOMIC = """
perform_atomic(hart, host, x, op, word, data)
if hart.trap_cause != NO_TRAP:
    break
if host.debug_hit != DEBUG_NONE:
    # A watched access is the last of this run.
    limit = n + 1
"""

_PERFORM_SYSTEM = """
hart.retired = n
hart.trapped = traps
hart.settled = 0
pc = perform_system(hart, host, x, op, word, pc)
if hart.trap_cause == NO_TRAP or hart.trap_cause == WAIT_INTERRUPT:
    n += 1
elif hart.trap_cause == ILLEGAL_INSTRUCTION or hart.trap_cause == VIRTUAL_INSTRUCTION:
    explain_illegal(hart, host, pc, context)
if hart.settled == 0:
    break
code += 16
continue
"""

# How each kind of instruction runs. The names in braces are filled from the row.
_TEMPLATES = {
    "alu": "{rd} = {function}({a}, {b})",
    "alui": "{rd} = {function}({a}, {imm})",
    "upper": "{rd} = {function}(pc, {imm})",
    "branch": "if {function}({a}, {b}):\n" + _indent("target = pc + {imm}" + _JUMP),
    "jal": "target = pc + {imm}\n{rd} = pc + ((word >> LENGTH) & 7)" + _JUMP,
    "jalr": "target = ({a} + {imm}) & ~1\n{rd} = pc + ((word >> LENGTH) & 7)" + _JUMP,
    "load": """
address = {a} + {imm}
entry = fast + data_index(address) * 16
if load_u64(entry) == (address & {page_mask}) | data:
    {rd} = {function}(load_u{bits}(address + load_u64(entry + 8)))
else:
    raw = load_slow(hart, host, address, {width}, data)
    if hart.trap_cause != NO_TRAP:
        break
    {rd} = {function}(raw)
    if host.debug_hit != DEBUG_NONE:
        limit = n + 1
""",
    "store": """
address = {a} + {imm}
entry = fast + FAST_STORE + data_index(address) * 16
if load_u64(entry) == (address & {page_mask}) | data:
    store_u{bits}(address + load_u64(entry + 8), {b})
else:
    store_slow(hart, host, address, {b}, {width}, data)
    if hart.trap_cause != NO_TRAP:
        break
    if host.debug_hit != DEBUG_NONE:
        limit = n + 1
""",
    "fence": "pass",
    "fencei": "pass",
    # From here on: bodies of perform_atomic and perform_system, which leave their outcome in hart.trap_cause.
    "lr": "raw = load_reserved(hart, host, {a}, {width}, data)",
    "sc": "raw = store_conditional(hart, host, {a}, {b}, {width}, data)",
    "amo": """
raw = atomic_load(hart, host, {a}, {width}, data)
if hart.trap_cause == NO_TRAP:
    atomic_store(hart, host, {function}(raw, {b}), {width})
""",
    "csr": _CSR,
    "csri": _CSR,
    "system": "return {function}(hart, host, {a}, {b}, (word >> RS1) & 63, (word >> RS2) & 63, pc)",
    "hload": """
hart.trap_cause = guest_access_refusal(hart)
if hart.trap_cause != NO_TRAP:
    return pc
raw = hypervisor_load(hart, host, {a}, {width}, {by_execute})
if hart.trap_cause != NO_TRAP:
    return pc
{rd} = {function}(raw)
return pc + 4
""",
    # Jumps of a hart without compressed instructions, which may not go to an odd halfword.
    "aligned branch": "return aligned_target(hart, pc + {imm}, pc) if {function}({a}, {b}) else pc + 4",
    "aligned jal": """
target = aligned_target(hart, pc + {imm}, pc)
if hart.trap_cause == NO_TRAP:
    {rd} = pc + 4
return target
""",
    "aligned jalr": """
target = aligned_target(hart, ({a} + {imm}) & ~1, pc)
if hart.trap_cause != NO_TRAP:
    break
{rd} = pc + 4
"""
    + _JUMP,
    "hstore": """
hart.trap_cause = guest_access_refusal(hart)
if hart.trap_cause == NO_TRAP:
    hypervisor_store(hart, host, {a}, {b}, {width})
return pc + 4 if hart.trap_cause == NO_TRAP else pc
""",
}
_ATOMIC = frozenset({"lr", "sc", "amo"})
_SYSTEM = frozenset({"csr", "csri", "system", "hload", "hstore"})
_JUMPS = tuple(row for row in TABLE if row.kind in ("jal", "jalr", "branch"))
_OFTEN = frozenset(_TEMPLATES) - _ATOMIC - _SYSTEM
# Behind the operations of the table and ILLEGAL come the jumps again, as harts without C run them.
ALIGNED = ILLEGAL + 1 - _JUMPS[0].index


def kernel_source(checked: bool = False) -> str:
    """Return the text of the kernel module, with bounds checks if `checked`."""
    constants: dict[str, int] = {}
    functions: list[ast.stmt] = []
    inlined: set[str] = {_function(row) for row in (*TABLE, *COMPRESSED)}
    for name in (*(("bounds",) if checked else ()), *MODULES):
        module = importlib.import_module(f"emulator.core.{name}")
        tree = ast.parse((CORE / f"{name}.py").read_text())
        constants |= _constants(module, constants)
        found = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
        functions += found
        inlined |= {node.name for node in found if node.name.startswith(INLINED)}
    position = next(
        i
        for i, node in enumerate(functions)
        if isinstance(node, ast.FunctionDef) and node.name == "permitted"
    )
    functions[position:position] = ast.parse(
        decoder_source()
        + extensions_source()
        + jumps_source()
        + perform_source()
        + float_branches.perform_source()
    ).body
    _fill_dispatch(functions)
    functions = _inline(functions, inlined)
    if checked:
        functions = check_accesses(functions)
    literals = _Literals(constants)
    body = [literals.visit(_marked(node)) for node in functions]
    values = constants | literals.used
    text = _HEADER.replace("HOST_OPERATIONS", f"({', '.join(float_branches.host_operations())})")
    if checked:
        text = text.replace("    JIT, hart_at", "    JIT, bounds_address, bounds_at, hart_at")
    text += "\n".join(f"{name} = np.uint64({value:#x})" for name, value in sorted(values.items())) + "\n\n"
    text += "\n\n".join(ast.unparse(node) for node in ast.parse("").body + body) + "\n\n"
    return text + _entries()


def _constants(module: ModuleType, known: dict[str, int]) -> dict[str, int]:
    """Collect the integers that a module defines or imports; one name means one value in all of the core."""
    found = {
        k: v & (1 << 64) - 1 for k, v in vars(module).items() if type(v) is int and not k.startswith("_")
    }
    for name, value in found.items():
        assert known.get(name, value) == value, f"{module.__name__}.{name} differs from another module's"
    return found


class _Inliner(ast.NodeTransformer):
    """Replace calls of one-line rv_* functions by their line, arguments in place of parameters."""

    def __init__(self, bodies: dict[str, ast.FunctionDef]) -> None:
        self.bodies = bodies

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        function = self.bodies.get(node.func.id) if isinstance(node.func, ast.Name) else None
        if function is None:
            return node
        line = function.body[-1]
        assert isinstance(line, ast.Return)
        assert line.value is not None
        names = [argument.arg for argument in function.args.args]
        # The line may call another one-line function in turn.
        return self.visit(
            _Substitute(dict(zip(names, node.args, strict=True))).visit(copy.deepcopy(line.value))
        )


class _Substitute(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return copy.deepcopy(self.values.get(node.id, node))


def _inline(functions: list[ast.stmt], inlined: set[str]) -> list[ast.stmt]:
    """Put one-line functions of those named into their callers, and drop them."""
    named = {node.name: node for node in functions if isinstance(node, ast.FunctionDef)}
    assert len(named) == len(functions), "one name means one function in all of the core"
    bodies = {name: node for name, node in named.items() if name in inlined and _is_one_line(node)}
    inliner = _Inliner(bodies)
    return [inliner.visit(node) for name, node in named.items() if name not in bodies]


def _is_one_line(node: ast.FunctionDef) -> bool:
    """A function of values alone, not of the hart, whose body is one `return`."""
    parameters = {argument.arg for argument in node.args.args}
    return all(isinstance(line, ast.Return | ast.Expr) for line in node.body) and "host" not in parameters


def _function(row: Instruction) -> str:
    """Name of a row's semantic function; `max` and `min` stay Python's."""
    return row.function + "_" if row.function in ("max", "min") else row.function


def _marked(node: ast.stmt) -> ast.stmt:
    assert isinstance(node, ast.FunctionDef)
    node.decorator_list = [ast.Name("kernel", ast.Load())]
    if (
        isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
        and len(node.body) > 1
    ):
        node.body = node.body[1:]
    return node


class _Literals(ast.NodeTransformer):
    """Replace every integer literal by the name of a uint64 constant."""

    def __init__(self, constants: dict[str, int]) -> None:
        self.used: dict[str, int] = {}

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if type(node.value) is not int:
            return node
        name = f"K_{node.value:X}"
        self.used[name] = node.value
        return ast.Name(name, ast.Load())


def _entries() -> str:
    """Wrap every function of `core/entry.py` as a C callback; un-jitted they are called as they are."""
    lines: list[str] = []
    for node in ast.parse((CORE / "entry.py").read_text()).body:
        if isinstance(node, ast.FunctionDef):
            arguments = ", ".join(argument.arg for argument in node.args.args)
            signature = f"types.uint64({', '.join(['types.uint64'] * len(node.args.args))})"
            name = node.name.removeprefix("enter_")
            lines.append(f"if JIT:\n    @cfunc({signature})\n    def c_{name}({arguments}):")
            lines.append(f"        return {node.name}({arguments})\n")
    return "\n".join(lines)


def _fill_dispatch(functions: Iterable[ast.stmt]) -> None:
    """Replace the line `dispatch()` inside `run`."""

    class Fill(ast.NodeTransformer):
        def visit_Expr(self, node: ast.Expr) -> ast.AST | list[ast.stmt]:
            call = node.value
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "dispatch":
                return ast.parse(dispatch_source()).body
            return node

    for node in functions:
        if isinstance(node, ast.FunctionDef) and node.name == "run":
            Fill().visit(node)


def dispatch_source() -> str:
    """The branches of `run`; LLVM makes a jump table of the chain."""
    atomics = [row.index for row in TABLE if row.kind in _ATOMIC]
    assert atomics == list(range(atomics[0], atomics[-1] + 1)), "atomics stand together in the table"
    text = _chain(_OFTEN) + float_branches.dispatch_source()
    text += _aligned_chain("jalr")
    text += f"elif op >= {atomics[0]} and op <= {atomics[-1]}:\n{_indent(_PERFORM_ATOMIC)}\n"
    return text + f"else:\n{_indent(_PERFORM_SYSTEM)}\n"


def perform_source() -> str:
    """`perform_atomic` and `perform_system`: what runs too seldom to be inlined into `run`."""
    atomic = "def perform_atomic(hart, host, x, op, word, data):\n    raw = 0\n" + _indent(_chain(_ATOMIC))
    atomic += "\n    if hart.trap_cause == NO_TRAP:\n        x[(word >> RD) & 63] = raw\n"
    system = "def perform_system(hart, host, x, op, word, pc):\n" + _indent(_chain(_SYSTEM))
    system += "\n" + _indent(_aligned_chain("jal") + _aligned_chain("branch"))
    return atomic + system + "\n    hart.trap_cause = ILLEGAL_INSTRUCTION\n    return pc\n"


def _chain(kinds: frozenset[str]) -> str:
    text = ""
    for row in TABLE:
        if row.kind in kinds:
            text += f"{'elif' if text else 'if'} op == {row.index}:\n{_indent(_branch(row))}\n"
    return text


def _aligned_chain(kind: str) -> str:
    """Branches for the jumps of a kind that look where they go."""
    return "".join(
        f"elif op == {row.index + ALIGNED}:\n{_indent(_branch(row, f'aligned {kind}'))}\n"
        for row in _JUMPS
        if row.kind == kind
    )


def _branch(row: Instruction, template: str = "") -> str:
    immediate = row.kind == "csri"
    operand = "(word >> RS1) & 63" if immediate else "x[(word >> RS1) & 63]"
    return _TEMPLATES[template or row.kind].format(
        function=_function(row),
        rd="x[(word >> RD) & 63]",
        a="x[(word >> RS1) & 63]",
        b="x[(word >> RS2) & 63]",
        imm="sext32(word >> IMM)",
        width=row.width,
        bits=row.width * 8,
        page_mask=f"{~(0xFFF ^ (row.width - 1)) & (1 << 64) - 1:#x}" if row.width else "",
        by_execute=int(row.name.startswith("hlvx")),
        operand=operand,
        # "CSRRS and CSRRC with rs1=x0 (the immediate forms: with 0) shall not write to the CSR at all"
        writes="1" if row.name.startswith("csrrw") else "(word >> RS1) & 63",
    )


def decoder_source() -> str:
    """`decode_word(word)`: the decoded form of a 16- or 32-bit instruction; ILLEGAL carries no operands."""
    lines = ["def decode_word(word):", "    if (word & 3) == 3:"]
    parts = _repeated("part", (part for row in TABLE for part in _parts(row)))
    lines += [f"        {name} = {text}" for text, name in parts.items()]
    for opcode in sorted({row.match & 0x7F for row in TABLE}):
        lines.append(f"        if (word & 0x7F) == {opcode:#x}:")
        lines += _matches([row for row in TABLE if row.match & 0x7F == opcode], 12, parts)
    lines.append("        return " + f"{ILLEGAL | 4 << 9}")
    for quadrant in range(3):
        lines.append(f"    if (word & 3) == {quadrant}:")
        # A row that fixes more bits comes first: c.addi16sp before c.lui, c.ebreak before c.add.
        rows = sorted(
            (row for row in COMPRESSED if row.match & 3 == quadrant), key=lambda row: -row.mask.bit_count()
        )
        parts = _repeated("part", (part for row in rows for part in _parts(row)))
        lines += [f"        {name} = {text}" for text, name in parts.items()]
        lines += _matches(rows, 8, parts)
    lines.append(f"    return {ILLEGAL | 2 << 9}\n")
    return "\n".join(lines)


def extensions_source() -> str:
    """`needed_extensions(op)`: the bits of hart.extensions that an operation needs; 0 for ILLEGAL."""
    lines = ["def needed_extensions(op):"]
    for needs, rows in groupby(TABLE, _needs):
        lines.append(f"    if op <= {[row.index for row in rows][-1]}:\n        return {needs}")
    return "\n".join(lines) + "\n    return 0\n"


def jumps_source() -> str:
    """`checked_jump(entry)`: a jump that might go to an odd halfword, made one that looks; others as are."""
    first, last = _JUMPS[0].index, _JUMPS[-1].index
    assert [row.index for row in _JUMPS] == list(range(first, last + 1)), "jumps stand together in the table"
    jalr = next(row.index for row in _JUMPS if row.kind == "jalr")
    return f"""def checked_jump(entry):
    op = entry & 0x1FF
    if op >= {first} and op <= {last} and (op == {jalr} or (entry >> (IMM + 1)) & 1):
        return entry + {ALIGNED}
    return entry
"""


def _needs(row: Instruction) -> int:
    """The extensions of a row; S- and M-mode, which are always there, are none."""
    names = [row.extension.lower()] if row.extension.lower() in NAMES else []
    return sum(map(extension_bit, names + ["h"] * row.name.startswith("hinval")))


def _matches(rows: Sequence[Instruction], indent: int, parts: dict[str, str]) -> list[str]:
    """Lines that return the decoded form of a word that one of `rows` matches."""
    shared = _repeated("operands", (_packed(row, parts) for row in rows))
    shared |= _repeated("masked", (_masked(row) for row in rows))
    lines = [f"{' ' * indent}{name} = {text}" for text, name in shared.items()]
    return lines + [_match(row, indent, parts | shared) for row in rows]


def _repeated(name: str, expressions: Iterable[str]) -> dict[str, str]:
    """Expressions that occur more than once, each with the name of the local that holds it."""
    counts = Counter(expressions)
    repeated = (text for text, count in counts.items() if count > 1)
    return {text: f"{name}_{n}" for n, text in enumerate(repeated)}


def _masked(row: Instruction) -> str:
    return f"word & {row.mask:#x}"


def _packed(row: Instruction, shared: dict[str, str]) -> str:
    return " | ".join(shared.get(part, part) for part in _parts(row))


def _match(row: Instruction, indent: int, shared: dict[str, str]) -> str:
    masked, packed = _masked(row), _packed(row, shared)
    conditions = [f"({shared.get(masked, masked)}) == {row.match:#x}"]
    conditions += [f"({_field(row.fields[name])}) != {value}" for name, value in row.constraints]
    result = f"{row.index | row.length << 9} | {shared.get(packed, packed)}"
    return f"{' ' * indent}if {' and '.join(conditions)}:\n{' ' * indent}    return {result}"


def _parts(row: Instruction) -> list[str]:
    """Expressions that pack a row's operands into a decoded word: rd, rs1, rs2, immediate or rm, fs3."""
    # x0 as a destination is the sink, so that no instruction has to test its rd at run time.
    rd, fd = _operand(row, "rd"), _operand(row, "fd")
    parts = [f"({fd}) << 12" if fd else "32 << 12" if rd in (None, "0") else f"sink({rd}) << 12"]
    rs1, rs2 = _operand(row, "rs1") or _operand(row, "fs1"), _operand(row, "rs2") or _operand(row, "fs2")
    immediate = _operand(row, "csr") or _operand(row, "imm") or _operand(row, "rm")
    values = [(rs1, 18), (rs2, 24), (immediate, 32), (_operand(row, "fs3"), 35)]
    return parts + [f"(({text}) << {position})" for text, position in values if text not in (None, "0")]


def _operand(row: Instruction, name: str) -> str | None:
    """Expression for an operand of the base instruction that `row` is or stands for."""
    source: int | str = name
    if row.expands is not None:
        if name not in row.expands.operands:
            return None
        source = row.expands.operands[name]
        if isinstance(source, int):
            return str(source)
    if source not in row.fields:
        return None
    text = _field(row.fields[source])
    if row.is_compact(source):
        return f"({text}) + 8"
    if source == "imm" and row.signed:
        return f"sext({text}, {row.field_width(source)})"
    return text


def _field(segments: tuple[Segment, ...]) -> str:
    return " | ".join(
        f"((word >> {low}) & {(1 << width) - 1:#x}) << {value_low}" for value_low, low, width in segments
    )
