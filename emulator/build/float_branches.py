"""Write the branches of the floating-point instructions, for `generate.py`.

`run` does at once what needs no arithmetic and what the host's arithmetic is known to do alike
(`core/fastfloat.py`); everything else goes through `perform_float`, which asks `core/softfloat.py`. Both are
written from the same rows and call the same functions of `rv_f` and `rv_d`.
"""

from collections.abc import Callable, Iterable
from textwrap import indent

from emulator.isa.encodings import TABLE
from emulator.isa.instruction import Instruction

# What `run` does itself where it can; a call of `perform_float` costs about as much as another instruction.
OFTEN = frozenset({"fadd.s", "fsub.s", "fmul.s", "fadd.d", "fsub.d", "fmul.d"})
ROWS = tuple(row for row in TABLE if row.kind.startswith("fp"))

_A, _B = "f[(word >> RS1) & 31]", "f[(word >> RS2) & 31]"
_INTEGER = "x[(word >> RS1) & 63]"
_MODE = "(word >> IMM) & 7"
_TO_FLOAT, _TO_INTEGER = "f[(word >> RD) & 31]", "x[(word >> RD) & 63]"

_PERFORM = """
fp = perform_float(hart, host, op, word, pc, context, fp)
if fp == 0:
    break
"""

_LOAD = """
address = {integer} + sext32(word >> IMM)
entry = fast + data_index(address) * 16
if load_u64(entry) == (address & {page_mask}) | data and (fp & FP_DIRTY) != 0:
    {to_float} = {function}(load_u{bits}(address + load_u64(entry + 8)))
else:
    raw = float_load(hart, host, address, {width}, data, pc, context)
    if hart.trap_cause != NO_TRAP:
        break
    {to_float} = {function}(raw)
    fp = float_status(hart)
    if host.debug_hit != DEBUG_NONE:
        limit = n + 1
"""

_STORE = """
address = {integer} + sext32(word >> IMM)
entry = fast + FAST_STORE + data_index(address) * 16
if load_u64(entry) == (address & {page_mask}) | data and (fp & FP_ON) != 0:
    store_u{bits}(address + load_u64(entry + 8), {b})
else:
    float_store(hart, host, address, {b}, {width}, data, pc, context)
    if hart.trap_cause != NO_TRAP:
        break
    if host.debug_hit != DEBUG_NONE:
        limit = n + 1
"""

# The quick way (`core/fastfloat.py`): the result, and whether it is `allowed`: where nothing is said, if the
# instruction rounds to nearest and the inexact flag is set.
_QUICK = {
    "fp3": "value = quick_{function}(a, b, f[(word >> FS3) & 31])",
    "fp2": "value = quick_{function}(a, b)",
    "fp1": "value = quick_{function}(a)",
    "fpfromint": "value = quick_{function}(integer)",
    "fptoint": "value = quick_{function}(a)\nto_float = 0\nallowed = fp & FP_INEXACT if mode == RTZ else 0",
    "fpcompare": "value = quick_{function}(a, b)\nto_float = 0\nallowed = fp",
    "fpsign": "value = {function}(a, b)\nallowed = fp & FP_DIRTY",
    "fpwrite": "value = {function}(integer)\nallowed = fp & FP_DIRTY",
    "fpread": "value = {function}(a)\nto_float = 0\nallowed = fp",
}
# The exact way: a, b, c are the operands, rm is the rounding mode in effect.
_EXACT = {
    "fp3": "value, flags = {function}(a, b, f[(word >> FS3) & 31], rm)",
    "fp2": "value, flags = {function}(a, b, rm)",
    "fp1": "value, flags = {function}(a, rm)",
    "fpsign": "value = {function}(a, b)",
    "fpchoose": "value, flags = {function}(a, b)",
    "fpcompare": "value, flags = {function}(a, b)\nto_float = 0",
    "fptoint": "value, flags = {function}(a, rm)\nto_float = 0",
    "fpfromint": "value, flags = {function}(integer, rm)",
    "fpread": "value = {function}(a)\nto_float = 0",
    "fpwrite": "value = {function}(integer)",
}

