"""What memory is free, and what of a model's context fits into it.

Decisions go by estimates; where a rough upper bound fits easily, as it mostly does, none is made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing

from llmparams_cli.backends.llama.host import devices, hardware, placement
from llmparams_cli.backends.llama.host.estimate import SMALLER_CONTEXT, Simulation, bound, too_long
from llmparams_cli.backends.llama.host.shares import HOST, Estimate
from llmparams_cli.env import Environment
from llmparams_cli.errors import BackendError
from llmparams_cli.models.resolve import GgufModel
from llmparams_cli.params.settings import Settings
from llmparams_cli.text.units import size_text

USABLE = 0.9  # of free memory; the rest is for the program, and for what drivers keep to themselves
SMALLER_MODEL = "a smaller or more quantised model"


def free_memory() -> dict[str, int]:
    """Free bytes by device: "CPU" is the computer's own memory. What is unknown is left out."""
    return {**_own_memory(), **free_on_gpus()}


def free_on_gpus() -> dict[str, int]:
    """The same of the GPUs alone."""
    return {gpu.name: gpu.free for gpu in devices.gpus()}


def _own_memory() -> dict[str, int]:
    own = hardware.available_memory()
    return {} if own is None else {HOST: own}


def lack(found: Estimate, free: Mapping[str, int], *, weights: bool = True) -> str:
    """What a device would have to have, and has not, in words; empty if everything fits."""
    for device, left in free.items():
        needed = found.held(device, weights=weights)
        if needed > left * USABLE:
            there = "of memory are free" if device == HOST else f"are free on {device}"
            return f"{size_text(needed)}, and {size_text(left)} {there}"
    return ""


def largest(limit: int, fits: Callable[[int], bool]) -> int:
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
    """What memory is left for contexts of a model that is in memory already. Close it.

    `gpus` is what was free on each GPU before the model was loaded, if it has layers there: not
    every driver tells what is free now.
    """

    def __init__(
        self,
        env: Environment,
        model: GgufModel,
        settings: Settings,
        layers: int,
        gpus: Mapping[str, int],
    ) -> None:
        self._env, self._model, self._settings, self._layers = env, model, settings, layers
        self._simulation: Simulation | None = None
        self._gpus, self._own = gpus, _own_memory()

    def lack(self, size: int, sequences: int = 1, *, shared: bool = True) -> str:
        """What a context of so many cells needs and does not find, in words; empty if it fits."""
        if long := too_long(self._model.header, self._settings, size, self._gpus):
            return long
        if self._fits_easily(size, sequences):
            return ""
        if self._simulation is None:
            self._simulation = Simulation(self._env, self._model, self._settings, self._layers)
        found = self._simulation.estimate(self._settings, size, sequences, shared=shared)
        return lack(found, self._gpus) or lack(found, self._own, weights=False)

    def _fits_easily(self, size: int, sequences: int) -> bool:
        rough = bound(self._model.header, self._settings, size, sequences)
        return all(rough.total <= free * USABLE for free in self._gpus.values()) and all(
            rough.cache + rough.compute <= free * USABLE for free in self._own.values()
        )

    def largest(self, limit: int) -> int:
        """The most tokens, up to `limit`, for which there is memory."""
        return largest(limit, lambda size: not self.lack(size))

    def close(self) -> None:
        if self._simulation:
            self._simulation.close()


def context_size(env: Environment, model: GgufModel, settings: Settings, left: Left) -> int:
    """Tokens of context: as asked, or else the usual number, less where memory allows no more."""
    asked, trained = int(settings["context"]), model.header.context_length
    if asked:
        if trained and asked > trained:
            env.note(
                f"context {asked} is beyond the {trained} tokens the model was trained on; "
                "expect worse text past that point"
            )
        if missing := left.lack(asked):
            raise BackendError(f"context {asked} needs {missing}", SMALLER_CONTEXT)
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
