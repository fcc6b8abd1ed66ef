"""Makes an importance matrix from a text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.evaluation.text import Wanted, cut_up, for_chunks
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.models.importance import Importance
from llmparams_cli.protocol import Progress


def collect(
    env: Environment, prepared: Prepared, wanted: Wanted, dataset: str, progress: Progress
) -> Importance:
    """Let the model read the text, whose name is `dataset`, and add up what its matrices see."""
    settings = for_chunks(prepared.settings, wanted)
    with Control() as control, opened(env, prepared.model, settings, control, progress) as backend:
        cut = cut_up(backend.split(wanted.text), wanted)
        found: Mapping[str, Any] = {}
        for number, squares in enumerate(backend.squares(cut.chunks, settings), 1):
            found = squares
            progress("reading", number / len(cut.chunks), len(cut.chunks) * cut.size)
    _refuse_unsound(found)
    return Importance(found, len(cut.chunks), cut.size, dataset)


def _refuse_unsound(found: Mapping[str, Any]) -> None:
    import numpy as np

    for name, squares in found.items():
        if not np.isfinite(squares.sums).all():
            raise UsageError(f"what {name} is multiplied with is not finite: the model is broken")
