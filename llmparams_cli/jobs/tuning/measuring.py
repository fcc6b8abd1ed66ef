"""A model before and after training: on what was held out, and weight by weight."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from llmparams_cli.analysis.held_out import HeldOut
from llmparams_cli.analysis.perplexity import log_probabilities
from llmparams_cli.analysis.tuning import Changed
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.inspect.numbers import compare
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.models.anatomy import place
from llmparams_cli.models.gguf import read_header
from llmparams_cli.protocol import Chunk, Progress
from llmparams_cli.training.trainer import Row, Trainer

SAME, SAME_SHARE = 0.05, 0.03  # nats a token: bf16 comes to 0.2 %


def held_out(
    env: Environment,
    before: Prepared,
    after: Prepared,
    rows: Sequence[Row],
    progress: Progress,
) -> HeldOut | None:
    """Let both models read the rows, as they read any text; None if there are none."""
    if not rows:
        return None
    found = [_nats(env, each, rows, progress) for each in (before, after)]
    return HeldOut(tuple(row.count for row in rows), found[0], found[1])


def refuse_otherwise(
    env: Environment, prepared: Prepared, trainer: Trainer, rows: Sequence[Row], progress: Progress
) -> None:
    """Raise BackendError if a trainer computes the model otherwise than it runs: what it learned
    would be of no use then.
    """
    row = max(rows, key=lambda each: each.count)
    runs, learns = _nats(env, prepared, [row], progress)[0], trainer.loss([row]).nats
    if not abs(runs - learns) <= max(SAME, SAME_SHARE * runs / row.count) * row.count:
        raise BackendError(
            f"{trainer.how} computes this model otherwise than it runs: a token costs"
            f" {learns / row.count:.3f} nats there, and {runs / row.count:.3f} here",
            "try the other --engine",
        )


def _nats(
    env: Environment, prepared: Prepared, rows: Sequence[Row], progress: Progress
) -> tuple[float, ...]:
    """What the learned tokens of each row cost."""
    found = []
    chunks = [Chunk(tuple(map(int, row.tokens)), 1) for row in rows]
    settings = prepared.settings
    with Control() as control, opened(env, prepared.model, settings, control, progress) as backend:
        matrices = backend.logits(chunks, settings)
        for number, (row, logits) in enumerate(zip(rows, matrices, strict=True), 1):
            learned = row.learned[1:]
            nats = -log_probabilities(logits[learned], row.tokens[1:][learned].tolist())
            found.append(float(nats.sum()))
            progress("reading what was held out", number / len(rows))
    return tuple(found)


def changes(first: Path, second: Path, progress: Progress) -> tuple[tuple[Changed, ...], int]:
    """The tensors that differ, and the number of those that are the same to the bit."""
    tensors = compare(read_header(first), read_header(second), progress).tensors
    moved = [
        Changed(
            each.name,
            each.kind,
            place(each.name).layer,
            each.distance.relative or 0.0,
        )
        for each in tensors
        if each.distance is not None
    ]
    return tuple(moved), len(tensors) - len(moved)
