"""The statistics of one generation, in words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TextIO

from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import Finished, Started, Stop, StopReason, Usage
from llmparams_cli.text.safe import encodes, one_line
from llmparams_cli.text.shorten import beginning
from llmparams_cli.trace import Effect

LONGEST_VALUE = 40  # characters
# The model or the user meant the answer to end here; every other stop cuts it off.
_WANTED = (StopReason.END_OF_GENERATION, StopReason.STOP_SEQUENCE)
_BY_THE_USER = (StopReason.INTERRUPTED, StopReason.STOP_SEQUENCE)
# What limit was reached, in words, and the parameter that moves it.
_MORE = {
    StopReason.MAX_TOKENS: ("", "max_tokens"),
    StopReason.CONTEXT_FULL: (", when the context was full", "context"),
    StopReason.TIME_LIMIT: (", at the time limit", "time_limit"),
}


def per_second(count: int, seconds: float) -> float | None:
    """Items per second, or None if there was nothing to measure."""
    return count / seconds if count > 0 and seconds > 0 else None


def generation_speed(finished: Finished) -> float | None:
    """Tokens per second; the first is not counted, for its logits come from the prefill."""
    return per_second(finished.usage.completion_tokens - 1, finished.timing.generation_s)


def statistics(started: Started, finished: Finished, *, verbose: bool = False) -> list[str]:
    """The statistics for people, as separate items."""
    return list(_items(started, finished, verbose))


def _items(started: Started, finished: Finished, verbose: bool) -> Iterator[str]:
    usage, timing = finished.usage, finished.timing
    kept = f" ({usage.cached_tokens} kept)" if usage.cached_tokens else ""
    yield (
        f"{usage.prompt_tokens} prompt{kept} + {usage.completion_tokens} completion"
        f"{thought_share(finished)} = {usage.total_tokens} tokens"
    )
    speed = generation_speed(finished)
    if speed is not None:
        yield f"{speed:.1f} tokens/s"
    yield from drafts(usage)
    yield stop_text(finished.stop)
    yield f"seed {started.seed}"
    yield f"model {one_line(started.model.name)}"
    if verbose:
        prompt_speed = per_second(usage.read_tokens, timing.prompt_s)
        if prompt_speed is not None:
            yield f"prompt {prompt_speed:.1f} tokens/s"
        yield f"first token {timing.first_token_s:.3f} s"
        yield f"load {timing.load_s:.3f} s"
        yield f"context {started.context}"


def effect_lines(effects: Sequence[Effect]) -> Iterator[str]:
    """What each setting changed, those that decided the most draws first."""
    if not effects:
        yield "no sampling setting is on"
        return
    yield "what each setting changed (against its neutral value, with the same random numbers):"
    for effect in sorted(effects, key=lambda effect: -len(effect.changed)):
        setting = effect.setting
        value = beginning(one_line(setting.param.kind.show(setting.value)), LONGEST_VALUE, "...")
        name = f"{setting.name} {value}"
        count = len(effect.changed)
        told = f"decided {count} of" if count else "changed nothing in"
        origin = one_line(str(setting.origin))
        yield f"  {name:<26} {told} {effect.draws} draws  ({origin})"


def stop_text(stop: Stop) -> str:
    """The reason and its detail; a stop sequence is quoted, since it may be a space."""
    detail = one_line(stop.detail)
    if stop.reason is StopReason.STOP_SEQUENCE:
        detail = f'"{detail}"'
    return f"{stop.reason.value} ({detail})" if detail else stop.reason.value


def thought_share(finished: Finished) -> str:
    """How many tokens of the completion were thought, after a blank; empty if none was."""
    count = finished.usage.reasoning_tokens
    return f" ({count} thought)" if count else ""


def drafts(usage: Usage) -> Iterator[str]:
    """What became of guessed tokens, if any were checked."""
    if drafted := usage.drafted_tokens:
        share = f"{usage.accepted_tokens / drafted:.0%}".replace("%", " %")
        yield f"drafts {share} of {drafted} accepted, {usage.tokens_per_call:.1f} tokens a call"


def only_thought(finished: Finished, change: str = "{flag}") -> str:
    """That an answer ended before its first word, and the cure; empty if there is one, or Ctrl-C
    ended it. `change` says how a parameter is changed: {flag} and {name} stand for it.
    """
    if not finished.is_unsaid or finished.stop.reason in _BY_THE_USER:
        return ""
    if finished.stop.reason not in _MORE:
        return f"the model thought and gave no answer: {stop_text(finished.stop)}; try another seed"
    told = f"the model was still thinking after {finished.usage.completion_tokens} tokens"
    when, name = _MORE[finished.stop.reason]
    more, sooner = (
        change.format(flag=PARAMS[each].flag, name=each) for each in (name, "max_thinking_tokens")
    )
    return f"{told}{when}: {more} allows more, {sooner} makes it answer sooner"


def cut_off(finished: Finished, change: str = "{flag}") -> str:
    """That an answer is missing, or that a limit or Ctrl-C ended it; empty if neither is so."""
    told = f"the answer was cut off: {stop_text(finished.stop)}"
    return only_thought(finished, change) or (told if was_cut_off(finished.stop) else "")


def was_cut_off(stop: Stop) -> bool:
    """Did a limit or Ctrl-C end the answer, rather than the model or a stop sequence?"""
    return stop.reason not in _WANTED


def separator(stream: TextIO) -> str:
    """The separator between items, in characters that the stream can encode."""
    return " · " if encodes("·", stream) else " | "


def fold(items: Iterable[str], gap: int, width: int) -> list[list[str]]:
    """Distribute items over rows of at most `width` columns, `gap` columns between them."""
    rows: list[list[str]] = []
    used = width
    for item in items:
        used += gap + len(item)
        if used > width:
            rows.append([])
            used = len(item)
        rows[-1].append(item)
    return rows
