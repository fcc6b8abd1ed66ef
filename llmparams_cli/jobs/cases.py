"""Requests for the answers that test cases ask for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.errors import PresetError, UsageError
from llmparams_cli.files import read_text
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.presets.files import shown, special
from llmparams_cli.presets.tests import Case
from llmparams_cli.protocol import Backend, Request


def request(
    env: Environment,
    prepared: Prepared,
    case: Case,
    seed: int,
    backend: Backend,
    *,
    measured: bool = False,
) -> Request:
    """The request for an answer to this case with this seed; with probabilities if it is to be
    `measured`, or if the case expects something of them.
    """
    origin = Origin(Source.PRESET, f"test {case.name}")
    settings = prepared.settings.but(Assignment("seed", seed, origin))
    at = replace(prepared, settings=settings).with_variables(case.variables)
    return at.request(
        _input(env, case, prepared),
        logprobs=0 if measured or is_measured(case) else None,
        expected=expected_by(case, backend),
    )


def is_measured(case: Case) -> bool:
    """Does the test expect something of probabilities? They cost time."""
    return not {"first", "entropy", "probability"}.isdisjoint(case.expect)


def expected_by(case: Case, backend: Backend) -> tuple[int, ...]:
    """The first token that the test expects. Only that one counts: the next ones depend on it."""
    first = case.expect.get("first")
    return (backend.encode(first.text, special=True) or ())[:1] if first else ()


def _input(env: Environment, case: Case, prepared: Prepared) -> str:
    if case.input is None and case.file is None and prepared.needs_input:
        raise PresetError(
            f"{case.name} (line {case.mark.line}) has no input", "give it `input:` or `file:`"
        )
    parts = [case.input, read_input(case.file, env) if case.file else None]
    return "\n\n".join(part for part in parts if part)


def read_input(path: Path, env: Environment) -> str:
    """The text of a case's `file:`; raises UsageError."""
    if kind := special(path):  # which could be waited for for ever
        raise UsageError(f"{shown(path, env.directory)}: {kind}, not a file")
    try:
        return read_text(path).removesuffix("\n")
    except ValueError as error:
        raise UsageError(f"{shown(path, env.directory)}: {error}") from error
