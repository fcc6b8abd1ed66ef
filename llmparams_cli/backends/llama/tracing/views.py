"""A view of one draw: what each stage of the chain left, and what the penalties took."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.distribution import entropy, log_total, softmax
from llmparams_cli.backends.llama.decoding.recording import pointer
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.chain import GRAMMAR, Step
from llmparams_cli.backends.llama.sampling.sampler import Draws
from llmparams_cli.trace import MOST_SHOWN, Penalised, Ruling, Stage, TokenView


class Views:
    """Makes the view of each draw in turn."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._known: dict[int, tuple[int, str]] = {}

    def view(
        self,
        number: int,
        drawn: int,
        logits: Any,
        steps: Sequence[Step],
        sampler: Draws,
        top: int,
        coverage: float,
    ) -> TokenView:
        """The view of draw `number`, which gave the token `drawn`: with at least `top` candidates,
        or as many as hold the share `coverage` of the model's own probability.
        """
        import numpy as np

        count = max(top, min(_covering(logits, coverage), MOST_SHOWN))
        table = np.zeros(len(logits), dtype=[("id", "<i4"), ("logit", "<f4")])
        table["id"], table["logit"] = np.arange(len(logits)), logits
        shown = _shown(table, steps, drawn, count)
        all_steps = [("model", table), *steps]
        stages = []
        before = None
        for name, left in all_steps:
            stage, before = _stage(name, left, before, shown, drawn, len(logits))
            stages.append(stage)
        first = softmax(logits)
        ends = self._model.end_tokens
        rank = 1 + int((logits > logits[ends].max()).sum()) if ends else len(logits)
        penalties = sampler.penalties
        return TokenView(
            number,
            drawn,
            self._model.text(drawn),
            self._model.ends_generation(drawn),
            tuple(map(self._candidate, shown)),
            tuple(stages),
            (float(first[ends].sum()) if ends else 0.0, rank),
            self._penalised(table, steps, sampler),
            penalties.size if penalties else 0,
            self._ruling(drawn, logits, first, steps, sampler, shown),
        )

    def _ruling(
        self,
        drawn: int,
        logits: Any,
        probabilities: Any,
        steps: Sequence[Step],
        sampler: Draws,
        shown: Sequence[int],
    ) -> Ruling | None:
        """What the grammar said: its mask is computed here, which a draw that fits it does not
        need. `probabilities` are the model's own.
        """
        allowed = sampler.allowed(pointer(logits), drawn)
        if allowed is None:
            return None
        left, ends = int(allowed.sum()), int(allowed[self._model.end_tokens].sum())
        return Ruling(
            len(allowed) - left,
            float(probabilities[~allowed].sum()),
            left,
            left == max(1, ends),
            steps[0][0] == GRAMMAR,
            frozenset(token for token in shown if not allowed[token]),
        )

    def _candidate(self, token: int) -> tuple[int, str]:
        """Id and text, one object for all draws: a page keeps thousands of draws with hundreds of
        them.
        """
        if token not in self._known:
            self._known[token] = (token, self._model.name(token))
        return self._known[token]

    def _penalised(
        self, table: Any, steps: Sequence[Step], sampler: Draws
    ) -> tuple[Penalised, ...]:
        """What the penalties took from every token in their window that is still a candidate."""
        stage = sampler.penalties
        names = [name for name, _ in steps]
        if stage is None or "penalties" not in names:
            return ()
        at = names.index("penalties")
        before = _by_id(steps[at - 1][1] if at else table)
        after = _by_id(steps[at][1])
        penalties = stage.penalties
        entries = []
        for token, count in stage.window.counts.items():
            if before.get(token, -math.inf) > -math.inf:
                logit = before[token]
                parts = penalties.parts(logit, count)
                # For comparison: the repetition penalty with the other kind of growth.
                other, _, _ = penalties.grown_otherwise.parts(logit, count)
                name = self._model.name(token)
                entries.append(Penalised(token, name, count, logit, *parts, after[token], other))
        # The one that lost most comes first.
        return tuple(sorted(entries, key=lambda entry: entry.after - entry.before))


def _by_id(table: Any) -> dict[int, float]:
    return dict(zip(table["id"].tolist(), table["logit"].tolist(), strict=True))


def _covering(logits: Any, coverage: float) -> int:
    """How many of the most probable tokens hold this share of the probability."""
    import numpy as np

    if coverage <= 0:
        return 0
    best_first = np.sort(softmax(logits))[::-1]
    return int(np.searchsorted(np.cumsum(best_first), coverage)) + 1


def _shown(table: Any, steps: Sequence[Step], drawn: int, top: int) -> list[int]:
    """The tokens worth showing: the model's best, the final best, and the drawn one."""
    import numpy as np

    count = min(top, len(table))
    # Partition first: sorting a whole vocabulary for every draw is slow.
    best = np.argpartition(-table["logit"], count - 1)[:count]
    best = best[np.argsort(-table["logit"][best], kind="stable")]
    left = steps[-1][1] if steps else table
    final = left["id"][np.argsort(-left["logit"], kind="stable")[:count]]
    return list(dict.fromkeys([*best.tolist(), *final.tolist(), drawn]))


def _stage(
    name: str, left: Any, before: Any, shown: Sequence[int], drawn: int, size: int
) -> tuple[Stage, Any]:
    """The stage, and the probability of each token after it. `before` is that after the stage
    before, or None.
    """
    import numpy as np

    logits = np.full(size, -np.inf, dtype=np.float32)
    logits[left["id"]] = left["logit"]
    there = logits > -np.inf
    total = log_total(logits)
    # In double precision, for sums over a whole vocabulary.
    probabilities = np.exp(logits.astype(np.float64) - total)
    cut = 0.0 if before is None else float(before[~there].sum())
    rank = 1 + int((logits > logits[drawn]).sum()) if there[drawn] else None
    kept = array("f", logits[shown].tobytes())
    stage = Stage(name, int(there.sum()), cut, entropy(probabilities), rank, kept, total)
    return stage, probabilities
