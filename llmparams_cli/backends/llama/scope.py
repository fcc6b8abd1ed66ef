"""The scope of a state in the prefix cache: everything that decides its bits."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama import machine
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import path_of
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import MADE_WITH
from llmparams_cli.params.table import PARAMS
from llmparams_cli.records import identity
from llmparams_cli.records.prefixes.segment import Scope

# They change no bit of a state, or their effect is among the other facts.
OF_NO_EFFECT = (
    *("context", "mmap", "mlock"),
    *("batch_size", "ubatch_size", "threads", "threads_batch", "gpu_layers", "lora"),
)
LIBRARIES = ("llama", "ggml", "ggml-base", "ggml-cpu")
VARIABLES = ("GGML_", "LLAMA_ATTN_")  # by which people choose its kernels
# Of their two sets, a model takes that for its context's size.
ROPE_FACTORS = "rope_factors"


def scope(model: GgufModel, settings: Settings, context: Context) -> Scope:
    """The scope of a context with these settings; raises OSError if a file cannot be read."""
    found = machine.facts(context.model, model.header, settings, context.size)
    facts = {
        "files": [identity.stamped(path) for path in model.files],
        "adapters": [
            [identity.stamped(path), scale] for path, scale in machine.lora_adapters(settings)
        ],
        "library": found["library"],
        "builds": list(_builds()),
        "variables": {
            name: text for name, text in sorted(os.environ.items()) if name.startswith(VARIABLES)
        },
        "device": {k: v for k, v in found["device"].items() if not k.startswith("threads")},
        "settings": {
            name: settings[name]
            for name, param in PARAMS.items()
            if param.scope in MADE_WITH and name not in OF_NO_EFFECT
        },
        "piece": context.piece_size,
        "rope": _rope(model, context),
    }
    label = BUILTIN if model.is_builtin else model.known_as or model.path.name
    # As they are read from a file, for comparing.
    return Scope(label, str(model.path), json.loads(json.dumps(facts)))


def _rope(model: GgufModel, context: Context) -> int:
    """The size of the context, where the rotary positions depend on it."""
    names = (tensor.name for tensor in model.header.tensors)
    return context.sequence_size if any(ROPE_FACTORS in name for name in names) else 0


def _builds() -> Iterator[list[Any]]:
    """The library's files: one that was compiled anew may compute otherwise."""
    for path in map(Path, map(path_of, LIBRARIES)):
        if path.exists():
            status = path.stat()
            yield [path.name, status.st_size, status.st_mtime_ns]
