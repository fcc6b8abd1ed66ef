"""`llmparams evaluate`: how good models and presets are, by evidence."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.analysis.evaluation import Standing
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs import shell
from llmparams_cli.jobs.evaluation import cases as job
from llmparams_cli.jobs.evaluation import tasks as tasks_job
from llmparams_cli.jobs.evaluation import text as text_job
from llmparams_cli.jobs.evaluation.beside import beside
from llmparams_cli.jobs.evaluation.cases import Variant
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.options import (
    CHUNK,
    ChunksOption,
    ColorOption,
    HelpInSections,
    HtmlOption,
    PresetOption,
    QuietOption,
    SystemOption,
    VarOption,
    VerboseOption,
    named_model,
    values,
    with_parameters,
)
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.tests import Case
from llmparams_cli.render import evaluation_cases as cases_view
from llmparams_cli.render import evaluation_tasks as tasks_view
from llmparams_cli.render import evaluation_text as text_view
from llmparams_cli.render import preset_tests
from llmparams_cli.render.outputs import IN_A_BROWSER, NAMES_OF_STDOUT, check_outputs, put
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections


@with_parameters
def command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None, named_model("[MODEL]...", "Models, by name or path. [the default]")
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", metavar="FILE", help="Predict this text; - reads stdin.")
    ] = None,
    cases: Annotated[
        str | None, typer.Option("--cases", metavar="FILE", help="Answer these cases: YAML, JSONL.")
    ] = None,
    tasks: Annotated[
        str | None,
        typer.Option("--tasks", metavar="FILE", help="Answer a task of lm-evaluation-harness."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, metavar="N", help="Ask only its first N.")
    ] = None,
    preset: PresetOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Answers to each case.")
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too, for CI.")
    ] = None,
    html: HtmlOption = None,
    against: Annotated[
        str | None,
        typer.Option(
            "--against",
            metavar="NAME",
            help="Measure how far the others depart from this model.",
            autocompletion=values.model_names,
        ),
    ] = None,
    chunk: Annotated[
        int, typer.Option("--chunk", min=8, metavar="N", help="Tokens of the text read at a time.")
    ] = CHUNK,
    strided: Annotated[
        bool,
        typer.Option("--strided", help="Count every token that has half a chunk before it."),
    ] = False,
    chunks: ChunksOption = None,
    tokens: Annotated[
        bool, typer.Option("--tokens", help="Add every token's log probability to the JSON.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object with everything.")
    ] = False,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Measure models and presets: by how well they predict a text, or by what they get right.

    --text tells perplexity, and bits per byte, which compare models with different tokenizers.
    Like llama-perplexity, it reads chunks side by side and counts the second half of each.

    --cases tells which of several presets or models passes more, and whether that is more than
    chance: cases are tests as presets have them, see llmparams presets test --help. In `expect`
    they may also have `command:`, which gets the answer on stdin and passes it with exit code 0.

    --tasks takes the YAML of a multiple choice or generation task of lm-evaluation-harness, with
    data in JSON lines or Parquet, and tells the same acc, acc_norm and exact_match.

    \b
    llmparams evaluate --text story.txt
    llmparams evaluate smollm2 gemma3-270m --text story.txt --strided
    llmparams evaluate model-q4.gguf --text story.txt --against model-f16.gguf
    llmparams evaluate smollm2 --cases cases.yaml -p precise -p creative-chat --seeds 5
    llmparams evaluate --cases cases.yaml --html report.html
    llmparams evaluate smollm2 gemma3-270m --tasks arc_easy.yaml --limit 200
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    by = {"--text": text, "--cases": cases, "--tasks": tasks}
    given = [flag for flag, file in by.items() if file is not None]
    if len(given) != 1:
        what = f"{given[0]} excludes {given[1]}" if given else "there is nothing to evaluate by"
        raise UsageError(what, "give one of --text FILE, --cases FILE and --tasks FILE")
    named = models or []
    of_cases = {"--preset": preset, "--seeds": seeds, "--junit": junit, "--html": html}
    of_prompts = {"--system": system, "--var": var}
    of_text = {
        "--against": against,
        "--chunk": chunk != CHUNK,
        "--strided": strided,
        "--chunks": chunks,
        "--tokens": tokens,
    }
    if text is not None:
        _refuse({**of_cases, **of_prompts, **_without_meaning(flags), "--limit": limit}, "--text")
        if tokens and not as_json:
            raise UsageError("--tokens has no effect without --json")
        cut = chunk, strided, chunks
        _by_text(env, named, against, flags, text, cut, color, as_json, tokens)
    elif cases is not None:
        _refuse({**of_text, "--limit": limit}, "--cases")
        files = {"--junit": junit, "--html": html}
        check_outputs(env, files, taken=as_json)
        read = job.cases_of(env, cases, seeds)
        compared = job.variants(env, named, preset or [], {**flags, "system": system}, var or [])
        standings = _standings(env, compared, read)
        _show(env, standings, color, as_json, files)
    elif tasks is not None:
        _refuse({**of_text, **of_cases, **of_prompts, **_without_meaning(flags)}, "--tasks")
        _by_task(env, named, flags, tasks, limit, color, as_json)


def _refuse(given: dict[str, Any], beside: str) -> None:
    for flag, value in given.items():
        if value:
            raise UsageError(f"{flag} has no meaning beside {beside}", "leave it out")


def _without_meaning(flags: dict[str, Any]) -> dict[str, Any]:
    """Those of the parameters that say how an answer comes about, of which a text has none."""
    used = (Scope.LOAD, Scope.CONTEXT)
    return {
        f"--{name.replace('_', '-')}": value
        for name, value in flags.items()
        if name == "context" or name not in PARAMS or PARAMS[name].scope not in used
    }


def _by_text(
    env: Environment,
    models: list[str],
    against: str | None,
    flags: dict[str, Any],
    file: str,
    cut: tuple[int, bool, int | None],
    color: str,
    as_json: bool,
    tokens: bool,
) -> None:
    wanted = text_job.Wanted(text_job.text_of(env, file), *cut)
    prepared = _prepared(env, models, flags)
    found: list[Beside] = []
    with ProgressBar(env) as progress:
        if against is None:
            results = text_job.evaluate(env, prepared, wanted, progress)
        else:
            base = prepare(env, [], {**flags, "model": against})
            found = [beside(env, base, each, wanted, progress) for each in prepared]
            results = [found[0].base, *(each.other for each in found)]
    if as_json:
        text_view.show_json(env, results, found, tokens=tokens)
    else:
        text_view.show(env, results, found, color=color)


def _prepared(env: Environment, models: list[str], flags: dict[str, Any]) -> list[Prepared]:
    named: list[str | None] = [*models] if models else [None]
    found = [prepare(env, [], {**flags, "model": model}) for model in named]
    note_model(env, found[0])
    return found


def _by_task(
    env: Environment,
    models: list[str],
    flags: dict[str, Any],
    file: str,
    limit: int | None,
    color: str,
    as_json: bool,
) -> None:
    task, documents = tasks_job.task_of(env, file, limit)
    prepared = _prepared(env, models, flags)
    with ProgressBar(env) as progress:
        results = tasks_job.evaluate(env, prepared, task, documents, progress)
    if as_json:
        tasks_view.show_json(env, results)
    else:
        tasks_view.show(env, results, color=color)


def _standings(
    env: Environment, compared: list[Variant], cases: tuple[Case, ...]
) -> list[Standing]:
    note_model(env, compared[0].prepared)
    with ProgressBar(env) as progress:
        return job.evaluate(env, compared, cases, partial(shell.run, env), progress)


def _show(
    env: Environment,
    standings: list[Standing],
    color: str,
    as_json: bool,
    files: dict[str, str | None],
) -> None:
    if as_json:
        cases_view.show_json(env, standings)
    elif not any(file in NAMES_OF_STDOUT for file in files.values()):
        cases_view.show(env, standings, color=color)
    if junit := files["--junit"]:
        results = [result for each in standings for result in each.results]
        put(env, "--junit", junit, preset_tests.junit(results))
    if html := files["--html"]:
        from llmparams_cli.render.html import evaluate_page

        put(env, "--html", html, evaluate_page(standings), IN_A_BROWSER)
