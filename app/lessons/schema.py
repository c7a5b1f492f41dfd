"""JSON Schema (2020-12) of what authors write, made from the models that read it, for editors."""

from typing import Any

from pydantic import TypeAdapter

from app.lessons.course import CourseTable
from app.lessons.model import FigureTable, FrontMatter, PredictTable

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """Return one schema: its `$defs` hold the front matter, the blocks and course.yaml."""
    tables = {
        "FrontMatter": FrontMatter,
        "PredictTable": PredictTable,
        "FigureTable": FigureTable,
        "CourseTable": CourseTable,
    }
    definitions: dict[str, Any] = {}
    for name, table in tables.items():
        made = TypeAdapter(table).json_schema(ref_template="#/$defs/{model}")
        definitions |= made.pop("$defs", {})
        definitions[name] = made
    entries = definitions["CourseTable"]["properties"]["lessons"]
    entries["items"] = {"anyOf": [entries["items"], {"type": "string"}]}  # a lesson may only be named
    return {
        "$schema": DIALECT,
        "title": "VM Lab lessons, schema 1",
        "description": "The front matter of lesson.md; for course.yaml use #/$defs/CourseTable.",
        "$ref": "#/$defs/FrontMatter",
        "$defs": dict(sorted(definitions.items())),
    }
