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
BESIDE = 13  # columns of the blanks and the number
ROOMY = WIDEST + BAR + BESIDE


def choice_lines(choices: Sequence[Choice], stream: TextIO, room: int = ROOMY) -> Iterator[str]:
    """How often the model begins with one of them, and the share of each, a line of at most `room`
    columns.
    """
    together = math.fsum(math.exp(choice.logprob) for choice in choices)
    yield f"{percent(together)} of the model's answers begin with one of {len(choices)} choices:"
    ordered = sorted(choices, key=lambda choice: -choice.probability)
    left = max(2, room - BESIDE)
    widest = min(WIDEST, max(left - BAR, left * 2 // 3))
    shown = [cut(one_line(choice.text), widest, stream) for choice in ordered[:MOST]]
    width = max(map(cells, shown))
    for text, choice in zip(shown, ordered, strict=False):
        drawn = bar(choice.probability, max(1, min(BAR, left - width)), stream)
        yield f"  {pad(text, width)}  {drawn}  {percent(choice.probability)}"
    if rest := ordered[MOST:]:
        others = math.fsum(choice.probability for choice in rest)
        yield f"  {len(rest)} others together {percent(others)}"
