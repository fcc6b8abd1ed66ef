"""Logits to probabilities, and the numbers that describe them.

Rows are numpy arrays of float32 logits, minus infinity for a token that is removed.
"""

from __future__ import annotations

import math
from typing import Any

IMPOSSIBLE = -1000.0  # a logit so far below the best that its weight is 0 in any precision


def log_total(logits: Any) -> float:
    """The logarithm of the sum of their exponentials, in double precision."""
    import numpy as np

    top = float(logits.max())
    return top + float(np.log(np.exp(logits.astype(np.float64) - top).sum()))


def softmax(logits: Any) -> Any:
    """Their probabilities, in double precision."""
    import numpy as np

    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def entropy(probabilities: Any) -> float:
    """In bits."""
    import numpy as np

    seen = probabilities[probabilities > 0]
    return max(0.0, -float((seen * np.log2(seen)).sum()))


def total_variation(one: Any, other: Any) -> float:
    """Half the sum of the absolute differences of two rows of probabilities: 0 to 1."""
    import numpy as np

    return float(np.abs(one - other).sum() / 2)


class Distribution:
    """The softmax of raw logits (pointer to `size` floats); `entropy` is in bits.

    In single precision: numpy's pairwise sums keep six digits of a vocabulary of 150,000,
    and every token of every answer that is asked for probabilities goes through here.
    """

    def __init__(self, logits: Any, size: int) -> None:
        import numpy as np

        values = np.ctypeslib.as_array(logits, shape=(size,))
        self._shifted = values - values.max()
        weights = np.exp(self._shifted)
        total = float(weights.sum())
        self._log_total = math.log(total)
        finite = np.maximum(self._shifted, IMPOSSIBLE)  # 0 x -inf is no number
        mean = float(np.dot(weights, finite)) / total
        self.entropy = max(0.0, (self._log_total - mean) / math.log(2))

    def logprob(self, token: int) -> float:
        """Natural logarithm of the token's probability."""
        return float(self._shifted[token]) - self._log_total

    def best(self, count: int) -> list[int]:
        """The `count` most probable tokens, the best first."""
        import numpy as np

        count = min(count, len(self._shifted))
        best = np.argpartition(-self._shifted, range(count))[:count] if count else ()
        return [int(token) for token in best]

    def __contains__(self, token: int) -> bool:
        return 0 <= token < len(self._shifted)
