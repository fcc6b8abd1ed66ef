"""One sequence on its way from tokens to events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

from llmparams_cli.engine.chain import Sampler
from llmparams_cli.engine.decode import Branch, decode
from llmparams_cli.engine.interrupt import Interrupt
from llmparams_cli.engine.llama import Context, Model, softmax_statistics
from llmparams_cli.engine.recording import Recording
from llmparams_cli.engine.text import TextStream
from llmparams_cli.errors import ModelError, UsageError
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

Progress = Callable[[str, float], None]


class Answer:
    """One sequence on its way from tokens to events."""

    """The draws, the text, the end."""

    def __init__(
        self,
        model: Model,
        context: Context,
        sampler: Sampler,
        request: Request,
        interrupt: Interrupt,
        recording: Recording | None = None,
    ) -> None:
        self._model = model
        self._context = context
        self._interrupt = interrupt
        self._logprobs = request.logprobs
        self._expected = request.expected
        self._recording = recording
        self._max_tokens: int = request.settings["max_tokens"]
        self._branch = Branch(sampler)
        self._stream: TextStream[Token] = TextStream(request.settings["stop"])
        self._tokens: list[Token] = []
        self._text: list[str] = []

    @property
    def tokens(self) -> list[int]:
        """The ids of what was generated so far."""
        return self._branch.tokens

    def run(
        self, prompt: Sequence[int], cached: int, load_s: float, progress: Progress
    ) -> Iterator[Event]:
        """The events after Started; `cached` tokens of the prompt are in the context."""
        started = time.perf_counter()
        prompt_done = first_token = 0.0
        self._interrupt.start_clock()
        if self._max_tokens == 0:
            self._branch.stop = Stop(StopReason.MAX_TOKENS, "0 tokens")
        columns = decode(
            self._context,
            prompt,
            [self._branch],
            lambda n: progress("reading", n / len(prompt)),
            cached,
        )
        for [(_, row)] in columns:
            prompt_done = prompt_done or time.perf_counter()
            if self._branch.stop:
                break
            pieces = self._step(row)
            first_token = first_token or time.perf_counter()
            yield from pieces
        ended = time.perf_counter()
        progress("reading", 1.0)  # over, even when it was interrupted
        stop = self._branch.stop or self._interrupt.stop
        assert stop is not None, "decoding ended without a reason"
        if stop.reason is not StopReason.STOP_SEQUENCE and self._tokens:
            yield from self._pieces(self._stream.finish(self._tokens[-1]))
        yield Finished(
            "".join(self._text),
            stop,
            Usage(len(prompt), len(self._tokens), cached),
            Timing(
                load_s,
                (prompt_done or ended) - started,
                ended - (prompt_done or ended),
                (first_token or ended) - started,
            ),
            tuple(self._tokens),
        )

    def _step(self, row: int) -> list[Piece]:
        """Draw one token; return the text it makes certain, set the branch's stop."""
        branch = self._branch
        if self._interrupt.stop:
            branch.stop = self._interrupt.stop
            return []
        self._refuse_nan(row)
        if self._recording is not None:
            self._recording.add(self._context.logits(row))
        drawn = branch.sampler.sample(self._context, row)
        if self._recording is not None and drawn is not None:
            self._recording.drawn.append(drawn)
        if drawn is None and not branch.sampler.grammar_is_complete():
            raise UsageError(
                "no token is left that both the grammar and the other settings allow",
                "logit_bias, or a truncating stage, forbids what the grammar needs",
            )
        if drawn is None or self._model.ends_generation(drawn):
            detail = "the grammar is complete" if drawn is None else self._model.name(drawn)
            branch.stop = Stop(StopReason.END_OF_GENERATION, detail)
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
        return pieces

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
        text = data.decode("utf-8", "replace")
        if self._logprobs is None:
            return Token(drawn, text)
        import numpy as np

        logits = self._context.logits(row)
        logprobs, entropy = softmax_statistics(logits, self._model.n_vocab)
        count = min(self._logprobs, self._model.n_vocab)
        best = np.argpartition(-logprobs, range(count))[:count] if count else ()
        top = tuple(Candidate(int(i), self._model.name(int(i)), float(logprobs[i])) for i in best)
        place = len(self._tokens)
        expected = self._expected[place] if place < len(self._expected) else -1
        known = float(logprobs[expected]) if 0 <= expected < len(logprobs) else None
        return Token(drawn, text, float(logprobs[drawn]), entropy, top, known)
