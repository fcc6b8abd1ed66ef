"""Decisions about memory: how many layers go to GPUs, and how large a context may be.

They go by estimates; where a rough upper bound fits easily, as it mostly does, none is made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing

from llmparams_cli.backends.llama.host import devices, hardware, placement
from llmparams_cli.backends.llama.host.estimate import HOST, Estimate, Simulation, bound
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError, UsageError
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.units import size_text

USABLE = 0.9  # of free memory; the rest is for the program, and for what drivers keep to themselves
SETTINGS = ("gpu_layers", "main_gpu", "split_mode", "tensor_split")
ALL_LAYERS = -1  # llama.cpp's n_gpu_layers
SMALLER_MODEL = "a smaller or more quantised model"
SMALLER_CONTEXT = "a smaller --context, or --cache-type-k q8_0 --cache-type-v q8_0"


def free_memory() -> dict[str, int]:
    """Free bytes by device: "CPU" is the computer's own memory. What is unknown is left out."""
    free = {each.name: each.free for each in devices.gpus()}
    own = hardware.available_memory()
    return free if own is None else {HOST: own, **free}


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
    asked = settings["gpu_layers"]
    if not llama().llama_supports_gpu_offload():
        unheard = ", ".join(_wishes(settings))
        if unheard:
            env.note(f"{unheard}: this library has no GPU backend, so the CPU does all the work")
        return 0
    if asked == 0:
        return 0
    gpus = {name: free for name, free in free_memory().items() if name != HOST}
    _check_gpus(settings, list(gpus))
    if _fits_easily(model.header, settings, min(gpus.values())):
        return ALL_LAYERS if asked in ("auto", "all") else int(asked)
    if asked == "auto":
        return _most_layers(env, model, settings, gpus)
    layers = ALL_LAYERS if asked == "all" else int(asked)
    _refuse_layers(env, model, settings, layers, gpus)
    return layers


def _wishes(settings: Settings) -> Iterator[str]:
    """What the user asked of a GPU, with its origin."""
    for setting in map(settings.setting, SETTINGS):
        if setting.value not in (setting.param.default, 0):
            shown = setting.param.kind.show(setting.value)
            yield f"{setting.param.name} {shown} ({setting.origin})"


def _check_gpus(settings: Settings, gpus: list[str]) -> None:
    """Are there as many as the settings say?"""
    there = f"there {'is' if len(gpus) == 1 else 'are'} {len(gpus)}: {', '.join(gpus)}"
    main, split = settings.setting("main_gpu"), settings.setting("tensor_split")
    if settings["split_mode"] == "none" and main.value >= len(gpus):
        raise UsageError(
            f"main_gpu {main.value} ({main.origin}): there is no such GPU",
            f"they are counted from 0, and {there}",
        )
    if len(split.value) > len(gpus):
        raise UsageError(
            f"tensor_split ({split.origin}) has {len(split.value)} shares",
            f"one for each GPU, and {there}",
        )


def _fits_easily(header: Header, settings: Settings, free: int) -> bool:
    whole = bound(header, settings, placement.wanted_context(settings, header), 1)
    return whole.total <= free * USABLE


def _most_layers(
    env: Environment, model: GgufModel, settings: Settings, gpus: Mapping[str, int]
) -> int:
    """As many layers as all GPUs have memory for, the context included."""

    def fits(layers: int) -> bool:
        return not _lack(_with_layers(env, model, settings, layers), gpus)

    count = model.header.block_count + 1
    found = _largest(count, fits)
    return ALL_LAYERS if found == count else found


def _largest(limit: int, fits: Callable[[int], bool]) -> int:
    """The largest number from 0 to `limit` that fits, where 0 always does."""
    if fits(limit):
        return limit
    fit, too_many = 0, limit
    while too_many - fit > 1:
        middle = (fit + too_many) // 2
        if fits(middle):
            fit = middle
        else:
            too_many = middle
    return fit


