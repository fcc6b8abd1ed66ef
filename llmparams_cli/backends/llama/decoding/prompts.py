"""From requests to prompts: the chat template, what must fit, what a model starts from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Request
from llmparams_cli.templates import overflow, rendering
from llmparams_cli.templates.rendering import Prompt


class Prompts:
    """Makes the prompts of one model; `template` is its chat template, `note` tells the user."""

    def __init__(self, model: Model, template: str, note: Callable[[str], None]) -> None:
        self._model = model
        self._template = template
        self._note = note

    def encode(self, request: Request) -> Prompt:
        """The prompt of a request; it has at least one token."""
        template = "" if request.raw else self._template
        prompt = rendering.prompt(self._model, template, request, self._note)
        return prompt if prompt.tokens else replace(prompt, tokens=self._nothing())

    def fitting(self, request: Request, size: int, answer: int | None = None) -> Prompt:
        """The same, such that an answer (of so many tokens, if that is known) fits into a context
        of `size`; shortened if the request allows it. Raises ContextOverflow.
        """
        return overflow.fitting(
            self._model, request, self.encode, size=size, note=self._note, answer=answer
        )

    def with_target(self, request: Request, size: int, text: str) -> tuple[Prompt, list[int]]:
        """The prompt, and the tokens of a given answer, which fits behind it."""
        target = self._model.tokenize(text, special=request.special, goes_on=True)
        # No shorter prompt helps a target that fills the context by itself.
        if request.overflow == "refuse" or len(target) >= size:
            prompt = self.encode(request)
            if len(prompt.tokens) + len(target) > size:
                raise ContextOverflow(
                    f"prompt and target have {len(prompt.tokens) + len(target)} tokens and the "
                    f"context holds {size}",
                    "--context makes room",
                )
            return prompt, target
        return self.fitting(request, size, len(target)), target

    def _nothing(self) -> list[int]:
        """A model must start from something: an empty prompt becomes BOS or EOS."""
        lib, vocab = llama(), self._model.vocab
        begin = int(lib.llama_vocab_bos(vocab))
        return [begin if begin >= 0 else max(0, int(lib.llama_vocab_eos(vocab)))]
