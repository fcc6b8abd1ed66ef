"""The file that is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.models.resolve import model_file


@contextmanager
def source(env: Environment, reference: str | None, *, whole: bool) -> Iterator[Path]:
    """The (first) file of the model that is meant; None is the default model.

    `whole`: are the weights wanted? Else the file may have holes in their place, and be gone
    afterwards. Raises ModelError if there is no such file.
    """
    yield model_file(reference, env)
