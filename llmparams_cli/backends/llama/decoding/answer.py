"""One sequence on its way from tokens to events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.native.handles import Context, Distribution, Model
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.protocol import (
    Candidate,
    Event,
    Finished,
    Piece,
    Request,
    Stop,
    StopReason,
    Timing,
    Token,
    Usage,
)
from llmparams_cli.text.spelling import spelled
from llmparams_cli.text.stream import TextStream

Progress = Callable[[str, float], None]


class Answer:
    """What a branch has drawn so far, its text, and why it ended."""

    def __init__(
        self,
        model: Model,
        context: Context,
        sampler: Sampler,
        request: Request,
        interrupt: Interrupt,
        recording: Recording | None = None,
    ) -> None:
        self.branch = Branch(sampler)
        self._model = model
        self._context = context
        self._interrupt = interrupt
        self._logprobs = request.logprobs
        if request.logprobs is not None:
            import_module("numpy")  # not while the first token waits
        self._expected = request.expected
        self._recording = recording
        self._max_tokens: int = request.settings["max_tokens"]
        self._stream: TextStream[Token] = TextStream(request.settings["stop"])
        self._tokens: list[Token] = []
        self._text: list[str] = []
        self._prompt_done = self._first_token = self._ended = 0.0
        if self._max_tokens == 0:
            self.branch.stop = Stop(StopReason.MAX_TOKENS, "0 tokens")

    @property
    def tokens(self) -> list[int]:
        """The ids of what was generated so far."""
        return self.branch.tokens

    def run(
        self, prompt: Sequence[int], cached: int, load_s: float, progress: Progress
    ) -> Iterator[Event]:
        """The events after Started, decoding alone; `cached` tokens are in the context."""
        self._interrupt.start_clock()
        group = Group(prompt, [self.branch], cached)
        for [(_, row)] in decode(
            self._context, [group], lambda n: progress("reading", n / len(prompt))
        ):
            yield from self.step(row)
        progress("reading", 1.0)  # over, even when it was interrupted
        yield from self.end(len(prompt), cached, load_s)

    def step(self, row: int) -> list[Piece]:
        """Draw one token; return the text it makes certain, set the branch's stop."""
        self._prompt_done = self._prompt_done or time.perf_counter()
        branch = self.branch
        branch.stop = branch.stop or self._interrupt.stop
        if branch.stop:
            return []
        drawn = self._draw(row)
        self._first_token = self._first_token or time.perf_counter()
        if drawn is None or self._model.ends_generation(drawn):
            detail = "the grammar is complete" if drawn is None else self._model.name(drawn)
            branch.stop = Stop(StopReason.END_OF_GENERATION, detail)
            self._ended = time.perf_counter()
            return []
        branch.tokens.append(drawn)
        data = self._model.piece(drawn)
        token = self._token(drawn, data, row)
        self._tokens.append(token)
        pieces = self._pieces(self._stream.feed(data, token))
        if self._stream.matched is not None:
            branch.stop = Stop(StopReason.STOP_SEQUENCE, self._stream.matched)
        elif 0 <= self._max_tokens <= len(self._tokens):
            branch.stop = Stop(StopReason.MAX_TOKENS, f"{self._max_tokens} tokens")
        if branch.stop:
            self._ended = time.perf_counter()
        return pieces

    def end(self, prompt_tokens: int, cached: int, load_s: float) -> Iterator[Event]:
        """The text that was still held back, and a Finished."""
        stop = self.branch.stop or self._interrupt.stop
        assert stop is not None, "decoding ended without a reason"
        if stop.reason is not StopReason.STOP_SEQUENCE and self._tokens:
            yield from self._pieces(self._stream.finish(self._tokens[-1]))
        ended = self._ended or time.perf_counter()
        started = self.branch.started or ended
        prompt_done = self._prompt_done or ended
        yield Finished(
            "".join(self._text),
            stop,
            Usage(prompt_tokens, len(self._tokens), cached),
            Timing(
                load_s,
                prompt_done - started,
                ended - prompt_done,
                (self._first_token or ended) - started,
            ),
            tuple(self._tokens),
        )

    def _draw(self, row: int) -> int | None:
        sampler = self.branch.sampler
        self._refuse_nan(row)
        if self._recording is not None:
            self._recording.add(self._context.logits(row))
        drawn = sampler.sample(self._context, row)
        if self._recording is not None and drawn is not None:
            self._recording.drawn.append(drawn)
        if drawn is None and not sampler.grammar_is_complete():
            raise UsageError(
                "no token is left that both the grammar and the other settings allow",
                "logit_bias, or a truncating stage, forbids what the grammar needs",
            )
        return drawn

    def _refuse_nan(self, row: int) -> None:
        """One broken number spreads to all logits, so looking at one is enough."""
        if math.isnan(self._context.logits(row)[0]):
            raise ModelError(
                f"{self._model.path} computes no probabilities (NaN)",
                "the file is damaged, or this processor's fast path is: try --flash-attention off",
            )

    def _pieces(self, released: list[tuple[str, Token]]) -> list[Piece]:
        self._text += [text for text, _ in released]
        return [Piece(text, token) for text, token in released]

    def _token(self, drawn: int, data: bytes, row: int) -> Token:
        text = spelled(data)
        if self._logprobs is None:
            return Token(drawn, text)
        distribution = Distribution(self._context.logits(row), self._model.n_vocab)
        top = tuple(
            Candidate(other, self._model.name(other), distribution.logprob(other))
            for other in distribution.best(self._logprobs)
        )
        place = len(self._tokens)
        expected = self._expected[place] if place < len(self._expected) else -1
        known = distribution.logprob(expected) if expected in distribution else None
        logprob, entropy = distribution.logprob(drawn), distribution.entropy
        return Token(drawn, text, logprob, entropy, top, known)
