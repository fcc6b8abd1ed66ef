"""Trials of the library in a child process: one that dies is a result, too."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

import llmparams_cli
from llmparams_cli import APP
from llmparams_cli.backends.llama.native.crash import SIGNALS
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.interrupt import Control

if TYPE_CHECKING:
    from subprocess import Popen

PATIENCE = 60  # seconds for a trial that takes one or two
GLANCE = 0.1  # seconds between two looks at Ctrl-C
BEGUN = "the reference is computed"  # printed before what may fail is tried
WRONG_NUMBERS = 3  # exit code
CRASHES = {getattr(signal, name): name for name in SIGNALS if hasattr(signal, name)}
LARGEST_EXIT_CODE = 255  # a larger one is the number of a Windows exception


class Untested(Exception):
    """A trial was not possible; the text says why."""


class End(NamedTuple):
    """How a child process ended; no exit code: it was killed when its time was up."""

    code: int | None
    output: str
    errors: str

    @property
    def fault(self) -> str:
        """What the library did to the process; empty if Python itself ended it."""
        if self.code is None:
            return "hangs"
        if self.code > LARGEST_EXIT_CODE or -self.code in CRASHES:
            return f"crashes ({CRASHES.get(-self.code, hex(self.code))})"
        return ""

    @property
    def reason(self) -> str:
        """Why it did not end well, in words."""
        if self.fault:
            return f"llama.cpp {self.fault}"
        return "".join(self.errors.strip().splitlines()[-1:]) or f"exit code {self.code}"

    @property
    def failure(self) -> str:
        """What went wrong in what was tried; empty if nothing did. Raises Untested."""
        if self.code == 0:
            return ""
        # What fails before that line says nothing about what was to be tried.
        if BEGUN in self.output:
            if self.code == WRONG_NUMBERS:
                return "computes wrong numbers"
            if self.fault:
                return self.fault
        raise Untested(f"its test failed: {self.reason}")


def run(
    env: Environment,
    module: ModuleType,
    *arguments: str,
    patience: float = PATIENCE,
    control: Control | None = None,
) -> End:
    """Run a module as a program, and wait for its end. Raises KeyboardInterrupt when `control` is
    told to stop.
    """
    from subprocess import DEVNULL

    try:
        with started(env, module.__name__, *arguments, stdin=DEVNULL) as process:
            return _wait(process, patience, control)
    except OSError as error:
        return End(ExitCode.INTERNAL, "", str(error))


@contextmanager
def started(env: Environment, module: str, *arguments: str, **how: Any) -> Iterator[Popen[Any]]:
    """A module that runs as a program, with pipes from it; it is killed when the block ends. `how`
    is for Popen.
    """
    import subprocess
    import tempfile

    # An empty directory: Python's -m looks for modules in the current one first.
    with (
        tempfile.TemporaryDirectory(prefix=f"{APP}-") as directory,
        subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=directory,
            env={**env.variables, "PYTHONPATH": _import_path()},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C must not look like a crash of the library
            **how,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _wait(process: Popen[bytes], patience: float, control: Control | None) -> End:
    from subprocess import TimeoutExpired

    deadline = time.monotonic() + patience
    while True:
        try:
            output, errors = process.communicate(timeout=GLANCE)
        except TimeoutExpired as late:
            if control and control.stop:
                raise KeyboardInterrupt from None
            if time.monotonic() > deadline:
                process.kill()
                return End(None, _text(late.stdout), "")
        else:
            return End(process.returncode, _text(output), _text(errors))


def ending(main: Callable[[Sequence[str]], int]) -> None:
    """The child's side: run `main` with the command line, and end with its exit code."""
    _leave_no_core_dump()
    try:
        sys.exit(main(sys.argv[1:]))
    except LlmparamsError as error:
        sys.exit(error.message)


def _leave_no_core_dump() -> None:
    try:
        import resource
    except ImportError:  # not on Windows
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _text(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


def _import_path() -> str:
    """The PYTHONPATH with which the child imports the very modules of this process."""
    return os.pathsep.join([str(Path(llmparams_cli.__file__).parents[1]), *filter(None, sys.path)])
