"""A request in, events out: llama.cpp as a backend."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing

from llmparams_cli.engine import chat, crash, grammar, overflow, placement
from llmparams_cli.engine.chain import Sampler
from llmparams_cli.engine.decode import Branch, decode
from llmparams_cli.engine.interrupt import Interrupt
from llmparams_cli.engine.library import llama, log
from llmparams_cli.engine.llama import Context, Model, softmax_statistics
from llmparams_cli.engine.text import TextStream
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError, UsageError
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import (
    Candidate,
    Event,
    Finished,
    Message,
    ModelInfo,
    Piece,
    Request,
    Started,
    Stop,
    StopReason,
    Timing,
    Token,
    Usage,
)

Progress = Callable[[str, float], None]


def _silent(_what: str, _done: float) -> None:
    pass


class Engine:
    """A model in memory, ready for requests. A context manager."""

    def __init__(
        self,
        env: Environment,
        resolved: ResolvedModel,
        settings: Settings,
        interrupt: Interrupt,
        progress: Progress = _silent,
    ) -> None:
        started = time.perf_counter()
        crash.guard()
        log.sink = env.aside if env.verbose else None
        self._env = env
        self._header = resolved.header
        self._interrupt = interrupt
        self._progress = progress
        params = placement.model_params(env, settings, resolved.header, self._loading)
        try:
            self.model = Model(resolved.path, params)
        except ModelError:
            if interrupt.stop:  # loading was given up, there is nothing wrong with the model
                raise KeyboardInterrupt from None
            raise
        self.info = ModelInfo(
            path=str(resolved.path),
            name=resolved.header.name,
            parameters=int(llama().llama_model_n_params(self.model.handle)),
            quantization=resolved.header.quantization,
        )
        self._load_s = time.perf_counter() - started

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.model.close()

    def generate(self, request: Request) -> Generator[Event, None, None]:
        """One answer to one prompt: a Started, Pieces, a Finished.

        Close the generator before the engine: it holds a context of the model.
        """
        settings = request.settings
        started = time.perf_counter()
        size = placement.context_size(self._env, settings, self._header)
        prompt, text = self._prompt(request, size)
        params = placement.context_params(settings, size, self._interrupt)
        seed = draw_seed(settings)
        constraint = grammar.from_settings(self.model, settings, self._env.note)
        with (
            closing(Context(self.model, params, size)) as context,
            closing(Sampler(self.model, settings, seed, size, constraint)) as sampler,
        ):
            context.attach_adapters(placement.lora_adapters(settings))
            if settings["penalize_prompt"]:
                sampler.show_prompt(prompt)
            load_s = self._load_s + time.perf_counter() - started
            yield Started(text, len(prompt), seed, self.info, size)
            answer = _Answer(self.model, context, sampler, request, self._interrupt)
            yield from answer.run(prompt, load_s, self._progress)

    def _prompt(self, request: Request, size: int) -> tuple[list[int], str]:
        template = "" if request.raw else self._header.chat_template

        def encode(messages: Sequence[Message]) -> tuple[list[int], str]:
            return chat.prompt_tokens(self.model, template, messages, self._env.note)

        tokens, text = overflow.fit(
            self.model,
            request.messages,
            encode,
            size=size,
            max_tokens=request.settings["max_tokens"],
            overflow=request.overflow,
            note=self._env.note,
        )
        return tokens or self._nothing(), text

    def _nothing(self) -> list[int]:
        """A model must start from something: an empty prompt becomes BOS or EOS."""
        lib = llama()
        begin = int(lib.llama_vocab_bos(self.model.vocab))
        return [begin if begin >= 0 else max(0, int(lib.llama_vocab_eos(self.model.vocab)))]

    def _loading(self, done: float) -> bool:
        self._progress("loading", done)
        return self._interrupt.stop is None


class _Answer:
    """One sequence on its way from tokens to events."""

    def __init__(
        self,
        model: Model,
        context: Context,
        sampler: Sampler,
        request: Request,
        interrupt: Interrupt,
    ) -> None:
        self._model = model
        self._context = context
        self._interrupt = interrupt
        self._logprobs = request.logprobs
        self._max_tokens: int = request.settings["max_tokens"]
        self._branch = Branch(sampler)
        self._stream: TextStream[Token] = TextStream(request.settings["stop"])
        self._tokens: list[Token] = []
        self._text: list[str] = []

    def run(self, prompt: list[int], load_s: float, progress: Progress) -> Iterator[Event]:
        started = time.perf_counter()
        prompt_done = first_token = 0.0
        self._interrupt.start_clock()
        if self._max_tokens == 0:
            self._branch.stop = Stop(StopReason.MAX_TOKENS, "0 tokens")
        columns = decode(
            self._context, prompt, [self._branch], lambda n: progress("reading", n / len(prompt))
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
            Usage(len(prompt), len(self._tokens)),
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
        drawn = branch.sampler.sample(self._context, row)
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
        return Token(drawn, text, float(logprobs[drawn]), entropy, top)


def draw_seed(settings: Settings) -> int:
    """The seed in use: as set, or a really random one for -1."""
    seed = int(settings["seed"])
    # Of 32 bits, 2**32 - 1 is llama.cpp's mark for 'draw one'.
    return seed if seed >= 0 else int.from_bytes(os.urandom(4), "little") % (2**32 - 1)
