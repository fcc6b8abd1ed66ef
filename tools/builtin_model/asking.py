"""Prompts for a GGUF file and its answers, through the package's own engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.protocol import Failed, Finished, Message, Request, StopReason
from llmparams_cli.trace import Trace

MAX_TOKENS = 300
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
    """A model in memory. Close it."""

    def __init__(self, path: Path, threads: int = 0) -> None:
        self._threads = threads
        self._stack = ExitStack()
        control = self._stack.enter_context(Control())
        env = Environment(quiet=True)
        model, settings = find_model(str(path), env), settings_of(threads=threads)
        self.backend = self._stack.enter_context(opened(env, model, settings, control))

    def close(self) -> None:
        self._stack.close()

    def tokens(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, in the middle of others."""
        return self.backend.encode(text) or ()

    def ask(
        self,
        prompt: Prompt,
        *,
        seeds: Sequence[int] = (0,),
        max_tokens: int = MAX_TOKENS,
        watch: Callable[[Trace, Settings], None] | None = None,
        **values: Any,
    ) -> list[Answer]:
        """One answer a seed; all of them are written in one batch. `watch` sees their traces."""
        raw = isinstance(prompt, str)
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        asked = tuple(Message(each["role"], each["content"]) for each in messages)
        common = {"threads": self._threads, "max_tokens": max_tokens, **values}
        requests = [
            Request(asked, settings_of(seed=seed, **common), raw, record=watch is not None)
            for seed in seeds
        ]
        answers: dict[int, Answer] = {}
        for number, event in self.backend.answer(requests):
            if isinstance(event, Failed):
                raise event.error
            if isinstance(event, Finished):
                ended = event.stop.reason is StopReason.END_OF_GENERATION
                ids = tuple(token.id for token in event.tokens)
                answers[number] = Answer(event.text, ended, ids)
                if watch and event.trace is not None:
                    watch(event.trace, requests[number].settings)
                    event.trace.close()
        return [answers[number] for number in range(len(requests))]
