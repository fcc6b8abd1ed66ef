"""Answers that are one of several texts: how probable each is after the prompt, and a draw by that.

The prompt is read once, and each text after it, all in one call (`endings`). Nothing is decoded
after that: the tokens of the one that is drawn are known.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from llmparams_cli.analysis import choices
from llmparams_cli.analysis.choices import Tree
from llmparams_cli.analysis.distribution import entropy, softmax
from llmparams_cli.analysis.perplexity import log_probabilities
from llmparams_cli.backends.llama.decoding.answer import token_of
from llmparams_cli.backends.llama.decoding.endings import Reader
from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.reply import Reply
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import ContextOverflow, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source
from llmparams_cli.protocol import (
    Choice,
    Endings,
    Finished,
    Piece,
    Request,
    Started,
    Timing,
    Token,
    Usage,
)
from llmparams_cli.templates.rendering import Prompt
from llmparams_cli.text.speech import Phase
from llmparams_cli.trace import Trace

COMPLETE = Stop(StopReason.END_OF_GENERATION, "the choice is complete")
NO_ANSWER = 'root ::= ""'
THOUGHTS = Origin(Source.DEFAULT, "thoughts before a choice")


def chooses(request: Request) -> bool:
    """Is its answer drawn here?"""
    return bool(request.settings["choices"])


def may_think(prompt: Prompt) -> bool:
    """Can thoughts, or marks that have to be written, come before the answer to this prompt?"""
    marks = prompt.marks
    return bool(marks.begins) and not marks.is_guess and prompt.phase is not Phase.ANSWER


def for_thoughts(settings: Settings) -> Settings:
    """The settings with which a model thinks, and ends where its answer would begin."""
    for name, value in {"choices": [], "grammar": NO_ANSWER, "ignore_eos": False}.items():
        settings = settings.but(Assignment(name, value, THOUGHTS))
    return settings


@dataclass(frozen=True)
class Task:
    """A request for a choice, what it began with, and the thoughts that come first, if any."""

    request: Request
    started: Started
    thoughts: Finished | None
    load_s: float

    @property
    def before(self) -> tuple[Token, ...]:
        """The tokens between the prompt and the choice."""
        return self.thoughts.tokens if self.thoughts else ()


class Chooser:
    """`opened` gives a reader with room for the endings of such a fork, `traced` the trace of a
    recording.
    """

    def __init__(
        self,
        model: Model,
        control: Control,
        opened: Callable[[Endings], Reader],
        traced: Callable[[Recording, Settings, Started], Trace],
    ) -> None:
        self._model = model
        self._control = control
        self._opened = opened
        self._traced = traced

    def events(self, task: Task) -> Iterator[Piece | Finished]:
        """The pieces of the choice that is drawn, and the end."""
        began = time.perf_counter()
        reply = Reply(task.request.settings, task.started)
        for token in task.before:
            reply.add(self._model, token)
        found: tuple[Choice, ...] = ()
        chosen: Choice | None = None
        trace: Trace | None = None
        kept = 0
        if not (reply.stop or reply.is_thinking):
            forks = self._forks(task)
            reader = self._opened(max(forks, key=lambda fork: fork.size))
            try:
                limit = task.request.settings["time_limit"]
                with self._control.alarm(limit or None):
                    first = reader.begin(forks[0].before)
                    kept = reader.kept
                    fork = max(forks, key=partial(_chance, first))
                    found, rows = self._weighed(task, fork, reader.end(first, fork))
                place = self._place(task, found)
                if task.request.record:
                    trace = self._recorded(task, reader, fork, found, place)
            except KeyboardInterrupt:
                late = Stop(StopReason.TIME_LIMIT, f"{limit:g} s")
                yield from reply.end(self._control.stop or late)
            else:
                chosen = found[place]
                yield from self._said(task, reply, found, rows[place], chosen)
        elif task.thoughts:
            yield from reply.end(task.thoughts.stop)
        finished = self._finished(task, reply, kept, time.perf_counter() - began)
        text = chosen.bare(reply.text) if chosen else reply.text
        yield replace(finished, text=text, choices=found, trace=trace)

    def _forks(self, task: Task) -> list[Endings]:
        """The prompt and the choices as tokens; and once more with a blank before each, if none
        begins with white space.
        """
        texts: list[str] = task.request.settings["choices"]
        before = (*task.started.tokens, *(token.id for token in task.before))
        forks = [Endings(before, self._endings(task, texts))]
        if not any(text[0].isspace() for text in texts):
            forks.append(Endings(before, self._endings(task, [f" {text}" for text in texts])))
        longest, limit = forks[-1].longest, task.started.context
        if longest > limit:
            raise ContextOverflow(
                f"prompt and choices have {longest} tokens and the context holds {limit}",
                "--context makes room",
            )
        return forks

    def _endings(self, task: Task, texts: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        endings: list[tuple[int, ...]] = []
        for text in texts:
            ending = tuple(self._model.tokenize(text, goes_on=True))
            if not ending or ending in endings:
                why = "has no tokens" if not ending else "has the same tokens as another"
                origin = task.request.settings.setting("choices").origin
                raise UsageError(
                    f"choices ({origin}): {text!r} {why} in this model's vocabulary",
                    "leave it out",
                )
            endings.append(ending)
        return tuple(endings)

    def _weighed(
        self, task: Task, fork: Endings, matrices: Iterable[Any]
    ) -> tuple[tuple[Choice, ...], list[tuple[Token, ...]]]:
        """All choices; and the tokens of each as the request wants to see those of its answer."""
        texts = task.request.settings["choices"]
        tokens, rows = [], []
        for ending, logits in zip(fork.endings, matrices, strict=True):
            rows.append(tuple(self._rows(task, ending, logits)))
            measured = log_probabilities(logits, ending).tolist()
            tokens.append(
                tuple(
                    Token(each.id, each.text, logprob)
                    for each, logprob in zip(rows[-1], measured, strict=True)
                )
            )
        whole = [math.fsum(token.logprob or 0.0 for token in each) for each in tokens]
        logprobs = choices.apart(fork.endings, whole)
        parts = zip(texts, choices.shares(logprobs), logprobs, tokens, strict=True)
        return tuple(Choice(*part) for part in parts), rows

    def _rows(self, task: Task, ending: Sequence[int], logits: Any) -> Iterator[Token]:
        for at, token in enumerate(ending):
            place = len(task.before) + at
            yield token_of(self._model, task.request, place, token, pointer(logits[at]), None)

    def _place(self, task: Task, found: Sequence[Choice]) -> int:
        """That of the choice which is drawn."""
        temperature: float = task.request.settings["temperature"]
        weights = choices.shares([each.logprob for each in found], temperature)
        return choices.drawn(weights, task.started.seed)

    def _said(
        self,
        task: Task,
        reply: Reply,
        found: Sequence[Choice],
        tokens: Sequence[Token],
        chosen: Choice,
    ) -> Iterator[Piece]:
        """Add the tokens of the choice to the reply."""
        chance = self._chance_of(task, found)
        begun = False
        for place, token in enumerate(tokens, start=1):
            last = COMPLETE if place == len(tokens) else None
            for piece in reply.add(self._model, replace(token, drawn_entropy=chance), last):
                said = piece.text if begun else chosen.bare(piece.text)
                begun = True
                if said:
                    yield replace(piece, text=said)
            if reply.stop:
                return
            chance = None if chance is None else 0.0  # all the chance was in the first one

    def _chance_of(self, task: Task, found: Sequence[Choice]) -> float | None:
        """The entropy in bits of what was drawn from, if it is asked for."""
        import numpy as np

        if not task.request.drawn_entropy:
            return None
        temperature: float = task.request.settings["temperature"]
        return entropy(np.array(choices.shares([each.logprob for each in found], temperature)))

    def _recorded(
        self, task: Task, reader: Reader, fork: Endings, found: Sequence[Choice], place: int
    ) -> Trace:
        """The draws of the choice, to be looked at. It is read once more, by itself."""
        recording = Recording(self._model.n_vocab)
        try:
            recording.tree = Tree(fork.endings, tuple(each.logprob for each in found))
            ending = fork.endings[place]
            # Of the last token, which is not read, only the logits are wanted: for what-ifs.
            (logits,) = reader.read(Endings(fork.before, ((*ending, ending[-1]),)))
            for row in logits:
                recording.add(pointer(row))
            recording.drawn += ending
        except BaseException:
            recording.close()
            raise
        return self._traced(recording, task.request.settings, task.started)

    def _finished(self, task: Task, reply: Reply, kept: int, seconds: float) -> Finished:
        assert reply.stop is not None
        before = task.thoughts
        cached = before.usage.cached_tokens if before else kept
        usage = Usage(task.started.prompt_tokens, len(reply.tokens), cached, reply.reasoning_tokens)
        first = seconds if before is None else before.timing.first_token_s
        reading = seconds if before is None else before.timing.prompt_s
        writing = 0.0 if before is None else before.timing.generation_s + seconds
        return Finished(
            reply.text,
            reply.stop,
            usage,
            Timing(task.load_s, reading, writing, first),
            reply.marked,
            reasoning=reply.reasoning,
        )


def _chance(logits: Any, fork: Endings) -> float:
    """How probable it is that one of the endings begins here."""
    return float(softmax(logits)[[*{ending[0] for ending in fork.endings}]].sum())
