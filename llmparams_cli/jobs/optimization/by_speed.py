"""Settings judged by the time that they take: each beside the default, in turns.

A machine is never equally fast for long, so only two runs that follow each other are compared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from statistics import median
from typing import Any

from llmparams_cli.analysis.optimization import Meeting, Scale, Speed, Trial
from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.jobs.answers import answer
from llmparams_cli.jobs.evaluation.bare import greedy
from llmparams_cli.jobs.optimization.space import Axis
from llmparams_cli.jobs.optimization.way import Loaded, Told
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Message, Request, Timing

PROMPT, ANSWER = 512, 64  # tokens, where nobody says how many
WARM_UP = 8  # tokens of a first prompt in a new context, whose memory is touched for the first time
PAIRS, PAIRS_OF_PROOF = 3, 10
SLOWER = (0.7, 0.9)  # times as fast after one pair, and after two: no need for more
TEXT = "The quick brown fox jumps over the lazy dog, and the dog looks after it for a while. "
BATCHES = "64,128,256,512"
CACHES = "f16,q8_0"


@dataclass(frozen=True)
class BySpeed:
    """A prompt of so many tokens, and an answer of so many. A `Way`; scores are logarithms of how
    many times faster than the default.
    """

    prompt: int
    answer: int
    metric_name: str = "speed"
    scale: Scale = Scale.FACTOR
    unit: str = "pairs"
    at_once: int = 1  # they run one after the other

    @property
    def tried_on(self) -> str:
        work = f"{self.prompt:,} tokens read and {self.answer:,} written"
        return f"of {work}, each {PAIRS} times beside the default"

    @property
    def proved_on(self) -> str:
        return f"{PAIRS_OF_PROOF} times more beside the default"

    @property
    def subject(self) -> Mapping[str, Any]:
        return {"for": "speed", "prompt": self.prompt, "answer": self.answer}

    def tried(
        self, on: Loaded, new: Sequence[Trial], known: Sequence[Trial], told: Told
    ) -> list[Trial]:
        """Each beside the default, until it is clearly slower."""
        tried = []
        for number, trial in enumerate(new):
            told(number / len(new))
            tried.append(self._tried(on, trial) if trial.values else self._default(on, trial))
        return tried

    def _default(self, on: Loaded, trial: Trial) -> Trial:
        """Raises if it cannot be run: then nothing can be compared."""
        self._run(on, on.candidates.default.prepared.settings, "first", self.prompt, 1)
        return replace(trial, scores=(0.0,))

    def _tried(self, on: Loaded, trial: Trial) -> Trial:
        try:
            score, given_up = self._score(on, trial)
        except LlmparamsError as error:
            return replace(trial, failure=error.message)
        return replace(trial, scores=(score,), given_up=given_up)

    def _score(self, on: Loaded, trial: Trial) -> tuple[float, bool]:
        """How much faster than the default, by the fastest run of each, for what else the machine
        does only costs time; and whether it was given up.
        """
        ours, theirs = [], []
        for one, other in self._pairs(on, trial, PAIRS):
            ours.append(_seconds(one))
            theirs.append(_seconds(other))
            times = min(theirs) / min(ours)
            if len(ours) < PAIRS and times < SLOWER[len(ours) - 1]:
                return math.log(times), True
        return math.log(times), False

    def proved(
        self, on: Loaded, winner: Trial, default: Trial, told: Told
    ) -> tuple[Meeting, tuple[Speed, Speed]]:
        pairs = []
        for pair in self._pairs(on, winner, PAIRS_OF_PROOF):
            pairs.append(pair)
            told(len(pairs) / PAIRS_OF_PROOF)
        gains = tuple(math.log(_seconds(other) / _seconds(one)) for one, other in pairs)
        ours, theirs = (self._speed(times) for times in zip(*pairs, strict=True))
        return Meeting(gains, (0.0,) * len(gains)), (ours, theirs)

    def _pairs(self, on: Loaded, trial: Trial, times: int) -> Iterator[tuple[Timing, Timing]]:
        """How long a trial and the default took; the one that is first is second the next time."""
        variants = on.candidates.of(trial), on.candidates.default
        both = [each.prepared.settings for each in variants]
        numbers = count()
        for time in range(times):
            order = (0, 1) if time % 2 else (1, 0)
            found = {which: self._timed(on, both[which], next(numbers)) for which in order}
            yield found[0], found[1]

    def _timed(self, on: Loaded, settings: Settings, number: int) -> Timing:
        """How long the prompt and the answer take, after a short run that makes the context, if it
        has to be made, and touches its memory.
        """
        self._run(on, settings, f"{number} warm", WARM_UP, 1)
        return self._run(on, settings, f"{number} run", self.prompt, self.answer)

    def _run(self, on: Loaded, settings: Settings, first: str, prompt: int, most: int) -> Timing:
        # Another beginning every time: of a prompt that is in the context nothing would be read.
        text = first + " " + TEXT * (prompt // len(TEXT.split()) + 1)
        pieces = on.backend.split(text)
        cut = b"".join(pieces.pieces[pieces.begin is not None : prompt])
        ours = greedy(settings, {"max_tokens": most, "ignore_eos": True})
        message = Message("user", cut.decode("utf-8", "replace"))
        _, finished = answer(on.backend, Request((message,), ours, raw=True))
        return finished.timing

    def _speed(self, times: Sequence[Timing]) -> Speed:
        read = median(each.prompt_s for each in times)
        written = median(each.generation_s for each in times)
        return Speed(self.prompt / read, self.answer / written)


def _seconds(timing: Timing) -> float:
    return timing.prompt_s + timing.generation_s


def by_speed(prepared: Prepared, axes: Sequence[Axis], prompt: int | None) -> BySpeed:
    """The work to be timed: by default as much as the context has room for, up to a point. Raises
    UsageError for an axis that has nothing to do with speed.
    """
    model = prepared.model
    if not isinstance(model, GgufModel):
        raise UsageError(f"{model.name} is a script: its speed says nothing", "name a model")
    for axis in axes:
        if axis.target is None or axis.target.param.scope is not Scope.CONTEXT:
            raise UsageError(
                f"--over {axis.name}: --for speed is about the context",
                "threads, ubatch_size, flash_attention, cache_type_k and the like",
            )
    length = prepared.settings.setting("max_tokens")
    most = length.value if length.origin.source is Source.FLAG else ANSWER
    if most < 1:
        raise UsageError(f"--max-tokens {most}: no length of an answer", "64 is usual")
    room = int(prepared.settings["context"] or model.header.context_length or PROMPT + most)
    usual = min(PROMPT, room - most)
    if (prompt or usual) + most > room or usual < 1:
        raise UsageError(
            f"{prompt or PROMPT} tokens to read and {most} to write, and a context of {room}",
            "--prompt-tokens and --max-tokens make both smaller",
        )
    return BySpeed(prompt or usual, most)


def usual_axes() -> list[str]:
    """What is searched if nobody says, as --over has it."""
    from llmparams_cli.backends.llama.machine import hardware

    cpus = hardware.usable_cpus()
    threads = [f"threads=1..{cpus}"] if cpus > 1 else []
    caches = (f"{name}={CACHES}" for name in ("cache_type_k", "cache_type_v"))
    return [*threads, f"ubatch_size={BATCHES}", "flash_attention=on,off", *caches]
