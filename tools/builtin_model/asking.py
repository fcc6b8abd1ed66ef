"""Prompts for a GGUF file and its answers, through the package's own engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native.handles import Context, Model
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.protocol import Message, Stop, StopReason
from llmparams_cli.templates import rendering

MAX_TOKENS = 300
DONE = Stop(StopReason.MAX_TOKENS, "")
ONLY_TEMPERATURE = {"top_k": 0, "top_p": 1.0, "min_p": 0.0}
Prompt = str | Sequence[dict[str, str]]
"""Messages for the chat template, or raw text."""


@dataclass(frozen=True)
class Answer:
    """What one seed gave; not `ended` when the token limit cut it off."""

    text: str
    ended: bool
    tokens: tuple[int, ...]


def settings_of(**values: Any) -> Settings:
    """These settings, and every sampler off that they do not name."""
    flag = Origin(Source.FLAG)
    return resolve(
        Assignment(name, value, flag) for name, value in (ONLY_TEMPERATURE | values).items()
    )


class Asker:
    """A model in memory."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        self.model = Model(path, llama().llama_model_default_params())
        self._template = llama().llama_model_chat_template(self.model.handle, None).decode()
        self._threads = threads

    def tokens(self, prompt: Prompt) -> list[int]:
        """Token ids of a prompt."""
        if isinstance(prompt, str):
            return self.model.tokenize(prompt, begin=True)
        messages = [Message(message["role"], message["content"]) for message in prompt]
        return rendering.prompt_tokens(self.model, self._template, messages, print)[0]

    def ask(
        self,
        prompt: Prompt,
        *,
        seeds: Sequence[int] = (0,),
        max_tokens: int = MAX_TOKENS,
        watch: Callable[[Context, Branch, int], None] | None = None,
        **values: Any,
    ) -> list[Answer]:
        """One answer a seed; all of them are written in one batch. `watch` sees every row."""
        settings = settings_of(threads=self._threads, **values)
        tokens = self.tokens(prompt)
        size = len(tokens) + len(seeds) * max_tokens
        with self._context(settings, size, len(seeds)) as context:
            constraints = [grammar.from_settings(self.model, settings, print) for _ in seeds]
            branches = [
                Branch(Sampler(self.model, settings, seed, size, constraint))
                for seed, constraint in zip(seeds, constraints, strict=True)
            ]
            ended = set()
            for column in decode(context, [Group(tokens, branches)]):
                for branch, row in column:
                    if watch:
                        watch(context, branch, row)
                    token = branch.sampler.sample(context, row)
                    is_end = token is None or self.model.ends_generation(token)
                    if is_end:
                        ended.add(id(branch))
                    else:
                        branch.tokens.append(token)
                    if is_end or len(branch.tokens) == max_tokens:
                        branch.stop = DONE
            for branch in branches:
                branch.sampler.close()
        return [
            Answer(self._text(branch.tokens), id(branch) in ended, tuple(branch.tokens))
            for branch in branches
        ]

    def logits(self, tokens: Sequence[int]) -> Any:
        """The raw logits after these tokens, as a numpy array."""
        import numpy as np

        settings = settings_of(threads=self._threads)
        with self._context(settings, len(tokens), 1) as context:
            context.prefill(tokens, lambda _done: None)
            row = (len(tokens) - 1) % context.batch_size
            return np.ctypeslib.as_array(context.logits(row), shape=(self.model.n_vocab,)).copy()

    def _text(self, tokens: Sequence[int]) -> str:
        return b"".join(map(self.model.piece, tokens)).decode("utf-8", "replace")

    @contextmanager
    def _context(self, settings: Settings, size: int, sequences: int) -> Iterator[Context]:
        with Interrupt() as interrupt:
            params = placement.context_params(settings, size, interrupt, sequences)
            context = Context(self.model, params, size)
            try:
                yield context
            finally:
                context.close()
