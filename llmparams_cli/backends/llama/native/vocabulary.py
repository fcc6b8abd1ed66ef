"""A model of which only the vocabulary is loaded: to split texts, not to answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from llmparams_cli.backends.llama.native import crash
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model


@contextmanager
def vocabulary(path: Path) -> Iterator[Model]:
    """The tokenizer in this file. Raises ModelError if llama.cpp cannot load it."""
    crash.guard()
    params = llama().llama_model_default_params()
    params.vocab_only = True
    with closing(Model(path, params)) as model:
        yield model
