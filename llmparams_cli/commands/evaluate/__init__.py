"""`llmparams evaluate`: how good models and presets are, by evidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from llmparams_cli.commands.evaluate import by_cases, by_tasks, by_text
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.jobs.evaluation import cases as job
from llmparams_cli.jobs.evaluation import text as texts
from llmparams_cli.options import (
    CHUNK,
    ChunksOption,
    ColorOption,
    GridOption,
    HelpInSections,
    HtmlOption,
    PresetOption,
    QuietOption,
    SystemOption,
    VarOption,
    VerboseOption,
    named_model,
    refuse_nan,
    values,
    with_parameters,
)
from llmparams_cli.options.idle import for_answers, refuse_idle
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.text.units import percent

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
    grid: GridOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    seeds: Annotated[
        int | None, typer.Option("--seeds", min=1, metavar="N", help="Answers to each case.")
    ] = None,
    junit: Annotated[
        str | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML too, for CI.")
    ] = None,
    html: HtmlOption = None,
    fail_under: Annotated[
        float | None,
        typer.Option(
            "--fail-under",
            min=0.0,
            max=1.0,
            metavar="X",
            help="Exit code 9 if anything passes less, or has a lower score.",
        ),
    ] = None,
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

    --cases tells which of several models, presets, values (--grid) or adapters (--grid lora=)
    passes more, and whether that is more than chance: cases are tests as presets have them, see
    llmparams presets test --help. In `expect` they may also have `command:`, which gets the answer
    on stdin and passes it with exit code 0.

    --tasks takes the YAML of a multiple choice or generation task of lm-evaluation-harness, with
    data in JSON lines or Parquet, and tells the same acc, acc_norm and exact_match.

    \b
    llmparams evaluate --text story.txt
    llmparams evaluate smollm2 gemma3-270m --text story.txt --strided
    llmparams evaluate model-q4.gguf --text story.txt --against model-f16.gguf
    llmparams evaluate smollm2 --cases cases.yaml -p precise -p creative-chat --seeds 5
    llmparams evaluate --cases cases.yaml --grid temperature=0,0.8 --html report.html
    llmparams evaluate model.gguf --cases cases.yaml --grid lora=none,style.gguf,style.gguf:0.5
    llmparams evaluate smollm2 gemma3-270m --tasks arc_easy.yaml --limit 200
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    by = {"--text": text, "--cases": cases, "--tasks": tasks}
    given = [flag for flag, file in by.items() if file is not None]
    if len(given) != 1:
        what = f"{given[0]} excludes {given[1]}" if given else "there is nothing to evaluate by"
        raise UsageError(what, "give one of --text FILE, --cases FILE and --tasks FILE")
    files = {"--junit": junit, "--html": html}
    options: dict[tuple[str, ...], dict[str, Any]] = {
        ("--text",): {
            "--against": against,
            "--chunk": chunk != CHUNK,
            "--strided": strided,
            "--chunks": chunks,
            "--tokens": tokens,
        },
        ("--tasks",): {"--limit": limit},
        ("--cases", "--tasks"): {**files, "--fail-under": fail_under},
        ("--cases",): {
            "--preset": preset,
            "--grid": grid,
            "--seeds": seeds,
            "--system": system,
            "--var": var,
            "--context": flags.get("context"),  # which a text and a task choose themselves
            **for_answers(flags),
        },
    }
    for ways, theirs in options.items():
        if given[0] not in ways:
            refuse_idle(theirs, f"beside {given[0]}")
    refuse_nan("--fail-under", fail_under, "0.9 asks for nine of ten")
    named = models or []
    if text is not None:
        if tokens and not as_json:
            raise UsageError("--tokens has no effect without --json")
        wanted = texts.Wanted(texts.text_of(env, text), chunk, strided, chunks)
        by_text.run(env, named, flags, wanted, against, color=color, as_json=as_json, tokens=tokens)
    elif tasks is not None:
        check_outputs(env, files, taken=as_json)
        shares = by_tasks.run(env, named, flags, tasks, limit, files, color=color, as_json=as_json)
        _judge(env, shares, fail_under)
    elif cases is not None:
        check_outputs(env, files, taken=as_json)
        read = job.cases_of(env, cases, seeds)
        compared = job.variants(
            env, named, preset or [], grid or [], {**flags, "system": system}, var or []
        )
        shares = by_cases.run(env, compared, read, files, color=color, as_json=as_json)
        _judge(env, shares, fail_under)


def _judge(env: Environment, shares: Sequence[tuple[str, float]], least: float | None) -> None:
    """End with the exit code of failed tests if one of the shares is too small."""
    if least is None:
        return
    failed = [f"{name} {percent(share)}" for name, share in shares if not share >= least]
    if failed:
        env.note(f"less than --fail-under {percent(least)}: {', '.join(failed)}")
        raise typer.Exit(ExitCode.TEST_FAILED)
