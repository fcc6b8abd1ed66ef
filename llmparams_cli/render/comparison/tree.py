"""Where answers diverge, as a tree of lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from llmparams_cli.analysis.comparison import Branch, Fork, forks
from llmparams_cli.env import Environment
from llmparams_cli.protocol import Token
from llmparams_cli.render.terminal import room
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import percent
from llmparams_cli.text.width import GAP, cells, cut, cut_start, pad

TOKEN = 20  # columns for a token and its probability
BEFORE = 41  # of the text before a fork
NAMES = 4  # of the variants on one branch
NARROW = 60  # columns of a terminal that has no room for wide steps and columns


def tree(env: Environment, answers: Sequence[Sequence[Token]], names: Sequence[str]) -> list[str]:
    """Every fork with its branches, one line each: the token, the model's own probability of
    it, and the names of the answers that drew it. Below a branch, where those diverge again.
    """
    return list(_Tree(env, answers, names).lines(tuple(range(len(answers))), 0))


class _Tree:
    """Its lines fit the terminal: texts are cut, and the indentation ends at half the width."""

    def __init__(
        self, env: Environment, answers: Sequence[Sequence[Token]], names: Sequence[str]
    ) -> None:
        self._env = env
        self._room = room(env, env.stdout)
        self._forks = {_together(fork): fork for fork in forks(answers)}
        self._names = names

    def lines(self, together: tuple[int, ...], depth: int) -> Iterator[str]:
        """The fork of these answers, and below each of its branches that branch's own fork."""
        fork = self._forks.get(together)
        if fork is None:
            return
        narrow = self._room < NARROW
        step = 2 if narrow else 4
        drawn = [_drawn(branch.token) for branch in fork.branches]
        widest = max(map(cells, drawn)) if narrow else TOKEN
        indent = " " * int(min(depth * step, self._room // 2))
        yield indent + self._place(fork, self._room - len(indent))
        for text, branch in zip(drawn, fork.branches, strict=True):
            line = f"{indent}{GAP}{pad(text, widest)}{GAP}"
            line += self._drew(branch, self._room - cells(line))
            yield cut(line, self._room, self._env.stdout)
            yield from self.lines(branch.answers, depth + 1)

    def _place(self, fork: Fork, width: float) -> str:
        start = f"draw {fork.number}, "
        before = one_line(fork.before)
        if not before:
            return f"{start}at the start"
        longest = min(BEFORE, width - len(f'{start}after ""'))
        return f'{start}after "{cut_start(before, longest, self._env.stdout)}"'

    def _drew(self, branch: Branch, width: float) -> str:
        """The names that fit, at least one, and the number of the others."""
        names = [self._names[place] for place in branch.answers]
        shown = len(names) if len(names) <= NAMES else NAMES - 1
        while True:
            left = len(names) - shown
            more = f"+{left}" if self._room < NARROW else f"and {left} more"
            text = ", ".join([*names[:shown], *([more] if left else [])])
            if shown == 1 or cells(text) <= width:
                return text
            shown -= 1


def _drawn(token: Token | None) -> str:
    if token is None:
        return "ends"
    text = f'"{one_line(token.text)}"'
    return text if token.logprob is None else f"{text} {percent(math.exp(token.logprob))}"


def _together(fork: Fork) -> tuple[int, ...]:
    return tuple(sorted(place for branch in fork.branches for place in branch.answers))
