"""Decode several sequences at once in a process of its own; `sequences` runs this file as a child.

    python -m llmparams_cli.backends.llama.host.sequence_trial MODEL COUNT CELLS SETTINGS

CELLS is "own" or "shared", SETTINGS are those of the context, as JSON. Every sequence must get the
logits that it gets alone, through all that a decode loop does with it: read prompts, decode rows of
all and of some, move a sequence, copy one that goes on in two ways. That the child dies is a result
as well.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.host.child import BEGUN, WRONG_NUMBERS, ending
from llmparams_cli.backends.llama.host.placement import CELLS, context_params
from llmparams_cli.backends.llama.host.trial import distance, model_params
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.params.settings import DEFAULT, Assignment, Settings, resolve

BODIES = (9, 9, 3, 14)  # tokens that are read as a piece, by text; the others are rows
ROWS = 12  # of each text, if it goes on to the end
FORK = 4  # rows before the end, one text goes on in two ways
LOGITS = 1000  # of each row: a sample
# Of the distance from the logits alone. With cells of their own, sequences get the same bits, in
# F16 and F32 nearly (0.0003); wrong numbers are off by 0.09 and more. With shared cells rounding
# alone comes to 0.44 (gemma-3-270m): all that can be told from it is nonsense.
TOLERANCE, TOLERANCE_SHARED = 0.03, 1.0

Row = list[float]


@dataclass
class Line:
    """A text on its way through a context; the first `held` tokens are decoded."""

    number: int
    tokens: list[int]
    body: int
    sequence: int
    held: int = 0

    def next(self, count: int) -> list[tuple[int, int, int]]:
        """The next tokens, as `Context.decode` takes them."""
        places = range(self.held, self.held + count)
        self.held += count
        return [(self.tokens[place], place, self.sequence) for place in places]


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 when all is well."""
    path, number, cells, values = arguments
    count = int(number)
    settings = resolve(Assignment(n, v, DEFAULT) for n, v in json.loads(values).items())
    model = Model(Path(path), model_params(WeightMode.PLAIN))
    lines = _lines(model, count)
    with _context(model, settings, 1, shared=True) as context:
        alone = [_alone(context, line) for line in lines]
    print(BEGUN, flush=True)
    # What goes wrong with cells of their own does so with shared ones, where it may be mistaken for
    # the differences of rounding.
    with _context(model, settings, count, shared=False) as context:
        if _error(context, lines, alone) > TOLERANCE:
            return WRONG_NUMBERS
    if cells == "shared":
        with _context(model, settings, count, shared=True) as context:
            if _error(context, lines, alone) > TOLERANCE_SHARED:
                return WRONG_NUMBERS
    return 0


def _lines(model: Model, count: int) -> list[Line]:
    """A text for up to four sequences, among them the first and the last one; and a text that has
    the beginning of the last one and another end.
    """
    sequences = sorted({0, 1, 2, count - 1} & set(range(count)))
    lines = []
    for number, (sequence, body) in enumerate(zip(sequences, BODIES, strict=False)):
        places = range(body + ROWS)
        tokens = [(31 * number + 7 * place + 5) % model.n_vocab for place in places]
        lines.append(Line(number, tokens, body, sequence))
    first, last = lines[0], lines[-1]
    tokens = [*last.tokens[:-FORK], *first.tokens[-FORK:]]
    return [*lines, Line(len(lines), tokens, last.body, last.sequence)]


@contextmanager
def _context(model: Model, settings: Settings, count: int, *, shared: bool) -> Iterator[Context]:
    size = max(count * CELLS, settings["ubatch_size"])
    context = Context(model, context_params(settings, size, count, shared=shared), size)
    yield context
    context.close()


def _alone(context: Context, line: Line) -> dict[int, Row]:
    """The logits behind the rows of a text, by place."""
    line = replace(line, sequence=0)
    context.drop(0)
    context.decode(line.next(line.body), [])
    return {place: row for _ in range(ROWS) for _, place, row in _rows(context, [line])}


def _error(context: Context, lines: Sequence[Line], alone: Sequence[dict[int, Row]]) -> float:
    """The largest distance of a row from that of the same text alone."""
    rows = _together(context, [replace(line) for line in lines])
    return max(distance(alone[number][place], row) for number, place, row in rows)


def _together(context: Context, lines: Sequence[Line]) -> Iterator[tuple[int, int, Row]]:
    """(number of the text, place, logits) of the rows of all texts, side by side."""
    *lines, fork = lines
    first, *others = lines
    if context.shared_cells:
        context.decode(first.next(first.body), [])
        context.decode(others[0].next(others[0].body), [])
    else:  # pieces of one length go into one call
        context.decode([*first.next(first.body), *others[0].next(others[0].body)], [])
    for line in others[1:]:
        context.decode(line.next(line.body), [])
    for going in (lines, lines, others, others):  # the first ends before the others
        yield from _rows(context, going)
    last, place = others[-1], others[-1].sequence
    _copy(context, last, first.sequence)
    context.drop(place)
    for _ in range(ROWS - FORK - 4):
        yield from _rows(context, sorted(others, key=lambda line: line.sequence))
    _copy(context, replace(last), place)
    fork.held = last.held
    for _ in range(FORK):
        yield from _rows(context, sorted([*others, fork], key=lambda line: line.sequence))


def _copy(context: Context, line: Line, place: int) -> None:
    """Copy a line to another sequence, where it goes on."""
    context.drop(place)
    context.copy(line.sequence, place)
    line.sequence = place


def _rows(context: Context, lines: Sequence[Line]) -> Iterator[tuple[int, int, Row]]:
    """Decode the next token of every line."""
    context.decode([token for line in lines for token in line.next(1)], range(len(lines)))
    for row, line in enumerate(lines):
        yield line.number, line.held - 1, _logits(context, row)


def _logits(context: Context, row: int) -> Row:
    size = context.model.n_vocab
    return list(context.logits(row)[: size : max(1, size // LOGITS)])


if __name__ == "__main__":
    ending(main)
