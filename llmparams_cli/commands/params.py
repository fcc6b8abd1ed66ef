"""`llmparams params`: a list of all parameters, or everything about one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.options.values import parameters
from llmparams_cli.params.spec import Param
from llmparams_cli.presets.values import parameter
from llmparams_cli.protocol import ParamEffect

if TYPE_CHECKING:
    from llmparams_cli.render.params import ParamsView


class HELP(typer.core.TyperCommand):
    """Accepts a flag such as --temp as the name of a parameter."""

    ignore_unknown_options = True


def command(
    ctx: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            help="One parameter in full: temperature, top-k, --temp, -n, ...",
            autocompletion=parameters,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print every field as JSON.")] = False,
    effect: Annotated[
        bool | None,
        typer.Option(
            "--effect/--no-effect",
            help="Measure what one does on the built-in model. [on a terminal]",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Show every parameter: meaning, range, default, names elsewhere; of one, its effect too."""
    env: Environment = ctx.obj
    wanted = env.stdout_is_tty and not as_json if effect is None else effect
    params(env, name, as_json, wanted)


def params(env: Environment, name: str | None, as_json: bool, effect: bool = False) -> None:
    """Print one parameter, or all. `name` may be a flag, with dashes or underscores."""
    from llmparams_cli.render.params import ParamsView

    param = parameter(name) if name else None
    view = ParamsView(env)
    if as_json:
        view.json(param, _measure(env, param) if param and effect else None)
    elif param:
        view.one(param)
        if effect:
            _show_effect(env, view, param)
    else:
        view.all()


def _show_effect(env: Environment, view: ParamsView, param: Param) -> None:
    env.stdout.flush()  # something to read while the effect is measured
    if measured := _measure(env, param):
        view.effect(param, measured)
    elif why := _why_not(param):
        view.no_effect(why)


def _measure(env: Environment, param: Param) -> ParamEffect | None:
    """The parameter's effect; None if there is nothing to measure, or no model can run."""
    from llmparams_cli.errors import BackendError
    from llmparams_cli.jobs.effect import SWEEPS, measure
    from llmparams_cli.render.progress import ProgressBar

    if param.name not in SWEEPS:
        return None
    try:
        with ProgressBar(env) as progress:
            return measure(env, param, progress)
    except BackendError as error:  # the parameter's description is worth printing all the same
        env.note(f"the effect cannot be measured: {error.message}")
        return None


def _why_not(param: Param) -> str:
    from llmparams_cli.jobs.effect import NO_SWEEPS

    return NO_SWEEPS.get(param.name, "")
