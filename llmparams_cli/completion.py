"""Shell completion of words such as llama3.2:1b, temperature=0.2 and --preset=precise.

Bash takes a colon, an equals sign and an @ for words of their own: it passes llama3.2, a colon and
1b, and wants only what follows the colon. Other shells pass and want whole words.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from llmparams_cli import PREFIX

COMPLETE = f"_{PREFIX}COMPLETE"  # set by a shell that asks
WORDS, CURRENT = "COMP_WORDS", "COMP_CWORD"  # as Typer's script passes them: a word a line
LINE = "_TYPER_COMPLETE_ARGS"  # the same from other shells: as it was typed
MARKS = ":=@"  # what separates words in bash, and not here
# In other characters a shell sees the end of a word, or, zsh, a command to run.
_PLAIN = re.compile(r"[\w.:/@+,=-]+")


def is_plain(word: str) -> bool:
    """Is it safe to give a shell this word, whoever has written it?"""
    return _PLAIN.fullmatch(word) is not None


def typed_words() -> list[str]:
    """The words of the command line that a shell wants completed; none if no shell asks."""
    if COMPLETE not in os.environ:
        return []
    return f"{os.environ.get(WORDS, '')} {os.environ.get(LINE, '')}".split()


@contextmanager
def whole_words(stdout: TextIO) -> Iterator[TextIO]:
    """The stream for completions; while it is open, Typer finds whole words in the environment."""
    if os.environ.get(COMPLETE) != "complete_bash":
        yield stdout
        return
    passed = os.environ[WORDS]
    split = passed.split("\n") if "\n" in passed else passed.split()
    words, current = _joined(split, int(os.environ[CURRENT]))
    os.environ |= {WORDS: "\n".join(words), CURRENT: str(current)}
    typed = words[current] if current < len(words) else ""
    # Of --name=value only the value is completed.
    value = typed.partition("=")[2] if typed.startswith("--") else typed
    there = 1 + max(value.rfind(mark) for mark in MARKS)
    buffer = io.StringIO()
    try:
        yield buffer
    finally:
        stdout.write("".join(f"{line[there:]}\n" for line in buffer.getvalue().splitlines()))


def _joined(words: list[str], current: int) -> tuple[list[str], int]:
    """The words put together again at their marks, and the number of the current one there."""
    whole: list[str] = []
    place, is_open = len(words), False
    for number, word in enumerate(words):
        is_mark = bool(word) and not word.strip(MARKS)
        if whole and (is_mark or is_open):
            whole[-1] += word
        else:
            whole.append(word)
        is_open = is_mark
        if number == current:
            place = len(whole) - 1
    return whole, min(place, len(whole))
