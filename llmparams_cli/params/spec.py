"""The shape of one row of the parameter table."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from llmparams_cli import PREFIX
from llmparams_cli.params.kinds import Kind


class Group(str, Enum):
    """The parameter's group in the taxonomy shown to users."""

    ARCHITECTURE = "architecture"
    TRAINING = "training"
    INFERENCE = "inference"
    MEMORY = "memory and compute"
    QUALITY = "output quality"


class Scope(str, Enum):
    """What the parameter is applied to."""

    LOAD = "load"
    CONTEXT = "context"
    DRAFTING = "drafting"
    PROMPT = "prompt"
    SAMPLING = "sampling"
    STOPPING = "stopping"


MADE_WITH = (Scope.LOAD, Scope.CONTEXT)  # what a model in memory and its context are made with


def flag_of(name: str) -> str:
    """The flag that sets what is called so."""
    return "--" + name.replace("_", "-")


@dataclass(frozen=True)
class Elsewhere:
    """What other programs call the parameter; empty where they have none."""

    llama_cpp: str = ""
    ollama: str = ""
    openai: str = ""
    hf: str = ""
    vllm: str = ""


@dataclass(frozen=True)
class Param:
    """One parameter: everything the program knows about it.

    `neutral` is the value at which it does nothing (None: there is none). `stage` names
    the sampler stage it configures, as written in `sampler_order`. `changes_argmax` says
    whether it can change which token is the most probable one, and so matters at
    temperature 0. With `reads_file`, its value may be given as @FILE. `aliases` are further flags.
    One of sampling that is `of_the_whole` has one value for thoughts and answer.
    """

    name: str
    kind: Kind
    default: Any
    group: Group
    scope: Scope
    meaning: str
    raise_it: str
    lower_it: str
    changes_argmax: bool = False
    neutral: Any = None
    unit: str = ""
    stage: str = ""
    aliases: tuple[str, ...] = ()
    reads_file: bool = False
    of_the_whole: bool = False
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    gguf_key: str = ""

    @property
    def flag(self) -> str:
        return flag_of(self.name)

    @property
    def flags(self) -> tuple[str, ...]:
        return (self.flag, *self.aliases)

    @property
    def by_phase(self) -> bool:
        """May it have another value while the model thinks?"""
        return self.scope is Scope.SAMPLING and not self.of_the_whole

    @property
    def summary(self) -> str:
        """The first sentence of its meaning."""
        return self.meaning.split(". ")[0].rstrip(".") + "."

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()
