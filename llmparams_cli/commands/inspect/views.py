"""The views of a model: each finds out what it needs, and has it printed, drawn or written."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llmparams_cli.analysis.memory import Fit
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, LlmparamsError, ModelError, UsageError
from llmparams_cli.jobs.inspect.source import source
from llmparams_cli.models.gguf import Header, read_model
from llmparams_cli.models.resolve import language_model
from llmparams_cli.models.subject import Subject, subject
from llmparams_cli.params.kinds import did_you_mean
from llmparams_cli.params.settings import Settings
from llmparams_cli.render.inspect import data, listing, memory, overview
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.outputs import IN_A_BROWSER, put
from llmparams_cli.render.plots import Plots
from llmparams_cli.render.plots.sheet import Sheet
from llmparams_cli.render.progress import ProgressBar


@dataclass(frozen=True)
class Request:
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


def show(request: Request, view: str, value: Any) -> ExitCode:
    """Show one view; `value` is what its flag was given."""
    with source(request.env, request.model, whole=view in WHOLE) as path:
        return VIEWS[view](request, read_model(path), value) or ExitCode.SUCCESS


def _overview(request: Request, header: Header, _: None) -> None:
    """What the header says, then the memory."""
    env = request.env
    found = subject(header)
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


def _memory(request: Request, found: Subject) -> tuple[Fit | None, str]:
    """The memory, or why it is unknown: the rest is worth printing all the same."""
    from llmparams_cli.jobs.inspect.fit import fit

    if found.model is None:
        return None, found.refusal
    try:
        return fit(request.env, found.model, request.settings), ""
    except LlmparamsError as error:
        return None, f"{error.message} ({error.hint})" if error.hint else error.message


def _estimate(request: Request, header: Header, _: bool) -> ExitCode:
    """The memory for the settings as they are; the exit code says whether there is as much."""
    from llmparams_cli.jobs.inspect.fit import own_fit

    fit = own_fit(request.env, language_model(header), request.settings)
    if request.as_json:
        write_json(request.env, data.memory(fit), indent=_indent(request.env))
    else:
        memory.show_own(request.env, fit, color=request.color)
    return ExitCode.SUCCESS if fit.own.fits else ExitCode.NO_MEMORY


def _weights(request: Request, header: Header, pattern: str) -> None:
    from llmparams_cli.jobs.inspect.numbers import describe, wanted
    from llmparams_cli.render.html import inspect as pages
    from llmparams_cli.render.inspect import weights
    from llmparams_cli.render.plots import inside as plots

    env = request.env
    chosen = wanted(header, pattern)
    with ProgressBar(env) as progress:
        found = describe(chosen, progress)
    name = str(chosen[0].path)
    _draw(
        request,
        lambda: pages.weights(name, found),
        lambda: plots.histograms(name, found),
    )
    _deliver(
        request,
        data.described(found),
        lambda: weights.show(env, found, color=request.color),
    )


def _layers(request: Request, header: Header, _: bool) -> None:
    from llmparams_cli.jobs.inspect.numbers import norms
    from llmparams_cli.render.html import inspect as pages
    from llmparams_cli.render.inspect import weights
    from llmparams_cli.render.plots import inside as plots

    env = request.env
    if not header.tensors:
        raise ModelError(f"{header.path} has no weights", "--keys lists what it has")
    with ProgressBar(env) as progress:
        found = norms(header, progress)
    name = str(header.path)
    _draw(request, lambda: pages.layers(name, found), lambda: plots.norms(name, found))
    _deliver(
        request, data.norms(found), lambda: weights.show_layers(env, found, color=request.color)
    )


def _compare(request: Request, header: Header, other: str) -> None:
    from llmparams_cli.jobs.inspect.numbers import compare
    from llmparams_cli.render.html import inspect as pages
    from llmparams_cli.render.inspect import difference
    from llmparams_cli.render.plots import inside as plots

    env = request.env
    with source(env, other, whole=True) as path, ProgressBar(env) as progress:
        found = compare(header, read_model(path), progress)
    _draw(request, lambda: pages.compare(found), lambda: plots.differences(found))
    _deliver(
        request,
        data.difference(found),
        lambda: difference.show(env, found, color=request.color),
    )


def _tokens(request: Request, header: Header, text: str) -> None:
    from llmparams_cli.jobs.inspect.tokens import split
    from llmparams_cli.jobs.prompt import text_or_stdin
    from llmparams_cli.render.inspect import tokens

    env = request.env
    found = split(header, text_or_stdin(env, text))
    _deliver(request, data.split(found), lambda: tokens.show(env, found, color=request.color))


def _keys(request: Request, header: Header, _: bool) -> None:
    _deliver(request, data.keys(header), lambda: listing.show_keys(request.env, header))


def _tensors(request: Request, header: Header, _: bool) -> None:
    _deliver(request, data.tensors(header), lambda: listing.show_tensors(request.env, header))


def _metadata(request: Request, header: Header, key: str) -> None:
    if key not in header.metadata:
        guess = did_you_mean(key, header.metadata)
        raise UsageError(f"--metadata {key}: {header.path} has no such key{guess}", "see --keys")
    listing.show_value(request.env, header, key, as_json=request.as_json)


OVERVIEW = "overview"
# By the name of the flag. Each is given what the flag was given.
VIEWS: Mapping[str, Callable[[Request, Header, Any], ExitCode | None]] = {
    OVERVIEW: _overview,
    "estimate_only": _estimate,
    "weights": _weights,
    "layers": _layers,
    "tokens": _tokens,
    "compare": _compare,
    "keys": _keys,
    "tensors": _tensors,
    "metadata": _metadata,
}
WHOLE = ("weights", "layers", "compare")  # the views that need more than the header


def _deliver(request: Request, document: Any, show: Callable[[], None]) -> None:
    """Print a view as JSON or for people."""
    if request.as_json:
        write_json(request.env, document, indent=_indent(request.env))
    elif request.prints:
        show()


def _draw(request: Request, page: Callable[[], dict[str, Any]], plot: Callable[[], Sheet]) -> None:
    """Write a view as a page and as pictures, where these are wanted."""
    if request.html is not None:
        from llmparams_cli.render.html import inspect_page

        put(request.env, "--html", request.html, inspect_page(page()), IN_A_BROWSER)
    request.plots.write(plot)


def _indent(env: Environment) -> int | None:
    return 2 if env.stdout_is_tty else None
