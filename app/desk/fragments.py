"""The page's HTML fragments, rendered without Flask from the same templates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from app import texts
from app.desk.config_fields import form_context

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).resolve().parent.parent / "web" / "templates"


class Fragments:
    """The templates of a lab, with Jinja2 loaded when the first one is wanted."""

    def __init__(self, lab: dict[str, str]) -> None:
        """Render for one lab: its `id`, `lesson` and `url`."""
        self._lab = lab
        self._environment: Environment | None = None

    def render(self, template: str, path: str, **values: Any) -> str:
        """Return a fragment; `path` is what the request asked for, below the lab."""
        if self._environment is None:
            self._environment = _environment()
        request = {"path": f"{self._lab['url']}/{path}"}
        known = {"lab": self._lab, "request": request, **form_context()}
        return self._environment.get_template(template).render(**known, **values)


def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader

    from app.texts.markup import SPOKEN

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, extensions=["jinja2.ext.i18n"]
    )
    environment.globals.update(SPOKEN)  # pyright: ignore[reportUnknownMemberType]
    install = environment.install_gettext_callables  # type: ignore[attr-defined]
    install(texts.gettext, texts.ngettext, newstyle=True)
    return environment
