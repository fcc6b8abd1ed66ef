"""Compares two presets: their values, and their effect on what is drawn."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import answer
from llmparams_cli.jobs.explain import recorded
from llmparams_cli.jobs.prepare import settle
from llmparams_cli.models.resolve import ResolvedModel, find_model
from llmparams_cli.params.settings import Assignment, Origin, Setting, Settings, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.presets.cascade import Gathered
from llmparams_cli.presets.catalog import alone
from llmparams_cli.presets.document import text_of
from llmparams_cli.protocol import Message, PresetDiff, Request, StopReason
from llmparams_cli.templates.conversation import conversation
from llmparams_cli.trace import Divergence

ALONG = Origin(Source.DEFAULT, "a comparison")
FREE: dict[str, Any] = {
    "grammar": "",
    "json_schema": None,
    "regex": "",
    "choices": [],
    "stop": [],
}  # what ends or bounds no draw here
RECOMMENDED = "the model's recommended values"


def diff(
    env: Environment, a: str, b: str | None, model: str | None, prompt: str, tokens: int
) -> PresetDiff:
    """Compare presets `a` and `b` (None: what the model recommends) on one prompt.

    Each stands alone on top of the model's values. Configuration and variables are left out: they
    are the same on both sides, or hide the difference.
    """
    one = alone(a, env)
    other = alone(b, env) if b else Gathered()
    # Both must draw from the same logits, so one model serves both.
    chosen = model or next((each.model.text for each in (one, other) if each.model), None)
    left, resolved = settle(one, lambda _: find_model(chosen, env), _silent)
    right, _ = settle(other, lambda _: resolved, _silent)
    texts = {
        name: (text_of(getattr(one, name)), text_of(getattr(other, name)))
        for name in ("model", "system", "prompt")
    }
    texts = {name: pair for name, pair in texts.items() if b and pair[0] != pair[1]}
    measured = tokens and not _told_other_prompts(env, left, right)
    along = _effect(env, resolved, one, left, right, prompt, tokens) if measured else ()
    return PresetDiff((a, b or RECOMMENDED), texts, (left, right), prompt, along)


def _silent(_note: str) -> None:
    """Drop notes about values without effect: here the values themselves are compared."""


def _told_other_prompts(env: Environment, left: Settings, right: Settings) -> bool:
    """Do they make other prompts of one text? Then no draws can be compared, and a note says so."""
    others = [a.name for a, b in zip(left, right, strict=True) if _is_other_prompt(a, b)]
    if others:
        env.note(f"the effect is left out: the prompts differ, too (by {', '.join(others)})")
    return bool(others)


def _is_other_prompt(one: Setting, other: Setting) -> bool:
    return one.param.scope is Scope.PROMPT and one.value != other.value


def _effect(
    env: Environment,
    model: ResolvedModel,
    preset: Gathered,
    left: Settings,
    right: Settings,
    prompt: str,
    tokens: int,
) -> tuple[Divergence, ...]:
    """Draw up to `tokens` tokens with `left`; at each, compare with how `right` would draw.

    Grammars are left out: they are not part of the distribution. So are stop sequences.
    """
    messages = conversation(text_of(preset.system) or "", Message("user", prompt))
    along = left
    seed = max(0, left["seed"])  # never by chance: the same figures every time
    for name, value in {**FREE, "max_tokens": tokens, "seed": seed}.items():
        along = along.but(Assignment(name, value, ALONG))
    request = Request(messages, along, record=True)
    with Control() as control, opened(env, model, left, control) as backend:
        _, finished = answer(backend, request)
        if finished.stop.reason is StopReason.TIME_LIMIT:
            env.note(
                f"the time limit ({finished.stop.detail}) was reached: the effect is measured over "
                f"{finished.usage.completion_tokens} of {tokens} tokens"
            )
        with closing(recorded(finished)) as trace:
            return tuple(trace.divergences(right))
