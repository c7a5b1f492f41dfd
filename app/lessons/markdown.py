"""Lesson text to safe HTML, in steps and blocks.

CommonMark with tables and definition lists (markdown-it-py), raw HTML shown as text, all sanitised again by
nh3. The fenced blocks `predict`, `hint` and `listing` become blocks of their own. Left out: images and
footnotes.
"""

import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import nh3
from markdown_it.token import Token
from pydantic import ValidationError

from app.lessons.bounded import Markdown
from app.lessons.errors import LessonError, nearest, shown
from app.lessons.model import Block, Choice, FigureTable, PredictTable, Price, Question, Step
from app.lessons.source import TextFile
from app.lessons.validation import describe
from app.lessons.yaml import parse

LANGUAGES = ("", "asm", "c", "console", "python", "text", "yaml")
BLOCKS = ("predict", "hint", "listing", "figure", "notes")
VIEWS: Mapping[str, tuple[str, str]] = {
    "frames": ("frame-map", "Who owns this memory?"),
    "lanes": ("lanes", "Who is running?"),
    "timeline": ("timeline", "What happened when?"),
    "exits": ("tab-exits", "Exits"),
    "cpu": ("tab-cpu", "CPU"),
    "memory": ("tab-ram", "Memory"),
    "consoles": ("tab-consoles", "Consoles"),
    "program": ("tab-program", "Program"),
    "resources": ("tab-resources", "Disks and networks"),
    "snapshots": ("tab-snapshots", "Snapshots"),
}
"""Live views that a figure can be bound to: the element's id on the lesson's page, and its title there."""
MAXIMUM_STEPS = 60
MAXIMUM_BLOCKS = 200
MAXIMUM_LISTED = 1 << 20
HINT_OPEN = "open"

