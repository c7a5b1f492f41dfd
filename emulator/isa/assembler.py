"""The assembler: RISC-V source text in the GNU assembler's syntax to bytes at addresses, in plain Python.

The program is read once, which decides every size and so every address; then what depends on addresses is
filled in. Compressed instructions are used only where the source says `c.`, and nothing is relaxed, so that a
line's bytes do not depend on the rest of the program. Left out: linking (all symbols are in one program),
conditional assembly.
"""

from collections.abc import Mapping, Sequence

from emulator.isa.aliases import ALIAS_NAMES
from emulator.isa.assembly.directives import DIRECTIVE_NAMES, assemble_directive
from emulator.isa.assembly.expressions import Expression, NotKnownYet, Value, evaluate, parse_expression
from emulator.isa.assembly.fixups import Fixup, compute, fill_in, number_bytes
from emulator.isa.assembly.instructions import Word, assemble_one, forms_of
from emulator.isa.assembly.lexer import Line, Token, split_lines, tokenize
from emulator.isa.assembly.macros import LENGTH_LIMIT, LineReader, Macro
from emulator.isa.assembly.operands import Deferred
from emulator.isa.assembly.problems import AssemblyError, Mistake, Problem, ProblemList, did_you_mean, quote
from emulator.isa.assembly.program import Program, Segment
from emulator.isa.assembly.pseudo import PSEUDO_INSTRUCTIONS, symbol_access
from emulator.isa.assembly.sections import PAGE_SIZE, Section, Sections, place
from emulator.isa.assembly.statements import Statement, split_operands, split_statements
from emulator.isa.assembly.symbols import Equate, Place, SymbolTable
from emulator.isa.elf_writer import program_to_elf
from emulator.isa.encodings import BY_NAME

__all__ = ["AssemblyError", "Problem", "Program", "Segment", "assemble", "program_to_elf"]

SOURCE_LIMIT = 1 << 20
_NO_SYMBOLS: Mapping[str, int] = {}


def assemble(
    source: str,
    *,
    filename: str = "program.s",
    base: int = 0x8000_0000,
    symbols: Mapping[str, int] = _NO_SYMBOLS,
) -> Program:
    """Assemble a program.

    Args:
        filename: How error messages call the program; no file is read.
        base: Address of the first section, a multiple of 4096.
        symbols: Constants that the program may use without defining them.

    Raises:
        AssemblyError: The program is wrong; it lists every problem found, up to 50.
    """
    assert base % PAGE_SIZE == 0, "base is a multiple of the page size"
    return _Assembler(source, filename, symbols).run(base)


