"""The parameter table as Typer options: one for every row, in groups, with help.

Values stay text here. `presets.cascade` checks them together with all other sources of
values, so that every error names the value, its origin and what is allowed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, Literal

import typer

from llmparams_cli.params.kinds import Switch
from llmparams_cli.params.spec import Param, Scope
from llmparams_cli.params.table import PARAMS

# Options that several commands share, beside the parameters.
PromptArgument = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", help="The prompt; - or a pipe reads standard input."),
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", "-m", metavar="PATH", help="GGUF file. [the built-in model]"),
]
PresetOption = Annotated[
    list[str] | None,
    typer.Option("--preset", "-p", metavar="NAME", help="Preset, by name or path; repeats."),
]
FileOption = Annotated[
    str | None, typer.Option("--file", "-f", metavar="PATH", help="Read the prompt here.")
]
VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="A variable of the preset's prompt."),
]
SystemOption = Annotated[
    str | None, typer.Option("--system", metavar="TEXT", help="System text, or @FILE.")
]
RawOption = Annotated[bool, typer.Option("--raw", help="Do not apply the chat template.")]
OverflowOption = Annotated[
    Literal["refuse", "truncate-start", "truncate-middle"],
    typer.Option("--overflow", help="What to do with a prompt beyond the context."),
]
HtmlOption = Annotated[
    str | None,
    typer.Option("--html", metavar="FILE", help="Write an interactive page that needs no network."),
]
ColorOption = Annotated[
    Literal["auto", "always", "never"], typer.Option("--color", help="When to use colours.")
]
PngOption = Annotated[
    str | None, typer.Option("--png", metavar="FILE", help="Write the plot as a picture.")
]
SvgOption = Annotated[
    str | None, typer.Option("--svg", metavar="FILE", help="Write the plot as vector graphics.")
]
ShowParamsOption = Annotated[
    bool, typer.Option("--show-params", help="Print every value with its origin; do nothing else.")
]
FailOnOption = Annotated[
    str | None,
    typer.Option("--fail-on", metavar="A,B", help="Stop reasons that make the exit code 7."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes on stderr.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show llama.cpp's log and the statistics.")
]


def with_parameters(
    function: Callable[..., None], scopes: Collection[Scope] = tuple(Scope)
) -> Callable[..., None]:
    """Add an option for every parameter (of these scopes) to a command's signature.

    The function receives the given ones as `flags`: name → text, list of texts for options
    that repeat, or bool for switches.
    """
    # Annotations are strings in our modules (`from __future__`); eval_str resolves them for Typer.
    own = [
        p
        for p in inspect.signature(function, eval_str=True).parameters.values()
        if p.name != "flags"
    ]
    params = {name: param for name, param in PARAMS.items() if param.scope in scopes}

    def command(**values: Any) -> None:
        flags = {name: values.pop(name) for name in params}
        function(**values, flags={k: v for k, v in flags.items() if v is not None and v != []})

    # Typer reads options from __signature__. functools.wraps will not do: it sets __wrapped__,
    # and Typer follows that to the function without the parameters.
    command.__doc__ = function.__doc__
    parameters = [*own, *map(_option, params.values())]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return command


def _option(param: Param) -> inspect.Parameter:
    declarations = list(param.flags)
    value: Any = str | None
    if isinstance(param.kind, Switch):
        declarations[0] += f"/--no-{param.flag[2:]}"  # Typer's notation for on/off pairs
        value = bool | None
    elif param.kind.many:
        value = list[str] | None
    option = typer.Option(
        *declarations,
        help=_help(param),
        metavar=None if isinstance(param.kind, Switch) else param.kind.metavar,
        rich_help_panel=f"Parameters: {param.group.value}",
        show_default=False,
    )
    # None means "not given", even where a given value would equal the table's default.
    return inspect.Parameter(
        param.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[value, option],
    )


def _help(param: Param) -> str:
    default = param.kind.show(param.default)
    return f"{param.summary} [{default or 'none'}]"


class HelpInSections(typer.core.TyperCommand):
    """Plain-text help with options under their groups' headings (Typer's own needs rich)."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                default = f"{parameter.param_type_name.title()}s"
                heading = getattr(parameter, "rich_help_panel", None) or default
                sections.setdefault(heading, []).append(record)
        for heading, records in sections.items():
            with formatter.section(heading):
                formatter.write_dl(records)
