"""Two presets side by side: values, and their effect on what is drawn."""

from __future__ import annotations

from llmparams_cli.env import Environment
from llmparams_cli.models import resolve as models
from llmparams_cli.models.resolve import ResolvedModel
from llmparams_cli.params.settings import Settings, Source, resolve
from llmparams_cli.presets.cascade import Gathered, layer
from llmparams_cli.presets.catalog import gathered
from llmparams_cli.presets.document import text_of
from llmparams_cli.presets.find import find
from llmparams_cli.presets.metadata import from_gguf
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
    resolved = models.resolve(chosen, env)
    recommended, _ = from_gguf(resolved.header.metadata)
    left, right = (resolve([*recommended, *each.assignments]) for each in (one, other))
    texts = {
        name: (text_of(getattr(one, name)), text_of(getattr(other, name)))
        for name in ("model", "system", "prompt")
    }
    texts = {name: pair for name, pair in texts.items() if b and pair[0] != pair[1]}
    along = _effect(env, resolved, one, left, right, prompt, tokens) if tokens else ()
    return PresetDiff((a, b or RECOMMENDED), texts, (left, right), prompt, along)


def _alone(name: str, env: Environment) -> Gathered:
    return gathered(layer(find(name, env), Source.PRESET, env))


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

    system = preset.system.text if preset.system else ""
    user = Message("user", prompt)
    messages = (Message("system", system), user) if system else (user,)
    with (
        Interrupt(left["time_limit"]) as interrupt,
        Engine(env, model, left, interrupt) as engine,
    ):
        return tuple(along(engine, messages, left, right, tokens))
