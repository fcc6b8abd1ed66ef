"""`llmparams generate`: one prompt in, text out."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Annotated, Any, Literal

import typer

from llmparams_cli.commands.asking import refuse_unwanted, show_resolution, stop_reasons
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.jobs import prompt as prompts
from llmparams_cli.jobs.judging import warn_if_invalid
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Form, Prepared, prepare
from llmparams_cli.jobs.receipt import Receipts, Run
from llmparams_cli.options import (
    ColorOption,
    FailOnOption,
    FileOption,
    HelpInSections,
    HideThinkingOption,
    ModelOption,
    NoCacheOption,
    OverflowOption,
    PresetOption,
    PromptArgument,
    QuietOption,
    RawOption,
    ShowParamsOption,
    SpecialOption,
    SystemOption,
    VarOption,
    VerboseOption,
    with_parameters,
)
from llmparams_cli.params.kinds import Number
from llmparams_cli.protocol import Finished, Piece, Request, Started, StopReason
from llmparams_cli.render.choose import OutputStyle, Renderer, choose

HELP = HelpInSections
LOGPROBS = Number(integer=True, low=0, high=100)


@with_parameters
def command(
    ctx: typer.Context,
    prompt: PromptArgument = None,
    model: ModelOption = None,
    preset: PresetOption = None,
    file: FileOption = None,
    var: VarOption = None,
    system: SystemOption = None,
    raw: RawOption = False,
    special: SpecialOption = False,
    overflow: OverflowOption = "refuse",
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of text.")
    ] = False,
    stream_json: Annotated[
        bool, typer.Option("--stream-json", help="Print one JSON event a line.")
    ] = False,
    logprobs: Annotated[
        str | None,
        typer.Option(
            "--logprobs", metavar="N", help="Add each token's N best alternatives to the JSON."
        ),
    ] = None,
    color: ColorOption = "auto",
    color_by: Annotated[
        Literal["probability", "entropy"] | None,
        typer.Option("--color-by", help="Colour every token by the model's own numbers."),
    ] = None,
    hide_thinking: HideThinkingOption = False,
    show_params: ShowParamsOption = False,
    fail_on: FailOnOption = None,
    receipt: Annotated[
        str | None,
        typer.Option(
            "--receipt", metavar="FILE", help="Write a receipt of the run, for llmparams replay."
        ),
    ] = None,
    no_log: Annotated[
        bool, typer.Option("--no-log", help="Keep this run out of llmparams log.")
    ] = False,
    no_cache: NoCacheOption = False,
    no_newline: Annotated[
        bool, typer.Option("--no-newline", help="In a pipe, add no newline to the answer.")
    ] = False,
    stats: Annotated[
        Literal["short", "full"],
        typer.Option("--stats", help="full: also what each setting changed."),
    ] = "short",
    verbose: VerboseOption = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Generate text from a prompt and stream it to the terminal or the pipe.

    Values come, from low to high, from the table's defaults, the model file, the user's
    config.yaml, the nearest llmparams.yaml, presets, LLMPARAMS_* variables, and flags;
    --show-params tells which won.

    \b
    llmparams generate "Once upon a time" --temperature 1.2
    cat contract.txt | llmparams generate -p legal-summary --json | jq -r .text
    llmparams generate "Two names for a fox, as JSON" --json-schema @schema.json
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet, env.keeps_prompts = verbose, quiet, not no_cache
    output = _output_style(as_json, stream_json)
    unwanted = stop_reasons(fail_on)
    # Options are checked before the model is looked for, and long before it is loaded.
    receipts = Receipts(env, file=receipt, log=not no_log)
    alternatives = _alternatives(logprobs)
    if alternatives is not None and output == "auto":
        env.note("--logprobs has no effect: only --json and --stream-json show them")
        alternatives = None
    prepared = prepare(env, preset or [], {**flags, "model": model, "system": system}, var or [])
    if show_params:
        show_resolution(env, prepared, color, as_json=output != "auto")
        return
    parts = prompts.read_parts(env, prompt, file, required=prepared.needs_input)
    text = prompts.joined(parts)
    note_model(env, prepared, text, argument=prompt, files=file)
    # Colours need the probabilities of the tokens themselves, but no alternatives.
    logprobs_wanted = 0 if color_by and alternatives is None else alternatives
    form = Form(raw, special, overflow, parts)
    request = prepared.request(text, form=form, logprobs=logprobs_wanted)
    renderer = choose(
        env,
        settings=prepared.settings,
        prompt=prompts.in_brief(request.messages[-1].content, parts),
        continues=prepared.model.is_raw(prepared.settings, raw)
        and not any(part.is_document for part in parts),
        output=output,
        color=color,
        color_by=color_by,
        logprobs=alternatives is not None,
        newline=not no_newline,
        hide_thinking=hide_thinking,
    )
    run = _generate(env, prepared, request, renderer, full=stats == "full")
    if output == "auto":
        warn_if_invalid(env, run.finished, request.settings)
    _keep(env, receipts, run)
    stop = run.finished.stop
    if stop.reason is StopReason.INTERRUPTED:
        raise typer.Exit(ExitCode.INTERRUPTED)
    refuse_unwanted(stop, unwanted)


def _generate(
    env: Environment, prepared: Prepared, request: Request, renderer: Renderer, *, full: bool
) -> Run:
    """Pass the backend's events to the renderer; return what a receipt needs of the run."""
    # Imported this late so that faulty options fail at once.
    from llmparams_cli.backends.open import opened
    from llmparams_cli.interrupt import Control
    from llmparams_cli.jobs.answers import events
    from llmparams_cli.render.progress import ProgressBar

    with (
        ProgressBar(env) as progress,
        Control() as control,
        opened(env, prepared.model, request.settings, control, progress) as backend,
        closing(events(backend, replace(request, record=full))) as answer,
    ):
        for event in answer:
            if isinstance(event, Started):
                started = event
                renderer.started(event)
            elif isinstance(event, Piece):
                renderer.piece(event)
            elif isinstance(event, Finished):
                if full:
                    from llmparams_cli.jobs.explain import watching, with_effects

                    event = with_effects(event, watching(control, progress))
                renderer.finished(event)
                return Run(
                    prepared.model,
                    prepared.model_origin,
                    request,
                    started,
                    event,
                    backend.facts(),
                )
    raise AssertionError("a generation ends with the event Finished")


def _keep(env: Environment, receipts: Receipts, run: Run) -> None:
    """Write the receipt, if one is wanted; hashing the model for it may take a while."""
    if receipts.wanted:
        from llmparams_cli.render.json_output import result_object
        from llmparams_cli.render.progress import ProgressBar

        result = result_object(run.started, run.finished, run.request.settings, logprobs=False)
        with ProgressBar(env) as progress:
            receipts.keep(run, result, progress)


def _output_style(as_json: bool, stream_json: bool) -> OutputStyle:
    """Read --json and --stream-json."""
    if as_json and stream_json:
        raise UsageError("--json and --stream-json exclude each other")
    if as_json:
        return "json"
    return "stream-json" if stream_json else "auto"


def _alternatives(logprobs: str | None) -> int | None:
    """Read --logprobs."""
    try:
        return None if logprobs is None else int(LOGPROBS.parse(logprobs))
    except ValueError as error:
        raise UsageError(f"--logprobs: {error}") from error
