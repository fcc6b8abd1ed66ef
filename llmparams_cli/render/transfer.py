"""How much of a download is here, how fast it comes and how long it still takes: on stderr."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import size_text
from llmparams_cli.text.width import cut_middle

OFTEN = 0.1  # seconds between two looks of the bar
SELDOM = 15.0  # seconds between two lines in a pipe
WINDOW = 8.0  # seconds over which the rate is an average
NAME = 28  # columns


class TransferBar:
    """Call it with what comes, and how many bytes of how many (None: unknown) are there.

    A bar on a terminal, which erases itself at the end; in a pipe a line now and then. A context
    manager.
    """

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._bar: Any = None
        self._task: Any = None
        self._what = ""
        self._next = 0.0
        self._seen: deque[tuple[float, int]] = deque()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        now = time.monotonic()
        if what != self._what or (self._seen and done < self._seen[-1][1]):
            self._what = what
            self._seen.clear()
            self._next = now if self._env.stderr_is_tty else now + SELDOM
        if now < self._next or self._env.quiet:
            return
        self._seen.append((now, done))
        while now - self._seen[0][0] > max(WINDOW, 2 * SELDOM * (not self._env.stderr_is_tty)):
            self._seen.popleft()
        if self._env.stderr_is_tty:
            self._next = now + OFTEN
            self._draw(done, total)
        else:
            self._next = now + SELDOM
            self._env.note(f"{one_line(what)}: {self._amount(done, total)}")

    def __enter__(self) -> TransferBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _draw(self, done: int, total: int | None) -> None:
        if self._bar is None:
            self._open()
        self._bar.update(
            self._task,
            description=cut_middle(one_line(self._what), NAME, self._env.stderr),
            completed=done,
            total=total,
            amount=self._amount(done, total),
        )

    def _open(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        color = self._env.wants_color("auto", self._env.stderr)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            TextColumn("{task.fields[amount]}", markup=False, table_column=Column(no_wrap=True)),
            console=Console(file=self._env.stderr, no_color=not color),
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task("", amount="")
        self._bar.start()
        self._env.erase = self._close

    def _close(self) -> None:
        if self._bar is not None:
            bar, self._bar = self._bar, None
            bar.stop()

    def _amount(self, done: int, total: int | None) -> str:
        """'1.2 GB of 4.1 GB, 12.3 MB/s, 3:10 left'."""
        amount = size_text(done) + (f" of {size_text(total)}" if total else "")
        (since, before), (now, _) = self._seen[0], self._seen[-1]
        if now - since < 2 * OFTEN or done <= before:
            return amount
        rate = (done - before) / (now - since)
        amount += f", {size_text(rate)}/s"
        return amount + f", {duration((total - done) / rate)} left" if total else amount


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours too: 0:07, 3:10, 1:02:30."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def time_text(seconds: float) -> str:
    """A time: 0.4 s, 12 s, 3:10, 1:02:30."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    return f"{seconds:.0f} s" if seconds < 60 else duration(seconds)
