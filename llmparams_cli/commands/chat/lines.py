"""Where a chat's messages come from; without a terminal, each line is one."""

from __future__ import annotations

from typing import Protocol

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError

CONTINUED = "\\"  # at the end of a line: the message goes on in the next one


class Lines(Protocol):
    """A source of messages."""

    is_interactive: bool

    def read(self, prefilled: str = "") -> str: ...


class PipedLines:
    """Reads messages from standard input; raises EOFError at its end."""

    is_interactive = False

    def __init__(self, env: Environment) -> None:
        self._stream = env.stdin.buffer
        self._number = 0

    def read(self, prefilled: str = "") -> str:
        """The next message; there is nobody here to edit a `prefilled` one."""
        if prefilled:
            raise UsageError("/edit: without a terminal, the new text comes with it", "/edit TEXT")
        lines = [self._line()]
        while lines[-1].endswith(CONTINUED):
            lines[-1] = lines[-1].removesuffix(CONTINUED)
            # A backslash on the very last line continues with nothing: no EOFError.
            lines.append(self._line(last=True))
        return "\n".join(lines)

    def _line(self, *, last: bool = False) -> str:
        data = self._stream.readline()
        self._number += 1
        if not data and not last:
            raise EOFError
        try:
            # A byte order mark may begin the stream.
            text = data.decode("utf-8-sig" if self._number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise UsageError(
                f"standard input:{self._number}: byte {error.start} is not UTF-8",
                "convert it first, for example with iconv -f latin1 -t utf-8",
            ) from error
        return text.removesuffix("\n").removesuffix("\r")
