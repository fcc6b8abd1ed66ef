"""A file of cases for `llmparams evaluate`: a list of tests as presets have them.

    - name: names both parties
      input: Brimolda Ltd pays EUR 40 to Okarin Ltd.
      seeds: 5
      expect: {contains: [Brimolda, Okarin], command: "wc -w | grep -q 8"}

Or the same under the key `cases` or `tests`; or JSON Lines, a case in each line.
"""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.errors import UsageError
from llmparams_cli.files import read_text
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Mark, Node, Unreadable, compose
from llmparams_cli.presets.tests import Case, read_tests

MOST = 64_000_000  # bytes
KEYS = ("cases", "tests")
LINES = (".jsonl", ".ndjson")
EXAMPLE = "the least is `- {input: Hi, expect: {contains: Hello}}`"


def read_cases(path: Path, place: str) -> tuple[Case, ...]:
    """Read a file of cases, which may name commands; `place` is what errors call it."""

    def refuse(mark: Mark | None, reason: str) -> None:
        where = f"{place}:{mark.line}" if mark else place
        raise UsageError(f"{where}: {reason}", EXAMPLE)

    try:
        text = read_text(path, MOST)
    except ValueError as error:
        raise UsageError(f"{place}: {error}", EXAMPLE) from error
    try:
        root = _lines(text) if path.suffix in LINES else compose(text, refuse)
    except Unreadable as error:
        raise UsageError(f"{place}:{error.mark.line}: {error.reason}", EXAMPLE) from error
    if root and isinstance(root.value, dict):
        root = next((root.value[key] for key in KEYS if key in root.value), root)
    cases = read_tests(root, path.parent, refuse, trusted=True)
    if not cases:
        raise UsageError(f"{place}: there are no cases", EXAMPLE)
    return cases


def _lines(text: str) -> Node:
    """JSON Lines as one list."""
    lines = enumerate(text.split("\n"), 1)
    return Node(Mark(1, 1), [json_nodes.compose(line, at) for at, line in lines if line.strip()])
