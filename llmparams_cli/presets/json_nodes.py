"""A strict JSON parser that keeps line numbers, which Python's own does not."""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any

from llmparams_cli.presets.nodes import MAX_DEPTH, TOO_DEEP, Mark, Node, Unreadable, scalar
from llmparams_cli.text.safe import escape_json

WORD = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?|true|false|null")
NEVER = re.compile("[\x00\ud800-\udfff]")  # NUL, and surrogates, which no file can hold


def compose(text: str, line: int = 1) -> Node:
    """Read a JSON document that begins in this line; refuses repeated keys, NaN and deep nesting
    (Unreadable).
    """
    return _Composer(text, line).document()


def dump(value: Any) -> str:
    """Write JSON text that is safe to print."""
    return escape_json(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)) + "\n"


class _Composer:
    def __init__(self, text: str, line: int) -> None:
        self._text = text
        self._above = line - 1
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def document(self) -> Node:
        root = self._node(0)
        if self._peek():
            raise self._unreadable("there is more after the end of the value")
        return root

    def _node(self, depth: int, mark: Mark | None = None) -> Node:
        char = self._peek()
        mark = mark or self._mark()
        if depth > MAX_DEPTH:
            raise self._unreadable(TOO_DEEP)
        if char == "{":
            return Node(mark, self._object(depth))
        if char == "[":
            return Node(mark, [self._node(depth + 1) for _ in self._until("]")])
        if char == '"':
            return Node(mark, self._string())
        match = WORD.match(self._text, self._at)
        # A number or word must end there: 12abc is neither.
        if not match or re.match(r"[\w.+-]", self._text[match.end() : match.end() + 1]):
            raise self._unreadable("a value is missing" if not char else f"not JSON: {char!r}")
        self._at = match.end()
        return Node(mark, scalar(match[0]))

    def _object(self, depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for _ in self._until("}"):
            if self._peek() != '"':
                raise self._unreadable("not JSON: a key in double quotes is missing")
            mark = self._mark()
            key = self._string()
            if key in entries:
                first = entries[key].mark.line
                raise Unreadable(mark, f"{key!r} is given twice, first in line {first}")
            self._expect(":")
            entries[key] = self._node(depth + 1, mark)
        return entries

    def _until(self, end: str) -> Iterator[None]:
        """Yield once before each item of a list or object; the caller reads the item."""
        self._at += 1
        if self._peek() == end:
            self._at += 1
            return
        while True:
            yield
            char = self._peek()
            if char not in (",", end) or not char:
                raise self._unreadable(f"not JSON: , or {end} is missing")
            self._at += 1
            if char == end:
                return

    def _string(self) -> str:
        try:
            text, end = json.JSONDecoder().raw_decode(self._text, self._at)
        except json.JSONDecodeError as error:
            self._at = error.pos
            raise self._unreadable(f"not JSON: {error.msg}") from error
        if NEVER.search(text):
            raise self._unreadable("a text holds a character that no text may hold")
        self._at = end
        return str(text)

    def _expect(self, char: str) -> None:
        if self._peek() != char:
            raise self._unreadable(f"not JSON: {char} is missing")
        self._at += 1

    def _peek(self) -> str:
        """Skip white space; the next character, or '' at the end."""
        while self._text[self._at : self._at + 1] in (" ", "\t", "\n", "\r"):
            self._at += 1
        return self._text[self._at : self._at + 1]

    def _mark(self) -> Mark:
        line = bisect_right(self._starts, self._at)
        return Mark(self._above + line, self._at - self._starts[line - 1] + 1)

    def _unreadable(self, reason: str) -> Unreadable:
        return Unreadable(self._mark(), reason)
