"""Recipes and rows for trainers, and what any two of them must agree on."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from llmparams_cli.training.trainer import Opener, Recipe, Row


def recipe(names: Sequence[str], **values: Any) -> Recipe:
    return Recipe(**{"size": 64, "names": tuple(names), "precision": "f32"} | values)


def row(random: np.random.Generator, length: int, learned: int = 0) -> Row:
    """A row of random tokens, of which the last so many are learned, or all that can be."""
    wanted = np.arange(length) >= length - (learned or length - 1)
    return Row(random.integers(10, 290, length).astype(np.int32), wanted)


def both_learn_alike(
    path: Path, recipe: Recipe, openers: Sequence[Opener], rows: Sequence[Row]
) -> None:
    """The same losses, gradients and steps, but for rounding."""
    with closing(openers[0](path, recipe)) as one, closing(openers[1](path, recipe)) as other:
        assert one.loss(rows).nats == pytest.approx(other.loss(rows).nats, rel=1e-4)
        before = one.weights()
        first, second = one.step(rows, 1e-3), other.step(rows, 1e-3)
        assert first.loss.nats == pytest.approx(second.loss.nats, rel=1e-4)
        assert first.loss.tokens == second.loss.tokens
        assert first.norm == pytest.approx(second.norm, rel=1e-3)
        for name, array in one.weights().items():
            moved, alike = array - before[name], other.weights()[name] - before[name]
            # By the length of the whole change: AdamW turns a gradient that is nothing but rounding
            # into a whole step.
            apart = np.linalg.norm(moved - alike)
            assert apart <= 1e-2 * np.linalg.norm(moved), name
            assert np.allclose(array, other.weights()[name], rtol=1e-3, atol=1e-5), name
