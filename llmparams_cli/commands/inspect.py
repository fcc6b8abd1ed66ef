"""`llmparams inspect`: a model from the inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from llmparams_cli.analysis.memory import Fit
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, LlmparamsError, UsageError
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.resolve import model_file
from llmparams_cli.models.subject import Subject, subject
from llmparams_cli.options import (
    ColorOption,
    HelpInSections,
    HtmlOption,
    PngOption,
    QuietOption,
    SvgOption,
    VerboseOption,
    with_parameters,
)
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Settings, resolve
from llmparams_cli.params.spec import Scope
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import text_of
from llmparams_cli.render.inspect import data, listing, memory, overview
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.outputs import check_outputs
from llmparams_cli.render.plots import Plots, plot_files
from llmparams_cli.render.progress import ProgressBar

HELP = HelpInSections
VIEWS = ("estimate_only", "weights", "layers", "tokens", "compare", "keys", "tensors", "metadata")
PICTURES = ("weights", "layers", "compare")  # the views that --html, --png and --svg can show


def _command(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Argument(metavar="MODEL", help="A GGUF file of any kind. [the default model]"),
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
        typer.Option("--compare", metavar="OTHER", help="What differs in another model, how much."),
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
    verbose: VerboseOption = False,
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
    llmparams inspect model.gguf --metadata tokenizer.chat_template
    """
    env: Environment = ctx.obj
    env.verbose, env.quiet = verbose, quiet
    asked = {
        name: value
        for name, value in zip(
            VIEWS,
            (estimate_only, weights, layers, tokens, compare, keys, tensors, metadata),
            strict=True,
        )
        if value not in (None, False)
    }
    view = _one_view(asked)
    _check_pictures(view, {"--html": html, "--png": png, "--svg": svg})
    check_outputs(env, {"--png": png, "--svg": svg, "--html": html}, taken=as_json)
    gathered = gather(env, [], {**flags, "model": model})
    request = _Request(
        env,
        text_of(gathered.model),
        resolve(gathered.assignments),
        color,
        as_json,
        html,
        plot_files(env, png, svg),
    )
    if view is None:
        _overview(request)
    elif view == "estimate_only":
        raise typer.Exit(_estimate(request))
    else:
        _SHOW[view](request, asked[view])


command = with_parameters(_command, (Scope.LOAD, Scope.CONTEXT))


@dataclass(frozen=True)
class _Request:
    """What is to be shown, and how."""

    env: Environment
    model: str | None
    settings: Settings
    color: str
    as_json: bool
    html: str | None
    plots: Plots

    @property
    def prints(self) -> bool:
        """Is the view for the terminal wanted? Not beside JSON, a page or a picture."""
        return not self.as_json and self.html is None and not self.plots


def _one_view(asked: Mapping[str, Any]) -> str | None:
    if len(asked) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in list(asked)[:2])
        raise UsageError(f"{first} and {second} are two views", "ask for one at a time")
    return next(iter(asked), None)


def _check_pictures(view: str | None, files: Mapping[str, str | None]) -> None:
    for flag, file in files.items():
        if file is not None and view not in PICTURES:
            raise UsageError(
                f"{flag} is for --weights, --layers and --compare", "--json has all of the others"
            )


def _overview(request: _Request) -> None:
    env = request.env
    found = subject(env, request.model)
    if request.as_json:
        fit, problem = _memory(request, found)
        write_json(env, data.overview(found, fit, problem), indent=_indent(env))
        return
    overview.show(env, found, color=request.color)
    if found.model:
        fit, problem = _memory(request, found)
        if fit:
            memory.show(env, fit, color=request.color)
        else:
            memory.show_problem(env, problem, color=request.color)


def _memory(request: _Request, found: Subject) -> tuple[Fit | None, str]:
    """The memory, or why it is unknown: the rest is worth printing all the same."""
    from llmparams_cli.jobs.inspect.fit import fit

    if found.model is None:
        return None, found.refusal
    try:
        return fit(request.env, found.model, request.settings), ""
    except LlmparamsError as error:
        return None, f"{error.message} ({error.hint})" if error.hint else error.message


def _estimate(request: _Request) -> ExitCode:
    from llmparams_cli.jobs.inspect.fit import own_fit
    from llmparams_cli.models.resolve import language_model

    model = language_model(read_model(model_file(request.model, request.env)))
    fit = own_fit(request.env, model, request.settings)
    if request.as_json:
        write_json(request.env, data.memory(fit), indent=_indent(request.env))
    else:
        memory.show_own(request.env, fit, color=request.color)
    return ExitCode.SUCCESS if fit.own.fits else ExitCode.NO_MEMORY


def _weights(request: _Request, pattern: str) -> None:
    from llmparams_cli.jobs.inspect.numbers import describe, wanted
    from llmparams_cli.render.inspect import weights

    env = request.env
    chosen = wanted(read_model(model_file(request.model, env)), pattern)
    with ProgressBar(env) as progress:
        found = describe(chosen, progress)
    _deliver(
        request,
        data.described(found),
        lambda: weights.show(env, found, color=request.color),
    )


def _layers(request: _Request, _: bool) -> None:
    from llmparams_cli.jobs.inspect.numbers import norms
    from llmparams_cli.render.inspect import weights

    env = request.env
    header = read_model(model_file(request.model, env))
    with ProgressBar(env) as progress:
        found = norms(header, progress)
    _deliver(
        request, data.norms(found), lambda: weights.show_layers(env, found, color=request.color)
    )


def _compare(request: _Request, other: str) -> None:
    from llmparams_cli.jobs.inspect.numbers import compare
    from llmparams_cli.render.inspect import difference

    env = request.env
    first = read_model(model_file(request.model, env))
    second = read_model(model_file(other, env))
    with ProgressBar(env) as progress:
        found = compare(first, second, progress)
    _deliver(
        request,
        data.difference(found),
        lambda: difference.show(env, found, color=request.color),
    )


def _tokens(request: _Request, text: str) -> None:
    from llmparams_cli.jobs.inspect.tokens import split
    from llmparams_cli.jobs.prompt import text_or_stdin
    from llmparams_cli.render.inspect import tokens

    env = request.env
    header = read_model(model_file(request.model, env))
    found = split(header, text_or_stdin(env, text))
    _deliver(request, data.split(found), lambda: tokens.show(env, found, color=request.color))


def _keys(request: _Request, _: bool) -> None:
    header = read_model(model_file(request.model, request.env))
    _deliver(request, data.keys(header), lambda: listing.show_keys(request.env, header))


def _tensors(request: _Request, _: bool) -> None:
    header = read_model(model_file(request.model, request.env))
    _deliver(request, data.tensors(header), lambda: listing.show_tensors(request.env, header))


def _metadata(request: _Request, key: str) -> None:
    header = read_model(model_file(request.model, request.env))
    if key not in header.metadata:
        guess = did_you_mean(key, header.metadata)
        raise UsageError(f"--metadata {key}: {header.path} has no such key{guess}", "see --keys")
    listing.show_value(request.env, header, key, as_json=request.as_json)


_SHOW: Mapping[str, Callable[[_Request, Any], None]] = {
    "weights": _weights,
    "layers": _layers,
    "tokens": _tokens,
    "compare": _compare,
    "keys": _keys,
    "tensors": _tensors,
    "metadata": _metadata,
}


def _deliver(request: _Request, document: Any, show: Callable[[], None]) -> None:
    """Print a view as JSON or for people."""
    if request.as_json:
        write_json(request.env, document, indent=_indent(request.env))
    elif request.prints:
        show()


def _indent(env: Environment) -> int | None:
    return 2 if env.stdout_is_tty else None
