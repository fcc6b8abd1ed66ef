"""The signs of JSON with the blanks that may stand beside them, and what any value is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmparams_cli.constraints.schema import numbers, strings
from llmparams_cli.constraints.schema.lark import Grammar, Rule, Times

if TYPE_CHECKING:
    from llmparams_cli.constraints.schema.writer import Writer

# A blank, or a new line and its indentation: never without end.
SPACE = r"(?: |\n[ \t]{0,20})?"


class Tokens:
    def __init__(self, grammar: Grammar) -> None:
        self.comma = grammar.terminal(f"/,{SPACE}/", "COMMA")
        self.colon = grammar.terminal("/: ?/", "COLON")
        self.braces = (
            grammar.terminal(rf"/\{{{SPACE}/", "OPEN"),
            grammar.terminal(rf"/{SPACE}\}}/", "CLOSE"),
        )
        self.brackets = (
            grammar.terminal(rf"/\[{SPACE}/", "FIRST"),
            grammar.terminal(rf"/{SPACE}\]/", "LAST"),
        )
        self._value: Rule | None = None

    def value(self, writer: Writer) -> Rule:
        """Any JSON value."""
        if self._value is None:
            grammar = writer.grammar
            rule = self._value = grammar.rule("value")
            text = grammar.terminal(strings.FREE, "STRING")
            name = grammar.terminal(strings.NAME, "NAME")
            number = grammar.terminal(numbers.NUMBER, "NUMBER")
            words = grammar.terminal('"true" | "false" | "null"', "WORD")
            pair = (name, self.colon, rule)
            members = (*pair, Times((self.comma, *pair), 0, None))
            items = (rule, Times((self.comma, rule), 0, None))
            options = [(text,), (number,), (words,)]
            for (start, end), inside in ((self.braces, members), (self.brackets, items)):
                options += [(start, end), (start, *inside, end)]  # type: ignore[list-item]
            grammar.define(rule, options)
        return self._value
