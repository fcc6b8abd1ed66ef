"""Reads files as mappings whose values keep their line numbers; errors name their place."""

from __future__ import annotations

from collections.abc import Iterator

from llmparams_cli.formats.common import Entries, problem
from llmparams_cli.presets import json_nodes, nodes
from llmparams_cli.presets.nodes import Mark, Node, Unreadable


def json_node(text: str, place: str) -> Node:
    """Read a JSON document."""
    try:
        return json_nodes.compose(text)
    except Unreadable as error:
        raise problem(place, error.mark, error.reason) from error


def yaml_node(text: str, place: str) -> Node:
    """Read a YAML document; refuses tags, anchors and repeated keys."""

    def report(mark: Mark, reason: str) -> None:
        raise problem(place, mark, reason)

    try:
        root = nodes.compose(text, report)
    except Unreadable as error:
        raise problem(place, error.mark, error.reason) from error
    if root is None:
        raise problem(place, None, "the file is empty")
    return root


def json_entries(text: str, place: str) -> Entries:
    """Read a JSON document that must be an object."""
    return entries(json_node(text, place), place)


def yaml_entries(text: str, place: str) -> Entries:
    """Read a YAML document that must be a mapping."""
    return entries(yaml_node(text, place), place)


def numbered(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text with their numbers, from 1."""
    return iter(enumerate(text.replace("\r\n", "\n").split("\n"), start=1))


def entries(root: Node, place: str) -> Entries:
    """The top-level keys."""
    if not isinstance(root.value, dict):
        raise problem(place, root.mark, "not a mapping of names to values")
    return dict(root.value)
