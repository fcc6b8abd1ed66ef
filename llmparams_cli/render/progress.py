"""A progress bar on stderr for work that lasts: loading a model, reading a long prompt."""

from __future__ import annotations

import time
from typing import Any

from llmparams_cli.env import Environment

PATIENCE = 0.6  # seconds without a bar; most runs are past their wait by then


class ProgressBar:
    """Call it with what is being done and how far (0 … 1). A context manager, for one piece of
    work after another.

    Draws only on a terminal, only after some patience, and leaves no trace.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._wanted = env.stderr_is_tty and not env.quiet
        self._since: dict[str, float] = {}
        self._bar: Any = None
        self._tasks: dict[str, Any] = {}

    def __call__(self, what: str, done: float) -> None:
        if not self._wanted:
            return
        since = self._since.setdefault(what, time.monotonic())
        if done >= 1:
            self._close()
        elif time.monotonic() - since > PATIENCE:
            self._draw(what, done)

    def __enter__(self) -> ProgressBar:
        self._since.clear()
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _draw(self, what: str, done: float) -> None:
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            color = self._env.wants_color("auto", self._env.stderr)
            console = Console(file=self._env.stderr, no_color=not color)
            self._bar = Progress(console=console, transient=True)
            self._bar.start()
        if what not in self._tasks:
            self._tasks[what] = self._bar.add_task(what, total=1.0)
        self._bar.update(self._tasks[what], completed=done)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._tasks.clear()
