"""Rows of tokens as tensors, as many at a time as memory allows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.training.trainer import Row

UNLEARNED = -100  # what PyTorch's cross entropy leaves out


@dataclass(frozen=True)
class Batch:
    """Rows side by side: what is read, what follows each token read, and the places where something
    learned does in any row.

    Rows are padded at their end: what comes before does not look there.
    """

    tokens: Any
    targets: Any
    places: Any


def batches(rows: Sequence[Row], most: int, device: Any) -> Iterator[Batch]:
    """The rows in batches of at most so many tokens, padding included, or of one row."""
    # Rows of like length together, so that little is padding. Nothing learned, nothing to read.
    waiting = sorted((row for row in rows if row.count), key=lambda row: len(row.tokens))
    while waiting:
        longest = len(waiting[-1].tokens) - 1
        count = max(1, most // longest)
        yield _batch(waiting[-count:], longest, device)
        del waiting[-count:]


def _batch(rows: Sequence[Row], longest: int, device: Any) -> Batch:
    import torch

    tokens = torch.zeros((len(rows), longest), dtype=torch.int64)
    targets = torch.full((len(rows), longest), UNLEARNED)
    for index, row in enumerate(rows):
        read = len(row.tokens) - 1
        all = torch.as_tensor(row.tokens).long()
        tokens[index, :read] = all[:-1]
        targets[index, :read] = all[1:].where(torch.as_tensor(row.learned[1:]), UNLEARNED)
    places = (targets != UNLEARNED).any(0).nonzero().flatten()
    return Batch(tokens.to(device), targets[:, places].to(device), places.to(device))
