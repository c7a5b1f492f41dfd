"""F and D from the definition: exact rational arithmetic, rounded once, slowly.

Shares nothing with `emulator.core`. Sources: IEEE 754-2019; Unprivileged ISA 20240411, chapters 20 and 21.
`result` is the entry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt

RNE, RTZ, RDN, RUP, RMM = range(5)
NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
BOX = 0xFFFF_FFFF << 32
Outcome = tuple[int, int]


@dataclass(frozen=True)
class Format:
    """A binary interchange format: precision and exponent width in bits."""

    precision: int
    exponent_bits: int

    @property
    def width(self) -> int:
        """Bits of the encoding."""
        return self.precision + self.exponent_bits

    @property
    def bias(self) -> int:
        """The largest exponent."""
        return (1 << self.exponent_bits - 1) - 1

    @property
    def infinity(self) -> int:
        """Plus infinity."""
        return ((1 << self.exponent_bits) - 1) << self.precision - 1

    @property
    def nan(self) -> int:
        """The canonical NaN."""
        return self.infinity | 1 << self.precision - 2

    def register(self, bits: int) -> int:
        """NaN-box."""
        return bits | BOX if self.width == 32 else bits


SINGLE, DOUBLE = Format(24, 8), Format(53, 11)
FORMATS = {"s": SINGLE, "d": DOUBLE}


@dataclass(frozen=True)
class Number:
    """An operand: `kind` is `finite`, `infinite`, `quiet` or `signalling`; `value` is the magnitude."""

    kind: str
    negative: bool
    value: Fraction
    bits: int
    form: Format

    @property
    def is_nan(self) -> bool:
        """Whether it is a NaN of either sort."""
        return self.kind in ("quiet", "signalling")

    @property
    def is_zero(self) -> bool:
        """Whether it is +0 or -0."""
        return self.kind == "finite" and not self.value

    @property
    def signed(self) -> Fraction:
        """The value with its sign."""
        return -self.value if self.negative else self.value

    def negated(self) -> Number:
        """The number with the opposite sign."""
        return Number(self.kind, not self.negative, self.value, self.bits, self.form)


def read(register: int, form: Format) -> Number:
    """Interpret a register."""
    if form.width == 32 and register >> 32 != 0xFFFF_FFFF:
        register = BOX | form.nan
    bits = register & (1 << form.width) - 1
    negative = bool(bits >> form.width - 1)
    exponent = bits >> form.precision - 1 & (1 << form.exponent_bits) - 1
    fraction = bits & (1 << form.precision - 1) - 1
    if exponent == (1 << form.exponent_bits) - 1:
        kind = "infinite" if not fraction else "quiet" if fraction >> form.precision - 2 else "signalling"
        return Number(kind, negative, Fraction(0), bits, form)
    significand = fraction | (1 << form.precision - 1 if exponent else 0)
    power = max(exponent, 1) - form.bias - (form.precision - 1)
    return Number("finite", negative, Fraction(significand) * Fraction(2) ** power, bits, form)


def round_to_integer(value: Fraction, negative: bool, rm: int) -> int:
    """Round a magnitude to an integer."""
    whole, rest = divmod(value, 1)
    up = {
        RNE: rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1),
        RTZ: False,
        RDN: negative and rest > 0,
        RUP: not negative and rest > 0,
        RMM: rest >= Fraction(1, 2),
    }[rm]
    return int(whole) + up


def floor_log2(value: Fraction) -> int:
    """Return e with 2^e <= value < 2^(e+1)."""
    e = value.numerator.bit_length() - value.denominator.bit_length()
    return e if Fraction(2) ** e <= value else e - 1


def pack(value: Fraction, negative: bool, rm: int, form: Format) -> Outcome:
    """Round an exact magnitude to a format."""
    sign = int(negative) << form.width - 1
    if not value:
        return form.register(sign), 0
    least, exponent = 1 - form.bias, floor_log2(value)
    unbounded = Fraction(2) ** (exponent - form.precision + 1)
    tiny = round_to_integer(value / unbounded, negative, rm) * unbounded < Fraction(2) ** least
    unit = Fraction(2) ** (max(exponent, least) - form.precision + 1)
    count = round_to_integer(value / unit, negative, rm)
    if count * unit >= Fraction(2) ** (form.bias + 1):
        to_infinity = rm in (RNE, RMM) or rm == (RDN if negative else RUP)
        return form.register(sign | form.infinity - (not to_infinity)), OF | NX
    bits = count if max(exponent, least) == least else count + ((exponent - least) << form.precision - 1)
    inexact = count * unit != value
    return form.register(sign | bits), (NX | (UF if tiny else 0)) if inexact else 0


def _nan(form: Format, *operands: Number) -> Outcome:
    return form.register(form.nan), NV if any(one.kind == "signalling" for one in operands) else 0


def _invalid(form: Format) -> Outcome:
    return form.register(form.nan), NV


def _infinity(negative: bool, form: Format) -> Outcome:
    return form.register(int(negative) << form.width - 1 | form.infinity), 0


def _sum(total: Fraction, signs: tuple[bool, bool], rm: int, form: Format) -> Outcome:
    """Round a sum of two finite numbers with these signs."""
    if not total:
        return pack(total, signs[0] if signs[0] == signs[1] else rm == RDN, rm, form)
    return pack(abs(total), total < 0, rm, form)


def add(a: Number, b: Number, rm: int, form: Format) -> Outcome:
    """a + b."""
    if a.is_nan or b.is_nan:
        return _nan(form, a, b)
    if a.kind == b.kind == "infinite" and a.negative != b.negative:
        return _invalid(form)
    if "infinite" in (a.kind, b.kind):
        return _infinity(a.negative if a.kind == "infinite" else b.negative, form)
    return _sum(a.signed + b.signed, (a.negative, b.negative), rm, form)


def multiply(a: Number, b: Number, rm: int, form: Format) -> Outcome:
    """a * b."""
    negative = a.negative != b.negative
    if a.is_nan or b.is_nan:
        return _nan(form, a, b)
    if "infinite" in (a.kind, b.kind):
        return _invalid(form) if a.is_zero or b.is_zero else _infinity(negative, form)
    return pack(a.value * b.value, negative, rm, form)


def divide(a: Number, b: Number, rm: int, form: Format) -> Outcome:
    """a / b."""
    negative = a.negative != b.negative
    if a.is_nan or b.is_nan:
        return _nan(form, a, b)
    if (a.kind == b.kind == "infinite") or (a.is_zero and b.is_zero):
        return _invalid(form)
    if a.kind == "infinite" or b.is_zero:
        return _infinity(negative, form)[0], 0 if a.kind == "infinite" else DZ
    if b.kind == "infinite":
        return pack(Fraction(0), negative, rm, form)
    return pack(a.value / b.value, negative, rm, form)


def square_root(a: Number, rm: int, form: Format) -> Outcome:
    """The square root of a."""
    if a.is_nan:
        return _nan(form, a)
    if a.negative and not a.is_zero:
        return _invalid(form)
    if a.kind == "infinite":
        return _infinity(False, form)
    # Far more bits than any format has, and a half more where the root goes on: that rounds as the root does.
    scaled = a.value * Fraction(4) ** 1400
    root = isqrt(int(scaled))
    exact = Fraction(root) if root * root == scaled else root + Fraction(1, 2)
    return pack(exact / Fraction(2) ** 1400, a.negative, rm, form)


def fused(a: Number, b: Number, c: Number, rm: int, form: Format) -> Outcome:
    """a * b + c, rounded once."""
    negative = a.negative != b.negative
    if (a.kind == "infinite" and b.is_zero) or (a.is_zero and b.kind == "infinite"):
        return _invalid(form)
    if a.is_nan or b.is_nan or c.is_nan:
        return _nan(form, a, b, c)
    if "infinite" in (a.kind, b.kind):
        same = c.kind != "infinite" or c.negative == negative
        return _infinity(negative, form) if same else _invalid(form)
    if c.kind == "infinite":
        return _infinity(c.negative, form)
    return _sum(a.signed * b.signed + c.signed, (negative, c.negative), rm, form)


def convert(a: Number, rm: int, form: Format) -> Outcome:
    """A number in another format."""
    if a.is_nan:
        return _nan(form, a)
    return _infinity(a.negative, form) if a.kind == "infinite" else pack(a.value, a.negative, rm, form)


def to_integer(a: Number, rm: int, low: int, high: int) -> Outcome:
    """Round to an integer from `low` to `high`, as a register holds it."""
    if a.is_nan or a.kind == "infinite":
        return _held(low if a.negative and not a.is_nan else high, high), NV
    rounded = round_to_integer(a.value, a.negative, rm)
    value = -rounded if a.negative else rounded
    if not low <= value <= high:
        return _held(low if a.negative else high, high), NV
    return _held(value, high), NX if value != a.signed else 0


def _held(value: int, high: int) -> int:
    """Return an integer as a register holds it: 32-bit ones sign-extended."""
    if high < 1 << 32:
        value = ((value & 0xFFFF_FFFF) ^ 1 << 31) - (1 << 31)
    return value & (1 << 64) - 1


def compare(a: Number, b: Number, holds: Callable[[Fraction, Fraction], bool], quiet: bool) -> Outcome:
    """A comparison; infinities count as numbers beyond all others."""
    if a.is_nan or b.is_nan:
        return _nan(a.form, a, b)[1] * 0, NV if not quiet else _nan(a.form, a, b)[1]
    return int(holds(_place(a), _place(b))), 0


def _place(a: Number) -> Fraction:
    return (-1 if a.negative else 1) * Fraction(1 << 2000) if a.kind == "infinite" else a.signed


def choose(a: Number, b: Number, larger: bool) -> Outcome:
    """minimumNumber or maximumNumber."""
    flags = _nan(a.form, a, b)[1]
    if a.is_nan or b.is_nan:
        if a.is_nan and b.is_nan:
            return a.form.register(a.form.nan), flags
        return a.form.register(b.bits if a.is_nan else a.bits), flags
    first = sorted((a, b), key=lambda one: (_place(one), not one.negative))
    return a.form.register(first[larger].bits), flags


def classify(a: Number) -> int:
    """The mask of FCLASS."""
    if a.is_nan:
        return 1 << (8 if a.kind == "signalling" else 9)
    if a.kind == "infinite":
        return 1 << (0 if a.negative else 7)
    if a.is_zero:
        return 1 << (3 if a.negative else 4)
    if a.value < Fraction(2) ** (1 - a.form.bias):
        return 1 << (2 if a.negative else 5)
    return 1 << (1 if a.negative else 6)


_RANGES = {
    "w": (-(1 << 31), (1 << 31) - 1), "wu": (0, (1 << 32) - 1),
    "l": (-(1 << 63), (1 << 63) - 1), "lu": (0, (1 << 64) - 1),
}  # fmt: skip
_RELATIONS: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "feq": lambda a, b: a == b,
    "flt": lambda a, b: a < b,
    "fle": lambda a, b: a <= b,
}
_OPERATIONS = {"fadd": add, "fmul": multiply, "fdiv": divide}
_FUSED = {"fmadd": (0, 0), "fmsub": (0, 1), "fnmsub": (1, 0), "fnmadd": (1, 1)}


def result(name: str, registers: tuple[int, ...], rm: int) -> Outcome:
    """Return what the instruction `name` writes for the contents of its source registers, and its flags."""
    operation, *kinds = name.split(".")
    if operation == "fcvt":
        return _conversion(kinds[0], kinds[1], registers[0], rm)
    if operation == "fmv":
        return _move(name, registers[0]), 0
    form = FORMATS[kinds[0]]
    numbers = [read(register, form) for register in registers]
    if operation in _FUSED:
        first, last = _FUSED[operation]
        a, b, c = numbers
        return fused(a.negated() if first else a, b, c.negated() if last else c, rm, form)
    if operation == "fsub":
        return add(numbers[0], numbers[1].negated(), rm, form)
    if operation in _OPERATIONS:
        return _OPERATIONS[operation](numbers[0], numbers[1], rm, form)
    if operation == "fsqrt":
        return square_root(numbers[0], rm, form)
    if operation in _RELATIONS:
        return compare(numbers[0], numbers[1], _RELATIONS[operation], operation == "feq")
    if operation in ("fmin", "fmax"):
        return choose(numbers[0], numbers[1], operation == "fmax")
    if operation == "fclass":
        return classify(numbers[0]), 0
    return _sign(operation, numbers[0], numbers[1]), 0


def _conversion(target: str, source: str, register: int, rm: int) -> Outcome:
    if source in FORMATS and target in FORMATS:
        return convert(read(register, FORMATS[source]), rm, FORMATS[target])
    if source in FORMATS:
        return to_integer(read(register, FORMATS[source]), rm, *_RANGES[target])
    low, high = _RANGES[source]
    value = register & high - low
    value -= high - low + 1 if value > high else 0
    return pack(Fraction(abs(value)), value < 0, rm, FORMATS[target])


def _move(name: str, register: int) -> int:
    if name in ("fmv.x.d", "fmv.d.x"):
        return register
    low = register & 0xFFFF_FFFF
    return low | BOX if name == "fmv.w.x" or low >> 31 else low


def _sign(operation: str, a: Number, b: Number) -> int:
    top = 1 << a.form.width - 1
    signs = {"fsgnj": b.bits, "fsgnjn": ~b.bits, "fsgnjx": a.bits ^ b.bits}
    return a.form.register(a.bits & ~top | signs[operation] & top)
