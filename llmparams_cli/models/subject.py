"""The model that is looked at, and all that its header says."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llmparams_cli.errors import ModelError
from llmparams_cli.models import anatomy as bodies
from llmparams_cli.models import architecture as numbers
from llmparams_cli.models.anatomy import Anatomy
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.provenance import provenance
from llmparams_cli.models.resolve import GgufModel, language_model
from llmparams_cli.models.tokenizer import Tokenizer, tokenizer
from llmparams_cli.templates.abilities import Abilities, abilities
from llmparams_cli.templates.choice import chosen


@dataclass(frozen=True)
class Subject:
    """A model file of any kind. `model` is None if no text can be generated with it; `refusal` says
    why.
    """

    header: Header
    model: GgufModel | None
    refusal: str = ""

    @cached_property
    def anatomy(self) -> Anatomy:
        return bodies.anatomy(self.header.tensors)

    @cached_property
    def architecture(self) -> dict[str, Any]:
        return numbers.architecture(self.header)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        return tokenizer(self.header)

    @cached_property
    def template(self) -> str:
        """The chat template that the model is used with; empty without one."""
        return chosen(self.header.chat_templates)

    @cached_property
    def abilities(self) -> Abilities | None:
        """What the chat template has a place for; None without one."""
        return abilities(self.template) if self.template else None

    @cached_property
    def provenance(self) -> dict[str, str | list[str]]:
        return provenance(self.header.metadata)


def subject(header: Header) -> Subject:
    """All about the model with this header. Unlike for other commands, it need not be one that text
    can be generated with.
    """
    try:
        return Subject(header, language_model(header))
    except ModelError as error:
        refusal = error.message.removeprefix(f"{header.path}: ")
        return Subject(header, None, refusal.replace(str(header.path), "it", 1))
