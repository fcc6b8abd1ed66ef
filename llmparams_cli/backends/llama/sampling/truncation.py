"""What a stage leaves of a large vocabulary, found in the row of logits.

llama.cpp makes a table of all tokens for every draw; its stages walk over that more than once, and
its `top_p` sorts all of it when 256 tokens are not enough. Each function here is named like a stage
and returns exactly the candidates that this leaves of all tokens, in its order; None where only the
stage itself can tell.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.sampling.candidates import (
    array_of,
    array_over,
    empty_table,
    table_of,
)

HEAD = 2048  # tokens at the start of the vocabulary that are always added up
BARELY = 1e-30  # a probability that the best token has alone
NOTHING = -1e6  # a logit so low that its weight is 0
GAPS = range(4, 40)  # below the best logit: how far down to look, one after the other
# How llama.cpp sorts:
FIRST = 256  # so many come first, and all if they are not enough
BUCKET = 0.16  # a little more than the width of the buckets that it sorts one by one
OUTER = 9.8  # from here to both sides two buckets have no end


def greedy(logits: Any) -> Any:
    """The first of the most probable tokens, marked as the draw."""
    best = logits.argmax()
    if math.isnan(logits[best]):
        return None
    array = array_of([best], logits[best])
    array.selected = 0
    return array


def top_p(logits: Any, p: float) -> Any:
    """The most probable tokens that together have the probability p."""
    best = logits.max()
    if not math.isfinite(best) or len(logits) <= HEAD:
        return None
    floor = _floor(logits, best)
    counting = logits >= floor
    counting[:HEAD] = True
    ids = counting.nonzero()[0]
    values = logits[ids]
    bound = _bound(values, best, p, len(logits) // 2)
    if bound is None or bound - 2 * BUCKET < max(floor, values.min() + BUCKET):
        return None
    near = (values >= bound - 2 * BUCKET).nonzero()[0]
    table = table_of(ids[near], values[near])
    table["p"] = _softmax(values)[near]
    kept = _nucleus(table, p)
    if kept is None or kept["logit"][-1] < bound:
        return None
    array = array_over(kept)
    array.sorted = True
    return array


def _floor(logits: Any, best: Any) -> float:
    """A logit so low that tokens below it make no difference, but for those of the `HEAD`.

    llama.cpp adds up the weights, exp(logit - best), in the order of the ids, in single precision:
    one that is less than 2^-25 of the sum so far leaves that as it is.
    """
    import numpy as np

    head = float(np.exp(logits[:HEAD] - best).sum())
    if head == 0:
        return -math.inf
    floor = float(best) + math.log(head) - 25 * math.log(2) - 0.01  # `head` is rounded, too
    return min(floor, OUTER - 2 * BUCKET)  # all of the highest bucket


def _bound(logits: Any, best: Any, p: float, most: int) -> float | None:
    """A logit above which are at least the `FIRST` and the nucleus; None if these are more than
    `most`, which llama.cpp sorts as fast, or if it is in the lowest bucket.
    """
    import numpy as np

    weights = np.exp(logits - best)
    enough = weights.sum() * (p + (1 - p) / 100)  # more than p, as all this is rounded
    for gap in GAPS:
        bound = min(float(best) - gap, OUTER)
        above = logits >= bound
        count = np.count_nonzero(above)
        if count > most or bound < -OUTER:
            return None
        if count >= FIRST and weights[above].sum() >= enough:
            return bound
    return None


def _softmax(logits: Any) -> Any:
    """The probabilities as llama.cpp rounds them: its `top_p` computes them of all candidates, then
    puts what it keeps in front. Here this is one, in the place of a candidate without weight.
    """
    table = empty_table(len(logits) + 1)
    table["logit"][0], table["logit"][1:] = NOTHING, logits
    _apply(llama().llama_sampler_init_top_p(BARELY, 1), table)
    return table["p"][1:]


def _nucleus(table: Any, p: float) -> Any:
    """The nucleus of these tokens, sorted as by llama.cpp; None if they are not enough.

    Equal logits keep the order that its sort of their bucket happens to give them. So buckets must
    be complete, and sorted as there: with the first, or with all.
    """
    import numpy as np

    kept = _until(p, _best(table.copy(), FIRST))
    if kept is None:
        # The lowest bucket is sorted in another way; let that be an additional one.
        table = np.append(table, table_of([0], NOTHING))
        kept = _until(p, _best(table, len(table)))
    return kept


def _best(table: Any, count: int) -> Any:
    """The first `count`, sorted by llama.cpp in place."""
    _apply(llama().llama_sampler_init_top_k(count), table)
    return table[:count]


def _until(p: float, table: Any) -> Any:
    """The beginning that reaches p, added up in single precision as llama.cpp does it."""
    import numpy as np

    count = 1 + np.searchsorted(np.add.accumulate(table["p"]), np.float32(p))
    return table[:count] if count <= len(table) else None


def _apply(stage: Any, table: Any) -> None:
    """Let a stage work on a table once."""
    llama().llama_sampler_apply(stage, ctypes.byref(array_over(table)))
    llama().llama_sampler_free(stage)
