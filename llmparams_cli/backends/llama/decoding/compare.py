"""Many answers decoded together: each prompt is read once, however many answers it gets."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby

from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.decoding.generate import Engine, draw_seed
from llmparams_cli.backends.llama.decoding.recording import Recording
from llmparams_cli.backends.llama.host import hardware, placement
from llmparams_cli.backends.llama.native.handles import Context
from llmparams_cli.backends.llama.sampling import grammar
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.errors import BackendError, ContextOverflow
from llmparams_cli.protocol import Event, Request, Started, Stop, StopReason
from llmparams_cli.text.units import size_text

AT_ONCE = 32  # answers in one batch; the others wait for a place
CELLS = 256  # a sequence's own are a multiple of this (llama_context::llama_context)
AS_ENDLESS = 512  # tokens that an answer without a limit is given room for


Numbered = tuple[int, Event]  # an answer's event, and the place of its request


def together(
    engine: Engine,
    requests: Sequence[Request],
    recordings: Mapping[int, Recording] | None = None,
) -> Iterator[Numbered]:
    """Answer all requests, many at a time in one batch a step; as one ends, the next joins.

    A Started, Pieces and a Finished for each. Settings of scope 'context' are taken from the
    first. Each request draws its own random numbers from its own seed: equal seeds, equal
    numbers. `recordings` get the logits of every draw of the requests with these places.
    """
    first = requests[0].settings
    prompts = [tuple(engine.tokens(r.messages, raw=r.raw)[0]) for r in requests]
    limit = placement.context_size(engine.env, first, engine.header)
    for prompt, request in zip(prompts, requests, strict=True):
        if len(prompt) + max(1, min(request.settings["max_tokens"], 1)) > limit:
            raise ContextOverflow(
                f"the prompt has {len(prompt)} tokens and the context holds {limit}",
                "--context makes room, as far as the model can take it",
            )
    room = _room(engine, requests, prompts, limit)
    params = placement.context_params(
        first, room.size, engine.interrupt, room.places + 1, shared=room.shared
    )
    with closing(Context(engine.model, params, room.size)) as context:
        context.attach_adapters(placement.lora_adapters(first))
        with _Answers(engine, context, requests, prompts, limit, recordings or {}) as answers:
            yield from answers.run()


class _Answers:
    """Those in progress, by the number of their request. Each exists from when it joins the
    batch until it ends.
    """

    def __init__(
        self,
        engine: Engine,
        context: Context,
        requests: Sequence[Request],
        prompts: Sequence[tuple[int, ...]],
        limit: int,
        recordings: Mapping[int, Recording],
    ) -> None:
        self._engine = engine
        self._context = context
        self._requests = requests
        self._prompts = prompts
        self._limit = limit
        self._recordings = recordings
        self._live: dict[int, Answer] = {}
        self._numbers: dict[Branch, int] = {}
        self._begun: list[Numbered] = []

    def __enter__(self) -> _Answers:
        return self

    def __exit__(self, *_: object) -> None:
        for answer in self._live.values():
            answer.branch.sampler.close()

    def run(self) -> Iterator[Numbered]:
        progress = self._engine.progress
        longest = max(map(len, self._prompts))
        for column in decode(
            self._context, self._groups(), lambda n: progress("reading", n / longest), self._limit
        ):
            progress("reading", 1.0)
            yield from self._take_begun()
            for branch, row in column:
                number = self._numbers[branch]
                pieces = self._live[number].step(row)
                yield from ((number, piece) for piece in pieces)
                self._stop_in_time(number)
            for number in [n for n, answer in self._live.items() if answer.branch.stop]:
                yield from self._end(number)
        progress("reading", 1.0)
        yield from self._take_begun()
        for number in list(self._live):
            yield from self._end(number)

    def _groups(self) -> Iterator[Group]:
        """Equal prompts side by side; their branches are made as they join."""
        places = {prompt: place for place, prompt in enumerate(dict.fromkeys(self._prompts))}
        numbers = sorted(range(len(self._requests)), key=lambda n: places[self._prompts[n]])
        for prompt, same in groupby(numbers, key=lambda n: self._prompts[n]):
            found = list(same)
            yield Group(prompt, map(self._begin, found), several=len(found) > 1)

    def _begin(self, number: int) -> Branch:
        engine, request, prompt = self._engine, self._requests[number], self._prompts[number]
        seed = draw_seed(request.settings)
        constraint = grammar.from_settings(engine.model, request.settings, engine.env.note)
        sampler = Sampler(engine.model, request.settings, seed, self._limit, constraint, prompt)
        recording = self._recordings.get(number)
        answer = Answer(engine.model, self._context, sampler, request, engine.interrupt, recording)
        self._live[number] = answer
        self._numbers[answer.branch] = number
        self._begun.append((number, Started("", prompt, seed, engine.info, self._limit)))
        return answer.branch

    def _take_begun(self) -> list[Numbered]:
        begun, self._begun = self._begun, []
        return begun

    def _stop_in_time(self, number: int) -> None:
        """The time limit counts for each answer alone; the interrupt's clock is for all."""
        branch, limit = self._live[number].branch, self._requests[number].settings["time_limit"]
        if limit > 0 and time.perf_counter() - branch.started >= limit and branch.stop is None:
            branch.stop = Stop(StopReason.TIME_LIMIT, f"{limit:g} s")

    def _end(self, number: int) -> Iterator[Numbered]:
        answer = self._live.pop(number)
        del self._numbers[answer.branch]
        answer.branch.sampler.close()
        for event in answer.end(len(self._prompts[number]), 0, 0.0):
            yield number, event


@dataclass(frozen=True)
class _Room:
    """How many answers at once, and the cells for them; whether those are shared."""

    places: int
    size: int
    shared: bool


def _room(
    engine: Engine,
    requests: Sequence[Request],
    prompts: Sequence[tuple[int, ...]],
    limit: int,
) -> _Room:
    """For all answers, at most AT_ONCE, or as many as memory is left for: with cells of their
    own, else with a shared prompt.
    """
    prompt = max(map(len, prompts))
    own = min(limit - min(map(len, prompts)), max(map(longest, requests))) + 1
    places = min(AT_ONCE, len(requests))
    fits = placement.tokens_in_memory(requests[0].settings, engine.header)
    each = math.ceil((prompt + own) / CELLS) * CELLS
    if fits is None or (places + 1) * each <= fits:
        return _Room(places, (places + 1) * each, shared=False)
    if len(set(prompts)) > 1:  # in the worst case, as many prompts as answers at once
        own += prompt
    places = min(places, (fits - prompt) // own)
    if places < 1:
        free = size_text(hardware.available_memory() or 0)
        raise BackendError(
            f"an answer needs a context of {prompt + own} tokens; memory is left for "
            f"{max(0, fits)} ({free} are free)",
            "a smaller --max-tokens",
        )
    return _Room(places, prompt + places * own, shared=True)


def longest(request: Request) -> int:
    """Tokens that its answer is given room for."""
    limit: int = request.settings["max_tokens"]
    return limit if limit >= 0 else AS_ENDLESS
