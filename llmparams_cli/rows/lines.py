"""Rows that are lines: JSON Lines, or plain texts, each of them a prompt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from llmparams_cli.files import decode
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Mark, Node, Unreadable
from llmparams_cli.rows.row import PROMPT, BadRow, Row

MOST = 64_000_000  # bytes of a line
MOST_ARRAY = 1_000_000_000  # bytes of a whole list
NO_OBJECT = "not an object: a row is {…}"


def json_lines(file: BinaryIO) -> Iterator[Row | BadRow]:
    """A JSON object on each line; empty lines are no rows."""
    return _rows(file, _object)


def json_array(file: BinaryIO) -> Iterator[Row | BadRow]:
    """The objects of one list. All of it is in memory, so it has a limit."""
    data = file.read(MOST_ARRAY + 1)
    try:
        if len(data) > MOST_ARRAY:
            raise Unreadable(Mark(1, 1), f"a list beyond {MOST_ARRAY // 1_000_000} MB; give lines")
        root = json_nodes.compose(_text(data, 1))
        assert isinstance(root.value, list)  # it begins with a bracket
    except Unreadable as error:
        yield BadRow(1, error.mark, error.reason)
        return
    for number, item in enumerate(root.value, 1):
        if isinstance(item.value, dict):
            yield Row(number, item.mark.line, item.value)
        else:
            yield BadRow(number, item.mark, NO_OBJECT)


def texts(file: BinaryIO) -> Iterator[Row | BadRow]:
    """A prompt on each line; empty lines are no rows."""
    return _rows(file, lambda text, line: {PROMPT: Node(Mark(line, 1), text)})


def _object(text: str, line: int) -> dict[str, Node]:
    root = json_nodes.compose(text, line)
    if not isinstance(root.value, dict):
        raise Unreadable(root.mark, NO_OBJECT)
    return root.value


def _rows(file: BinaryIO, read: Callable[[str, int], dict[str, Node]]) -> Iterator[Row | BadRow]:
    number = 0
    for line, data in _lines(file):
        if not data.strip():
            continue
        number += 1
        try:
            if len(data) > MOST:
                raise Unreadable(Mark(line, 1), f"longer than {MOST // 1_000_000} MB")
            yield Row(number, line, read(_text(data, line), line))
        except Unreadable as error:
            yield BadRow(number, error.mark, error.reason)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines with their numbers. Of one that is too long, only so much is kept that it shows."""
    line = 0
    while data := file.readline(MOST + 1):
        line += 1
        rest = data
        while not rest.endswith(b"\n") and (rest := file.readline(MOST)):
            pass
        yield line, data


def _text(data: bytes, line: int) -> str:
    """The text of a line; the error names the first byte that is not UTF-8."""
    try:
        return decode(data).rstrip("\n")
    except ValueError as error:
        good = error.__cause__.start if isinstance(error.__cause__, UnicodeDecodeError) else 0
        raise Unreadable(Mark(line, good + 1), f"not UTF-8: 0x{data[good]:02x}") from error