_IDENTIFIER = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_TAGS = {
    *(
        "a",
        "blockquote",
        "br",
        "code",
        "dd",
        "dl",
        "dt",
        "em",
        "h3",
        "h4",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "strong",
    ),
    *("table", "tbody", "td", "th", "thead", "tr", "ul"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "pre": {"tabindex", "class"}, "code": {"class"}}
_PRICED = re.compile(r"([a-z0-9]+(?:-[a-z0-9]+)*) -([0-9]{1,3}) +(\S.*)")
_NUMBERS = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass
class Body:
    """The rendered body of a lesson, and every fault found in it."""

    steps: list[Step] = field(default_factory=lambda: list[Step]())
    questions: dict[str, Question] = field(default_factory=lambda: dict[str, Question]())
    errors: list[LessonError] = field(default_factory=lambda: list[LessonError]())
    prices: list[tuple[int, str]] = field(default_factory=lambda: list[tuple[int, str]]())
    """Line and check of each hint that costs something."""


def render_body(file: TextFile, text: str, first_line: int, programs: Mapping[str, str]) -> Body:
    """Render the Markdown `text` that begins at `first_line`; `programs` are the sources that listings show.

    Faults are collected in `Body.errors`; nothing is raised for a bad lesson.
    """
    return _Renderer(file, first_line, programs).render(text)


def safe_html(rendered: str) -> str:
    """Return HTML reduced to the tags a lesson may use."""
    return nh3.clean(
        rendered,
        tags=_TAGS,
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
    )


class _Renderer:
    """Walks the top-level tokens once and cuts them into steps and blocks."""

    def __init__(self, file: TextFile, first_line: int, programs: Mapping[str, str]) -> None:
        self._file = file
        self._first_line = first_line
        self._programs = programs
        self._markdown = Markdown(self._fault)
        self._at = 0
        self._special = 0
        self._listed = 0
        self._body = Body()
        self._title = self._title_html = "Introduction"
        self._blocks: list[Block] = []
        self._pending: list[Token] = []
        self._ids: set[str] = set()

    def render(self, text: str) -> Body:
        tokens = self._markdown.tokens(text)
        self._check_images(tokens)
        index = 0
        while index < len(tokens):
            token = tokens[index]
            if token.type == "heading_open" and token.level == 0 and token.tag == "h2":
                self._begin_step(tokens[index + 1])
                index += 3
                continue
            self._take(token)
            index += 1
        self._end_step()
        return self._body

    def _error(self, line: int, message: str, column: int = 0) -> None:
        self._body.errors.append(self._file.error(line, message, column))

    def _fault(self, token: Token | None, message: str) -> None:
        """Note a fault of Markdown: of the body's, or of what stands in the block at `_at`."""
        self._error(self._at or (self._line(token) if token else self._first_line), message)

    def _line(self, token: Token) -> int:
        return self._first_line + (token.map[0] if token.map else 0)

    def _check_images(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            if any(child.type == "image" for child in token.children or ()):
                self._error(
                    self._line(token), "images are not part of schema 1; describe it, or use a text block"
                )

    def _take(self, token: Token) -> None:
        if token.type == "heading_open" and token.tag == "h1":
            self._error(
                self._line(token),
                "a heading of level 1; the title comes from the front matter, begin with '## '",
            )
        if token.type != "fence":
            self._pending.append(token)
            return
        word = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
        if word in BLOCKS and token.level:
            self._error(
                self._line(token), f"a {word} block inside a list or quote; start it at the left margin"
            )
        elif word in BLOCKS:
            self._flush()
            self._at = self._line(token)
            self._special += 1
            if self._special > MAXIMUM_BLOCKS:
                if self._special == MAXIMUM_BLOCKS + 1:
                    self._error(self._at, f"more than {MAXIMUM_BLOCKS} blocks; split the lesson")
                return
            try:
                self._block(word, token, token.info.strip()[len(word) :].strip())
            except LessonError as error:
                self._body.errors.append(error)
        elif word not in LANGUAGES:
            hint = nearest(word, (*BLOCKS, *LANGUAGES[1:]))
            self._error(self._line(token), f"unknown kind of block '{shown(word)}'{hint}")
        else:
            self._pending.append(token)

    def _block(self, word: str, token: Token, argument: str) -> None:
        handlers: dict[str, Callable[[Token, str], None]] = {
            "predict": self._predict,
            "hint": self._hint,
            "listing": self._listing,
            "figure": self._figure,
            "notes": self._notes,
        }
        handlers[word](token, argument)

    def _flush(self) -> None:
        if self._pending:
            rendered = self._render(self._pending)
            self._blocks.append(Block("text", rendered))
            self._pending = []

    def _render(self, tokens: Sequence[Token]) -> str:
        return safe_html(self._markdown.html(tokens).replace("<pre>", '<pre tabindex="0">'))

    def _prose(self, text: str) -> str:
        return self._render(self._markdown.tokens(text))

    def _inline(self, text: str) -> str:
        return safe_html(self._markdown.line(text))

    def _begin_step(self, title: Token) -> None:
        self._end_step()
        self._title = title.content
        self._title_html = self._markdown.html([title])

    def _end_step(self) -> None:
        self._flush()
        if self._blocks:
            identifier = re.sub(r"[^a-z0-9]+", "-", self._title.lower()).strip("-")[:60] or "step"
            while identifier in self._ids:
                identifier += "-again"
            self._ids.add(identifier)
            if len(self._ids) == MAXIMUM_STEPS + 1:
                self._error(self._first_line, f"more than {MAXIMUM_STEPS} steps; split the lesson")
            title = html.unescape(re.sub(r"<[^>]*>", "", self._title_html))
            self._body.steps.append(Step(identifier, title, tuple(self._blocks)))
        self._blocks = []

    def _notes(self, token: Token, argument: str) -> None:
        """What only who teaches the lesson sees."""
        title = f"<p><strong>{html.escape(argument)}</strong></p>" if argument else ""
        text = f'<aside class="notes">{title}{self._prose(token.content)}</aside>'
        self._blocks.append(Block("notes", text))

    def _hint(self, token: Token, argument: str) -> None:
        price = _PRICED.fullmatch(argument)
        if price:
            self._priced_hint(token, Price(price[1], int(price[2])), price[3])
            return
        summary = html.escape(argument or "Hint")
        text = f'<details class="hint"><summary>{summary}</summary>{self._prose(token.content)}</details>'
        self._blocks.append(Block("hint", text))

    def _priced_hint(self, token: Token, price: Price, title: str) -> None:
        """A hint that is not part of the page until it is asked for."""
        identifier = f"hint-{sum(bool(each.price) for each in self._body.questions.values()) + 1}"
        if not 1 <= price.points <= 100 or identifier in self._body.questions:
            self._error(self._line(token), "a hint costs from 1 to 100 points, as in ```hint CHECK -1 TITLE")
            return
        points = "1 point" if price.points == 1 else f"{price.points} points"
        choice = Choice(HINT_OPEN, f"Show it, for {points} of this lesson.")
        question = Question(
            identifier, self._prose(title), (choice,), "", HINT_OPEN, 0, self._prose(token.content), price
        )
        self._body.questions[identifier] = question
        self._body.prices.append((self._line(token), price.check))
        self._blocks.append(Block("predict", _question_html(question), question))

    def _listing(self, token: Token, argument: str) -> None:
        line = self._line(token)
        name, _, numbers = argument.partition(" ")
        source = self._programs.get(name)
        if source is None:
            self._error(line, f"guest/ has no program '{shown(name)}' to list{nearest(name, self._programs)}")
            return
        lines = source.rstrip("\n").split("\n")
        first, last = _listed_lines(lines, numbers.strip())
        if not 1 <= first <= last <= len(lines):
            wanted = f"write a label of {name}, or FIRST-LAST from 1 to {len(lines)}"
            self._error(line, f"'{shown(numbers)}' cannot be listed; {wanted}")
            return
        self._listed += sum(map(len, lines[first - 1 : last])) + last - first
        if self._listed > MAXIMUM_LISTED:
            self._error(line, f"the listings show more than {MAXIMUM_LISTED >> 10} KiB; show fewer lines")
            self._listed = -(1 << 40)  # said once; what follows would show as much again
            return
        caption = self._inline(token.content.strip())
        self._blocks.append(Block("listing", listing_html(name, lines[first - 1 : last], first, caption)))

    def _figure(self, token: Token, view: str) -> None:
        line = self._line(token)
        if view not in VIEWS:
            hint = nearest(view, VIEWS)
            self._error(line, f"a figure shows a live view, like ```figure lanes, not '{shown(view)}'{hint}")
            return
        document = parse(self._file, token.content, line + 1)
        try:
            table = FigureTable.model_validate(document.value)
        except ValidationError as error:
            self._body.errors += describe(error, document, FigureTable)
            return
        self._blocks.append(Block("figure", _figure_html(view, table.alt, self._inline(table.caption))))

    def _predict(self, token: Token, identifier: str) -> None:
        line = self._line(token)
        if not _IDENTIFIER.fullmatch(identifier) or len(identifier) > 60:
            self._error(line, "a predict block needs an id of lower-case words, e.g. ```predict one-exit")
            return
        if identifier in self._body.questions:
            self._error(line, f"the question '{identifier}' is already asked; give this one another id")
            return
        try:
            question = self._question(identifier, token.content, line + 1)
        except LessonError as error:
            self._body.errors.append(error)
            return
        if question:
            self._body.questions[identifier] = question
            self._blocks.append(Block("predict", _question_html(question), question))

    def _question(self, identifier: str, text: str, first_line: int) -> Question | None:
        document = parse(self._file, text, first_line)
        try:
            table = PredictTable.model_validate(document.value)
        except ValidationError as error:
            self._body.errors += describe(error, document, PredictTable)
            return None
        if table.choices and table.answer not in table.choices:
            known = ", ".join(table.choices)
            raise document.error(
                ("answer",), f"the answer {shown(table.answer)!r} is not a choice; choices: {known}"
            )
        if not table.choices and isinstance(table.answer, str):
            raise document.error(("answer",), "the answer must be a number when there are no choices")
        choices = tuple(Choice(key, self._inline(value)) for key, value in table.choices.items())
        return Question(
            identifier,
            self._prose(table.question),
            choices,
            table.unit,
            table.answer,
            table.tolerance,
            self._prose(table.explanation),
        )


def _listed_lines(lines: Sequence[str], wanted: str) -> tuple[int, int]:
    """Return the first and last line that `10-20`, `10`, a label or nothing ask for; (0, 0) if none do.

    A label asks for its paragraph: the lines around it up to the next empty lines.
    """
    if not wanted:
        return 1, len(lines)
    match = _NUMBERS.fullmatch(wanted)
    if match:
        return int(match[1]), int(match[2] or match[1])
    found = next((number for number, text in enumerate(lines) if text.startswith(f"{wanted}:")), None)
    if found is None:
        return 0, 0
    first = last = found
    while first > 0 and lines[first - 1].strip():
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].strip():
        last += 1
    return first + 1, last + 1


def listing_html(name: str, lines: Sequence[str], first: int, caption: str = "") -> str:
    """Return lines of a program as HTML with their line numbers; `caption` is safe HTML."""
    numbered = "".join(_line_html(number, text) for number, text in enumerate(lines, first))
    label = html.escape(f"{name}, lines {first} to {first + len(lines) - 1}")
    text = f": {caption}" if caption else ""
    return (
        f'<figure class="listing" data-program="{html.escape(name)}"><figcaption>{label}{text}</figcaption>'
        f'<pre tabindex="0" role="region" aria-label="{label}">'
        f'<code class="language-asm">{numbered}</code></pre></figure>\n'
    )


def _line_html(number: int, text: str) -> str:
    """Return one line, its parts closer than in the file, so that a narrow column holds more of it."""
    code, comment = _split_comment(text)
    if code[:1].isspace() and code.strip():
        mnemonic, _, operands = code.strip().partition(" ")
        code = f"    {mnemonic:5} {operands.strip()}".rstrip()
    code = code.rstrip() + ("  " if code.strip() and comment else "")
    shown_comment = f'<span class="comment">{html.escape(comment)}</span>' if comment else ""
    shown_number = f'<span class="number" aria-hidden="true">{number:>4}  </span>'
    return (
        f'<span class="line" data-line="{number}">{shown_number}{html.escape(code)}{shown_comment}\n</span>'
    )


def _split_comment(text: str) -> tuple[str, str]:
    """Return what stands before the first `#` that is not in quotes, and the rest."""
    quote = ""
    for at, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return text[:at], text[at:]
    return text, ""


def _figure_html(view: str, alt: str, caption: str) -> str:
    """Return a figure that the page fills with a picture of its live view; the link leads there."""
    element, title = VIEWS[view]
    return (
        f'<figure class="live" data-view="{element}"><div role="img" aria-label="{html.escape(alt)}"></div>'
        f'<figcaption>{caption} <a href="#{element}">Go to “{html.escape(title)}”</a></figcaption></figure>\n'
    )


def _question_html(question: Question) -> str:
    name = html.escape(question.id)
    if question.choices:
        inputs = "".join(
            f'<label><input type="radio" name="value" value="{html.escape(choice.id)}"> {choice.html}</label>'
            for choice in question.choices
        )
    else:
        inputs = f'<label><input type="number" step="any" name="value"> {html.escape(question.unit)}</label>'
    return f'<fieldset class="predict" data-question="{name}">{question.prompt_html}{inputs}</fieldset>\n'
