"""Where answers part, as a tree of lines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from llmparams_cli.comparison import Branch, Fork, forks
from llmparams_cli.protocol import Token
from llmparams_cli.safe import one_line
from llmparams_cli.units import percent

TOKEN = 20  # columns for a token and its probability
BEFORE = 40  # characters of the text before a fork
NAMES = 4  # of the variants on one branch


def tree(answers: Sequence[Sequence[Token]], names: Sequence[str]) -> Iterator[str]:
    """Every fork with its branches: the token, the model's own probability of it, and the names
    of the answers that drew it; below a branch, where those part again.
    """
    found = {_together(fork): fork for fork in forks(answers)}
    yield from _fork(found, tuple(range(len(answers))), names, "")


def _together(fork: Fork) -> tuple[int, ...]:
    return tuple(sorted(place for branch in fork.branches for place in branch.answers))


def _fork(
    found: dict[tuple[int, ...], Fork], together: tuple[int, ...], names: Sequence[str], indent: str
) -> Iterator[str]:
    fork = found.get(together)
    if fork is None:
        return
    before = one_line(fork.before)
    before = before if len(before) <= BEFORE else f"…{before[-BEFORE:]}"
    place = f'after "{before}"' if before else "at the start"
    yield f"{indent}draw {fork.number}, {place}"
    for branch in fork.branches:
        yield f"{indent}  {_branch(branch, names)}"
        yield from _fork(found, branch.answers, names, f"{indent}    ")


def _branch(branch: Branch, names: Sequence[str]) -> str:
    token = branch.token
    drawn = "ends" if token is None else f'"{one_line(token.text)}"'
    if token is not None and token.logprob is not None:
        drawn += f" {percent(math.exp(token.logprob))}"
    shown = [one_line(names[place]) for place in branch.answers]
    if len(shown) > NAMES:
        shown[NAMES - 1 :] = [f"and {len(shown) - NAMES + 1} more"]
    return f"{drawn:<{TOKEN}}  {', '.join(shown)}"
