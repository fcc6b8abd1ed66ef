"""`llmparams batch`: a file of prompts in, a file of answers out."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from llmparams_cli.analysis.batch import Tally
from llmparams_cli.analysis.comparison import Metric, own_metric, read_metric
from llmparams_cli.commands.asking import show_resolution
from llmparams_cli.env import STDIN, Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.files import resolve_path
from llmparams_cli.jobs import shell
from llmparams_cli.jobs.batch import start
from llmparams_cli.jobs.batch.order import Order, Receipt
from llmparams_cli.jobs.batch.sinks import journal_of
from llmparams_cli.jobs.prepare import Form
from llmparams_cli.jobs.prompt import text_or_file
from llmparams_cli.jobs.receipt import Run
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    ModelOption,
    OverflowOption,
    PresetOption,
    QuietOption,
    RawOption,
    ShowParamsOption,
    SystemOption,
    VarOption,
    VerboseOption,
    values,
    with_parameters,
)
from llmparams_cli.options.idle import refuse_idle
from llmparams_cli.rows.source import FORMATS

HELP = HelpInSections
AT_ONCE = 16  # rows; more bring little on most machines, and need more memory
OWN_MEASURES = ("entropy", "logprob", "distinct-1", "distinct-2", "repetition", "tokens")


@with_parameters
def command(
    ctx: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="INPUT", help="JSONL, CSV, Parquet or lines; - reads stdin.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="JSONL, or by its name CSV or Parquet. [standard output]",
        ),
    ] = None,
    model: ModelOption = None,
    preset: PresetOption = None,
    template: Annotated[
        str | None,
        typer.Option(
            "--template",
            metavar="TEXT",
            help="The prompt, with a row's fields as {{ name }}; or @FILE.",
        ),
    ] = None,
    var: VarOption = None,
    system: SystemOption = None,
    format: Annotated[
        str | None,
        typer.Option(
            "--format",
            metavar="NAME",
            help=f"What the input is: {', '.join(FORMATS)}. [by its name or beginning]",
            autocompletion=values.words(FORMATS),
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="FIELD", help="Copy a field into the output; repeats."),
    ] = None,
    parallel: Annotated[
        int, typer.Option("--parallel", min=1, max=64, metavar="N", help="Rows at a time.")
    ] = AT_ONCE,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Write rows as they end, not as they stand.")
    ] = False,
    order: Annotated[
        Literal["input", "shortest"],
        typer.Option("--order", help="What is answered first; shortest, of 256 rows each."),
    ] = "input",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on; answer only what has no answer yet.")
    ] = False,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="With --resume: try errors again.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Begin anew; replace the output if it exists.")
    ] = False,
    max_errors: Annotated[
        int | None,
        typer.Option("--max-errors", min=0, metavar="N", help="Give up after more errors."),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric",
            metavar="METRIC",
            help="Measure each answer: json, regex:…, length:…, command:…, entropy; repeats.",
        ),
    ] = None,
    receipts: Annotated[
        bool, typer.Option("--receipts", help="Give each row all that replay needs.")
    ] = False,
    raw: RawOption = False,
    overflow: OverflowOption = "refuse",
    as_json: Annotated[
        bool, typer.Option("--json", help="With -o: print the summary as one JSON object.")
    ] = False,
    color: ColorOption = "auto",
    show_params: ShowParamsOption = False,
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Answer every row of a file: many at a time, none lost, none twice.

    A row has a prompt or messages; it may have an id, system, preset, parameters, schema, seed and
    expect. Its other fields are variables of the preset's prompt, or of --template. OpenAI's batch
    files are known. A wrong row becomes an error in the output, and the others go on.

    While it runs, the answers are in FILE.batch; FILE appears when it is whole. Ctrl-C lets those
    end that have begun; --resume goes on, also after a crash, and after an edit of the input
    answers only what changed.

    \b
    llmparams batch prompts.jsonl -o answers.jsonl
    llmparams batch reviews.csv --template "Is this kind? {{ review }}" --keep review -o kind.csv
    seq 100 | llmparams batch - --template "A story about {{ prompt }} foxes" | jq -r .text
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    output = None if output == STDIN else output
    if format is not None and format not in FORMATS:
        raise UsageError(f"--format {format!r} is unknown", f"one of {', '.join(FORMATS)}")
    if output is None:
        refuse_idle({"--resume": resume, "--force": force, "--json": as_json}, "without -o FILE")
    if resume and force:
        raise UsageError("--resume goes on and --force begins anew", "give one of them")
    if not resume:
        refuse_idle({"--retry-errors": retry_errors}, "without --resume")
    target = None if output is None else resolve_path(output, env.directory)
    if target and source != STDIN and _is_same(resolve_path(source, env.directory), target):
        raise UsageError(f"{output} is the input", "name another file for the output")
    own, is_measured = _metrics(env, metric or [], partial(shell.run, env))
    wanted = Order(
        source=source,
        format=format,
        output=target,
        presets=tuple(preset or ()),
        template=None if template is None else text_or_file(env, "--template", template),
        form=Form(raw, overflow=overflow),
        ordered=not unordered,
        shortest=order == "shortest",
        keep=tuple(keep or ()),
        metrics=own,
        is_measured=is_measured,
        max_errors=max_errors,
        resume=resume,
        retry_errors=retry_errors,
        replace=force,
        receipt=_receipt(env) if receipts else None,
    )
    given = {**flags, "model": model, "system": system}
    variables = tuple(var or ())
    if show_params:
        show_resolution(env, start.base(env, wanted, given, variables), color, as_json=as_json)
        return
    raise typer.Exit(_run(env, wanted, given, variables, parallel, as_json=as_json))


def _run(
    env: Environment,
    order: Order,
    flags: dict[str, Any],
    variables: tuple[str, ...],
    parallel: int,
    *,
    as_json: bool,
) -> ExitCode:
    from llmparams_cli.render import batch as render
    from llmparams_cli.render.json_output import write_json
    from llmparams_cli.render.progress import ProgressBar

    prepared = start.base(env, order, flags, variables)
    with ProgressBar(env) as progress:

        def watch(tally: Tally, total: start.Total) -> None:
            progress.above = render.status(env, tally, total)
            progress("answering", min(0.999, tally.rows / total[0]) if total else 0.0)

        tally, complete = start.run(
            env, order, prepared, flags, variables, parallel, progress, watch
        )
    if as_json:
        write_json(env, render.summary_object(tally, complete=complete))
    elif not env.quiet:
        for line in render.summary(tally):
            env.warn(line)
    return _end(env, order, tally, complete)


def _end(env: Environment, order: Order, tally: Tally, complete: bool) -> ExitCode:
    """Say what is left to do; the exit code."""
    if not complete:
        left = ""
        if order.output and tally.rows:
            left = f"; the answers are in {journal_of(order.output)}, --resume goes on"
        given_up = order.gives_up(tally.errors)
        why = f"more than --max-errors {order.max_errors}" if given_up else "interrupted"
        env.warn(f"{why} after {tally.rows:,} rows{left}")
        return ExitCode.ROWS if given_up else ExitCode.INTERRUPTED
    return ExitCode.ROWS if tally.errors else ExitCode.SUCCESS


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:  # one of them is not there
        return False


def _metrics(env: Environment, texts: list[str], shell: Any) -> tuple[tuple[Metric, ...], bool]:
    """Read --metric; are probabilities needed for any of them?"""
    found = []
    for text in texts:
        if text in OWN_MEASURES:
            found.append(own_metric(text))
        else:
            found.append(read_metric(text, shell, env.note))
    return tuple(found), not {"entropy", "logprob"}.isdisjoint(texts)


def _receipt(env: Environment) -> Receipt:
    from llmparams_cli.jobs.receipt import make, recalled
    from llmparams_cli.render.json_output import result_object

    identify = cache(partial(recalled, env))  # of one model, whatever the number of rows

    def receipt(run: Run) -> dict[str, Any]:
        result = result_object(run.started, run.finished, run.request.settings, logprobs=False)
        return make(run, result, identify)

    return receipt
