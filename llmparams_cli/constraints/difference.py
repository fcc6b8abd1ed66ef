"""What a grammar does otherwise than the schema it was made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

MOST_TOLD = 3  # of each kind


@dataclass(frozen=True)
class Difference:
    """A place of a schema ($.properties.a) and the keyword that a grammar does not follow to the
    letter. `is_wider`: the grammar admits answers that the keyword forbids; otherwise it leaves out
    answers that are valid.
    """

    path: str
    keyword: str
    text: str
    is_wider: bool

    def __str__(self) -> str:
        return f"{self.path}: {f'{self.keyword} {self.text}'.lstrip()}"


class NotFollowed(ValueError):
    """This is no schema, or no answer can be valid; says where and why in one line."""

    def __init__(self, path: str, keyword: str, reason: str) -> None:
        super().__init__(f"{path}: {keyword}: {reason}" if keyword else f"{path}: {reason}")
        self.path, self.keyword, self.reason = path, keyword, reason


def step(name: str | int) -> str:
    """One step of a path: `.name`, `[0]` or `['a name']`."""
    if isinstance(name, str) and re.fullmatch(r"[\w$-]+", name):
        return f".{name}"
    return f"[{name!r}]"


def told(differences: Sequence[Difference]) -> str:
    """All of them in one line, shortened: what is admitted and not valid, what is not admitted."""
    parts = []
    for is_wider, beginning in (
        (True, "not followed, so check the output"),
        (False, "some valid answers are left out"),
    ):
        some = [str(d) for d in differences if d.is_wider == is_wider]
        if some:
            more = f"; {len(some) - MOST_TOLD} more" if len(some) > MOST_TOLD else ""
            parts.append(f"{beginning}: {'; '.join(some[:MOST_TOLD])}{more}")
    return ". ".join(parts)
