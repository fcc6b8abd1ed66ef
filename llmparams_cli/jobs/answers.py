"""Asks a backend for answers, and turns a failure or Ctrl-C into an exception for all commands."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from llmparams_cli.protocol import (
    Backend,
    Failed,
    Finished,
    Passage,
    Piece,
    Request,
    Scored,
    Started,
    StopReason,
)

Seen = Started | Piece | Finished
Watch = Callable[[Seen], None]


def events(backend: Backend, request: Request) -> Generator[Seen, None, None]:
    """The events of one answer: a Started, Pieces, a Finished. Raises the error of a request that
    fails, and KeyboardInterrupt if Ctrl-C came before there was anything.
    """
    with closing(all_events(backend, [request])) as found:
        for _, event in found:
            yield event
            if isinstance(event, Finished):
                return
    # Only Ctrl-C keeps a backend from starting or failing a request.
    raise KeyboardInterrupt


def all_events(
    backend: Backend, requests: Sequence[Request]
) -> Generator[tuple[int, Seen], None, None]:
    """The events of many requests, with their indices; the first failure ends them all."""
    with closing(backend.answer(requests)) as found:
        for number, event in found:
            if isinstance(event, Failed):
                raise event.error
            yield number, event


def all_whole(
    backend: Backend, requests: Sequence[Request]
) -> Generator[tuple[int, Finished], None, None]:
    """The ends of many whole answers, with their indices, as they come. Raises KeyboardInterrupt
    after Ctrl-C, and the error of the first request that fails.
    """
    ended = 0
    for number, event in all_events(backend, requests):
        if isinstance(event, Finished):
            ended += 1
            yield number, whole(event)
    if ended < len(requests):  # Ctrl-C came before all had started
        raise KeyboardInterrupt


def answer(
    backend: Backend, request: Request, watch: Watch = lambda _event: None
) -> tuple[Started, Finished]:
    """A whole answer; `watch` sees its events. Raises KeyboardInterrupt after Ctrl-C."""
    for event in events(backend, request):
        watch(event)
        if isinstance(event, Started):
            started = event
        elif isinstance(event, Finished):
            return started, whole(event)
    raise AssertionError("a generation ends with the event Finished")


def whole(finished: Finished) -> Finished:
    """The same event; KeyboardInterrupt if Ctrl-C ended the answer."""
    if finished.stop.reason is StopReason.INTERRUPTED:
        if finished.trace is not None:
            finished.trace.close()
        raise KeyboardInterrupt
    return finished


def scored(backend: Backend, passage: Passage) -> Scored:
    """Score a given text as the answer. Raises KeyboardInterrupt after Ctrl-C."""
    ((_, result),) = backend.score([passage])
    if isinstance(result, Failed):
        raise result.error
    if result.stop and result.stop.reason is StopReason.INTERRUPTED:
        result.trace.close()
        raise KeyboardInterrupt
    return result
