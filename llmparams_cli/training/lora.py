"""Low-rank adapters in numpy: W + alpha/rank · B A, with W of [rows, columns], A of [rank, columns]
and B of [rows, rank] (https://arxiv.org/abs/2106.09685).
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array, Lora, Recipe

ROWS = 256  # of a matrix that are worked on at once


class Pair(NamedTuple):
    """An adapter of one matrix."""

    a: Array
    b: Array


def first(recipe: Recipe, lora: Lora, name: str, shape: tuple[int, ...]) -> Pair:
    """The adapter with which the matrix `name` begins: one that changes nothing. What is drawn does
    not depend on which other matrices have one.
    """
    import numpy as np

    rows, columns = shape
    random = np.random.default_rng([recipe.seed, zlib.crc32(name.encode())])
    bound = columns**-0.5
    a = random.uniform(-bound, bound, (lora.rank, columns)).astype(np.float32)
    return Pair(a, np.zeros((rows, lora.rank), np.float32))


def merge(target: Array, base: Array, pair: Pair, lora: Lora) -> None:
    """Write the matrix with its adapter to `target`; `base` is the matrix without."""
    scale = lora.alpha / lora.rank
    for begin in range(0, len(base), ROWS):
        part = slice(begin, begin + ROWS)
        change = pair.b[part] @ pair.a
        change *= scale
        change += base[part]
        target[part] = change


def slopes(gradient: Array, pair: Pair, lora: Lora) -> Pair:
    """The gradient of an adapter, by that of its merged matrix."""
    scale = lora.alpha / lora.rank
    return Pair(scale * (pair.b.T @ gradient), scale * (gradient @ pair.a.T))
