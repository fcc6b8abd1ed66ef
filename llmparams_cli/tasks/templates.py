"""Terms of a task filled in for one document: the name of a field, or a Jinja template."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import Any

from llmparams_cli.tasks.document import Terms


class Filler:
    """Fills in terms; templates are compiled once. Use it within `text.jinja.bounded`."""

    def __init__(self) -> None:
        from jinja2 import StrictUndefined

        from llmparams_cli.text.jinja import Sandbox

        self._environment = Sandbox(undefined=StrictUndefined, keep_trailing_newline=True)
        self._environment.filters["regex_replace"] = _replace
        self._compiled: dict[str, Any] = {}

    def text(self, terms: Terms, row: Mapping[str, Any]) -> Any:
        found = self.field(terms.text, row)
        return _number(found) if terms.choice is not None and terms.text not in row else found

    def target(self, terms: Terms, row: Mapping[str, Any]) -> Any:
        """An index of a choice, a text, or a list of them."""
        if not isinstance(terms.target, str) or terms.target in row:
            return self.field(terms.target, row)
        found = self.field(terms.target, row)
        if terms.choice is not None and found.isdigit():
            return _number(found)
        return _literal(found, found) if found[:1] == "[" and found[-1:] == "]" else found

    def choices(self, terms: Terms, row: Mapping[str, Any]) -> tuple[str, ...]:
        """Raises ValueError if there are none."""
        found = terms.choice
        if isinstance(found, dict):
            found = list(found.values())
        elif isinstance(found, str):
            filled = self.field(found, row)
            found = filled if found in row else _literal(filled, None)
        if not isinstance(found, list | tuple) or not found:
            raise ValueError("it gives no list of choices")
        if not all(isinstance(each, str) and each for each in found):
            raise ValueError("a choice is no text, or empty")
        return tuple(found)

    def field(self, term: Any, row: Mapping[str, Any]) -> Any:
        """The value of a field that is called `term`, or the text of the template."""
        if not isinstance(term, str):
            return term
        if term in row:
            return row[term]
        if term not in self._compiled:
            self._compiled[term] = self._environment.from_string(term)
        return self._compiled[term].render(row)


def _replace(text: str, pattern: str, replacement: str, count: int = 0) -> str:
    return re.sub(pattern, replacement, text, count=count)


def _number(text: Any) -> Any:
    return _literal(text, text) if isinstance(text, str) and text.isdigit() else text


def _literal(text: str, otherwise: Any) -> Any:
    """The value of a literal in Python's spelling, in which Jinja writes lists."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return otherwise
