"""From requests to prompts: the chat template, what must fit, what a model starts from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import overflow, rendering


class Prompts:
    """Makes the prompts of one model; `template` is its chat template, `note` tells the user."""

    def __init__(self, model: Model, template: str, note: Callable[[str], None]) -> None:
        self._model = model
        self._template = template
        self._note = note

    def encode(self, messages: Sequence[Message], *, raw: bool) -> tuple[list[int], str]:
        """The token ids of a prompt and its text; never empty."""
        template = "" if raw else self._template
        tokens, text = rendering.prompt_tokens(self._model, template, messages, self._note)
        return tokens or self._nothing(), text

    def fitting(
        self, request: Request, size: int, answer: int | None = None
    ) -> tuple[list[int], str]:
        """The same, such that an answer (of so many tokens, if that is known) fits into a context
        of `size`; shortened if the request allows it. Raises ContextOverflow.
        """
        return overflow.fitting(
            self._model,
            request.messages,
            lambda messages: self.encode(messages, raw=request.raw),
            size=size,
            max_tokens=request.settings["max_tokens"],
            overflow=request.overflow,
            note=self._note,
            answer=answer,
        )

    def with_target(
        self, request: Request, size: int, text: str
    ) -> tuple[list[int], str, list[int]]:
        """The prompt, its text, and the tokens of a given answer, which fits behind it."""
        target = self._model.tokenize(text, goes_on=True)
        # No shorter prompt helps a target that fills the context by itself.
        if request.overflow == "refuse" or len(target) >= size:
            tokens, shown = self.encode(request.messages, raw=request.raw)
            if len(tokens) + len(target) > size:
                raise ContextOverflow(
                    f"prompt and target have {len(tokens) + len(target)} tokens and the context "
                    f"holds {size}",
                    "--context makes room",
                )
            return tokens, shown, target
        return *self.fitting(request, size, len(target)), target

    def _nothing(self) -> list[int]:
        """A model must start from something: an empty prompt becomes BOS or EOS."""
        lib, vocab = llama(), self._model.vocab
        begin = int(lib.llama_vocab_bos(vocab))
        return [begin if begin >= 0 else max(0, int(lib.llama_vocab_eos(vocab)))]
