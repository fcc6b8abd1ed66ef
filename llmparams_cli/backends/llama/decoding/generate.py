"""Requests in, events out: llama.cpp as a backend."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Sequence
from contextlib import closing
from itertools import takewhile
from typing import Any

from llmparams_cli.backends.llama.decoding.answer import Answer, Progress
from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.handles import Context, Model
from llmparams_cli.backends.llama.native.library import llama, log
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import Event, Message, ModelInfo, Request, Started, Stop
from llmparams_cli.templates import overflow, rendering

LORA = PARAMS["lora"]  # belongs to the model, and is attached to the context


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
        self.env = env
        self.header = resolved.header
        self.interrupt = interrupt
        self.progress = progress
        placement.lora_adapters(settings)  # what is wrong with the settings fails before
        grammar.refuse_schema(settings, env.note)  # a load that may take a minute
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

    def take_load_time(self) -> float:
        """Seconds that loading took, once: later answers have not waited for it."""
        seconds, self._load_s = self._load_s, 0.0
        return seconds

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.model.close()

    def generate(
        self, request: Request, recording: Recording | None = None
    ) -> Generator[Event, None, None]:
        """One answer to one prompt: a Started, Pieces, a Finished.

        Close the generator before the engine: it holds a context of the model.
        """
        with closing(self.conversation()) as conversation:
            yield from conversation.ask(request, recording)

    def recording(self) -> Recording:
        """For the logits of an answer. A context manager."""
        return Recording(self.model.n_vocab)

    def conversation(self) -> Conversation:
        """A context that is kept from one request to the next. Close it before the engine."""
        return Conversation(self)

    def tokens(self, messages: Sequence[Message], *, raw: bool = False) -> tuple[list[int], str]:
        """The prompt that these messages make: its token ids, and its text."""
        template = "" if raw else self.header.chat_template
        return rendering.prompt_tokens(self.model, template, messages, self.env.note)

    def _loading(self, done: float) -> bool:
        self.progress("loading", done)
        return self.interrupt.stop is None


class Conversation:
    """Answers request after request in one context, which is made again only when a setting
    of its own changes. What a prompt shares with the one before is not read again.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._context: Context | None = None
        self._made_for: list[Any] = []
        self._held: list[int] = []

    def ask(
        self, request: Request, recording: Recording | None = None
    ) -> Generator[Event, None, None]:
        """A Started, Pieces, a Finished. Exhaust or close it before the next one.

        A `recording` gets the logits of every draw.
        """
        engine, settings = self._engine, request.settings
        started = time.perf_counter()
        context = self._ready(settings)
        size = context.size
        prompt, text = self._prompt(request, size)
        seed = draw_seed(settings)
        constraint = grammar.from_settings(engine.model, settings, engine.env.note)
        with closing(Sampler(engine.model, settings, seed, size, constraint, prompt)) as sampler:
            cached = self._reuse(context, prompt)
            load_s = engine.take_load_time() + time.perf_counter() - started
            yield Started(text, tuple(prompt), seed, engine.info, size)
            answer = Answer(engine.model, context, sampler, request, engine.interrupt, recording)
            try:
                yield from answer.run(prompt, cached, load_s, engine.progress)
            finally:
                self._held = [*prompt, *answer.tokens][: context.held()]

    def draws(
        self, settings: Settings, tokens: Sequence[int], sampler: Sampler
    ) -> Generator[int | Stop | None, None, None]:
        """Draws that continue `tokens`, the last of which is new here, with a sampler that has
        drawn before: token ids, or None where its grammar is complete. Whoever reads them says
        when it is enough, and closes the generator; a Stop says why there are no more.
        """
        context, interrupt = self._ready(settings), self._engine.interrupt
        branch = Branch(sampler)
        group = Group(tokens, [branch], self._reuse(context, tokens))
        progress = self._engine.progress
        interrupt.start_clock()
        try:
            for [(_, row)] in decode(
                context, [group], lambda n: progress("reading", n / len(tokens))
            ):
                if interrupt.stop:
                    break
                drawn = sampler.sample(context, row)
                if drawn is not None:
                    branch.tokens.append(drawn)
                yield drawn
            interrupt.check()
            progress("reading", 1.0)
            stop = branch.stop or interrupt.stop
            assert stop is not None, "decoding ended without a reason"
            yield stop
        finally:
            self._held = [*tokens, *branch.tokens][: context.held()]

    def close(self) -> None:
        if self._context:
            self._context.close()
            self._context = None
            self._held = []

    def _ready(self, settings: Settings) -> Context:
        """The context that these settings ask for."""
        engine = self._engine
        wanted = [s.value for s in settings if s.param.scope is Scope.CONTEXT or s.param is LORA]
        if self._context is None or self._made_for != wanted:
            self.close()
            size = placement.context_size(engine.env, settings, engine.header)
            params = placement.context_params(settings, size, engine.interrupt)
            self._context = Context(engine.model, params, size)
            self._context.attach_adapters(placement.lora_adapters(settings))
            self._made_for = wanted
        return self._context

    def _reuse(self, context: Context, prompt: Sequence[int]) -> int:
        """Keep what the context holds of this prompt; how many tokens that is."""
        pairs = zip(self._held, prompt[:-1], strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        return same if context.forget_from(same) else 0

    def _prompt(self, request: Request, size: int) -> tuple[list[int], str]:
        engine = self._engine
        tokens, text = overflow.fit(
            engine.model,
            request.messages,
            lambda messages: engine.tokens(messages, raw=request.raw),
            size=size,
            max_tokens=request.settings["max_tokens"],
            overflow=request.overflow,
            note=engine.env.note,
        )
        return tokens or self._nothing(), text

    def _nothing(self) -> list[int]:
        """A model must start from something: an empty prompt becomes BOS or EOS."""
        lib, vocab = llama(), self._engine.model.vocab
        begin = int(lib.llama_vocab_bos(vocab))
        return [begin if begin >= 0 else max(0, int(lib.llama_vocab_eos(vocab)))]


def draw_seed(settings: Settings) -> int:
    """The seed in use: as set, or a really random one for -1."""
    seed = int(settings["seed"])
    # Of 32 bits, 2**32 - 1 is llama.cpp's mark for 'draw one'.
    return seed if seed >= 0 else int.from_bytes(os.urandom(4), "little") % (2**32 - 1)
