"""Parses YAML into a tree of plain values that keep their line numbers.

Unquoted words follow YAML 1.2, as in editors: `no` and `on` are text, `1e-3` is a number
(PyYAML itself follows 1.1). Keys are always text. Anchors, tags and further documents are
refused: a preset has no use for them, and attacks on YAML parsers rely on them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_DEPTH = 64  # far more than a preset needs, far below Python's recursion limit
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"

WORDS = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Longer numbers are read as floats: Python limits the digits that it converts to an integer.
INTEGER = re.compile(r"[-+]?[0-9]{1,300}")
OTHER_BASE = re.compile(r"0o[0-7]{1,300}|0x[0-9a-fA-F]{1,250}")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")

Value = bool | int | float | str | list["Node"] | dict[str, "Node"] | None


class Mark(NamedTuple):
    """A position in a text; lines and columns count from 1."""

    line: int
    column: int


Report = Callable[[Mark, str], None]


class Unreadable(Exception):
    """The text cannot be read any further."""

    def __init__(self, mark: Mark, reason: str) -> None:
        super().__init__(reason)
        self.mark = mark
        self.reason = reason


@dataclass(frozen=True)
class Node:
    """A value and where it begins; inside a mapping, where its key begins."""

    mark: Mark
    value: Value

    def plain(self) -> Any:
        """The value without line numbers."""
        if isinstance(self.value, list):
            return [item.plain() for item in self.value]
        if isinstance(self.value, dict):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value


def compose(text: str, report: Report) -> Node | None:
    """Read one YAML document; None if it is empty. Raises Unreadable.

    Keys that are given twice go to `report`, and the first one counts.
    """
    import yaml

    # PyYAML may have been built without libyaml, whose parser is much faster.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return _Composer(yaml.parse(text, Loader=loader), report).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = Mark(mark.line + 1, mark.column + 1) if mark else Mark(1, 1)
        problem = str(error.problem or error.context)
        # Since PyYAML 6.0.4 its parser has a limit too, and reads ahead up to it.
        reason = TOO_DEEP if "nesting depth" in problem else f"not YAML: {problem}"
        raise Unreadable(at, reason) from error
    except yaml.reader.ReaderError as error:
        # Its position counts characters in one parser and bytes in the other.
        before = text[: text.find(chr(error.character))]
        at = Mark(before.count("\n") + 1, len(before) - before.rfind("\n"))
        reason = f"the character U+{error.character:04X} is not allowed in YAML"
        raise Unreadable(at, reason) from error


class _Composer:
    """Builds nodes from PyYAML's parse events, in one pass."""

    def __init__(self, events: Iterator[Any], report: Report) -> None:
        self._events = events
        self._report = report

    def document(self) -> Node | None:
        import yaml

        root = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent) and root:
                raise Unreadable(_mark(event), "a second document begins here; one is allowed")
            if isinstance(event, yaml.NodeEvent):
                root = self._node(event, _mark(event), 0)
        return root

    def _node(self, event: Any, mark: Mark, depth: int) -> Node:
        import yaml

        if depth > MAX_DEPTH:
            raise Unreadable(_mark(event), TOO_DEEP)
        _refuse_extras(event)
        if isinstance(event, yaml.MappingStartEvent):
            return Node(mark, self._mapping(depth))
        if isinstance(event, yaml.SequenceStartEvent):
            items = self._until(yaml.SequenceEndEvent)
            return Node(mark, [self._node(item, _mark(item), depth + 1) for item in items])
        is_plain = event.implicit[0]  # written without quotes
        return Node(mark, scalar(event.value) if is_plain else event.value)

    def _mapping(self, depth: int) -> dict[str, Node]:
        import yaml

        entries: dict[str, Node] = {}
        for event in self._until(yaml.MappingEndEvent):
            _refuse_extras(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable(_mark(event), "a key must be text")
            node = self._node(next(self._events), _mark(event), depth + 1)
            first = entries.setdefault(event.value, node)
            if first is not node:
                twice = f"{event.value!r} is given twice, first in line {first.mark.line}"
                self._report(node.mark, twice)
        return entries

    def _until(self, end: type) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


def _mark(event: Any) -> Mark:
    return Mark(event.start_mark.line + 1, event.start_mark.column + 1)


def _refuse_extras(event: Any) -> None:
    if event.anchor is not None:  # an alias event keeps its name here too
        raise Unreadable(_mark(event), "anchors and aliases (&name, *name) are not allowed")
    if getattr(event, "tag", None) is not None:
        raise Unreadable(_mark(event), f"the tag {event.tag!r} is not allowed; tags never are")


def scalar(text: str) -> Value:
    """What a word without quotes means (YAML 1.2, core schema)."""
    if text in WORDS:
        return WORDS[text]
    if INTEGER.fullmatch(text):
        return int(text)
    if OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if FLOAT.fullmatch(text):
        return float(text)
    return text
