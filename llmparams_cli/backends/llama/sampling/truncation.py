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
from llmparams_cli.backends.llama.sampling.candidates import array_of, array_over, empty_table

STOPS = (2048, 16_384)  # ids at which is looked what the sum of the weights has come to
GAPS = range(4, 20, 3)  # below the best logit: how far down to look, one after the other
MOST = 4096  # in so large a nucleus, some logits are equal
BARELY = 1e-30  # a probability that the best token has alone
NOTHING = -1e6  # a logit so low that its weight is 0


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
    ids = _counting(logits, best)
    if not STOPS[0] < len(ids) < len(logits) / 2:  # too few for `_softmax`, or too many for a gain
        return None
    values = logits[ids]
    kept = _nucleus(values, _softmax(values), p)
    if kept is None:
        return None
    array = array_of(ids[kept], values[kept])
    array.sorted = True
    return array


def _counting(logits: Any, best: Any) -> Any:
    """The ids of all tokens whose weight, exp(logit - best), counts in the sum of all weights.

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
            # A little less, as all this is rounded.
            floor = best + math.log(total * 2**-25) - 0.01 if total else floor
    return counting.nonzero()[0]


def _softmax(logits: Any) -> Any:
    """The probabilities as llama.cpp rounds them: its `top_p` computes them of all candidates, then
    puts what it keeps in front. Here this is one, in the place of a candidate without weight.
    """
    table = empty_table(len(logits) + 1)
    table["logit"][0], table["logit"][1:] = NOTHING, logits
    array, lib = array_over(table), llama()
    stage = lib.llama_sampler_init_top_p(BARELY, 1)
    lib.llama_sampler_apply(stage, ctypes.byref(array))
    lib.llama_sampler_free(stage)
    return table["p"][1:]


def _nucleus(logits: Any, probabilities: Any, p: float) -> Any:
    """The places of the nucleus, the best first; None if logits in it are equal, as their order is
    up to llama.cpp's sort, or if p is not reached. Tokens that do not count cannot change that.
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
