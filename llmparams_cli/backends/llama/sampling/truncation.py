"""What a stage leaves of a large vocabulary, found in the row of logits.

llama.cpp makes a table of all tokens for every draw; its stages walk over that more than once, and
its `top_p` sorts all of it when 256 tokens are not enough. Each function here is named like a stage
and returns exactly the candidates that this leaves of all tokens, in its order; None where only the
stage itself can tell.
"""

from __future__ import annotations

import ctypes
import math
from itertools import pairwise
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.sampling.candidates import (
    array_of,
    array_over,
    empty_table,
    left_of,
)

STOPS = (2048, 16_384)  # ids at which is looked what the sum of the weights has come to
GAPS = range(4, 20, 3)  # below the best logit: how far down to look, one after the other
MOST = 4096  # in so large a nucleus, some logits are equal
BARELY = 1e-30  # a probability that the best token has alone
NOTHING = -1e6  # a logit so low that its weight is 0
# llama.cpp sorts by buckets of logits:
BUCKET = 0.16  # a little more than their width
OUTER = 9.8  # from here to both sides two of them have no end


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
    if not math.isfinite(best):
        return None
    ids, floor = _counting(logits, best)
    if not STOPS[0] < len(ids) < len(logits) / 2:  # too few for `_softmax`, or too many for a gain
        return None
    values = logits[ids]
    kept = _nucleus(values, _softmax(values), p)
    if kept is None:
        return _tied(ids, values, p, floor)
    array = array_of(ids[kept], values[kept])
    array.sorted = True
    return array


def _counting(logits: Any, best: Any) -> tuple[Any, float]:
    """The ids of all tokens whose weight, exp(logit - best), counts in the sum of all weights, and
    the logit from which on none is missing.

    llama.cpp adds the weights up in the order of the ids, in single precision: one that is less
    than 2^-25 of the sum so far leaves that as it is.
    """
    import numpy as np

    counting = np.empty(len(logits), bool)
    total, floor = 0.0, -math.inf
    for start, end in pairwise((0, *STOPS, len(logits))):
        part = logits[start:end]
        counting[start:end] = part >= floor
        if end in STOPS:
            total += float(np.exp(part - best).sum())
            if total > 0:  # a little less than 2^-25 of it, as all this is rounded
                floor = float(best) + math.log(total * 2**-25) - 0.01
            floor = min(floor, OUTER - 2 * BUCKET)  # all of the highest bucket, for `_tied`
    return counting.nonzero()[0], floor


def _softmax(logits: Any) -> Any:
    """The probabilities as llama.cpp rounds them: its `top_p` computes them of all candidates, then
    puts what it keeps in front. Here this is one, in the place of a candidate without weight.
    """
    table = empty_table(len(logits) + 1)
    table["logit"][0], table["logit"][1:] = NOTHING, logits
    _apply_top_p(BARELY, array_over(table))
    return table["p"][1:]


def _nucleus(logits: Any, probabilities: Any, p: float) -> Any:
    """The places of the nucleus, the best first; None if logits in it are equal, or if p is not
    reached. Tokens that do not count cannot change that.
    """
    import numpy as np

    best = logits.max()
    for gap in GAPS:
        near = (logits >= best - gap).nonzero()[0]
        if len(near) > MOST:
            return None
        near = near[np.argsort(-logits[near])]
        # In single precision and from the best on, as llama.cpp adds them up.
        totals = np.add.accumulate(probabilities[near])
        count = 1 + np.searchsorted(totals, np.float32(p))
        if count <= len(near):
            falling = logits[near[: count + 1]]
            return near[:count] if (falling[1:] < falling[:-1]).all() else None
    return None


def _tied(ids: Any, logits: Any, p: float, floor: float) -> Any:
    """The nucleus as the stage itself finds it, among the tokens that count. The order of equal
    logits comes from how it sorts a bucket: so those must be complete, and not the last.
    """
    array = array_of(ids, logits)
    _apply_top_p(p, array)
    last = left_of(array)["logit"][-1]
    return array if last >= max(floor + 2 * BUCKET, -OUTER) and logits.min() < floor else None


def _apply_top_p(p: float, array: Any) -> None:
    """Let llama.cpp's stage work on candidates once."""
    lib = llama()
    stage = lib.llama_sampler_init_top_p(p, 1)
    lib.llama_sampler_apply(stage, ctypes.byref(array))
    lib.llama_sampler_free(stage)
