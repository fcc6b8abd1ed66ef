"""Output for pipes: the answer without colours, on lines of its own, and no thoughts.

What a script must not miss (that the answer was cut off) and what a person needs to repeat
the run (a seed drawn at random) goes to stderr in one line; `--quiet` silences it.
"""

from __future__ import annotations

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Piece, Started
from llmparams_cli.render.choices import choice_lines
from llmparams_cli.render.summary import (
    cut_off,
    effect_lines,
    only_thought,
    separator,
    statistics,
)
from llmparams_cli.render.thoughts import Thoughts
from llmparams_cli.text.safe import encodable


class Answer:
    """Writes the answer to stdout piece by piece; characters it cannot encode become `?`."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._lossy = False
        self._ends_line = False

    def write(self, text: str) -> None:
        shown = encodable(text, self._env.stdout)
        self._lossy |= shown != text
        self._ends_line = text.endswith("\n") if text else self._ends_line
        self._env.stdout.write(shown)
        self._env.stdout.flush()

    def end_line(self) -> None:
        """Add a newline, unless the answer ends in one."""
        if not self._ends_line:
            self.write("\n")

    def end(self) -> None:
        """Print a note if characters were lost."""
        if self._lossy:
            self._env.note(
                f"stdout's encoding, {self._env.stdout.encoding}, lacks characters of the"
                " answer: each became ? (PYTHONIOENCODING=utf-8 keeps them)"
            )


def pass_on(event: Piece, thoughts: Thoughts, answer: Answer) -> None:
    """Write a piece where it belongs."""
    if event.is_thought:
        thoughts.piece(event)
    else:
        thoughts.end()
        answer.write(event.text)


class Piped:
    """The text of an answer on stdout, and what was thought before it on stderr; with a newline
    after the last line if `newline`.
    """

    def __init__(self, env: Environment, color: str, *, hide_thinking: bool, newline: bool) -> None:
        self._env = env
        self._answer = Answer(env)
        self._thoughts = Thoughts(env, color, hidden=hide_thinking)
        self._newline = newline

    def started(self, event: Started) -> None:
        self._started = event

    def piece(self, event: Piece) -> None:
        pass_on(event, self._thoughts, self._answer)

    def end(self, event: Finished) -> None:
        """The text ends here."""
        self._thoughts.end(is_last=True)
        if self._newline and not event.is_unsaid:
            self._answer.end_line()
        self._answer.end()


class PlainRenderer(Piped):
    """Writes an answer for other programs."""

    def __init__(
        self,
        env: Environment,
        settings: Settings,
        *,
        color: str = "auto",
        newline: bool = True,
        hide_thinking: bool = False,
    ) -> None:
        super().__init__(env, color, hide_thinking=hide_thinking, newline=newline)
        self._random_seed = settings["seed"] == -1

    def finished(self, event: Finished) -> None:
        env = self._env
        self.end(event)
        if env.verbose:
            items = [only_thought(event), *statistics(self._started, event, verbose=True)]
        else:
            items = [cut_off(event)]
            if self._random_seed and env.stderr_is_tty:
                items.append(f"seed {self._started.seed}")
        if any(items):
            env.note(separator(env.stderr).join(filter(None, items)))
        for line in (
            choice_lines(event.choices, env.stderr) if event.choices and env.verbose else ()
        ):
            env.note(line)
        for line in effect_lines(event.effects) if event.effects else ():
            env.note(line)
