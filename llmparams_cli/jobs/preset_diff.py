"""Two presets side by side: values, and their effect on what is drawn."""

from __future__ import annotations

from llmparams_cli.env import Environment
from llmparams_cli.jobs.prepare import settle
from llmparams_cli.jobs.prompt import conversation
from llmparams_cli.models.resolve import ResolvedModel, find_model
from llmparams_cli.params.settings import Settings, Source
from llmparams_cli.presets.cascade import Gathered, layer
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.document import text_of
from llmparams_cli.presets.find import find
from llmparams_cli.protocol import Divergence, Message, PresetDiff

RECOMMENDED = "the model's recommended values"


def compare(
    env: Environment, a: str, b: str | None, model: str | None, prompt: str, tokens: int
) -> PresetDiff:
    """Compare presets `a` and `b` (None: what the model recommends) on one prompt.

    Each stands alone upon the model's values: configuration and variables are left out, for
    they are the same on both sides or hide the difference.
    """
    one = _alone(a, env)
    other = _alone(b, env) if b else Gathered()
    chosen = model or next((each.model.text for each in (one, other) if each.model), None)
    left, resolved = settle(one, lambda _: find_model(chosen, env), _silent)
    right, _ = settle(other, lambda _: resolved, _silent)
    texts = {
        name: (text_of(getattr(one, name)), text_of(getattr(other, name)))
        for name in ("model", "system", "prompt")
    }
    texts = {name: pair for name, pair in texts.items() if b and pair[0] != pair[1]}
    along = _effect(env, resolved, one, left, right, prompt, tokens) if tokens else ()
    return PresetDiff((a, b or RECOMMENDED), texts, (left, right), prompt, along)


def _alone(name: str, env: Environment) -> Gathered:
    return gathered(layer(find(name, env), Source.PRESET, env))


def _silent(_note: str) -> None:
    """A value without effect is no news in a comparison of values."""


def _effect(
    env: Environment,
    model: ResolvedModel,
    preset: Gathered,
    left: Settings,
    right: Settings,
    prompt: str,
    tokens: int,
) -> tuple[Divergence, ...]:
    from llmparams_cli.backends.llama.decoding.generate import Engine
    from llmparams_cli.backends.llama.tracing.divergence import along
    from llmparams_cli.interrupt import Interrupt

    messages = conversation(text_of(preset.system) or "", Message("user", prompt))
    with (
        Interrupt(left["time_limit"]) as interrupt,
        Engine(env, model, left, interrupt) as engine,
    ):
        return tuple(along(engine, messages, left, right, tokens))
