"""From logits to probabilities, and measures of a distribution.

A row is a numpy array of float32 logits, one per token; a removed token has minus infinity.
"""

from __future__ import annotations

import math
from typing import Any

IMPOSSIBLE = -1000.0  # a logit so far below the best that its weight is 0 in any precision


def log_total(logits: Any) -> float:
    """Log-sum-exp of a row, in double precision."""
    import numpy as np

    top = float(logits.max())  # subtracted, lest exp overflow
    return top + float(np.log(np.exp(logits.astype(np.float64) - top).sum()))


def softmax(logits: Any) -> Any:
    """The probabilities of a row, in double precision."""
    import numpy as np

    weights = np.exp(logits.astype(np.float64) - logits.max())
    return weights / weights.sum()


def entropy(probabilities: Any) -> float:
    """The entropy of a row of probabilities, in bits."""
    import numpy as np

    seen = probabilities[probabilities > 0]
    return max(0.0, -float((seen * np.log2(seen)).sum()))


def total_variation(one: Any, other: Any) -> float:
    """The total variation distance of two rows of probabilities: 0 to 1."""
    import numpy as np

    return float(np.abs(one - other).sum() / 2)


class Distribution:
    """The softmax of raw logits (a pointer to `size` floats); `entropy` is in bits.

    In single precision, for speed: every token of an answer whose probabilities are wanted
    goes through here. numpy's pairwise sums keep six digits for a vocabulary of 150,000.
    """

    def __init__(self, logits: Any, size: int) -> None:
        import numpy as np

        values = np.ctypeslib.as_array(logits, shape=(size,))
        self._shifted = values - values.max()
        weights = np.exp(self._shifted)
        total = float(weights.sum())
        self._log_total = math.log(total)
        finite = np.maximum(self._shifted, IMPOSSIBLE)  # 0 * -inf would be NaN
        mean = float(np.dot(weights, finite)) / total
        self.entropy = max(0.0, (self._log_total - mean) / math.log(2))

    def logprob(self, token: int) -> float:
        """Natural logarithm of the token's probability."""
        return float(self._shifted[token]) - self._log_total

    def best(self, count: int) -> list[int]:
        """The `count` most probable tokens, the best first."""
        import numpy as np

        count = min(count, len(self._shifted))
        # Partitioned at each of the first indices, these come out sorted.
        best = np.argpartition(-self._shifted, range(count))[:count] if count else ()
        return [int(token) for token in best]

    def __contains__(self, token: int) -> bool:
        return 0 <= token < len(self._shifted)
