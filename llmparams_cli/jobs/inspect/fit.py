"""Will it fit: the memory that a model takes, by context and by type of cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from llmparams_cli.analysis.memory import Fit, Need
from llmparams_cli.backends.llama.machine import USABLE, Estimate, estimates, free_memory
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import DEFAULT, Assignment, Settings

CACHE_TYPES = ("f16", "q8_0", "q4_0")
CONTEXTS = (4096, 16384, 65536, 262144)
USUAL_CONTEXT = 8192  # what is taken without --context, or less if the model was trained for less
MOST_CONTEXTS = 4


def own_fit(env: Environment, model: GgufModel, settings: Settings) -> Fit:
    """The memory for these settings alone. Raises the errors of `machine.estimate`."""
    return _fit([settings], estimates(env, model, [settings]))


def fit(env: Environment, model: GgufModel, settings: Settings) -> Fit:
    """The memory for these settings, and for usual contexts and types of cache."""
    variants = list(_variants(model.header, settings))
    try:
        return _fit([settings, *variants], estimates(env, model, [settings, *variants]))
    except LlmparamsError:
        # A type of cache that does not go with this model, or a context that is too long for a GPU,
        # must not hide the others.
        variants = [each for each in variants if _goes(env, model, each)]
    found = _fit([settings, *variants], estimates(env, model, [settings, *variants]))
    going = {each["cache_type_k"] for each in variants}
    return replace(found, refused=tuple(each for each in CACHE_TYPES if each not in going))


def _goes(env: Environment, model: GgufModel, settings: Settings) -> bool:
    try:
        estimates(env, model, [settings])
    except LlmparamsError:
        return False
    return True


def _variants(header: Header, settings: Settings) -> Iterator[Settings]:
    for context in _contexts(header, settings):
        for cache_type in CACHE_TYPES:
            yield _but(settings, context=context, cache_type_k=cache_type, cache_type_v=cache_type)


def _contexts(header: Header, settings: Settings) -> list[int]:
    """The context that is set, usual ones, and the longest that the model was trained for."""
    trained = header.context_length or USUAL_CONTEXT
    own = int(settings["context"]) or min(trained, USUAL_CONTEXT)
    usual = [size for size in CONTEXTS if size < trained and size != own]
    return sorted({own, trained, *usual[2 - MOST_CONTEXTS :]})


def _but(settings: Settings, **values: int | str) -> Settings:
    for name, value in values.items():
        settings = settings.but(Assignment(name, value, DEFAULT))
    return settings


def _fit(variants: list[Settings], found: list[Estimate]) -> Fit:
    free = {name: int(size * USABLE) for name, size in free_memory().items()}
    own, *usual = (
        _need(settings, estimate, free) for settings, estimate in zip(variants, found, strict=True)
    )
    layers = found[0].all_layers
    return Fit(own, tuple(usual), layers, _fitting(own, layers))


def _need(settings: Settings, estimate: Estimate, free: Mapping[str, int]) -> Need:
    types = dict.fromkeys((settings["cache_type_k"], settings["cache_type_v"]))
    return Need(
        estimate.context,
        "/".join(types),
        estimate.weights,
        estimate.cache,
        estimate.compute,
        {name: estimate.on(name) for name in estimate.devices},
        {name: estimate.held(name) for name in estimate.devices},
        free,
        estimate.layers,
    )


def _fitting(own: Need, layers: int) -> dict[str, int]:
    """How many layers fit on each device if it alone holds the model and the context."""
    each = own.weights / layers + own.cache / layers
    return {
        name: max(0, min(layers, int((size - own.compute) / each))) if each else layers
        for name, size in own.free.items()
    }
