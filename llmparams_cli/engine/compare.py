"""Many variants of one answer, decoded together: each prompt is read once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from llmparams_cli.engine import grammar, machine, placement
from llmparams_cli.engine.answer import Answer
from llmparams_cli.engine.chain import Sampler
from llmparams_cli.engine.decode import Group, decode
from llmparams_cli.engine.generate import Engine, draw_seed
from llmparams_cli.engine.llama import Context
from llmparams_cli.errors import BackendError, ContextOverflow
from llmparams_cli.protocol import Finished, Piece, Request, Started
from llmparams_cli.units import size_text

AS_ENDLESS = 512  # tokens that an answer without a limit is given room for


@dataclass(frozen=True)
class Column:
    """One variant's next event; `number` is its place among the requests."""

    number: int
    event: Started | Piece | Finished


def together(engine: Engine, requests: Sequence[Request]) -> Iterator[Column]:
    """Answer all requests in one batch a step: a Started, Pieces and a Finished for each.

    Settings of scope 'context' are taken from the first. Each request draws its own random
    numbers from its own seed: equal seeds, equal numbers.
    """
    env, first = engine.env, requests[0].settings
    prompts = [tuple(engine.tokens(r.messages, raw=r.raw)[0]) for r in requests]
    limit = placement.context_size(env, first, engine.header)
    for prompt, request in zip(prompts, requests, strict=True):
        if len(prompt) + max(1, min(request.settings["max_tokens"], 1)) > limit:
            raise ContextOverflow(
                f"the prompt has {len(prompt)} tokens and the context holds {limit}",
                "--context makes room, as far as the model can take it",
            )
    size = _cells(engine, requests, prompts, limit)
    params = placement.context_params(first, size, engine.interrupt, len(requests))
    with ExitStack() as stack:
        context = stack.enter_context(closing(Context(engine.model, params, size)))
        context.attach_adapters(placement.lora_adapters(first))
        answers = []
        for number, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            seed = draw_seed(request.settings)
            constraint = grammar.from_settings(engine.model, request.settings, env.note)
            sampler = Sampler(engine.model, request.settings, seed, limit, constraint)
            stack.enter_context(closing(sampler))
            if request.settings["penalize_prompt"]:
                sampler.show_prompt(list(prompt))
            answers.append(Answer(engine.model, context, sampler, request, engine.interrupt))
            yield Column(number, Started("", prompt, seed, engine.info, limit))
        yield from _run(engine, context, answers, prompts, limit)


def _run(
    engine: Engine,
    context: Context,
    answers: Sequence[Answer],
    prompts: Sequence[tuple[int, ...]],
    limit: int,
) -> Iterator[Column]:
    numbers = {id(answer.branch): number for number, answer in enumerate(answers)}
    groups = [
        Group(prompt, [a.branch for a, p in zip(answers, prompts, strict=True) if p == prompt])
        for prompt in dict.fromkeys(prompts)
    ]
    ended: set[int] = set()
    engine.interrupt.start_clock()
    total = sum(len(group.prompt) for group in groups)
    for rows in decode(context, groups, lambda n: engine.progress("reading", n / total), limit):
        for branch, row in rows:
            number = numbers[id(branch)]
            for piece in answers[number].step(row):
                yield Column(number, piece)
            if branch.stop:
                ended.add(number)
                for event in answers[number].end(len(prompts[number]), 0, 0.0):
                    yield Column(number, event)
    engine.progress("reading", 1.0)
    for number, answer in enumerate(answers):
        if number not in ended:
            for event in answer.end(len(prompts[number]), 0, 0.0):
                yield Column(number, event)


def _cells(
    engine: Engine,
    requests: Sequence[Request],
    prompts: Sequence[tuple[int, ...]],
    limit: int,
) -> int:
    """Tokens of cache for all: prompts that are alike share theirs."""
    shared = sum(map(len, dict.fromkeys(prompts)))
    own = 0
    for request, prompt in zip(requests, prompts, strict=True):
        most = request.settings["max_tokens"]
        own += min(limit - len(prompt), most if most >= 0 else AS_ENDLESS) + 1
    wanted = shared + own
    fits = placement.tokens_in_memory(requests[0].settings, engine.header)
    if fits is not None and wanted > fits:
        free = machine.available_memory() or 0
        raise BackendError(
            f"{len(requests)} answers need a context of {wanted} tokens; memory is left for "
            f"{max(0, fits)} ({size_text(free)} are free)",
            "fewer variants, or a smaller --max-tokens",
        )
    return wanted
