"""Runs the tests that presets carry, on the real model."""

from __future__ import annotations

from collections.abc import Iterator

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import answer
from llmparams_cli.jobs.cases import request
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.params.settings import Source
from llmparams_cli.presets.document import load
from llmparams_cli.presets.find import find
from llmparams_cli.presets.outcome import Result, judge
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Progress


def cases(env: Environment, name: str) -> list[Case]:
    """The tests of a preset itself, without its parents' tests."""
    found = find(name, env)
    return list(load(found.path, Source.PRESET, env.directory, found.entry).tests)


def run(env: Environment, name: str, model: str | None, progress: Progress) -> Iterator[Result]:
    """Run a preset's tests one by one; the model is loaded once.

    Values come from all layers, as in `generate --preset NAME`; each run has its own seed.
    """
    todo = cases(env, name)
    prepared = prepare(env, [name], {"model": model})
    if not todo:
        return
    note_model(env, prepared)
    total, done = sum(len(case.seeds) for case in todo), 0
    with (
        Control() as control,
        opened(env, prepared.model, prepared.settings, control, progress) as backend,
    ):
        for case in todo:
            answers = []
            for seed in case.seeds:
                _, finished = answer(backend, request(env, prepared, case, seed, backend))
                answers.append((seed, finished))
                done += 1
                progress("testing", done / total)
            yield judge(name, case, answers)
