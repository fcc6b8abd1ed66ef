"""Changes one key at the top of a YAML file and nothing else: comments, order and form stay."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from llmparams_cli.presets.nodes import Node, Unreadable, compose, scalar
from llmparams_cli.presets.write import flow


class Uneditable(Exception):
    """The file has a form in which nothing can be changed without rewriting it."""


class _Place(NamedTuple):
    """Where a key and its value are in the text, in characters."""

    start: int
    end: int


def with_text(text: str, key: str, value: str, comment: str) -> str:
    """The file with this key and text; a comment is added where the line has none."""
    entry = f"{key}: {_plain(value)}"
    place = _find(text, key)
    if place is None:
        gap = "" if not text or text.endswith(("\n", "\r")) else _newline(text)
        changed = f"{text}{gap}{entry}  # {comment}{_newline(text)}"
    else:
        rest = text[place.end :]
        line = re.match(r"[^\r\n]*", rest)
        note = "" if line and line[0].strip() else f"  # {comment}"
        changed = text[: place.start] + entry + note + rest
    if _value(changed, key) != value:
        raise Uneditable("it ends in a mark of YAML's")  # such as ..., after which nothing counts
    return changed


def without(text: str, key: str) -> str:
    """The file without this key, its line's comment included."""
    place = _find(text, key)
    if place is None:
        return text
    line = re.compile(r"[^\r\n]*(\r\n|\r|\n)?").match(text, place.end)
    changed = text[: place.start] + text[line.end() if line else place.end :]
    if _keys(changed) != [other for other in _keys(text) or () if other != key]:
        raise Uneditable("others hang on this key")  # such as *aliases, or it is written with a ?
    return changed


def _find(text: str, key: str) -> _Place | None:
    """The place of a key at the top and of its text; None if it is not there.

    The file has been read before as a preset: it is one mapping, or empty.
    """
    import yaml

    # Any: the types of PyYAML's events say less than its parser promises.
    events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)
    depth, start, is_key = 0, None, True
    for event in events:
        if isinstance(event, yaml.MappingStartEvent) and depth == 0 and event.flow_style:
            raise Uneditable("it is written in braces")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        ends = isinstance(event, (yaml.ScalarEvent, yaml.CollectionEndEvent))
        if depth != 1 or not ends:
            continue
        if is_key:
            start = event.start_mark.index if event.value == key else None
        elif start is not None:
            return _Place(start, _end(text, event.end_mark.index))
        is_key = not is_key
    return None


def _end(text: str, index: int) -> int:
    """The end of a value without the line breaks and blanks after it (a block scalar has some)."""
    return len(text[:index].rstrip())


def _value(text: str, key: str) -> object:
    top = _top(text)
    return top[key].value if top and key in top else None


def _keys(text: str) -> list[str] | None:
    """The keys at the top; None if the text is not sound."""
    top = _top(text)
    return None if top is None else list(top)


def _top(text: str) -> dict[str, Node] | None:
    """The mapping at the top, empty for an empty file; None if the text is not sound."""
    try:
        root = compose(text, lambda _mark, _reason: None)
    except Unreadable:
        return None
    if root is None or root.value is None:  # nothing but comments, or ---
        return {}
    return root.value if isinstance(root.value, dict) else None


def _plain(value: str) -> str:
    """The text without quotes, if it means the same without."""
    return (
        value
        if re.fullmatch(r"[\w/~.][\w/.:@+-]*[\w]", value, re.ASCII) and scalar(value) == value
        else flow(value)
    )


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"
