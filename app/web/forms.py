"""What comes in with a POST, and in which form the answer goes out.

A body is a form or a flat JSON object; both become one mapping of names to scalars or lists of scalars.
Nothing deeper is ever accepted, so no later code has to think about hostile nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Literal, NoReturn, cast

from flask import Request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.texts import gettext as _

MAX_FIELDS = 400
MAX_ITEMS = 100
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")

Form = Literal["fragment", "json", "page"]
Fields = dict[str, Any]


def reply_form(request: Request) -> Form:
    """Return the form of answer that a request asks for."""
    if request.headers.get("HX-Request") == "true":
        return "fragment"
    accept = request.accept_mimetypes
    if request.is_json or accept.best_match(["text/html", "application/json"]) == "application/json":
        return "json"
    return "page"


def read_fields(request: Request, most: int = MAX_FIELDS) -> Fields:
    """Return the fields of a body, at most so many; raise BadRequest or UnsupportedMediaType."""
    if request.is_json:
        return _json_fields(request.get_data(), most)
    if (
        request.mimetype in ("application/x-www-form-urlencoded", "multipart/form-data")
        or not request.content_length
    ):
        if request.files:
            raise BadRequest(_("Files are not accepted here."))
        lists = {key: request.form.getlist(key) for key in request.form}
        return _checked(
            {key: values[0] if len(values) == 1 else values for key, values in lists.items()}, most
        )
    raise UnsupportedMediaType(_("Send a form or a JSON object (Content-Type: application/json)."))


def take_request_id(fields: Fields) -> str | None:
    """Remove and return the `request_id`, None if there is none; raise BadRequest."""
    value = fields.pop("request_id", None)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _REQUEST_ID.fullmatch(value):
        raise BadRequest(_("request_id must be 1 to 64 of A-Z a-z 0-9 _ -."))
    return value


def text_field(fields: Mapping[str, Any], key: str) -> str:
    """Return a text that must be there; raise BadRequest."""
    value = fields.get(key)
    if not isinstance(value, str):
        raise BadRequest(_("The field %(name)r is missing or not a text.", name=key))
    return value


def _json_fields(data: bytes, most: int) -> Fields:
    try:
        value = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(_("The body is not valid JSON, or nested too deeply.")) from error
    if not isinstance(value, dict):
        raise BadRequest(_("The body must be a JSON object."))
    return _checked(cast("Fields", value), most)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _checked(fields: Fields, most: int) -> Fields:
    if len(fields) > most:
        raise BadRequest(_("The body has more than %(n)s fields.", n=most))
    for key, value in fields.items():
        _check_scalar(key, key)
        values = cast("list[Any]", value) if isinstance(value, list) else [value]
        if len(values) > MAX_ITEMS:
            raise BadRequest(_("The field %(name)r has more than %(n)s values.", name=key[:60], n=MAX_ITEMS))
        for item in values:
            _check_scalar(key, item)
    return fields


def _check_scalar(key: str, value: Any) -> None:
    """Refuse what is not a scalar, numbers beyond 64 bits and text that is not Unicode."""
    good = value is None or isinstance(value, bool | float)
    if isinstance(value, int):
        good = abs(value) < 1 << 64
    elif isinstance(value, str):
        good = value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)
    if not good:
        shown = key[:60].encode("ascii", "backslashreplace").decode()
        raise BadRequest(
            _(
                "The field %(name)r must be a text, a number, true, false or null, or a list of these.",
                name=shown,
            )
        )
