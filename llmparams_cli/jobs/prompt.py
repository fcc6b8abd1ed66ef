"""Reads the prompt: from the argument, a file and standard input, joined in this order."""

from __future__ import annotations

from collections.abc import Callable

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import decode, resolve_path

STDIN = "-"


def read(env: Environment, argument: str | None, file: str | None, *, required: bool = True) -> str:
    """Join what is given with blank lines; empty if nothing is given and none is required.

    Standard input is read when it is not a terminal, or when `-` asks for it. Only an argument may
    be an empty prompt: from a file or a pipe it is more likely that a command before us failed.
    """
    asked = STDIN in (argument, file)
    parts = []
    if argument is not None and argument != STDIN:
        parts.append(argument)
    if file is not None and file != STDIN:
        parts.append(_read(f"--file {file}", resolve_path(file, env.directory).read_bytes))
    if asked or not env.stdin_is_tty:
        parts.append(_read("standard input", env.stdin.buffer.read))
    if required and argument in (None, STDIN) and not any(parts):
        raise UsageError(
            "the prompt is empty" if parts else "there is no prompt",
            'give one in quotes, "Once upon a time", or pipe text in, or --file PATH',
        )
    return "\n\n".join(filter(None, parts))


def text_or_stdin(env: Environment, text: str) -> str:
    """The text itself; for - what standard input has."""
    return _read("standard input", env.stdin.buffer.read) if text == STDIN else text


def read_target(env: Environment, file: str) -> str:
    """The text of --target; - is standard input."""
    if file == STDIN:
        text = text_or_stdin(env, file)
    else:
        text = _read(f"--target {file}", resolve_path(file, env.directory).read_bytes)
    if not text:
        raise UsageError(f"--target {file} is empty", "give a text file")
    return text


def _read(place: str, read: Callable[[], bytes]) -> str:
    """The text, without the newline that ends its last line."""
    try:
        return decode(read()).removesuffix("\n")
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}", "give a text file") from error
    except ValueError as error:
        raise UsageError(f"{place} is {error}") from error
