"""Read the values of a configuration: what is valid is returned, anything else is a located ConfigError."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, cast

from emulator.errors import VmLabError
from emulator.lab.quantities import SIZE_UNITS, format_quantity, format_size, parse_quantity, quoted

PAGE_BYTES = 4096
T = TypeVar("T")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}")


class ConfigError(VmLabError):
    """A lab configuration is wrong; `path` says where ("vms[1].memory"), the message what and the remedy."""

    def __init__(self, path: str, problem: str) -> None:
        """Keep the path apart from the sentence, so that a lesson can put its file and line in front."""
        super().__init__(f"{path} {problem}")
        self.path = path
        self.problem = problem


def nearest(word: str, known: Sequence[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest of `known`, or an empty string."""
    matches = difflib.get_close_matches(word[:100], known, 1, 0.5)
    return f"; did you mean `{matches[0]}`?" if matches else ""


def table_of(data: object, path: str, known: tuple[str, ...]) -> Mapping[str, Any]:
    """Return `data` as a mapping that has known keys only."""
    if not isinstance(data, Mapping):
        raise ConfigError(path, f"is {kind_of(data)}; expected a mapping with the keys {', '.join(known)}")
    table = cast("Mapping[object, Any]", data)
    for key in table:
        if key not in known:
            short = str(key)[:60]
            where = f"{path}.{short}" if path != "lab" else short
            hint = nearest(str(key), known) or f"; known keys: {', '.join(known)}"
            raise ConfigError(where, f"is not a known key{hint}")
    return cast("Mapping[str, Any]", table)


def optional(
    table: Mapping[str, Any], path: str, key: str, default: T, read: Callable[[object, str], T]
) -> T:
    """Return the value of an optional key, read and checked by `read`."""
    return read(table[key], f"{path}.{key}") if key in table else default


def whole_number(value: object, path: str, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise ConfigError(path, f"is {quoted(value)}; expected a whole number from {low} to {high}")
    if not low <= value <= high:
        raise ConfigError(path, f"is {value}; must be from {low} to {high}")
    return value


def quantity(value: object, path: str, units: Mapping[str, int], example: str, low: int, high: int) -> int:
    """Return a quantity from `low` to `high`, in the smallest of `units`."""
    try:
        number = parse_quantity(value, units, example)
    except ValueError as error:
        raise ConfigError(path, f"is wrong: {error}") from error
    if not low <= number <= high:
        least, most = format_quantity(low, units), format_quantity(high, units)
        raise ConfigError(path, f"is {format_quantity(number, units)}; must be from {least} to {most}")
    return number


def memory_size(value: object, path: str, low: int, high: int) -> int:
    """Return a size that is a whole number of pages."""
    number = quantity(value, path, SIZE_UNITS, "8 MiB", 0, 1 << 62)
    if number % PAGE_BYTES:
        raise ConfigError(path, f"is {format_size(number)}; must be a multiple of 4 KiB")
    if not low <= number <= high:
        raise ConfigError(
            path, f"is {format_size(number)}; must be from {format_size(low)} to {format_size(high)}"
        )
    return number


def boolean(value: object, path: str) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise ConfigError(path, f"is {quoted(value)}; expected true or false")


def one_of(value: object, path: str, known: Sequence[T]) -> T:
    """Return one of the known words."""
    if value in known:
        return cast("T", value)
    words = [str(word) for word in known]
    raise ConfigError(
        path, f"is {quoted(value)}; expected one of {', '.join(words)}{nearest(str(value), words)}"
    )


def vm_name(value: object, path: str = "name") -> str:
    """Return a valid VM name; raise ConfigError."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    raise ConfigError(
        path,
        f"is {quoted(value)}; expected a name of 1 to 32 lower-case letters, digits and hyphens"
        " that starts with a letter, e.g. `web-1`",
    )


def kind_of(value: object) -> str:
    """Return what a YAML reader would call the value."""
    names = (
        (type(None), "empty"),
        (bool, "a boolean"),
        (int | float, "a number"),
        (str, "a text"),
        (list, "a list"),
    )
    return next((name for kind, name in names if isinstance(value, kind)), "a mapping")
