"""Compares a receipt with its replay: where the two diverge, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from llmparams_cli.protocol import Finished, Started, Stop, StopReason
from llmparams_cli.records.document import stop_object
from llmparams_cli.records.reading import Receipt
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import spelled
from llmparams_cli.text.utf8 import joined

# Ends that came from outside: the replay stops at the same token by itself.
CUT_OFF = (StopReason.INTERRUPTED, StopReason.TIME_LIMIT)
NEAR_TIE = 0.05  # nats; log probabilities of kernels that round differently are up to 0.02 apart
SAME_NUMBER = 1e-5  # nats; receipts have six decimals


@dataclass(frozen=True)
class Difference:
    """Something that differs from when the receipt was written. `recorded` is None if the
    receipt was edited: its checksum tells that it was, but not what it said.
    """

    what: str
    recorded: str | None
    replayed: str

    def __str__(self) -> str:
        if self.recorded is None:
            return f"{self.what}: edited in the receipt after the run, {self.replayed} here"
        return f"{self.what}: {self.recorded} recorded, {self.replayed} here"


@dataclass(frozen=True)
class Drawn:
    """What a run drew at one place: a token, or its end (`id` is None).

    `logprob` is the token's in the replay's own distribution.
    """

    id: int | None
    text: str
    logprob: float | None

    def to_object(self) -> dict[str, Any]:
        """For JSON."""
        return {"id": self.id, "text": spelled(self.text), "logprob": rounded(self.logprob)}


@dataclass(frozen=True)
class Parting:
    """The first place where the runs differ, among the thoughts of the replay (`is_thought`) or
    after them. `recorded_logprob` is the one in the receipt; `same_prompt`: both runs began with
    the same tokens.
    """

    index: int
    before: str
    recorded: Drawn
    replayed: Drawn
    recorded_logprob: float | None
    same_prompt: bool = True
    is_thought: bool = False

    @property
    def is_near_tie(self) -> bool:
        """Could rounding have decided between the two tokens? Not if the prompt is another one."""
        if not self.same_prompt:
            return False
        one, other = self.recorded.logprob, self.replayed.logprob
        return one is not None and other is not None and abs(one - other) < NEAR_TIE

    def to_object(self) -> dict[str, Any]:
        """For JSON."""
        recorded = self.recorded.to_object()
        recorded["recorded_logprob"] = self.recorded_logprob
        return {
            "index": self.index,
            "is_thought": self.is_thought,
            "before": spelled(self.before),
            "recorded": recorded,
            "replayed": self.replayed.to_object(),
            "near_tie": self.is_near_tie,
        }


@dataclass(frozen=True)
class Replay:
    """A receipt and its replay. `drift` is the largest change of a log probability before the
    parting, if the receipt has log probabilities and the prompt is the same.
    """

    receipt: Receipt
    finished: Finished
    parting: Parting | None
    differences: tuple[Difference, ...]
    drift: float | None

    @property
    def identical(self) -> bool:
        return self.parting is None and _same_texts(self.receipt, self.finished)

    def reasons(self) -> list[str]:
        """Why the answer differs, or could have differed; the likeliest reason first."""
        reasons = list(map(str, self.differences))
        if self.identical:
            return reasons
        if self.parting and self.parting.is_near_tie:
            reasons.append("a near-tie: the two tokens are within rounding of each other")
        if self.drift is not None and self.drift > SAME_NUMBER:
            reasons.append(
                f"rounding: log probabilities before it differ by up to {self.drift:.2g}"
            )
        return reasons or ["unknown: nothing that the receipt knows of differs"]

    def to_object(self) -> dict[str, Any]:
        """Everything, for JSON."""
        recorded, finished, parting = self.receipt, self.finished, self.parting
        return {
            "identical": self.identical,
            "receipt": {"id": recorded.id, "date": recorded.date, "place": recorded.place},
            "tokens": {"recorded": len(recorded.answer_ids), "replayed": len(finished.tokens)},
            "parting": parting and parting.to_object(),
            "differences": [vars(difference) for difference in self.differences],
            "reasons": self.reasons(),
            "drift": self.drift,
            "text": {"recorded": recorded.text, "replayed": finished.text},
            "reasoning": {"recorded": recorded.reasoning, "replayed": finished.reasoning},
            "stop": {
                name: stop_object(stop)
                for name, stop in (("recorded", recorded.stop), ("replayed", finished.stop))
            },
        }


def beside(
    receipt: Receipt, started: Started, finished: Finished, differences: Iterable[Difference]
) -> Replay:
    """Compare the new answer with the recorded one; `differences` are those of circumstances."""
    same_prompt = receipt.prompt_ids == started.tokens
    parting = _parting(receipt, finished, same_prompt)
    drift = _drift(receipt, finished, parting) if same_prompt else None
    return Replay(receipt, finished, parting, tuple(differences), drift)


def first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    """The first index where the two differ, or the length of the shorter one."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(one), len(other)))


def _parting(receipt: Receipt, finished: Finished, same_prompt: bool) -> Parting | None:
    recorded, tokens = receipt.answer_ids, finished.tokens
    now = tuple(token.id for token in tokens)
    if recorded == now and _same_end(receipt.stop, finished.stop):
        return None
    place = first_difference(recorded, now)
    here = tokens[place] if place < len(tokens) else None
    logprobs = receipt.answer_logprobs
    if place < len(recorded):
        expected = here.expected_logprob if here else None
        before = Drawn(recorded[place], receipt.answer_texts[place], expected)
    else:
        before = _end(receipt.stop)
    return Parting(
        place,
        joined(token.text for token in tokens[:place]),
        before,
        Drawn(here.id, here.text, here.logprob) if here else _end(finished.stop),
        logprobs[place] if logprobs and place < len(recorded) else None,
        same_prompt,
        here.is_thought if here else finished.is_unsaid,
    )


def _same_texts(receipt: Receipt, finished: Finished) -> bool:
    if receipt.reasoning is None and finished.usage.reasoning_tokens:
        return finished.reasoning in receipt.text and receipt.text.endswith(finished.text)
    return (receipt.reasoning or "", receipt.text) == (finished.reasoning, finished.text)


def _same_end(recorded: Stop, now: Stop) -> bool:
    return recorded.reason in (*CUT_OFF, now.reason)


def _end(stop: Stop) -> Drawn:
    return Drawn(None, f"{stop.reason.value} ({stop.detail})", None)


def _drift(receipt: Receipt, finished: Finished, parting: Parting | None) -> float | None:
    """The largest change of a log probability while both runs were the same."""
    shared = parting.index if parting else len(receipt.answer_ids)
    pairs = zip(receipt.answer_logprobs or (), finished.tokens[:shared], strict=False)
    changes = [abs(a - t.logprob) for a, t in pairs if a is not None and t.logprob is not None]
    return round(max(changes), 6) if changes else None
