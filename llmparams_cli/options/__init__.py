"""The parameter table as Typer options: one for every row, in groups, with help.

Values stay text here. `presets.cascade` checks them together with all other sources of
values, so that every error names the value, its origin and what is allowed.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import Annotated, Any, Literal

import typer

from llmparams_cli.ending import StopReason
from llmparams_cli.errors import UsageError
from llmparams_cli.options import values
from llmparams_cli.params.kinds import Choice, Number, Switch
from llmparams_cli.params.spec import Group, Param, Scope
from llmparams_cli.params.table import PARAMS


def model_option(default: str) -> Any:
    """The option --model, with what counts without it."""
    return typer.Option(
        "--model",
        "-m",
        metavar="NAME",
        help=f"A model's name, or the path of a GGUF file. {default}",
        autocompletion=values.model_names,
    )


def named_model(metavar: str, help: str) -> Any:
    """An argument that names a model on this disk."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=values.model_names)


def pulled_model(metavar: str, help: str) -> Any:
    """An argument that names a model that was pulled."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=values.pulled_models)


def named_preset(metavar: str, help: str) -> Any:
    """An argument that names a preset."""
    return typer.Argument(metavar=metavar, help=help, autocompletion=values.preset_names)


def preset_option(help: str) -> Any:
    """The option --preset, with what it means here."""
    return typer.Option(
        "--preset", "-p", metavar="NAME", help=help, autocompletion=values.preset_names
    )


CHUNK = 512  # tokens of a text that are read at a time, as in llama-perplexity
LONG_CHUNK = 32  # at least, where matrices are judged by it

# Options that several commands share, beside the parameters.
PromptArgument = Annotated[
    str | None,
    typer.Argument(metavar="PROMPT", help="The prompt; - reads standard input."),
]
ModelOption = Annotated[str | None, model_option("[the default]")]
PresetOption = Annotated[list[str] | None, preset_option("Preset, by name or path; repeats.")]
GridOption = Annotated[
    list[str] | None,
    typer.Option(
        "--grid",
        metavar="NAME=A,B",
        help="Variants with each value; repeats.",
        autocompletion=values.assignments(Scope.SAMPLING, Scope.STOPPING, values=True),
    ),
]
FileOption = Annotated[
    list[str] | None,
    typer.Option("--file", "-f", metavar="PATH", help="Read the prompt here; repeats."),
]
VarOption = Annotated[
    list[str] | None,
    typer.Option("--var", metavar="NAME=VALUE", help="A variable of the preset's prompt."),
]
SystemOption = Annotated[
    str | None, typer.Option("--system", metavar="TEXT", help="System text, or @FILE.")
]
RawOption = Annotated[bool, typer.Option("--raw", help="Do not apply the chat template.")]
SpecialOption = Annotated[
    bool,
    typer.Option(
        "--special",
        help="With --raw: read control tokens by name; of a pipe only with -, or as all there is.",
    ),
]
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
HideThinkingOption = Annotated[
    bool,
    typer.Option("--hide-thinking", help="Show that the model thinks, and how much, but not what."),
]
PngOption = Annotated[
    str | None, typer.Option("--png", metavar="FILE", help="Write the plot as a picture.")
]
SvgOption = Annotated[
    str | None, typer.Option("--svg", metavar="FILE", help="Write the plot as vector graphics.")
]
ChunksOption = Annotated[
    int | None, typer.Option("--chunks", min=1, metavar="N", help="Read only the first N.")
]
LongChunkOption = Annotated[
    int,
    typer.Option("--chunk", min=LONG_CHUNK, metavar="N", help="Tokens that are read at a time."),
]
ReplaceOption = Annotated[bool, typer.Option("--force", help="Replace OUT if it exists.")]
ShowParamsOption = Annotated[
    bool, typer.Option("--show-params", help="Print every value with its origin; do nothing else.")
]
FailOnOption = Annotated[
    str | None,
    typer.Option(
        "--fail-on",
        metavar="A,B",
        help="Stop reasons that make the exit code 7.",
        autocompletion=values.words([reason.value for reason in StopReason], many=True),
    ),
]
NoCacheOption = Annotated[
    bool,
    typer.Option("--no-cache", help="Read all of the prompt: use no llmparams cache, add nothing."),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No notes on stderr.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", "-v", help="Show llama.cpp's log and the statistics.")
]


def refuse_nan(flag: str, value: float | None, cure: str) -> None:
    """Raise UsageError for NaN, which is within any bounds that Typer checks."""
    if value is not None and value != value:
        raise UsageError(f"{flag} nan is no number", cure)


def with_parameters(
    function: Callable[..., None], scopes: Collection[Scope] = tuple(Scope)
) -> Callable[..., None]:
    """Add an option for every parameter (of these scopes) to a command's signature, and one for
    values that count only while the model thinks.

    The function receives the given ones as `flags`: name → text, list of texts for options
    that repeat, or bool for switches. "when_thinking" is a list of NAME=VALUE.
    """
    # Annotations are strings in our modules (`from __future__`); eval_str resolves them for Typer.
    own = [
        p
        for p in inspect.signature(function, eval_str=True).parameters.values()
        if p.name != "flags"
    ]
    options = [_option(param) for param in PARAMS.values() if param.scope in scopes]
    if Scope.SAMPLING in scopes:
        options.append(_when_thinking())

    def command(**given: Any) -> None:
        flags = {option.name: given.pop(option.name) for option in options}
        function(**given, flags={k: v for k, v in flags.items() if v is not None and v != []})

    # Typer reads options from __signature__. functools.wraps will not do: it sets __wrapped__,
    # and Typer follows that to the function without the parameters.
    command.__doc__ = function.__doc__
    command.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]
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
        autocompletion=values.words_of(param),
    )
    return _keyword(param.name, value, option)


def _when_thinking() -> inspect.Parameter:
    option = typer.Option(
        "--when-thinking",
        metavar="NAME=VALUE",
        help="Another value of a sampling parameter while the model thinks; repeats.",
        rich_help_panel=f"Parameters: {Group.INFERENCE.value}",
        autocompletion=values.assignments(Scope.SAMPLING, by_phase=True),
    )
    return _keyword("when_thinking", list[str] | None, option)


def _keyword(name: str, kind: Any, option: Any) -> inspect.Parameter:
    # None means "not given", even where a given value would equal the table's default.
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind, option]
    )


def _refuse_lost_texts(given: Iterable[Any]) -> None:
    """Raise UsageError for an option among those `given` of which a text would be lost."""
    for option, count in Counter(given).items():
        if count > 1 and _loses_text(option):
            name = max(option.opts, key=len)
            raise UsageError(f"{name} is given {count} times", "it takes one value")


def _loses_text(option: Any) -> bool:
    """Would a second value of this option take the place of the first without a trace?"""
    if option.param_type_name != "option" or option.multiple or option.is_flag:
        return False
    param = PARAMS.get(option.name)
    return param is None or not isinstance(param.kind, (Number, Choice))


def _help(param: Param) -> str:
    default = param.kind.show(param.default)
    return f"{param.summary} [{default or 'none'}]"


class Command(typer.core.TyperCommand):
    """A command that refuses a text or file given twice, of which one would be lost. Of numbers
    and choices the last one counts, as everywhere.
    """

    def make_parser(self, ctx: Any) -> Any:
        parser = super().make_parser(ctx)
        parse = parser.parse_args

        def parse_once(args: list[str]) -> Any:
            parsed = parse(args=args)
            if not ctx.resilient_parsing:  # which is for completion: nobody runs that line
                _refuse_lost_texts(parsed[2])
            return parsed

        parser.parse_args = parse_once  # type: ignore[method-assign]
        return parser


class HelpInSections(Command):
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
