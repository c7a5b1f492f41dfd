"""Symbols: addresses by name, and the other way: which name is at an address, or nearest below it.

A kernel of 20,000 symbols is asked about with every instruction that is shown, so names are kept in order of
their addresses and found by halving.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping

REACH = 1 << 16  # how far behind a symbol an address is still named by it


class Symbols(Mapping[str, int]):
    """Addresses by name; of several names at one address the shortest without underscores is shown.

    Several addresses may have one name (functions of different files): by name the first is found.
    """

    __slots__ = ("_addresses", "_names", "_offset", "_values")

    def __init__(self, pairs: Iterable[tuple[str, int]] = ()) -> None:
        """Take names and addresses."""
        ordered = sorted(pairs, key=_order)
        self._values = dict(reversed(ordered))
        self._addresses = [address for _, address in ordered]
        self._names = [name for name, _ in ordered]
        self._offset = 0

    @classmethod
    def of(cls, values: Mapping[str, int] | None) -> Symbols:
        """Return symbols as they are, or made from a mapping."""
        return values if isinstance(values, Symbols) else cls((values or {}).items())

    def moved(self, offset: int) -> Symbols:
        """Return the same symbols at addresses that are `offset` higher; both share their tables."""
        other = Symbols.__new__(Symbols)
        other._values, other._addresses, other._names = self._values, self._addresses, self._names
        other._offset = self._offset + offset
        return other

    def __getitem__(self, name: str) -> int:
        """Return a symbol's address. Raises KeyError."""
        return self._values[name] + self._offset

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._values)

    def pairs(self) -> list[tuple[str, int]]:
        """Return all names and addresses in order of the addresses."""
        return [
            (name, address + self._offset) for name, address in zip(self._names, self._addresses, strict=True)
        ]

    def at(self, address: int) -> str | None:
        """Return the name of exactly this address."""
        place = bisect_left(self._addresses, address - self._offset)
        found = place < len(self._addresses) and self._addresses[place] == address - self._offset
        return self._names[place] if found else None

    def below(self, address: int) -> tuple[str, int] | None:
        """Return the nearest symbol at or below an address, and how far below it is."""
        place = bisect_right(self._addresses, address - self._offset)
        if not place:
            return None
        start = self._addresses[place - 1]
        return self._names[bisect_left(self._addresses, start)], address - self._offset - start

    def between(self, first: int, end: int) -> list[int]:
        """Return the addresses from `first` to before `end` that have a name, in order."""
        low = bisect_left(self._addresses, first - self._offset)
        high = bisect_left(self._addresses, end - self._offset)
        return [address + self._offset for address in self._addresses[low:high]]

    def name_of(self, address: int, reach: int = REACH) -> str:
        """Return an address by the symbol before it: "main", "main+0x8"; "" if none is near."""
        found = self.below(address)
        if found is None or found[1] >= reach:
            return ""
        name, distance = found
        return f"{name}+{distance:#x}" if distance else name


def _order(item: tuple[str, int]) -> tuple[int, bool, int, str]:
    name, address = item
    return address, name.startswith("_"), len(name), name