_PERFORM_FLOAT = f"""
def perform_exactly(hart, host, op, word, pc, context, fp):
    x, f = hart.x, hart.f
    a, b, integer = {_A}, {_B}, {_INTEGER}
    rm = rounding_mode(hart, {_MODE})
    if fp == 0 or rm > RMM:
        hart.trap_cause = ILLEGAL_INSTRUCTION
        explain_illegal(hart, host, pc, context)
        return 0
    value = 0
    flags = 0
    to_float = FP_DIRTY
{{exact}}
    if to_float:
        {_TO_FLOAT} = value
    else:
        {_TO_INTEGER} = value
    if (to_float & ~fp) != 0 or (flags & ~hart.fcsr) != 0:
        hart.fcsr |= flags
        set_dirty(hart)
    return float_status(hart)

def perform_float(hart, host, op, word, pc, context, fp):
    x, f = hart.x, hart.f
    a, b, integer = {_A}, {_B}, {_INTEGER}
    mode = {_MODE}
    value = REFUSED
    allowed = (fp >> mode) & 1
    to_float = 1
{{quick}}
    if allowed == 0 or value == REFUSED:
        return perform_exactly(hart, host, op, word, pc, context, fp)
    if to_float:
        {_TO_FLOAT} = value
    else:
        {_TO_INTEGER} = value
    return fp
"""


def perform_source() -> str:
    """Return `perform_float`: every instruction but loads and stores.

    It gives the new status, 0 for a trap.
    """
    quick = [row for row in ROWS if row.name not in OFTEN and _has_quick_way(row)]
    exact = [row for row in ROWS if row.kind in _EXACT]
    return _PERFORM_FLOAT.format(
        exact=indent(_chain(exact, lambda row: _EXACT[row.kind].format(function=row.function)), "    "),
        quick=indent(_chain(quick, lambda row: _QUICK[row.kind].format(function=row.function)), "    "),
    )


def dispatch_source() -> str:
    """Return the branches of `run`, to follow an `if`."""
    numbers = [row.index for row in ROWS]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "F and D stand together in the table"
    rows = [row for row in ROWS if row.kind in ("fpload", "fpstore") or row.name in OFTEN]
    rest = f"elif op >= {numbers[0]} and op <= {numbers[-1]}:\n{indent(_PERFORM.strip(), '    ')}\n"
    return "el" + _chain(rows, _branch) + rest


def host_operations() -> list[str]:
    """Return the names of what `core/hostfloat.py` offers."""
    from emulator.core import hostfloat

    return sorted(name for name in vars(hostfloat) if name.startswith("host_"))


def _has_quick_way(row: Instruction) -> bool:
    from emulator.core import fastfloat

    return row.kind in ("fpsign", "fpwrite", "fpread") or hasattr(fastfloat, f"quick_{row.function}")


def _chain(rows: Iterable[Instruction], body: Callable[[Instruction], str]) -> str:
    text = ""
    for row in rows:
        text += f"{'elif' if text else 'if'} op == {row.index}:\n{indent(body(row).strip(), '    ')}\n"
    return text


def _branch(row: Instruction) -> str:
    if row.kind in ("fpload", "fpstore"):
        return (_LOAD if row.kind == "fpload" else _STORE).format(
            function=row.function,
            integer=_INTEGER,
            b=_B,
            to_float=_TO_FLOAT,
            width=row.width,
            bits=row.width * 8,
            page_mask=f"{~(0xFFF ^ (row.width - 1)) & (1 << 64) - 1:#x}",
        )
    return f"""
value = quick_{row.function}({_A}, {_B})
if ((fp >> ({_MODE})) & 1) != 0 and value != REFUSED:
    {_TO_FLOAT} = value
else:
{indent(_PERFORM.strip(), "    ")}
"""
