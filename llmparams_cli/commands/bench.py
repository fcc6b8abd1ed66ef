"""`llmparams bench`: how fast a model reads and writes here, and what bounds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, LlmparamsError
from llmparams_cli.jobs.benchmark import busy
from llmparams_cli.jobs.benchmark import wanted as job
from llmparams_cli.jobs.benchmark.limits import threads_of
from llmparams_cli.jobs.benchmark.report import machine, subjects
from llmparams_cli.jobs.benchmark.run import Benchmark
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    HtmlOption,
    QuietOption,
    VerboseOption,
    named_model,
    with_parameters,
)
from llmparams_cli.options.idle import refuse_idle
from llmparams_cli.params.spec import MADE_WITH
from llmparams_cli.render import benchmark as view
from llmparams_cli.render.outputs import IN_A_BROWSER, check_outputs, on_stdout, put
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections


def _command(
    ctx: typer.Context,
    models: Annotated[
        list[str] | None, named_model("[MODEL]...", "Models, by name or path. [the default]")
    ] = None,
    prompt_tokens: Annotated[
        str,
        typer.Option("--prompt-tokens", "-p", metavar="N,…", help="Tokens that are read; 0: none."),
    ] = "512",
    decode_tokens: Annotated[
        str,
        typer.Option(
            "--decode-tokens", "-n", metavar="N,…", help="Tokens that are written; 0: none."
        ),
    ] = "128",
    depth: Annotated[
        str,
        typer.Option("--depth", "-d", metavar="N,…", help="Tokens that are in the cache before."),
    ] = "0",
    batch: Annotated[
        str, typer.Option("--batch", metavar="N,…", help="Sequences that are worked on together.")
    ] = "1",
    repeat: Annotated[
        int, typer.Option("--repeat", "-r", min=1, max=1000, metavar="N", help="Runs of each test.")
    ] = 5,
    html: HtmlOption = None,
    markdown: Annotated[
        str | None,
        typer.Option(
            "--markdown", metavar="FILE", help="Write a table for a bug report; - prints."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    color: ColorOption = "auto",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Measure how fast a model reads a prompt (prefill, pp512) and writes (decode, tg128) on this
    machine, and compare it with what the machine could do.

    The tests are those of llama-bench: random tokens, a run that warms up, then --repeat runs,
    of which the mean and the standard deviation are shown. --batch decodes several sequences
    together, as llama-batched-bench does. Wherever a number or a word is asked for, several may
    stand, with commas: all combinations are tested.

    The limit is measured in the same run with as many threads: how fast memory is read, which
    each token needs all weights from, and how fast llama.cpp multiplies a matrix of this model.

    \b
    llmparams bench smollm2
    llmparams bench smollm2 --threads 1,2,4
    llmparams bench smollm2 -p 0 --depth 0,1024,4096 --cache-type-k f16,q8_0
    llmparams bench smollm2 -p 0 --batch 1,2,4,8
    llmparams bench model-q4.gguf model-q8.gguf --markdown -
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    refuse_idle(
        {"--context": flags.get("context")}, "here: a test's context is as long as the test"
    )
    files = {"--markdown": markdown, "--html": html}
    check_outputs(env, files, taken=as_json)
    amounts = job.Amounts(
        job.numbers("--prompt-tokens", prompt_tokens, 0),
        job.numbers("--decode-tokens", decode_tokens, 0),
        job.numbers("--depth", depth, 0),
        job.numbers("--batch", batch, 1),
    )
    tests = job.tests(env, models or [], flags, amounts)
    busy.warn_before(env, max(map(threads_of, tests)))
    benchmark = Benchmark(env, tests, repeat)
    try:
        with ProgressBar(env) as progress:
            benchmark.run(progress)
    except (KeyboardInterrupt, LlmparamsError) as end:
        if benchmark.results:  # what was measured until then took its time
            _tell(env, benchmark, files, color=color, as_json=as_json, is_cut=True)
        if isinstance(end, LlmparamsError):
            raise
        env.note(f"interrupted: {len(benchmark.results)} of {len(tests)} tests are done")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    _tell(env, benchmark, files, color=color, as_json=as_json)


def _tell(
    env: Environment,
    benchmark: Benchmark,
    files: Mapping[str, str | None],
    *,
    color: str,
    as_json: bool,
    is_cut: bool = False,
) -> None:
    """Print and write what is done."""
    results = benchmark.results
    warning = busy.disturbed(results)
    report = view.Report(
        subjects(benchmark.tests), machine(), results, benchmark.repeat, warning, is_cut
    )
    if file := files["--markdown"]:
        put(env, "--markdown", file, view.markdown(report))
    if file := files["--html"]:
        put(env, "--html", file, _page(report), IN_A_BROWSER)
    if as_json:
        view.show_json(env, report)
    elif not on_stdout(files):
        view.show(env, report, color=color)
    env.stdout.flush()  # an error may follow
    if warning:
        env.note(warning)


def _page(report: view.Report) -> str:
    from llmparams_cli.render.html import bench_page

    return bench_page(report)


command = with_parameters(_command, MADE_WITH)
