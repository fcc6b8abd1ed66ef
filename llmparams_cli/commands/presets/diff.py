"""`llmparams presets diff`."""

from __future__ import annotations

from typing import Annotated

import typer

from llmparams_cli.env import Environment
from llmparams_cli.jobs import preset_diff
from llmparams_cli.options import Command, model_option, named_preset
from llmparams_cli.render import presets as view

HELP = Command


def command(
    ctx: typer.Context,
    a: Annotated[str, named_preset("A", "A preset.")],
    b: Annotated[
        str | None,
        named_preset("B", "Another one. [the model's recommended values]"),
    ] = None,
    prompt: Annotated[
        str, typer.Option("--prompt", metavar="TEXT", help="What the effect is measured on.")
    ] = "Once upon a time",
    tokens: Annotated[
        int, typer.Option("--tokens", min=0, max=10_000, help="Tokens to measure it over; 0: none.")
    ] = 48,
    model: Annotated[
        str | None,
        model_option("[the default]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two presets, or a preset with what the model's author recommends: the values
    that differ, and how differently they draw the next token.

    The effect is the total variation distance of the two distributions: the share of draws
    in which they cannot agree, 0 to 1. It is measured at every token of an answer that A
    writes to the prompt. Values that change no sampling (context, threads) have none.

    \b
    llmparams presets diff balanced creative-chat --prompt "Tell me a story."
    """
    env: Environment = ctx.obj
    view.show_diff(env, preset_diff.diff(env, a, b, model, prompt, tokens), as_json=as_json)
