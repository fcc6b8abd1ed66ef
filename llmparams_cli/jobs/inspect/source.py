"""The file that is looked at; of a model on the Hub, its header alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.models.catalogue import named
from llmparams_cli.models.reference import HubName, elsewhere
from llmparams_cli.models.resolve import NotHere, model_file


@contextmanager
def source(env: Environment, reference: str | None, *, whole: bool) -> Iterator[Path]:
    """The (first) file of the model that is meant; None is the default model.

    `whole`: are the weights wanted? Else a model of the Hub that is not on this disk is read there,
    into a file with holes in place of the weights, which is gone afterwards. Raises ModelError if
    there is no such file.
    """
    try:
        path = model_file(reference, env)
    except NotHere:
        row = named(reference or "")
        name = elsewhere(row.hub if row else reference or "")
        if whole or not isinstance(name, HubName):
            raise
    else:
        yield path
        return
    from llmparams_cli.download.peek import header_only

    with header_only(name, env) as path:
        yield path
