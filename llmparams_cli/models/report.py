"""What `llmparams models` tells about a model on this disk."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path

from llmparams_cli.models.stores import STORES
from llmparams_cli.models.stores.kept import Kept
from llmparams_cli.models.summary import Summary


@dataclass(frozen=True)
class Listed:
    """A model by the name that means it alone. `same_as` is the name of an earlier one with the
    same content; `is_copy`: it takes up space of its own all the same.
    """

    name: str
    kept: Kept
    summary: Summary
    same_as: str
    is_copy: bool
    last_used: datetime | None

    @property
    def where(self) -> str:
        """The program that keeps it."""
        return STORES[self.kept.store].title


class Verdict(str, Enum):
    """What a check found."""

    RIGHT = "right"
    WRONG = "wrong"
    DAMAGED = "damaged"
    UNKNOWN = "no checksum is known"

    @property
    def is_bad(self) -> bool:
        return self in (Verdict.WRONG, Verdict.DAMAGED)


@dataclass(frozen=True)
class Verified:
    """What was found about a model: the SHA-256 of its files (none of a damaged one), and the
    reason.
    """

    name: str
    path: Path
    verdict: Verdict
    sha256: tuple[str, ...] = ()
    reason: str = ""