class _Assembler:
    """One run of the assembler over one program."""

    def __init__(self, source: str, filename: str, symbols: Mapping[str, int]) -> None:
        self.source = source
        self.filename = filename
        self.sections = Sections()
        self.symbols = SymbolTable(symbols)
        self.macros: dict[str, Macro] = {}
        self.exported: set[str] = set()
        self.reader = LineReader(())
        self.line = Line(1, "", "", 1)
        self._predefined = frozenset(symbols)
        self._problems = ProblemList(filename)
        self._fixups: list[Fixup] = []

    def run(self, base: int) -> Program:
        """Read the program, place its sections and fill in what depends on addresses."""
        self._check_size()
        self.reader = LineReader(split_lines(self.source))
        self._read()
        ordered = place(self.sections, base, PAGE_SIZE)
        self.symbols.addresses_known = True
        fill_in(self._fixups, self.symbols, self._problems)
        constants = self._constants()
        self._problems.check()
        return self._program(ordered, constants)

    def _check_size(self) -> None:
        """Refuse sources that no person writes."""
        start = Token("name", "", 1)
        if len(self.source) > SOURCE_LIMIT:
            message = f"the program is longer than {SOURCE_LIMIT >> 20} MiB"
            self._problems.report(Mistake(message, start), self.line)
        for number, text in enumerate(self.source.split("\n"), start=1):
            if len(text) > LENGTH_LIMIT and not self._problems.full:
                mistake = Mistake(f"the line is longer than {LENGTH_LIMIT} characters", start)
                self._problems.report(mistake, Line(number, text, "", number))
        self._problems.check()

    def _program(self, ordered: Sequence[Section], constants: Mapping[str, int]) -> Program:
        """Put together what was assembled."""
        labels = {name: spot.section.address + spot.offset for name, spot in self.symbols.labels.items()}
        return Program(
            entry=labels.get("_start", self.sections[".text"].address),
            segments=tuple(Segment(s.address, bytes(s.data), s.permissions) for s in ordered if s.data),
            symbols=labels,
            constants=constants,
            exported=frozenset(self.exported),
            lines={s.address + offset: line for s in ordered for offset, line in s.lines.items()},
            sections={s.name: (s.address, len(s.data)) for s in ordered if s.data},
            source=self.source,
            filename=self.filename,
        )

    def here(self) -> Place:
        """Return the current place."""
        section = self.sections.current
        return Place(section, len(section.data), self.line.number)

    def note_line(self) -> None:
        """Remember which line what follows comes from."""
        section = self.sections.current
        section.lines.setdefault(len(section.data), self.line.origin)

    def value_now(self, expression: Expression) -> Value:
        """Evaluate an expression that must not depend on what follows.

        Raises:
            Mistake: It does.
        """
        try:
            return evaluate(expression, self.symbols.lookup(self.here()))
        except NotKnownYet as unknown:
            message = "is needed here already; define it above this line"
            raise Mistake(f"{quote(unknown.token.text)} {message}", unknown.token) from None

    def _read(self) -> None:
        """Assemble every line, collecting problems."""
        while not self._problems.full:
            try:
                line = self.reader.next_line()
                if line is None:
                    return
                self.line = line
                self._assemble_line(line)
            except Mistake as mistake:
                self._problems.report(mistake, self.line)

    def _assemble_line(self, line: Line) -> None:
        """Assemble the statements of a line; a mistake in one does not hide those in the others."""
        if not line.code or line.code.isspace():
            return
        for tokens in split_statements(tokenize(line.code)):
            if self._problems.full or self.reader.exhausted:
                return
            try:
                self._assemble_statement(tokens, line)
            except Mistake as mistake:
                self._problems.report(mistake, line)

    def _assemble_statement(self, tokens: tuple[Token, ...], line: Line) -> None:
        """Define the labels at the start of a statement and carry out the rest."""
        start = 0
        while tokens[start].kind in ("name", "number") and tokens[start + 1].text == ":":
            self.symbols.define_label(tokens[start], self.here())
            start += 2
        name = tokens[start]
        if name.kind == "end":
            return
        self.reader.count_statement(name)
        if name.kind != "name":
            raise Mistake(self._not_a_statement(tokens[start:]), name)
        rest = self.symbols.number_local_labels(tokens[start + 1 :])
        if rest[0].text == "=" and rest[0].kind == "mark":
            self._assign(name, rest)
            return
        statement = Statement(name, split_operands(rest), tokens[-1], line)
        if name.text in self.macros:
            self.reader.call(self.macros[name.text], statement.operands, name, line)
        elif name.text.startswith("."):
            assemble_directive(self, statement)
        else:
            self._assemble_instruction(statement)

    def _not_a_statement(self, tokens: tuple[Token, ...]) -> str:
        """Say what a statement begins with instead of a name."""
        if (tokens[0].text, tokens[1].text) == ("/", "*"):
            return "this comment is never closed with `*/`"
        return f"expected an instruction, a directive or a label, found {quote(tokens[0].text)}"

    def _assign(self, name: Token, rest: tuple[Token, ...]) -> None:
        """Define `name = expression`."""
        expression, position = parse_expression(rest, 1)
        if rest[position].kind != "end":
            raise Mistake(f"expected the end of the line, found {quote(rest[position].text)}", rest[position])
        self.symbols.define_constant(name, expression, self.here())

    def _assemble_instruction(self, statement: Statement) -> None:
        """Emit the words of an instruction or pseudo-instruction."""
        name = statement.name
        forms = forms_of(name.text)
        if name.text in PSEUDO_INSTRUCTIONS:
            words = PSEUDO_INSTRUCTIONS[name.text](statement, self._constant)
        elif not forms:
            raise Mistake(self._unknown(statement), name)
        else:
            words = symbol_access(statement) or [assemble_one(statement, forms)]
        if len(self.sections.current.data) % 2:
            raise Mistake("instructions are at even addresses; put `.balign 4` before this line", name)
        dot = self.here()
        for word in words:
            self.note_line()
            self._add(word, word.instruction.length, dot)

    def _unknown(self, statement: Statement) -> str:
        """Say that there is no such instruction, and what may have been meant."""
        name = statement.name
        known = (*PSEUDO_INSTRUCTIONS, *ALIAS_NAMES, *self.macros, *BY_NAME, *DIRECTIVE_NAMES)
        hint = did_you_mean(name.text, known)
        if ";" in statement.line.code[: name.column]:
            hint = "; `;` begins another statement, a comment begins with `#`"
        elif not hint and not statement.operands:
            hint = f"; if it is a label, write `{name.text[:64]}:`"
        return f"there is no instruction {quote(name.text)}{hint}"

    def _constant(self, deferred: Deferred) -> Value:
        return self.value_now(deferred.expression)

    def add_number(self, expression: Expression, width: int) -> None:
        """Emit a number of `width` bytes, at once if it does not depend on addresses."""
        if len(expression.terms) == 1 and expression.terms[0].kind == "number":
            data = number_bytes(expression.token.value, width, expression.token)
            self.sections.append(data, expression.token)
            return
        self._add(expression, width, self.here())

    def _add(self, content: Word | Expression, width: int, dot: Place) -> None:
        """Emit something at once, or make room for it and fill it in when addresses are known."""
        fixup = Fixup(self.here(), dot, self.line, content, width)
        section = self.sections.current
        try:
            data = compute(fixup, self.symbols)
        except NotKnownYet:
            if section.zeros:
                raise Mistake(f"{section.name} holds only zeros", content.token) from None
            self._fixups.append(fixup)
            data = bytes(width)
        self.sections.append(data, content.token)

    def _constants(self) -> dict[str, int]:
        """Return the values of the program's own constants."""
        lookup = self.symbols.lookup(self.here())
        constants: dict[str, int] = {}
        for name, equate in self.symbols.equates.items():
            if self._problems.full:
                break
            try:
                if name not in self._predefined:
                    constants[name] = lookup(Token("name", name, 1)).number
            except Mistake as mistake:
                assert isinstance(equate, Equate), "a known value raises nothing"
                blame = Mistake(mistake.message, equate.expression.token)
                self._problems.report(blame, self._source_line(equate.place.line))
        return constants

    def _source_line(self, number: int) -> Line:
        """Return a line of the source for an error message."""
        text = self.source.split("\n")[number - 1]
        return Line(number, text, text, number)
