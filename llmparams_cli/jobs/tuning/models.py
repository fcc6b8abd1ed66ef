"""The files of a run: its start in F32, the model as it is now, and the result."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmparams_cli import APP
from llmparams_cli.backends.llama.machine import hardware
from llmparams_cli.backends.llama.weights import Recipe, planned, quantised
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import appearing
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import answer
from llmparams_cli.jobs.evaluation.bare import greedy
from llmparams_cli.jobs.prepare import Form, Prepared, prepare
from llmparams_cli.models.gguf import Header, read_header
from llmparams_cli.protocol import Progress

if TYPE_CHECKING:
    from llmparams_cli.training.trainer import Array

ROOM = 512  # tokens for a prompt and its answer
ANSWER, AROUND = 64, 64  # of them for the answer, and for what a chat template writes


@dataclass(frozen=True)
class Asked:
    """The fixed prompts, and whether they skip the chat template."""

    prompts: tuple[str, ...]
    raw: bool


def convert(env: Environment, source: Header, path: Path, type: str, progress: Progress) -> None:
    """Write a model in another type."""
    recipe = Recipe(type, hardware.usable_cpus(), again=True)
    count = max(1, len(source.tensors))
    what = f"writing {type}"
    progress(what, 0.0)
    quantised(env, source.path, path, recipe, lambda done: progress(what, done / count))
    progress(what, 1.0)


def with_weights(base: Header, weights: Mapping[str, Array], path: Path) -> None:
    """A copy of a model in F32, in which these tensors have other values."""
    with appearing(path) as temporary:
        shutil.copyfile(base.path, temporary)
        with temporary.open("r+b") as file:
            for tensor in base.tensors:
                if tensor.name in weights:
                    file.seek(base.data_offset + tensor.offset)
                    file.write(_bytes(weights[tensor.name], tensor.elements))


def _bytes(values: Array, count: int) -> Any:
    import numpy as np

    assert values.size == count
    return np.ascontiguousarray(values, "<f4").data


def longest_prompt(tokenizer: Header) -> int:
    """The tokens that a fixed prompt may have."""
    room = min(ROOM, tokenizer.context_length or ROOM)
    return max(1, room - ANSWER - AROUND)


def by_path(env: Environment, path: Path, threads: int | None, size: int) -> Prepared:
    """A model file made ready to answer, with no preset."""
    trained = read_header(path).context_length
    room = max(size + 1, min(ROOM, trained) if trained else ROOM)
    given = {"model": str(path), "context": str(room)}
    return prepare(env, [], given | ({"threads": str(threads)} if threads else {}))


def answers(env: Environment, prepared: Prepared, asked: Asked, control: Control) -> list[str]:
    """The most likely answers to the prompts."""
    if not asked.prompts:
        return []
    settings = greedy(prepared.settings, {"max_tokens": ANSWER})
    requests = [
        prepared.request(prompt, settings=settings, form=Form(raw=asked.raw))
        for prompt in asked.prompts
    ]
    with opened(env, prepared.model, settings, control) as backend:
        return [answer(backend, request)[1].text for request in requests]


def refuse_unmade(header: Header, type: str) -> None:
    """Raise UsageError for a type that cannot be made of a model's weights alone: before they have
    learned for hours.
    """
    if planned(header, Recipe(type, 1, again=True)).needs_importance:
        raise UsageError(
            f"--type {type} needs an importance matrix",
            f"--type F16, and {APP} quantize makes it of that",
        )
