"""Turns pydantic's findings into located errors with remedies."""

from inspect import isclass
from typing import Any, cast

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.lessons.errors import LessonError, nearest, shown
from app.lessons.yaml import Document, Path

_KINDS: dict[type, str] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
}
_EXPECTED = {
    "string_type": "text; put it in quotes",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list, one '- ' per line",
    "dict_type": "a mapping of 'key: value' lines",
    "model_type": "a mapping of 'key: value' lines",
}


def describe(
    error: ValidationError, document: Document, model: type[BaseModel], base: Path = ()
) -> list[LessonError]:
    """Return one located error per finding; `base` is the path of the validated value in the document."""
    found: dict[Path, LessonError] = {}
    misspelt = ""
    for detail in sorted(error.errors(include_url=False), key=lambda detail: detail["type"] == "missing"):
        path = tuple(_walkable(document, base, detail))
        if detail["type"] == "missing" and f"'{path[-1]}'?" in misspelt:
            continue
        if detail["type"] == "extra_forbidden":
            misspelt += _message(detail, path, model)
        found.setdefault(path, document.error((*base, *path), _message(detail, path, model)))
    return list(found.values())


def _walkable(document: Document, base: Path, detail: ErrorDetails) -> list[str | int]:
    """Return the parts of an error's location that are keys or indexes of the file."""
    parts: list[str | int] = []
    value: Any = document.value
    for part in base:
        value = value[part]
    for part in detail["loc"]:
        if isinstance(value, dict) and (part in value or detail["type"] == "missing"):
            value = cast(dict[Any, Any], value).get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = cast(list[Any], value)[part]
        else:
            continue
        parts.append(part)
    return parts


def _message(detail: ErrorDetails, path: Path, model: type[BaseModel]) -> str:
    kind, value = detail["type"], detail["input"]
    name = ".".join(str(part) for part in path) or "this"
    if kind == "missing":
        return f"{name} is missing; add a line '{path[-1]}: ...'"
    if kind == "extra_forbidden":
        return f"unknown key '{shown(path[-1])}'{nearest(str(path[-1]), _known_keys(model, path[:-1]))}"
    if kind in _EXPECTED:
        given = (
            "empty"
            if value is None
            else next((name for kind, name in _KINDS.items() if type(value) is kind), "unknown")
        )
        given = given if isinstance(value, list | dict) or value is None else f"{shown(value)} ({given})"
        return f"{name} is {given}; must be {_EXPECTED[kind]}"
    return f"{name} is {shown(value)!r}: {_sentence(detail)}"


def _sentence(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "string_pattern_mismatch":
            return "must be lower-case words and numbers joined by hyphens, e.g. first-vm"
        case "literal_error":
            return f"must be {context.get('expected')}"
        case "string_too_long" | "too_long":
            return f"must be at most {context.get('max_length')} long"
        case "string_too_short" | "too_short":
            return "must not be empty"
        case _:
            return detail["msg"][:1].lower() + detail["msg"][1:]


def _known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Return the keys that a (nested) model knows at a path."""
    for part in path:
        if isinstance(part, str) and part in model.model_fields:
            nested = _nested_model(model.model_fields[part].annotation)
            model = nested or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _nested_model(annotation: Any) -> type[BaseModel] | None:
    """Return the model inside an annotation such as `list[CheckTable]`."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next(
        (
            found
            for part in cast(tuple[Any, ...], getattr(annotation, "__args__", ()))
            if (found := _nested_model(part))
        ),
        None,
    )
