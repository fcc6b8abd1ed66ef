"""Shell completion of words with a colon, such as llama3.2:1b.

Bash takes a colon for the end of a word: it passes llama3.2, a colon and 1b, and wants only what
follows the colon. Other shells pass and want whole words.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from llmparams_cli import PREFIX

WORDS, CURRENT = "COMP_WORDS", "COMP_CWORD"  # as Typer's script passes them: a word a line
# In other characters a shell sees the end of a word, or, zsh, a command to run.
_PLAIN = re.compile(r"[\w.:/@+,=-]+")


def is_plain(word: str) -> bool:
    """Is it safe to give a shell this word, whoever has written it?"""
    return _PLAIN.fullmatch(word) is not None


@contextmanager
def whole_words(stdout: TextIO) -> Iterator[TextIO]:
    """The stream for completions; while it is open, Typer finds whole words in the environment."""
    if os.environ.get(f"_{PREFIX}COMPLETE") != "complete_bash":
        yield stdout
        return
    passed = os.environ[WORDS]
    split = passed.split("\n") if "\n" in passed else passed.split()
    words, current = _joined(split, int(os.environ[CURRENT]))
    os.environ |= {WORDS: "\n".join(words), CURRENT: str(current)}
    typed = words[current] if current < len(words) else ""
    there = len(typed.rpartition(":")[0]) + 1 if ":" in typed else 0
    buffer = io.StringIO()
    try:
        yield buffer
    finally:
        stdout.write("".join(f"{line[there:]}\n" for line in buffer.getvalue().splitlines()))


def _joined(words: list[str], current: int) -> tuple[list[str], int]:
    """The words put together again at their colons, and the number of the current one there."""
    whole: list[str] = []
    place, is_open = len(words), False
    for number, word in enumerate(words):
        is_colon = bool(word) and not word.strip(":")
        if whole and (is_colon or is_open):
            whole[-1] += word
        else:
            whole.append(word)
        is_open = is_colon
        if number == current:
            place = len(whole) - 1
    return whole, min(place, len(whole))
