"""Documents cut into rows, held out by document, and put into batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from llmparams_cli.errors import UsageError
from llmparams_cli.training.trainer import Row

Item = TypeVar("Item")


@dataclass(frozen=True)
class Document:
    """A document as tokens, of which some are learned. A `whole` one, such as a conversation, is a
    row by itself; others may be cut into several, or share one. `answer` is where its first answer
    begins: a row without any is of no use.
    """

    row: Row
    whole: bool = False
    answer: int = 0


@dataclass(frozen=True)
class Rows:
    """Rows of at most so many tokens, and how many whole documents were too long: the ends of those
    are lost, and the `dropped` ones had nothing to learn before that.
    """

    rows: tuple[Row, ...]
    cut: int = 0
    dropped: int = 0

    @property
    def tokens(self) -> int:
        """How many tokens the loss counts."""
        return sum(row.count for row in self.rows)


def rows_of(documents: Sequence[Document], size: int) -> Rows:
    """Rows of at most `size` + 1 tokens, in the order of the documents, but for short texts: these
    share rows.

    A long text goes on in the next row, which begins with the last token of the one before, so that
    every token is predicted once.
    """
    found: list[Row] = []
    open_row: list[Row] = []  # short texts that will share a row
    length = 0  # of that
    cut = dropped = 0
    for document in documents:
        if document.whole:
            row = _beginning(document.row, size + 1)
            cut += len(row.tokens) < len(document.row.tokens)
            is_of_use = row.count > 0 and document.answer <= size
            dropped += not is_of_use
            found += [row] if is_of_use else []
            continue
        for piece in _pieces(document.row, size):
            if length + len(piece.tokens) > size + 1:
                found += _joined(open_row)
                open_row, length = [], 0
            open_row.append(piece)
            length += len(piece.tokens)
    return Rows((*found, *_joined(open_row)), cut, dropped)


def _beginning(row: Row, length: int) -> Row:
    return Row(row.tokens[:length], row.learned[:length])


def _pieces(row: Row, size: int) -> Iterator[Row]:
    for start in range(0, max(1, len(row.tokens) - 1), size):
        end = start + size + 1
        yield Row(row.tokens[start:end], row.learned[start:end])


def _joined(parts: Sequence[Row]) -> list[Row]:
    """One row of several texts; none if there is nothing to learn in it."""
    import numpy as np

    if not parts:
        return []
    learned = np.concatenate([part.learned for part in parts])
    learned[:1] = False  # nothing is before it, or the row before predicted it
    row = Row(np.concatenate([part.tokens for part in parts]), learned)
    return [row] if row.count else []


def held_out(documents: Sequence[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    """The documents to learn from and those held out, chosen at random; at least one of each.

    Raises UsageError if there are too few.
    """
    if not share:
        return list(documents), []
    if len(documents) < 2:
        raise UsageError(
            "there is one document: none can be held out to judge by",
            "--hold-back 0 learns from it without; or give more documents",
        )
    count = min(len(documents) - 1, max(1, round(share * len(documents))))
    chosen = set(_shuffled(len(documents), seed, 0)[:count])
    train = [each for place, each in enumerate(documents) if place not in chosen]
    return train, [each for place, each in enumerate(documents) if place in chosen]


def steps_an_epoch(count: int, size: int) -> int:
    """The steps that take `size` of so many rows each."""
    return -(-count // size)


def rows_of_step(rows: Sequence[Row], size: int, number: int, seed: int) -> list[Row]:
    """The rows of a step, counted from 0: each row comes once in an epoch."""
    epoch, place = divmod(number, steps_an_epoch(len(rows), size))
    return [rows[index] for index in batches(len(rows), size, epoch, seed)[place]]


def batches(count: int, size: int, epoch: int, seed: int) -> list[list[int]]:
    """The rows of each step of an epoch, by their numbers: each row once, in an order that depends
    on the seed and the epoch alone. The last step may have fewer.
    """
    order = _shuffled(count, seed, epoch + 1)
    return [[*order[start : start + size]] for start in range(0, count, size)]


@lru_cache(maxsize=2)  # each step of an epoch asks again
def _shuffled(count: int, seed: int, stream: int) -> tuple[int, ...]:
    import numpy as np

    return tuple(np.random.default_rng([seed, stream]).permutation(count).tolist())
