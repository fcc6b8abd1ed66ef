"""`llmparams inspect`: a model from the inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from llmparams_cli.commands.inspect import views
from llmparams_cli.commands.inspect.views import Request
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    HtmlOption,
    PngOption,
    QuietOption,
    SvgOption,
    named_model,
    values,
    with_parameters,
)
from llmparams_cli.params.settings import Settings, resolve
from llmparams_cli.params.spec import MADE_WITH, flag_of
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import text_of
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.render.plots import plot_files

HELP = HelpInSections


def _command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        named_model(
            "MODEL",
            "A GGUF file of any kind: its path, a model's name, or OWNER/REPO:QUANT of the Hub, of "
            "which only the header is read. [the default model]",
        ),
    ] = None,
    estimate_only: Annotated[
        bool,
        typer.Option(
            "--estimate-only",
            help="Does it fit into memory as it is set? Exit code 0 if so, else 10.",
        ),
    ] = False,
    weights: Annotated[
        str | None,
        typer.Option(
            "--weights",
            metavar="NAME",
            help="The values of a weight or bias: histogram, range, outliers. Several by a "
            "pattern: 'blk.*.attn_q.weight', /regular expression/.",
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="The norm of every tensor, layer by layer.")
    ] = False,
    tokens: Annotated[
        str | None,
        typer.Option(
            "--tokens", metavar="TEXT", help="How a text is split; - reads it from stdin."
        ),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            "--compare",
            metavar="OTHER",
            help="What differs in another model, how much.",
            autocompletion=values.model_names,
        ),
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="List the metadata, a key a line.")] = False,
    tensors: Annotated[
        bool, typer.Option("--tensors", help="List all tensors, one a line.")
    ] = False,
    metadata: Annotated[
        str | None,
        typer.Option("--metadata", metavar="KEY", help="Print one value of the metadata in full."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the view as JSON.")] = False,
    html: HtmlOption = None,
    png: PngOption = None,
    svg: SvgOption = None,
    color: ColorOption = "auto",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show where an internal error comes from.")
    ] = False,
    quiet: QuietOption = False,
    *,
    flags: dict[str, Any],
) -> None:
    """Show a model from the inside: its weights and biases by kind and layer, its architecture, how
    it is quantised, its tokenizer and chat template, and the memory that it takes.

    Most of it is read from the file's header, so it is quick for files of any size. Every GGUF file
    will do, also those that no text can be generated with (adapters, vocabularies, parts for
    images).

    \b
    llmparams inspect model.gguf
    llmparams inspect model.gguf --estimate-only --context 32768 --cache-type-k q8_0
    llmparams inspect model.gguf --weights blk.0.attn_q.weight
    llmparams inspect model.gguf --layers --png layers.png
    llmparams inspect model.gguf --tokens "How is this split?"
    llmparams inspect model-Q8_0.gguf --compare model-Q4_0.gguf
    llmparams inspect owner/repo:Q4_K_M
    llmparams inspect model.gguf --metadata tokenizer.chat_template
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    asked = {
        "estimate_only": estimate_only,
        "weights": weights,
        "layers": layers,
        "tokens": tokens,
        "compare": compare,
        "keys": keys,
        "tensors": tensors,
        "metadata": metadata,
    }
    asked = {name: value for name, value in asked.items() if value not in (None, False)}
    view = _one_view(asked)
    files = {"--html": html, "--png": png, "--svg": svg}
    _check_pictures(view, files)
    check_outputs(env, files, taken=as_json)
    name, settings = _gathered(env, {**flags, "model": model})
    request = Request(env, name, settings, color, as_json, html, plot_files(env, png, svg))
    raise typer.Exit(views.show(request, view, asked.get(view)))


command = with_parameters(_command, MADE_WITH)


def _one_view(asked: Mapping[str, Any]) -> str:
    if len(asked) > 1:
        first, second = map(flag_of, list(asked)[:2])
        raise UsageError(f"{first} and {second} are two views", "ask for one at a time")
    return next(iter(asked), views.OVERVIEW)


def _check_pictures(view: str, files: Mapping[str, str | None]) -> None:
    for flag, file in files.items():
        if file is not None and view not in views.WHOLE:
            raise UsageError(
                f"{flag} is for --weights, --layers and --compare", "--json has all of the others"
            )


def _gathered(env: Environment, flags: Mapping[str, Any]) -> tuple[str | None, Settings]:
    """The model that is meant and the settings that a run would have; prints notes."""
    layers = gather(env, [], flags)
    for note in layers.notes:
        env.note(note)
    return text_of(layers.model), resolve(layers.assignments)
