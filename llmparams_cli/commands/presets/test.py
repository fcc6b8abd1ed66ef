"""`llmparams presets test`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.jobs import preset_tests
from llmparams_cli.options import Command, model_option, named_preset
from llmparams_cli.presets.catalog import listed
from llmparams_cli.presets.outcome import Result
from llmparams_cli.render import preset_tests as view
from llmparams_cli.render.progress import ProgressBar

HELP = Command


def command(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None, named_preset("NAME", "Presets. [all that have tests]")
    ] = None,
    model: Annotated[
        str | None,
        model_option("[the preset's]"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with every answer.")
    ] = False,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too, for CI.")
    ] = None,
) -> None:
    """Run the tests that presets carry: each prompt with each seed, and a tally of the answers
    that meet what is expected. The exit code is 9 if a test fails.

    In the preset's file:

    \b
      tests:
        - name: both parties are named
          input: >-
            Brimolda Ltd undertakes to supply Okarin Ltd with twelve desks by 3 May 2031.
            Okarin Ltd shall pay EUR 4,800 upon delivery.
          seeds: 20
          at_least: 19
          expect:
            contains: [Brimolda, Okarin]
            stop: end-of-generation
            tokens: {max: 80}

    Also in `expect`: lacks, matches (a regular expression), json: true, characters, entropy
    (bits), probability (of the answer's tokens, their geometric mean), first: {text: Yes,
    min: 0.6} (the probability of the first token), distinct (different answers).
    """
    env: Environment = ctx.obj
    chosen = names or [each.name for each in listed(env) if each.tests]
    if not chosen:
        raise UsageError("no preset here has tests", "llmparams presets test --help shows how")
    with ProgressBar(env) as progress:
        results = _run(env, chosen, model, progress)
        # Text is printed test by test as results come; JSON is one object at the end.
        seen = list(results) if as_json else view.show(env, results)
    if as_json:
        view.show_json(env, seen)
    if junit:
        _write_junit(env, junit, seen)
    # After all output, so that a failing run is reported in full.
    if not all(result.passed for result in seen):
        raise typer.Exit(ExitCode.TEST_FAILED)


def _run(
    env: Environment, names: list[str], model: str | None, progress: ProgressBar
) -> Iterator[Result]:
    for name in names:
        if not preset_tests.cases(env, name):
            raise UsageError(f"preset {name} has no tests", "llmparams presets test --help")
        yield from preset_tests.run(env, name, model, progress)


def _write_junit(env: Environment, file: str, results: list[Result]) -> None:
    try:
        write_whole(resolve_path(file, env.directory), view.junit(results))
    except OSError as error:
        raise UsageError(f"--junit {file}: {error.strerror}", "name another file") from error
