"""One answer in a chat, on a terminal or in a pipe, and what it cost."""

from __future__ import annotations

from llmparams_cli.env import Environment
from llmparams_cli.protocol import Finished, Started, StopReason
from llmparams_cli.render.plain import Piped
from llmparams_cli.render.summary import (
    cut_off,
    drafts,
    fold,
    generation_speed,
    only_thought,
    separator,
    stop_text,
    thought_share,
)
from llmparams_cli.render.terminal import TerminalRenderer, columns

_CHANGE = "/set {name} N"  # how a parameter is changed in a chat


class TerminalAnswer(TerminalRenderer):
    """An answer in a chat: the person has just typed the prompt, so it is not shown again."""

    def __init__(
        self,
        env: Environment,
        color: str,
        color_by: str | None,
        hide_thinking: bool = False,
        *,
        legend: bool,
    ) -> None:
        super().__init__(
            env,
            prompt="",
            continues=False,
            color=color,
            color_by=color_by,
            hide_thinking=hide_thinking,
        )
        self._legend_wanted = legend

    def started(self, event: Started) -> None:
        self._started = event

    def finished(self, event: Finished) -> None:
        env = self._env
        self._end_line()
        self._answer.end()
        if self._scale and self._colored_aside and self._legend_wanted:
            self._legend(self._scale)
        between = separator(env.stderr)
        items = chat_statistics(self._started, event, verbose=env.verbose)
        for row in fold(items, len(between), columns(env, env.stderr) - 1):
            self._aside(between.join(row))
        for row in fold(only_thought(event, _CHANGE).split(), 1, columns(env, env.stderr) - 1):
            self._aside(" ".join(row))


class PipedAnswer(Piped):
    """An answer in a pipe, with a newline after it unless it ends in one."""

    def __init__(self, env: Environment, color: str, hide_thinking: bool) -> None:
        super().__init__(env, color, hide_thinking=hide_thinking, newline=True)

    def finished(self, event: Finished) -> None:
        env = self._env
        self.end(event)
        if env.verbose:
            items = chat_statistics(self._started, event, verbose=True)
            env.warn(separator(env.stderr).join(filter(None, [only_thought(event), *items])))
        elif (told := cut_off(event)) and not env.quiet:
            env.warn(told)


def chat_statistics(started: Started, finished: Finished, *, verbose: bool) -> list[str]:
    """Tokens of the prompt (new, and kept from the cache) and of the answer; why it ended."""
    usage = finished.usage
    items = [
        f"prompt {usage.read_tokens} new + {usage.cached_tokens} kept",
        f"answer {usage.completion_tokens}{thought_share(finished)}",
    ]
    speed = generation_speed(finished)
    if speed is not None:
        items.append(f"{speed:.0f} tokens/s")
    items += drafts(usage)
    if finished.stop.reason is StopReason.END_OF_GENERATION and not verbose:
        items.append(finished.stop.reason.value)
    else:
        items.append(stop_text(finished.stop))
    if verbose:
        items += [f"seed {started.seed}", f"context {started.context}"]
    return items
