"""The real program: as a process in a pipe, on a pseudo-terminal, or inside this process.

A process costs a third of a second, so it is for what only a process shows: exit codes,
signals, pipes, terminals. Everything else goes through `call`, which runs the very same
code on streams in memory.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pexpect
import pyte

import llmparams_cli
from llmparams_cli.cli import run
from llmparams_cli.env import Environment

CHECKOUT = Path(llmparams_cli.__file__).parents[1]
COMMAND = [sys.executable, "-m", "llmparams_cli"]
PATIENCE = 60  # seconds until a hanging program fails its test
ERROR = "llmparams: error: "


def wait_until(happened: Callable[[], Any], patience: float = 30) -> None:
    """Wait for what another process or thread does."""
    end = time.monotonic() + patience
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


@dataclass(frozen=True)
class Done:
    """How a run ended and what it wrote."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        return self.stdout.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The objects of --stream-json."""
        return [json.loads(line) for line in self.stdout.splitlines()]

    def complaint(self, code: int) -> str:
        """The one line of an error; asserts that there is no other output but notes."""
        assert self.code == code, self.stderr
        assert self.stdout == b""
        lines = self.stderr.splitlines()
        assert all(line.startswith("llmparams: ") for line in lines), self.stderr
        errors = [line for line in lines if line.startswith(ERROR)]
        assert errors == lines[-1:], self.stderr
        return errors[0].removeprefix(ERROR)


@dataclass(frozen=True)
class Shown:
    """How a run on a terminal ended, the bytes it sent, and what a person sees."""

    code: int
    received: bytes
    screen: pyte.Screen

    @property
    def lines(self) -> list[str]:
        """The lines of the screen without the blanks at their ends and below them."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    def backgrounds(self, row: int) -> set[str]:
        """The background colours of what is written in a row of the screen."""
        cells = self.screen.buffer[row]
        columns = range(self.screen.columns)
        return {cells[column].bg for column in columns if cells[column].data != " "}


class Session:
    """A program on a pseudo-terminal, while it runs."""

    def __init__(
        self,
        arguments: tuple[str, ...],
        variables: dict[str, str],
        place: Path,
        width: int,
        shell: str = "",
    ) -> None:
        self._received = io.BytesIO()
        self._screen = pyte.Screen(width, 60)
        command, *first = [shell] if shell else COMMAND
        self._child = pexpect.spawn(
            command,
            [*first, *arguments],
            env=variables,
            cwd=str(place),
            dimensions=(60, width),
            timeout=PATIENCE,
        )
        self._child.logfile_read = self._received
        self._child.delaybeforesend = None

    def wait_for(self, text: str) -> None:
        self._child.expect_exact(text.encode())

    @property
    def terminal(self) -> int:
        """The descriptor of the pseudo-terminal."""
        return int(self._child.child_fd)

    def signal_the_program(self, number: int) -> None:
        """Send a signal to what runs in the foreground under the shell of this terminal."""
        path = Path(f"/proc/{self._child.pid}/task/{self._child.pid}/children")
        [child] = path.read_text().split()
        os.kill(int(child), number)

    def press_ctrl_c(self) -> None:
        self._child.sendintr()

    def press_ctrl_d(self) -> None:
        self._child.sendeof()

    def type(self, text: str) -> None:
        self._child.send(text)

    def end(self, encoding: str = "utf-8") -> Shown:
        """Wait for the program's end."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        status, signal = self._child.exitstatus, self._child.signalstatus
        code = status if status is not None else -int(signal or 0)
        received = self._received.getvalue()
        pyte.Stream(self._screen).feed(received.decode(encoding))
        return Shown(code, received, self._screen)


@dataclass
class Program:
    """Runs the program in an empty directory, without any configuration of the user's."""

    place: Path
    cache: Path
    variables: dict[str, str] = field(init=False)
    began: datetime = datetime(2026, 11, 26, 10, 30)  # what `call` takes for now

    def __post_init__(self) -> None:
        kept = ("PATH", "HOME", "MPLCONFIGDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
        self.variables = {name: os.environ[name] for name in kept if name in os.environ} | {
            "LC_ALL": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONPATH": str(CHECKOUT),
            "LLMPARAMS_CONFIG_DIR": str(self.place / "config"),
            "LLMPARAMS_CACHE_DIR": str(self.cache),
            "LLMPARAMS_STATE_DIR": str(self.place / "state"),
            "LLMPARAMS_MODELS_DIR": str(self.place / "models"),
            "OLLAMA_MODELS": str(self.place / "ollama"),  # or else those of a service count
            "LLMPARAMS_CACHE_SIZE": "off",  # no test depends on what another one has read
            # Two threads wait for each other whenever another process takes a CPU.
            "LLMPARAMS_THREADS": "1",
        }

    def pulled(self) -> list[str]:
        """What the directory of models holds: files, with their folders."""
        models = self.place / "models"
        paths = models.rglob("*") if models.exists() else ()
        return sorted(str(path.relative_to(models)) for path in paths if path.is_file())

    def call(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Done:
        """Run inside this process, on streams that are no terminal."""
        out, err = io.BytesIO(), io.BytesIO()
        env = Environment(
            stdin=io.TextIOWrapper(io.BytesIO(stdin), "utf-8"),
            stdout=io.TextIOWrapper(out, "utf-8", newline=""),
            stderr=io.TextIOWrapper(err, "utf-8", newline=""),
            variables=self.variables | variables,
            directory=self.place,
            began=self.began,
        )
        code = run(arguments, env)
        env.stdout.flush()
        env.stderr.flush()
        return Done(int(code), out.getvalue(), err.getvalue().decode())

    def pipe(self, *arguments: str, stdin: bytes = b"", **variables: str) -> Done:
        """Run as a process whose streams are pipes."""
        process = self.start(*arguments, stdin=subprocess.PIPE, **variables)
        return self.end(process, stdin)

    def start(
        self, *arguments: str, stdin: int = subprocess.DEVNULL, **variables: str
    ) -> subprocess.Popen[bytes]:
        """Begin a process whose output goes to pipes."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.variables | variables,
            cwd=self.place,
        )

    def end(self, process: subprocess.Popen[bytes], stdin: bytes | None = None) -> Done:
        """Wait for the end of a process; `stdin` goes in first, where that is a pipe."""
        try:
            out, err = process.communicate(stdin, timeout=PATIENCE)
        finally:
            process.kill()
        return Done(process.returncode, out, err.decode(errors="surrogateescape"))  # any encoding

    def shell(self, command: str, **variables: str) -> Done:
        """Run a bash command line in which `llmparams` is the program."""
        function = f'llmparams() {{ "{COMMAND[0]}" -m llmparams_cli "$@"; }}\n'
        process = subprocess.Popen(
            ["bash", "-c", function + command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.variables | variables,
            cwd=self.place,
        )
        return self.end(process)

    def terminal(self, *arguments: str, width: int = 80, **variables: str) -> Session:
        """Begin a process on a pseudo-terminal of 60 lines."""
        return Session(arguments, self.variables | variables, self.place, width)
