"""The requests of a stream, each made ready when its turn has come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from llmparams_cli.errors import LlmparamsError
from llmparams_cli.protocol import Failed, Request

Ready = TypeVar("Ready")


def arrivals(
    requests: Iterable[Request | None], prepare: Callable[[int, Request], Ready]
) -> Iterator[tuple[int, Ready | Failed] | None]:
    """What `prepare` makes of each request and its number, from 0; a Failed for one that it
    refuses. None where nobody waits, which takes no number.
    """
    number = 0
    for request in requests:
        if request is None:
            yield None
            continue
        try:
            yield number, prepare(number, request)
        except LlmparamsError as error:
            yield number, Failed(error)
        number += 1
