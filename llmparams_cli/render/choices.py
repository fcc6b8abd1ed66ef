"""What an answer was chosen from, for people: the most probable first, each with a bar."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TextIO

from llmparams_cli.protocol import Choice
from llmparams_cli.render.bars import bar
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import percent
from llmparams_cli.text.width import cells, cut, pad

MOST = 10  # lines
WIDEST, BAR = 40, 24  # columns of a choice, and of its bar


def choice_lines(choices: Sequence[Choice], stream: TextIO) -> Iterator[str]:
    """How often the model begins with one of them, and the share of each."""
    together = math.fsum(math.exp(choice.logprob) for choice in choices)
    yield f"{percent(together)} of the model's answers begin with one of {len(choices)} choices:"
    ordered = sorted(choices, key=lambda choice: -choice.probability)
    shown = [cut(one_line(choice.text), WIDEST, stream) for choice in ordered[:MOST]]
    width = max(map(cells, shown))
    for text, choice in zip(shown, ordered, strict=False):
        drawn = bar(choice.probability, BAR, stream)
        yield f"  {pad(text, width)}  {drawn}  {percent(choice.probability)}"
    if rest := ordered[MOST:]:
        left = math.fsum(choice.probability for choice in rest)
        yield f"  {len(rest)} others together {percent(left)}"
