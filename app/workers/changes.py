"""What changed between two JSON-ready values, as a value that is small: the difference of two observations.

Objects: the keys that changed, each with its own difference. Arrays of objects that are as long as before:
an object of the elements that changed, by index. Anything else that changed: the new value, and an object
whose keys are not the same in the same order as before stands in {"=": ...}. Nothing changed: {}.
`static/js/changes.js` puts a difference back into what it was made from.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

WHOLE = "="
JsonDict = dict[str, Any]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> JsonDict:
    """Return how `new` differs from `old`, whose keys are the same."""
    return {key: _change(old[key], value) for key, value in new.items() if old[key] != value}


def _change(old: Any, new: Any) -> Any:
    """Return the difference of two values that are not equal."""
    if isinstance(new, dict):
        olds, news = cast("JsonDict", old), cast("JsonDict", new)
        same = isinstance(old, dict) and list(olds) == list(news)
        return changes(olds, news) if same else {WHOLE: news}
    if isinstance(new, list) and isinstance(old, list):
        return _elements(cast("list[Any]", old), cast("list[Any]", new))
    return cast("Any", new)


def _elements(old: list[Any], new: list[Any]) -> Any:
    if len(old) != len(new) or not all(isinstance(one, dict) for one in (*old, *new)):
        return new
    pairs = enumerate(zip(old, new, strict=True))
    return {str(index): _change(was, now) for index, (was, now) in pairs if was != now}


def applied(old: Any, change: Any) -> Any:
    """Return what a difference was made to: `applied(old, changes(old, new)) == new`."""
    if not isinstance(change, dict):
        return change
    parts = cast("JsonDict", change)
    if WHOLE in parts:
        return parts[WHOLE]
    if isinstance(old, list):
        olds = cast("list[Any]", old)
        return [applied(one, parts[str(at)]) if str(at) in parts else one for at, one in enumerate(olds)]
    olds = cast("JsonDict", old)
    return {key: applied(value, parts[key]) if key in parts else value for key, value in olds.items()}
