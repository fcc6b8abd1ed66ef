"""Numbers for JSON, which has neither NaN nor infinity: both become null."""

from __future__ import annotations

import math
from typing import Any


def finite(value: float | None) -> float | None:
    """The number, or None if JSON has no notation for it."""
    return None if value is None or not math.isfinite(value) else value


def rounded(value: float | None) -> float | None:
    """The number to six decimals (seconds to the microsecond), or None as in `finite`."""
    value = finite(value)
    return None if value is None else round(value, 6) + 0.0  # -0.0 becomes 0.0


def all_finite(value: Any) -> Any:
    """The document with None for every number that is not finite."""
    if isinstance(value, dict):
        return {key: all_finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [all_finite(item) for item in value]
    return finite(value) if isinstance(value, float) else value
