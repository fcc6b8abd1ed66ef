"""The libraries that PyTorch's engine needs: are they there, and how they are kept quiet."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib.util import find_spec
from io import StringIO

from llmparams_cli.errors import BackendError

NEEDED = ("torch", "transformers", "peft", "gguf", "accelerate")
INSTALL = "pip install 'llmparams[train]'"


def available() -> bool:
    """Is all of it installed? Looks, and imports nothing."""
    return not _missing()


def require() -> None:
    """Raises BackendError unless all of it is installed. To be called before it is imported: what
    is set here is read then.
    """
    if missing := _missing():
        raise BackendError(f"PyTorch's engine needs {', '.join(missing)}", INSTALL)
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings and bars of progress that these libraries write to stderr."""
    from transformers import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.CRITICAL)
    try:
        # Redirected: what draws with tqdm itself obeys no setting of transformers.
        with warnings.catch_warnings(), redirect_stderr(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)


def _missing() -> list[str]:
    return [name for name in NEEDED if find_spec(name) is None]