def _refuse_layers(
    env: Environment, model: GgufModel, settings: Settings, layers: int, gpus: Mapping[str, int]
) -> None:
    lack = _lack(_with_layers(env, model, settings, layers), gpus)
    if lack:
        setting = settings.setting("gpu_layers")
        fit = _most_layers(env, model, settings, gpus)
        raise BackendError(
            f"gpu_layers {setting.value} ({setting.origin}) needs {lack}",
            f"{fit} fit with this context; --gpu-layers auto finds that out",
        )


def _with_layers(env: Environment, model: GgufModel, settings: Settings, layers: int) -> Estimate:
    context = placement.wanted_context(settings, model.header)
    with closing(Simulation(env, model, settings, layers)) as simulation:
        return simulation.estimate(settings, context)


def _lack(found: Estimate, free: Mapping[str, int], *, weights: bool = True) -> str:
    """What a device would have to have, and has not, in words; empty if everything fits."""
    for device, left in free.items():
        needed = found.held(device, weights=weights)
        if needed > left * USABLE:
            there = "of memory are free" if device == HOST else f"are free on {device}"
            return f"{size_text(needed)}, and {size_text(left)} {there}"
    return ""


def refuse_too_large(env: Environment, model: GgufModel, settings: Settings, layers: int) -> None:
    """Weights that are not mapped must fit into memory: the system would kill us half-way
    through.
    """
    free = hardware.available_memory()
    if free is None or 2 * model.header.size <= free * USABLE:  # rearranged ones come on top
        return
    with closing(Simulation(env, model, settings, layers)) as simulation:
        found = simulation.estimate(settings, 1)
    needed = found.held(HOST) - found.held(HOST, weights=False)
    if needed > free:
        raise BackendError(
            f"the model takes {size_text(needed)} and {size_text(free)} of memory are free",
            SMALLER_MODEL if settings["mmap"] else "--mmap reads it from the disk as needed",
        )


class Left:
    """What memory is left for contexts of a model that is in memory already. Close it."""

    def __init__(self, env: Environment, model: GgufModel, settings: Settings, layers: int) -> None:
        self._env, self._model, self._settings, self._layers = env, model, settings, layers
        self._simulation: Simulation | None = None
        self._free = free_memory() if layers else _own_memory()

    def lack(self, size: int, sequences: int = 1, *, shared: bool = True) -> str:
        """What a context of so many cells needs and does not find, in words; empty if it fits."""
        if not self._free:
            return ""
        rough = bound(self._model.header, self._settings, size, sequences)
        if rough.cache + rough.compute <= min(self._free.values()) * USABLE:
            return ""
        if self._simulation is None:
            self._simulation = Simulation(self._env, self._model, self._settings, self._layers)
        found = self._simulation.estimate(self._settings, size, sequences, shared=shared)
        return _lack(found, self._free, weights=False)

    def largest(self, limit: int) -> int:
        """The most tokens, up to `limit`, for which there is memory."""
        return _largest(limit, lambda size: not self.lack(size))

    def close(self) -> None:
        if self._simulation:
            self._simulation.close()


def _own_memory() -> dict[str, int]:
    own = hardware.available_memory()
    return {} if own is None else {HOST: own}


def context_size(env: Environment, model: GgufModel, settings: Settings, left: Left) -> int:
    """Tokens of context: as asked, or else the usual number, less where memory allows no more."""
    asked, trained = int(settings["context"]), model.header.context_length
    if asked:
        if trained and asked > trained:
            env.note(
                f"context {asked} is beyond the {trained} tokens the model was trained on; "
                "expect worse text past that point"
            )
        if lack := left.lack(asked):
            raise BackendError(f"context {asked} needs {lack}", SMALLER_CONTEXT)
        return asked
    wanted = placement.wanted_context(settings, model.header)
    size = left.largest(wanted)
    if size < 1:
        raise BackendError(
            f"no memory is left for a context beside the model's {size_text(model.header.size)}",
            f"{SMALLER_MODEL}, or --gpu-layers on a machine with a GPU",
        )
    if size < wanted:
        env.note(f"context is {size} tokens: no more fits in memory")
    return size
