"""A progress bar on stderr for work that takes time: loading a model, a long prefill."""

from __future__ import annotations

import time
from typing import Any

from llmparams_cli.env import Environment

PATIENCE = 0.6  # seconds before a bar appears; most waits are shorter


class ProgressBar:
    """Call it with the name of a task and its progress (0 to 1). A context manager: leaving it
    closes the bar, and it can be entered again.

    It draws only on a terminal and only after `PATIENCE`, and erases itself at the end.
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
