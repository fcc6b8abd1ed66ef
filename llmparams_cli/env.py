"""The run environment: streams, terminal, colours, directories.

Made once in `cli.main` and handed to everything that prints or looks for files, so that
tests can pass a terminal or a pipe as a plain object.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from errno import EBADF
from pathlib import Path
from typing import TextIO, cast

from llmparams_cli import APP, PREFIX
from llmparams_cli.streams import output
from llmparams_cli.text.safe import encodable, one_line

STDIN, STANDARD_INPUT = "-", "standard input"  # as users write it, and as messages call it
NOWHERE = Path(os.devnull, APP)  # below a file: nothing is there, and nothing can be written


@dataclass
class Environment:
    """Streams and settings of one run. `variables` is the process environment, `began` the local
    time at which it began: what the run takes for now wherever a prompt says so.
    """

    stdin: TextIO = field(default_factory=lambda: _open(sys.stdin, "r"))
    stdout: TextIO = field(default_factory=lambda: output(_open(sys.stdout, "w")))
    stderr: TextIO = field(default_factory=lambda: _open(sys.stderr, "w"))
    variables: Mapping[str, str] = field(default_factory=lambda: os.environ)
    directory: Path = field(default_factory=Path.cwd)
    began: datetime = field(default_factory=lambda: datetime.now().replace(microsecond=0))
    verbose: bool = False
    quiet: bool = False
    keeps_prompts: bool = False  # may a prompt that was read be found again by later runs?
    # Takes a bar off the terminal before a line is printed there; the bar's business.
    erase: Callable[[], None] = lambda: None
    _said: set[str] = field(default_factory=set)

    @property
    def stdout_is_tty(self) -> bool:
        return self.stdout.isatty()

    @property
    def stderr_is_tty(self) -> bool:
        return self.stderr.isatty()

    @property
    def stdin_is_tty(self) -> bool:
        return self.stdin.isatty()

    def read_stdin(self) -> bytes:
        """All of standard input; b"" where it is not open for reading, as under nohup."""
        data = b""
        try:
            # Until the end. From a pipe that does not block it is what is there (None: nothing).
            while (chunk := self.stdin.buffer.read()) != b"":
                data += chunk or b""
                if _blocks(self.stdin):
                    break  # on a terminal, asking again would want a second Ctrl-D
                self.stdin_has_data(None)
        except OSError as error:
            if error.errno != EBADF:
                raise
        return data

    def stdin_has_data(self, patience: float | None) -> bool:
        """Wait so many seconds (None: for ever) until there is something to read, or its end."""
        try:
            return bool(select.select([self.stdin], [], [], patience)[0])
        except (OSError, ValueError):  # not a stream to wait for: a closed one, or a test's
            return True

    def wants_color(self, choice: str, stream: TextIO) -> bool:
        """Decide `--color auto|always|never` for a stream (https://no-color.org)."""
        if choice != "auto":
            return choice == "always"
        if self.variables.get("NO_COLOR") or self.variables.get("TERM") == "dumb":
            return False
        return stream.isatty()

    def note(self, message: str) -> None:
        """Print a note to stderr, but never the same one twice; `--quiet` silences notes."""
        if message in self._said or self.quiet:
            return
        self._said.add(message)
        self.warn(message)

    def warn(self, message: str) -> None:
        """Print one line to stderr, even with `--quiet`."""
        self.aside(f"{APP}: {one_line(message)}\n")

    def aside(self, text: str) -> None:
        """Write to stderr, or give up silently: a broken stderr must not cost the answer."""
        self.erase()
        try:
            self.stderr.write(encodable(text, self.stderr))
            self.stderr.flush()
        except OSError:  # nobody reads it, or the disk is full
            discard(self.stderr)

    @property
    def config_dir(self) -> Path:
        """The user's configuration: config.yaml and presets/."""
        return self._directory(f"{PREFIX}CONFIG_DIR", "user_config_path")

    @property
    def config_file(self) -> Path:
        return self.config_dir / "config.yaml"

    @property
    def cache_dir(self) -> Path:
        """Files that may be deleted at any time, such as the results of the hardware probe."""
        return self._directory(f"{PREFIX}CACHE_DIR", "user_cache_path")

    @property
    def state_dir(self) -> Path:
        """What the program remembers between runs: receipts and chats."""
        return self._directory(f"{PREFIX}STATE_DIR", "user_state_path")

    @property
    def models_dir(self) -> Path:
        """The models that `models pull` brings, a folder each."""
        return self._directory(f"{PREFIX}MODELS_DIR", "user_data_path", "models")

    def _directory(self, variable: str, default: str, *below: str) -> Path:
        if chosen := self.variables.get(variable):
            return Path(chosen)
        import platformdirs

        try:
            return Path(getattr(platformdirs, default)(APP, appauthor=False), *below)
        except RuntimeError:  # a user without an entry in the system's list, and without HOME
            self.note("there is no home directory: no log and no caches are kept (HOME names one)")
            return NOWHERE


def _blocks(stream: TextIO) -> bool:
    try:
        return os.get_blocking(stream.fileno())
    except (OSError, ValueError, AttributeError):  # a test's stream; an older Windows
        return True


def discard(stream: TextIO) -> None:
    """Point a stream at the null device, so that flushing its buffer at exit cannot fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open(stream: TextIO | None, mode: str) -> TextIO:
    """The stream, or the null device in place of None: Python's value for a stream that the
    caller closed (`>&-`).
    """
    return stream or cast(TextIO, open(os.devnull, mode, encoding="utf-8"))
