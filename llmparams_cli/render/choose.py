"""Chooses the renderer that prints a generation: decided once, here, and nowhere else."""

from __future__ import annotations

from typing import Literal, Protocol

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.protocol import Finished, Piece, Started

OutputStyle = Literal["auto", "json", "stream-json"]


class Renderer(Protocol):
    """Receives the events of one generation in order: one start, any pieces, one end."""

    def started(self, event: Started) -> None: ...

    def piece(self, event: Piece) -> None: ...

    def finished(self, event: Finished) -> None: ...


def choose(
    env: Environment,
    *,
    settings: Settings,
    prompt: str,
    continues: bool = False,
    output: OutputStyle = "auto",
    color: str = "auto",
    color_by: str | None = None,
    logprobs: bool = False,
    newline: bool = True,
    hide_thinking: bool = False,
) -> Renderer:
    """Pick the renderer for stdout.

    `prompt` is what the user gave, without the template's control tokens; `continues`
    says that the answer continues its last line (no template). `color` is `--color`,
    `color_by` is 'probability', 'entropy' or None. `logprobs`: were they asked for by
    `--logprobs` (and so belong into the JSON)? `newline`: does a piped answer that lacks one get
    it? `hide_thinking`: show only that the model thinks, not what.
    """
    if output != "auto":
        from llmparams_cli.render.json_output import JsonRenderer, StreamJsonRenderer

        if color_by:
            env.note(f"--color-by {color_by} does nothing in JSON; --logprobs N adds the numbers")
        if hide_thinking:
            env.note("--hide-thinking does nothing in JSON, which has thoughts as 'reasoning'")
        if output == "stream-json":
            return StreamJsonRenderer(env, settings, logprobs=logprobs)
        indent = 2 if env.stdout_is_tty else None
        return JsonRenderer(env, settings, logprobs=logprobs, indent=indent)

    colored = env.wants_color(color, env.stdout)
    if color_by and not colored:
        env.note(f"--color-by {color_by} needs colours, which are off here; see --color always")
        color_by = None
    if env.stdout_is_tty or color == "always":
        from llmparams_cli.render.terminal import TerminalRenderer

        return TerminalRenderer(
            env,
            prompt=prompt,
            continues=continues,
            color=color,
            color_by=color_by,
            newline=newline,
            hide_thinking=hide_thinking,
        )
    from llmparams_cli.render.plain import PlainRenderer

    return PlainRenderer(env, settings, color=color, newline=newline, hide_thinking=hide_thinking)
