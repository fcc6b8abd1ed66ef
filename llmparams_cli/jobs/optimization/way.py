"""What a search is by: how settings are tried, and how the best of them are proved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llmparams_cli.analysis.optimization import Meeting, Scale, Speed, Trial
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.optimization.candidates import Candidates
from llmparams_cli.protocol import Backend

Told = Callable[[float], None]  # how far this piece of work is, from 0 to 1


@dataclass(frozen=True)
class Loaded:
    """A model in memory, and the settings that may be tried with it."""

    candidates: Candidates
    backend: Backend
    control: Control


class Way(Protocol):
    """A way to compare settings, `at_once` at a time. `unit` is what the scores are of ('cases');
    `tried_on` and `proved_on` say on how many, for whoever reads the result.
    """

    @property
    def metric_name(self) -> str: ...

    @property
    def scale(self) -> Scale: ...

    @property
    def unit(self) -> str: ...

    @property
    def at_once(self) -> int: ...

    @property
    def tried_on(self) -> str: ...

    @property
    def proved_on(self) -> str: ...

    @property
    def subject(self) -> Mapping[str, Any]:
        """All that makes this the same search again."""

    def tried(
        self, on: Loaded, new: Sequence[Trial], known: Sequence[Trial], told: Told
    ) -> list[Trial]:
        """New trials with their scores; `known` ones came before. The first of all trials is the
        default.
        """

    def proved(
        self, on: Loaded, winner: Trial, default: Trial, told: Told
    ) -> tuple[Meeting, tuple[Speed, Speed] | None]:
        """Let the two meet where the search has not been."""
