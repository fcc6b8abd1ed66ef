"""From requests to prompts: the chat template, what must fit, what a model starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Request
from llmparams_cli.templates import overflow, rendering
from llmparams_cli.templates.choice import template_for
from llmparams_cli.templates.rendering import Prompt
from llmparams_cli.templates.repairs import Repairs


class Prompts:
    """Makes the prompts of one model; `templates` are its own chat templates by name, `date` what
    templates take for now (ISO 8601, local), `note` tells the user.
    """

    def __init__(
        self,
        model: Model,
        templates: Mapping[str, str],
        date: str,
        note: Callable[[str], None],
    ) -> None:
        self._model = model
        self._templates = templates
        self._date = date
        self._note = note
        self._repairs = Repairs()

    def encode(self, request: Request, *, quietly: bool = False) -> Prompt:
        """The prompt of a request; it has at least one token. `quietly`: without any note."""
        template = template_for(self._templates, request)
        dated = replace(request, date=request.date or self._date)
        note = _silent if quietly else self._note
        prompt = rendering.prompt(self._model, template, dated, note, self._repairs)
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


def _silent(_note: str) -> None:
    pass
