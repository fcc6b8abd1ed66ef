"""Repetition, frequency and presence penalties as one sampler stage.

llama.cpp's own stage looks up every token of the vocabulary in its window. A penalty touches only
tokens that are in the window, so this stage visits those alone. It also knows growth of the
repetition penalty with the count ('exponential').
"""

from __future__ import annotations

import ctypes
import math
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.interrupt import called_from_c


@dataclass(frozen=True)
class Penalties:
    """What the logit of a token loses that occurs `count` times in the window."""

    repeat: float = 1.0
    frequency: float = 0.0
    presence: float = 0.0
    exponential: bool = False

    def __bool__(self) -> bool:
        return self.repeat != 1.0 or self.frequency != 0.0 or self.presence != 0.0

    def apply(self, logit: float, count: int) -> float:
        """The penalised logit: divided (above 0) or multiplied (below) by the repetition penalty,
        once or to the power of `count`; then less count x frequency + presence. As in
        llama_sampler_penalties_apply, which knows 'once' only.
        """
        if math.isinf(logit):  # removed already; arithmetic with it gives NaN
            return logit
        repetition, frequency, presence = self.parts(logit, count)
        return logit - repetition - frequency - presence

    def parts(self, logit: float, count: int) -> tuple[float, float, float]:
        """What each of the three takes: repetition, frequency, presence."""
        if count == 0:
            return 0.0, 0.0, 0.0
        factor = self._factor(count) if self.repeat != 1.0 else 1.0
        repeated = logit * factor if logit <= 0 else logit / factor
        return logit - repeated, count * self.frequency, self.presence

    @property
    def grown_otherwise(self) -> Penalties:
        """The same with the other growth of the repetition penalty."""
        return replace(self, exponential=not self.exponential)

    def _factor(self, count: int) -> float:
        if not self.exponential:
            return self.repeat
        try:
            return float(self.repeat**count) or 1e-30  # underflow: a logit is divided by it
        except OverflowError:
            return 1e30  # finite in single precision, too


class Window:
    """The last `size` tokens and how often each of them occurs there."""

    def __init__(self, size: int) -> None:
        self.counts: dict[int, int] = {}
        self._tokens: deque[int] = deque()
        self._size = size

    def add(self, token: int) -> None:
        if self._size == 0:
            return
        self._tokens.append(token)
        self.counts[token] = self.counts.get(token, 0) + 1
        if len(self._tokens) > self._size:
            self._forget(self._tokens.popleft())

    def clear(self) -> None:
        self._tokens.clear()
        self.counts.clear()

    def _forget(self, token: int) -> None:
        self.counts[token] -= 1
        if self.counts[token] == 0:
            del self.counts[token]


class PenaltyStage:
    """A llama_sampler implemented in Python; the chain that takes its `handle` owns that."""

    def __init__(self, penalties: Penalties, window: int) -> None:
        lib = llama()
        self.size = window
        self.window = Window(window)
        self.penalties = penalties
        # The library has pointers to these: they must live as long as the stage.
        self._interface = lib.llama_sampler_i(
            accept=lib.llama_sampler_i_accept(
                called_from_c(lambda _sampler, token: self.window.add(token))
            ),
            apply=lib.llama_sampler_i_apply(
                called_from_c(lambda _sampler, array: self._apply(array))
            ),
            reset=lib.llama_sampler_i_reset(called_from_c(lambda _sampler: self.window.clear())),
        )
        self.handle = lib.llama_sampler_init(ctypes.byref(self._interface), None)

    def edit(self, row: Any) -> None:
        """The same for the logits of all tokens, as a numpy array."""
        for token, count in self.window.counts.items():
            row[token] = self.penalties.apply(float(row[token]), count)

    def _apply(self, array: Any) -> None:
        candidates = array.contents
        data, size = candidates.data, candidates.size
        places = None
        for token, count in self.window.counts.items():
            place: int | None = token
            # Untouched candidates lie in order of their ids; an earlier stage that
            # sorted or removed some makes a look-up necessary.
            if places is not None or token >= size or data[token].id != token:
                places = places or {data[i].id: i for i in range(size)}
                place = places.get(token)
            if place is not None:
                candidate = data[place]
                candidate.logit = self.penalties.apply(candidate.logit, count)
        candidates.sorted = False  # the order by logit may be another one now
