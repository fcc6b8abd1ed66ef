"""One sequence on its way from tokens to events."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from llmparams_cli.analysis.distribution import Distribution
from llmparams_cli.backends.llama.decoding.drafting import Speculation
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.decoding.slots import Slot
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.sampling.sampler import Draws
from llmparams_cli.backends.reply import Reply
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.protocol import (
    Candidate,
    Finished,
    Piece,
    Request,
    Started,
    Timing,
    Token,
    Usage,
)
from llmparams_cli.text.utf8 import escaped
from llmparams_cli.trace import Trace


class Answer:
    """A prompt, what was drawn after it, and why that ended. Close it: it owns the sampler, and the
    recording until that is taken.

    `text` are the token ids of both. The first `body` of them (the prompt but its last token) are
    read as a prompt, each later one is decoded as a row. `drawn` are tokens that an earlier run
    drew with this sampler.
    """

    def __init__(
        self,
        model: Model,
        request: Request,
        started: Started,
        sampler: Draws,
        *,
        drawn: Sequence[int] = (),
        speculation: Speculation | None = None,
        load_s: float = 0.0,
    ) -> None:
        self.request = request
        self.started = started
        self.text = list(started.tokens)
        self.body = len(started.tokens) - 1
        self._slot: Slot | None = None
        self.seated = False
        self._recording = Recording(model.n_vocab) if request.record else None
        self._model = model
        self._sampler = sampler
        self._speculation = speculation
        self._reply = Reply(request.settings, started)
        self._entropy: float | None = None  # of what the last token was drawn from, if asked for
        self._cached = 0
        self._load_s = load_s
        self._time_limit: float = request.settings["time_limit"]
        self._began = self._prompt_done = self._first_token = self._ended = 0.0
        if request.logprobs is not None:
            import_module("numpy")  # now, so that the first token need not wait for it
        for token in drawn:
            self._take(Token(token, ""))

    @property
    def stop(self) -> Stop | None:
        return self._reply.stop

    @property
    def slot(self) -> Slot:
        """The slot that the scheduler gave it; there is one before any work on it."""
        assert self._slot is not None
        return self._slot

    def move_to(self, slot: Slot) -> None:
        self._slot = slot

    @property
    def is_bounded(self) -> bool:
        """Can a deadline, or whoever asked, end it?"""
        return self._time_limit > 0 or self.request.control is not None

    @property
    def deadline(self) -> float:
        """When its time is up, on the clock of time.perf_counter; infinity without a limit."""
        return self._began + self._time_limit if self._time_limit > 0 else math.inf

    @property
    def has_drawn(self) -> bool:
        return self._first_token > 0

    def begin(self) -> None:
        """Start its clock."""
        self._began = time.perf_counter()

    def seat(self, cached: int) -> None:
        """Its slot holds what was kept of its prompt: `cached` tokens, from an earlier answer."""
        self.seated, self._cached = True, cached

    @property
    def speculates(self) -> bool:
        """Are its next tokens guessed?"""
        return self._speculation is not None

    def draft(self, most: int) -> list[int]:
        """Guesses of its next tokens, at most so many, to be checked in one call."""
        if self._speculation is None:
            return []
        limit: int = self.request.settings["max_tokens"]
        if limit >= 0:  # the token behind the draft is drawn, too
            most = min(most, limit - len(self._reply.tokens) - 1)
        return self._speculation.draft(self.text, most)

    def step(self, context: Context, row: int) -> list[Piece]:
        """Draw a token from output `row`; return the text that it makes certain."""
        self._prompt_done = self._prompt_done or time.perf_counter()  # by the first draw
        drawn = self._draw(context, row)
        self._first_token = self._first_token or time.perf_counter()
        if drawn is None or self._model.ends_generation(drawn):
            name = None if drawn is None else self._model.name(drawn)
            pieces = self._reply.end_token(name)
        else:
            pieces = self._take(self._token(drawn, context, row))
        if self.stop:
            self._ended = time.perf_counter()
        return pieces

    def end(self, stop: Stop) -> list[Piece]:
        """End it for a reason from outside; text that was held back belongs to it."""
        return self._reply.end(stop)

    def check(self) -> list[Piece]:
        """End it if its time is up, or whoever asked wants no more."""
        control = self.request.control
        if control and control.stop:
            return self.end(control.stop)
        if time.perf_counter() >= self.deadline:
            return self.end(Stop(StopReason.TIME_LIMIT, f"{self._time_limit:g} s"))
        return []

    def finished(self, trace: Trace | None) -> Finished:
        """The event that tells how it ended."""
        assert self.stop is not None
        ended = self._ended or time.perf_counter()
        began = self._began or ended
        prompt_done = self._prompt_done or ended
        return Finished(
            self._reply.text,
            self.stop,
            self._usage,
            Timing(
                self._load_s,
                prompt_done - began,
                ended - prompt_done,
                (self._first_token or ended) - began,
            ),
            self._reply.marked,
            trace=trace,
            reasoning=self._reply.reasoning,
        )

    @property
    def _usage(self) -> Usage:
        reply, drafts = self._reply, self._speculation
        if drafts:
            drafts.settle(self.text)
        return Usage(
            self.started.prompt_tokens,
            len(reply.tokens),
            self._cached,
            reply.reasoning_tokens,
            drafts.drafted if drafts else 0,
            drafts.accepted if drafts else 0,
        )

    def take_recording(self) -> Recording | None:
        """The logits of all draws, if they were asked for; the caller closes them from here on."""
        recording, self._recording = self._recording, None
        return recording

    def close(self) -> None:
        self._sampler.close()
        if self._recording is not None:
            self._recording.close()

    def _take(self, token: Token) -> list[Piece]:
        self.text.append(token.id)
        return self._reply.add(self._model, token)

    def _draw(self, context: Context, row: int) -> int | None:
        logits = context.logits(row)
        refuse_nan(self._model, logits)
        if self._recording is not None:
            # Before the draw: a complete grammar leaves a row without a token (`is_open`).
            self._recording.add(logits)
        if self.request.drawn_entropy:
            drawn, self._entropy = self._sampler.measured(context, row)
        else:
            drawn = self._sampler.sample(context, row)
        if self._recording is not None and drawn is not None:
            self._recording.drawn.append(drawn)
        if drawn is None and not self._sampler.is_complete():
            raise UsageError(
                "no token is left that both the grammar and the other settings allow",
                "logit_bias, or a truncating stage, forbids what the grammar needs",
            )
        return drawn

    def _token(self, drawn: int, context: Context, row: int) -> Token:
        place, logits = len(self._reply.tokens), context.logits(row)
        return token_of(self._model, self.request, place, drawn, logits, self._entropy)


def token_of(
    model: Model, request: Request, place: int, drawn: int, logits: Any, entropy: float | None
) -> Token:
    """The token `drawn` at this place of an answer, from these logits (a pointer to n_vocab
    floats), with the probabilities that the request asks for; `entropy` is that of the draw.
    """
    text = escaped(model.piece(drawn))
    count = request.logprobs
    if count is None:
        return Token(drawn, text)
    distribution = Distribution(logits, model.n_vocab)
    top = tuple(
        Candidate(other, model.name(other), distribution.logprob(other))
        for other in distribution.best(count)
    )
    wanted = request.expected[place] if place < len(request.expected) else -1
    known = distribution.logprob(wanted) if wanted in distribution else None
    logprob = distribution.logprob(drawn)
    return Token(drawn, text, logprob, distribution.entropy, top, known, entropy)


def refuse_nan(model: Model, logits: object) -> None:
    """Raise ModelError for a row of logits (pointer to floats) that holds NaN. One NaN in the
    model's sums spreads to all logits, so looking at one is enough.
    """
    if math.isnan(logits[0]):  # type: ignore[index]
        raise ModelError(
            f"{model.path} computes no probabilities (NaN)",
            "the file is damaged, or this processor's fast path is: try --flash-attention off",
        )
