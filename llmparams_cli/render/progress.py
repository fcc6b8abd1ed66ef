"""A progress bar on stderr for work that takes time: loading a model, a long prefill."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmparams_cli.env import Environment

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

EDGE = 3  # columns left free: the ^C of the terminal must not break the last line
PATIENCE = 0.6  # seconds before a bar appears; most waits are shorter


@dataclass
class _Task:
    """Work that is under way: since when and from where on, and how far it is (0 to 1)."""

    since: float
    start: float
    done: float
    tokens: int

    def label(self, what: str) -> str:
        """With the size and the rate of what is counted in tokens, as soon as there is one."""
        if not self.tokens:
            return what
        size = f"{what} {self.tokens:,} tokens"
        read = (self.done - self.start) * self.tokens
        return f"{size}, {read / (time.monotonic() - self.since):.0f}/s" if read else size


class ProgressBar:
    """Call it with the name of a task and its progress (0 to 1), and with the whole in tokens if it
    is tokens. A context manager, which can be entered again: outside of it, nothing is shown.

    It draws only on a terminal and only after `PATIENCE`, and erases itself at the end. What is put
    `above` is shown over the bars, while there are any.
    """

    def __init__(self, env: Environment) -> None:
        self.above = ""
        self._env = env
        self._wanted = False
        self._lock = threading.RLock()
        self._timer: threading.Timer | None = None
        self._tasks: dict[str, _Task] = {}
        self._bar: Any = None
        self._rows: dict[str, Any] = {}

    def __call__(self, what: str, done: float, tokens: int = 0, /) -> None:
        if not self._wanted:
            return
        with self._lock:
            if done >= 1:
                self._end(what)
                return
            task = self._tasks.setdefault(what, _Task(time.monotonic(), done, done, tokens))
            task.done, task.tokens = done, tokens
            if time.monotonic() - task.since > PATIENCE:
                self._draw(what, task)
            elif self._timer is None:  # the first call into the library may take a minute
                self._timer = threading.Timer(PATIENCE, self._draw_all)
                self._timer.daemon = True
                self._timer.start()

    def __enter__(self) -> ProgressBar:
        self._tasks.clear()
        self._wanted = self._env.stderr_is_tty and not self._env.quiet
        return self

    def __exit__(self, *_: object) -> None:
        self._wanted = False
        with self._lock:
            self._close()

    def _draw_all(self) -> None:
        with self._lock:
            if self._timer is threading.current_thread():
                for what, task in self._tasks.items():
                    self._draw(what, task)

    def _draw(self, what: str, task: _Task) -> None:
        if self._bar is None:
            from rich.console import Console

            color = self._env.wants_color("auto", self._env.stderr)
            console = Console(file=self._env.stderr, no_color=not color)
            self._bar = _bars(console, lambda: self.above)
            self._bar.start()
        if what not in self._rows:
            self._rows[what] = self._bar.add_task(what, total=1.0)
        label = task.label(what)
        self._bar.update(self._rows[what], completed=task.done, description=label)

    def _end(self, what: str) -> None:
        self._tasks.pop(what, None)
        if not self._tasks:
            self._close()
        elif what in self._rows:
            self._bar.remove_task(self._rows.pop(what))

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
            self._rows.clear()


def _bars(console: Console, above: Callable[[], str]) -> Progress:
    from rich.constrain import Constrain
    from rich.progress import Progress
    from rich.text import Text

    class Bars(Progress):
        def get_renderables(self) -> Iterable[RenderableType]:
            if text := above():
                yield Text(text, no_wrap=True, overflow="ellipsis")
            for bar in super().get_renderables():
                yield Constrain(bar, console.width - EDGE)

    return Bars(console=console, transient=True)
