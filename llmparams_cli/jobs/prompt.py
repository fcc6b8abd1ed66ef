"""Reads the prompt: from the argument, a file and standard input, joined in this order."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from llmparams_cli.env import STANDARD_INPUT, STDIN, Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import decode, resolve_path

DOCUMENT = 300  # characters from a pipe: a question is shorter
PATIENCE = 1.0  # seconds in which a pipe that was meant for us has something to say
LEAVE_OUT = "</dev/null leaves it out"


@dataclass(frozen=True)
class Part:
    """A part of a prompt, and where it comes from; no `place` for what was typed as an argument.
    Standard input is `named` if `-` asked for it.
    """

    text: str
    place: str = ""
    named: bool = True

    @property
    def is_document(self) -> bool:
        """Does it come from a file, or from a pipe and is long?"""
        return bool(self.place) and (self.place != STANDARD_INPUT or len(self.text) >= DOCUMENT)


def joined(parts: Sequence[Part]) -> str:
    """The prompt of these parts, with blank lines between them."""
    return "\n\n".join(part.text for part in parts if part.text)


def unasked(parts: Sequence[Part]) -> str:
    """What came by a pipe that nobody named; it is the last part, if any."""
    return "".join(part.text for part in parts if not part.named)


def in_brief(prompt: str, parts: Sequence[Part]) -> str:
    """A prompt made of these parts as a person wants to see it: each document by name and size."""
    for part in parts:
        if part.is_document and part.text:
            brief = f"[{part.place}: {len(part.text):,} characters]"
            prompt = prompt.replace(part.text, brief, 1)
    return prompt


def read_parts(
    env: Environment,
    argument: str | None,
    files: Sequence[str] | None,
    *,
    required: bool = True,
    target: str | None = None,
) -> list[Part]:
    """The parts of the prompt; none if nothing is given and none is required.

    Standard input is read when `-` asks for it or nothing else is given. Beside an argument or a
    file it is added, with a note, if it is a pipe or a file that nobody else is reading. Only an
    argument may be an empty prompt: from a file or a pipe it is more likely that a command before
    us failed. A `target` of `-` takes standard input for itself.
    """
    named = [argument, *(files or ())]
    alone = required and named == [None]
    if target == STDIN and (STDIN in named or alone):
        raise UsageError("standard input cannot be both the prompt and the --target")
    parts: list[Part] = []
    if argument is not None and argument != STDIN:
        parts.append(Part(argument))
    for file in files or ():
        if file != STDIN:
            text = read_place(f"--file {file}", resolve_path(file, env.directory).read_bytes)
            parts.append(Part(text, file))
    if STDIN in named or (alone and not env.stdin_is_tty):
        text = read_place(STANDARD_INPUT, env.read_stdin)
        parts.append(Part(text, STANDARD_INPUT, named=STDIN in named))
    elif target != STDIN and not alone and not _is_read_by_others(env):
        parts.append(Part(_beside(env), STANDARD_INPUT, named=False))
    if required and argument in (None, STDIN) and not joined(parts):
        raise UsageError(
            "the prompt is empty" if parts else "there is no prompt",
            'give one in quotes, "Once upon a time", or pipe text in, or --file PATH',
        )
    return parts


def is_document(argument: str | None, files: Sequence[str] | None, text: str) -> bool:
    """Does the prompt `text` come with a document: from a file, or from a pipe and long?"""
    piped = len(text) - len(argument or "")
    return any(file != STDIN for file in files or ()) or piped >= DOCUMENT


def _beside(env: Environment) -> str:
    """Standard input that nobody asked for, and of which the user is told."""
    if not env.stdin_has_data(PATIENCE):
        env.note(f"waiting for standard input, which is added to the prompt ({LEAVE_OUT})")
    text = read_place(STANDARD_INPUT, env.read_stdin)
    if text:
        env.note(f"standard input is added to the prompt: {len(text):,} characters ({LEAVE_OUT})")
    return text


def _is_read_by_others(env: Environment) -> bool:
    """Is standard input a terminal, or a file of which a part has been read? The latter is what a
    loop such as `while read line; do …; done < FILE` leaves to the commands in it.
    """
    if env.stdin_is_tty:
        return True
    try:
        return os.lseek(env.stdin.fileno(), 0, os.SEEK_CUR) > 0
    except (OSError, ValueError):  # a pipe; or a stream without a file, in tests
        return False


def text_or_stdin(env: Environment, text: str) -> str:
    """The text itself; for - what standard input has."""
    return read_place(STANDARD_INPUT, env.read_stdin) if text == STDIN else text


def text_or_file(env: Environment, flag: str, text: str) -> str:
    """The text itself; for @FILE that of the file."""
    if not text.startswith("@"):
        return text
    return read_place(f"{flag} {text}", resolve_path(text[1:], env.directory).read_bytes)


def read_target(env: Environment, file: str) -> str:
    """The text of --target; - is standard input."""
    if file == STDIN:
        text = text_or_stdin(env, file)
    else:
        text = read_place(f"--target {file}", resolve_path(file, env.directory).read_bytes)
    if not text:
        raise UsageError(f"--target {file} is empty", "give a text file")
    return text


def read_place(place: str, read: Callable[[], bytes]) -> str:
    """The text, without the newline that ends its last line."""
    try:
        return decode(read()).removesuffix("\n")
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}", "give a text file") from error
    except ValueError as error:
        raise UsageError(f"{place} is {error}") from error
