"""The prompt: from the argument, a file and standard input, in this order."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError

STDIN = "-"


def read(env: Environment, argument: str | None, file: str | None) -> str:
    """Join what is there with blank lines.

    Standard input is read when it is not a terminal, or when `-` asks for it.
    """
    asked = STDIN in (argument, file)
    parts = []
    if argument is not None and argument != STDIN:
        parts.append(argument)
    if file is not None and file != STDIN:
        parts.append(_read_file(Path(file)))
    if asked or not env.stdin_is_tty:
        piped = _decode(env.stdin.buffer.read(), "standard input")
        if piped or not parts:
            parts.append(piped)
    if not parts:
        raise UsageError(
            "there is no prompt",
            'llmparams generate "Once upon a time", or pipe text in, or --file PATH',
        )
    return "\n\n".join(parts)


def _read_file(path: Path) -> str:
    try:
        return _decode(path.expanduser().read_bytes(), str(path))
    except OSError as error:
        raise UsageError(
            f"--file {path}: {error.strerror}", "give the path of a text file"
        ) from error


def _decode(data: bytes, place: str) -> str:
    """UTF-8 text, without the newline that ends its last line."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{place} is not UTF-8: byte {error.start} is 0x{data[error.start]:02x}",
            "convert it first, for example with iconv -f latin1 -t utf-8",
        ) from error
    text = text.replace("\r\n", "\n")
    return text[:-1] if text.endswith("\n") else text
