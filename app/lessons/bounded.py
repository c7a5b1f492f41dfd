"""Markdown that is read soon whatever it holds, and hides nothing from who reads it.

markdown-it-py takes time with the square of a paragraph's length for some texts (unpaired quotes and
brackets), so long paragraphs are refused before their parts are looked for. CommonMark 0.31.2, section 2.5:
an entity such as `&#x202E;` stands for its character, so what hides text is looked for behind the parser.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.deflist import deflist_plugin

from app.lessons.source import hidden_character

MAXIMUM_PARAGRAPH = 20_000

Fault = Callable[[Token | None, str], None]


class Markdown:
    """Makes tokens and HTML of Markdown; `fault` is told what is wrong, and at which top-level token."""

    def __init__(self, fault: Fault) -> None:
        markdown = MarkdownIt("commonmark", {"html": False, "typographer": True})
        markdown.core.ruler.before("inline", "bounds", self._bounds)
        self._markdown = markdown.enable(["table", "strikethrough", "replacements", "smartquotes"]).use(
            deflist_plugin
        )
        self._fault = fault

    def tokens(self, text: str) -> list[Token]:
        """Return the tokens of a text of one or more paragraphs."""
        return self._checked(self._markdown.parse(text))

    def line(self, text: str) -> str:
        """Return a text that is no paragraph as HTML, not yet reduced to safe tags."""
        return self.html(self._checked(self._markdown.parseInline(text)))

    def html(self, tokens: Sequence[Token]) -> str:
        """Return tokens as HTML, not yet reduced to safe tags."""
        rendered: Any = self._markdown.renderer.render(tokens, self._markdown.options, {})
        return str(rendered)

    def _bounds(self, state: StateCore) -> None:
        for token in state.tokens:
            if token.type == "inline" and len(token.content) > MAXIMUM_PARAGRAPH:
                found = f"{len(token.content)} characters in one paragraph"
                self._fault(token, f"{found}; must be at most {MAXIMUM_PARAGRAPH}, divide it by empty lines")
                token.content = ""

    def _checked(self, tokens: list[Token]) -> list[Token]:
        for token in tokens:
            for text in _texts([token, *(token.children or ())]):
                if found := hidden_character(text):
                    self._fault(token, f"{found[1]}; delete it")
                    break
        return tokens


def _texts(tokens: Iterable[Token]) -> Iterable[str]:
    for token in tokens:
        if token.type not in ("inline", "fence"):
            yield token.content
        yield from (value for value in token.attrs.values() if isinstance(value, str))
