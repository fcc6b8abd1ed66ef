"""What a model takes of memory, beside what is free."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Need:
    """The bytes that a run takes with one context and one type of cache.

    `on` is the sum by device, the computer's own memory first; `held` is the part of it that must
    stay there: what is mapped from the file can be read again. `gpu_layers` of the model's layers
    are on GPUs. `free` are the bytes on each device that may be used.
    """

    context: int
    cache_type: str
    weights: int
    cache: int
    compute: int
    on: Mapping[str, int]
    held: Mapping[str, int]
    free: Mapping[str, int]
    gpu_layers: int

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute

    @property
    def lacking(self) -> list[str]:
        """The devices that cannot hold their part."""
        return [name for name, size in self.on.items() if size > self.free.get(name, size)]

    @property
    def fits(self) -> bool:
        """Is there memory for all of it, on every device?"""
        return not self.lacking

    @property
    def runs(self) -> bool:
        """Can it run at all, be it slowly because the file does not stay in memory?"""
        return all(size <= self.free.get(name, size) for name, size in self.held.items())


@dataclass(frozen=True)
class Fit:
    """The memory for a run as it is set, and beside it for usual contexts and types of cache.

    `refused` are types of cache that do not go with the model. Of its `layers`, the output counted
    as one, so many fit on each device alone, beside the context that is set.
    """

    own: Need
    usual: tuple[Need, ...]
    layers: int
    fitting: Mapping[str, int]
    refused: tuple[str, ...] = ()
