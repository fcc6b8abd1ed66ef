"""Try to train a model in a process of its own; `opening` runs this file as a child.

    python -m llmparams_cli.backends.llama.training.trial MODEL THREADS NAMES

MODEL is a GGUF file whose tensors are F32, NAMES are those of the tensors that are to be trained,
as JSON. The gradient of a row must foretell how its loss changes. That the child dies is a result
as well: llama.cpp aborts where it has no gradient of an operation.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from llmparams_cli.backends.llama.host.child import WRONG_NUMBERS, ending
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.training.trainer import LlamaTrainer
from llmparams_cli.errors import BackendError
from llmparams_cli.training.trainer import Recipe, Row

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array

CHANGE = 0.01  # nats of a mean loss: far above rounding, far below where it is no straight line
TOLERANCE = 0.1  # of that change; rounding comes to 0.01
NOTICEABLE = 0.5  # of weights on which the loss is not to depend


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 when all is well."""
    path, threads, names = arguments
    llama()
    crash.guard()
    log.sink = _tell
    recipe = Recipe(1, tuple(json.loads(names)), optimiser="sgd", threads=int(threads))
    trainer = LlamaTrainer(Path(path), recipe)
    row = _row(trainer)
    if not math.isfinite(trainer.loss([row]).nats):
        raise BackendError("its loss is not a finite number")
    trainer.engine.row(row.tokens, row.learned, 1 / row.count)
    return 0 if foretells(trainer, row, trainer.engine.sums) else WRONG_NUMBERS


def foretells(trainer: LlamaTrainer, row: Row, gradient: Mapping[str, Array]) -> bool:
    """Does this gradient say how the loss of a row changes along it, and that it does not change
    where it is zero?
    """
    steep, flat = _directions(trainer.engine.weights, gradient)
    loss = trainer.loss([row]).mean
    if abs(_moved(trainer, row, flat, 1) - loss) > TOLERANCE * CHANGE:
        return False
    expected = sum(float((gradient[name] * each).sum()) for name, each in steep.items())
    if not expected:
        return True
    share = CHANGE / expected
    found = _moved(trainer, row, steep, share) - _moved(trainer, row, steep, -share)
    return abs(found / 2 - CHANGE) <= TOLERANCE * CHANGE


def _directions(
    weights: Mapping[str, Array], gradient: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The gradient, each tensor's part as long as its weights; and where it is zero, at random."""
    import numpy as np

    random = np.random.default_rng(0)
    steep, flat = {}, {}
    for name, slope in gradient.items():
        size, steepness = np.linalg.norm(weights[name]), np.linalg.norm(slope)
        if steepness > 0:
            steep[name] = slope * (size / steepness)
        else:
            noise = random.standard_normal(slope.shape, np.float32)
            flat[name] = noise * (NOTICEABLE * size / np.linalg.norm(noise))
    return steep, flat


def _tell(line: str) -> None:
    """What the library says before it aborts."""
    sys.stderr.write(line)


def _row(trainer: LlamaTrainer) -> Row:
    import numpy as np

    places = np.arange(trainer.engine.size + 1)
    tokens = ((7 * places + places**2 // 5) % trainer.vocabulary).astype(np.int32)
    return Row(tokens, places > 0)


def _moved(trainer: LlamaTrainer, row: Row, direction: Mapping[str, Array], share: float) -> float:
    """The loss of a row where the weights are so far in a direction."""
    weights = trainer.engine.weights
    before = {name: weights[name].copy() for name in direction}
    for name, change in direction.items():
        weights[name] += share * change
    loss = trainer.loss([row]).mean
    for name, array in before.items():
        weights[name][...] = array
    return loss


if __name__ == "__main__":
    ending(main)
