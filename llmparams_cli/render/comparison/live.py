"""`llmparams compare` while it runs: the answers grow side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Finished, Piece
from llmparams_cli.render.comparison.columns import fit
from llmparams_cli.render.terminal import columns
from llmparams_cli.render.thoughts import counted
from llmparams_cli.text.safe import one_line, printable

if TYPE_CHECKING:
    from rich.columns import Columns
    from rich.console import Console
    from rich.text import Text

Progress = Callable[[str, float], None]
Watch = Callable[[int, Piece | Finished], None]


@contextmanager
def watching(
    env: Environment,
    names: Sequence[str],
    prompts: int,
    progress: Progress,
    *,
    hide_thinking: bool = False,
) -> Iterator[Watch]:
    """Show growing answers in columns on stderr if they fit, or else count those that ended. With
    `hide_thinking`, thoughts are only counted.
    """
    if env.quiet or prompts > 1 or not fit(env, env.stderr, len(names)):
        yield _counting(len(names) * prompts, progress)
        return
    from rich.live import Live

    console = _console(env)
    texts = [_Growing(env, hide_thinking) for _ in names]
    live = Live(
        get_renderable=lambda: growing(console, names, [each.text() for each in texts]),
        console=console,
        transient=True,
        refresh_per_second=12,
    )

    def watch(number: int, event: Piece | Finished) -> None:
        if isinstance(event, Piece):
            texts[number].add(event)
            live.start()  # only now: until here there may be a progress bar

    try:
        yield watch
    finally:
        live.stop()


@dataclass
class _Growing:
    """One answer so far, and the thoughts before it, or (`hides`) how many pieces they are."""

    env: Environment
    hides: bool
    thought: str = ""
    said: str = ""
    count: int = 0

    def add(self, event: Piece) -> None:
        if not event.is_thought:
            self.said += printable(event.text)
        elif self.hides:
            self.count += 1
        else:
            self.thought += printable(event.text)

    def text(self) -> Text:
        from rich.text import Text

        thought = self.thought
        if self.count and not self.said:  # then the count vanishes
            thought = counted(self.env.stderr, self.count)
        between = "\n\n" if thought and self.said else ""
        return Text.assemble((thought, "dim"), between, self.said)


def _counting(answers: int, progress: Progress) -> Watch:
    ended: set[int] = set()

    def watch(number: int, event: Piece | Finished) -> None:
        if isinstance(event, Finished):
            ended.add(number)
            progress("answering", len(ended) / answers)

    return watch


def _console(env: Environment) -> Console:
    from rich.console import Console

    return Console(file=env.stderr, width=columns(env, env.stderr))


def growing(console: Console, names: Sequence[str], texts: Sequence[Text]) -> Columns:
    """A column for each text; of one that is longer than the screen, the end."""
    from rich.columns import Columns
    from rich.panel import Panel
    from rich.text import Text

    room, lines = console.width // len(names), max(4, console.height - 4)
    # A panel's border and padding take four columns.
    panels = [
        Panel(_tail(console, text, room - 4, lines), title=Text(one_line(name)), width=room)
        for name, text in zip(names, texts, strict=True)
    ]
    return Columns(panels, padding=0)


def _tail(console: Console, text: Text, width: int, lines: int) -> Text:
    """The last lines of a text, wrapped to the width."""
    from rich.text import Text

    # Wrapping only what can be seen keeps long answers fast; few lines have more characters
    # than columns.
    end = text[-width * lines :]
    wrapped = end.wrap(console, width)
    if len(wrapped) <= lines and len(end) == len(text):
        return text
    return Text("\n").join([Text("…"), *wrapped[-(lines - 1) :]])
