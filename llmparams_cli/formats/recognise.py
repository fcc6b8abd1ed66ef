"""Tells whose file it is, by its syntax and its keys."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import PurePath

from llmparams_cli.errors import PresetError
from llmparams_cli.formats import aichat, llama_cpp, ollama
from llmparams_cli.formats.common import Entries, Format, Signature
from llmparams_cli.formats.source import json_node, numbered, yaml_node
from llmparams_cli.formats.unread import OWN, UNREAD, Foreign

MANY_MARKS = 5


def recognised(text: str, place: str, formats: Collection[Format]) -> Format:
    """The format of a file, by its content; its name decides only where formats match equally.

    Raises PresetError if it is not clear, or a program's whose files are not read.
    """
    syntax, entries = _syntax(text, place)
    candidates = [each for each in (*formats, *UNREAD) if each.syntax == syntax]
    if entries is not None:
        candidates = _best(candidates, entries.keys(), PurePath(place).name)
    if len(candidates) != 1:
        raise PresetError(
            f"{place}: it is not clear which program this is for",
            f"name its format: {', '.join(each.name for each in formats)}",
        )
    found = candidates[0]
    if found is OWN:
        raise PresetError(f"{place}: this is a preset of this program already")
    if isinstance(found, Foreign):
        raise PresetError(f"{place}: this is {found.what} of {found.program}, which is not read")
    assert isinstance(found, Format)
    return found


def _best(
    candidates: Iterable[Signature], keys: Collection[str], file_name: str
) -> list[Signature]:
    """Those that know most of the keys."""
    known = [(each, each.knows(keys)) for each in candidates]
    most = max((count for _, count in known), default=0)
    best = [each for each, count in known if count == most > 0]
    if len(best) > 1:
        named = [each for each in best if re.search(each.file_name, file_name)]
        marked = [each for each in best if not each.marks.isdisjoint(keys)]
        best = named or marked or best
    return [each for each in best if _is_sure(each, most, keys, file_name)]


def _is_sure(found: Signature, known: int, keys: Collection[str], file_name: str) -> bool:
    """A file with few marks whose keys are mostly unknown is another program's."""
    is_known = 2 * known >= len(keys) or len(found.marks.intersection(keys)) >= MANY_MARKS
    return is_known or bool(re.search(found.file_name, file_name))


def _syntax(text: str, place: str) -> tuple[str, Entries | None]:
    """The text's syntax, and its top-level keys; None if only one program has this syntax."""
    lines = [line.strip() for _, line in numbered(text)]
    lines = [line for line in lines if line and line[0] not in "#;"]
    first = lines[0] if lines else ""
    if first.startswith("{"):
        root = json_node(text, place).value
        return "json", root if isinstance(root, dict) else {}
    if llama_cpp.HEADER.fullmatch(first) and any(map(llama_cpp.LINE.fullmatch, lines)):
        return "ini", None
    if llama_cpp.LINE.fullmatch(first):
        return "ini", None
    if ollama.INSTRUCTION.fullmatch(first):
        return "modelfile", None
    if parts := aichat.parts(text, place):
        return "markdown", parts[0]
    if place.lower().endswith((".md", ".markdown")):
        return "markdown", {}  # text, which anything can have written
    root = yaml_node(text, place).value
    return "yaml", root if isinstance(root, dict) else {}
