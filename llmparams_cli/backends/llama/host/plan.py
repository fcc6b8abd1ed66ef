"""How a run will be placed: how many layers go to GPUs, and the memory that all of it takes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing

from llmparams_cli.backends.llama.host import devices, placement
from llmparams_cli.backends.llama.host.estimate import Simulation, bound, too_long
from llmparams_cli.backends.llama.host.memory import USABLE, free_on_gpus, lack, largest
from llmparams_cli.backends.llama.host.shares import Estimate
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError, UsageError
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings

SETTINGS = ("gpu_layers", "main_gpu", "split_mode", "tensor_split")
ALL_LAYERS = -1  # llama.cpp's n_gpu_layers


def estimate(
    env: Environment, model: GgufModel, settings: Settings, sequences: int = 1
) -> Estimate:
    """The memory that a run with these settings takes, with so many sequences of full length.

    Raises UsageError, ModelError and BackendError for what the run itself would refuse.
    """
    return estimates(env, model, [settings], sequences)[0]


def estimates(
    env: Environment, model: GgufModel, variants: Iterable[Settings], sequences: int = 1
) -> list[Estimate]:
    """The same for several settings, which must not differ but in scope 'context'."""
    first, *others = variants
    layers = layers_on_gpus(env, model, first)
    with closing(Simulation(env, model, first, layers)) as simulation:
        return [
            simulation.estimate(
                each,
                placement.wanted_context(each, model.header) * sequences,
                sequences,
                shared=sequences == 1,
            )
            for each in (first, *others)
        ]


def layers_on_gpus(env: Environment, model: GgufModel, settings: Settings) -> int:
    """How many layers go to GPUs, as asked or as many as fit (llama.cpp's n_gpu_layers)."""
    gpus = free_on_gpus()
    if not gpus:
        unheard = ", ".join(_wishes(settings))
        if unheard:
            env.note(f"{unheard}: {devices.why_none()}, so the CPU does all the work")
        return 0
    asked = settings.setting("gpu_layers")
    if asked.value == 0:
        return 0
    _check_gpus(settings, list(gpus))
    layers = ALL_LAYERS if asked.value in ("auto", "all") else int(asked.value)
    missing = _missing(env, model, settings, layers, gpus)
    if not missing:
        return layers
    fit = largest(
        model.header.block_count,
        lambda count: not _missing(env, model, settings, count, gpus),
    )
    if asked.value == "auto":
        env.note(f"{fit} of {model.header.block_count + 1} layers fit on {', '.join(gpus)}")
        return fit
    raise BackendError(
        f"gpu_layers {asked.value} ({asked.origin}) needs {missing}",
        f"with this context {fit} fit; --gpu-layers auto finds the number",
    )


def _missing(
    env: Environment, model: GgufModel, settings: Settings, layers: int, gpus: Mapping[str, int]
) -> str:
    """What GPUs lack for so many layers and the context, in words; empty if everything fits."""
    context = placement.wanted_context(settings, model.header)
    if long := too_long(model.header, settings, context, gpus):
        return long
    if bound(model.header, settings, context, 1).total <= min(gpus.values()) * USABLE:
        return ""
    with closing(Simulation(env, model, settings, layers)) as simulation:
        return lack(simulation.estimate(settings, context), gpus)


def _wishes(settings: Settings) -> Iterator[str]:
    """What the user asked of a GPU, with its origin."""
    for setting in map(settings.setting, SETTINGS):
        if setting.value not in (setting.param.default, 0):
            shown = setting.param.kind.show(setting.value)
            yield f"{setting.param.name} {shown} ({setting.origin})"


def _check_gpus(settings: Settings, gpus: list[str]) -> None:
    """Are there as many as the settings say, and can they do what is asked?"""
    there = f"there {'is' if len(gpus) == 1 else 'are'} {len(gpus)}: {', '.join(gpus)}"
    main, split = settings.setting("main_gpu"), settings.setting("tensor_split")
    if settings["split_mode"] == "none" and main.value >= len(gpus):
        raise UsageError(
            f"main_gpu {main.value} ({main.origin}): there is no such GPU",
            f"they are counted from 0, and {there}",
        )
    mode = settings.setting("split_mode")
    unable = [gpu for gpu in gpus if mode.value == "row" and not devices.divides_rows(gpu)]
    if unable:
        raise UsageError(
            f"split_mode row ({mode.origin}): {unable[0]} cannot divide matrices",
            "layer gives each GPU whole layers",
        )
    if len(split.value) > len(gpus):
        raise UsageError(
            f"tensor_split ({split.origin}) has {len(split.value)} shares",
            f"one for each GPU, and {there}",
        )
