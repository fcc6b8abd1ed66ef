"""The memory of a model and its context, by device and by kind of buffer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

HOST = "CPU"  # the computer's own memory, as llama.cpp calls that device
MAPPED = "CPU_Mapped"  # the part of the model file that the system reads and drops as it likes
PROCESS = "process"  # vocabulary, output rows and candidates: no buffers of llama.cpp's


class Share(NamedTuple):
    """Bytes in one kind of buffer. `device` is where they lie: "CPU" (the computer's own memory)
    or a GPU by its name, such as "Vulkan0"; `buffer` is llama.cpp's name for the kind, such as
    "CPU_REPACK" or "Vulkan_Host".
    """

    device: str
    buffer: str
    weights: int = 0
    cache: int = 0
    compute: int = 0

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute


class Estimate(NamedTuple):
    """What a model with one context takes. Sizes are in bytes.

    `layers` of the model's `all_layers` are on GPUs; the output counts as a layer.
    """

    shares: tuple[Share, ...]
    context: int
    layers: int
    all_layers: int

    @property
    def weights(self) -> int:
        return sum(share.weights for share in self.shares)

    @property
    def cache(self) -> int:
        return sum(share.cache for share in self.shares)

    @property
    def compute(self) -> int:
        return sum(share.compute for share in self.shares)

    @property
    def total(self) -> int:
        return self.weights + self.cache + self.compute

    @property
    def mapped(self) -> int:
        """Bytes of the file that are mapped: where memory is short, the system drops them and
        reads them again, which is slow.
        """
        return sum(share.weights for share in self.shares if share.buffer == MAPPED)

    def on(self, device: str) -> int:
        """All bytes on a device, with what is mapped."""
        return sum(share.total for share in self.shares if share.device == device)

    def held(self, device: str, *, weights: bool = True) -> int:
        """The bytes on a device that must stay there; without `weights` only the context's."""
        mine = [share for share in self.shares if share.device == device]
        kept = sum(share.weights for share in mine if weights and share.buffer != MAPPED)
        return kept + sum(share.cache + share.compute for share in mine)

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of the devices in use, the computer's own memory first."""
        return tuple(dict.fromkeys([HOST, *(share.device for share in self.shares)]))


def extended(half: Estimate, whole: Estimate, context: int) -> Estimate:
    """The estimate for a longer context than that of two others: what they take grows evenly."""
    steps = (context - whole.context) / (whole.context - half.context)
    before = {(share.device, share.buffer): share for share in half.shares}

    def grown(share: Share) -> Share:
        less = before.get((share.device, share.buffer), share)
        return share._replace(
            cache=share.cache + int((share.cache - less.cache) * steps),
            compute=share.compute + int((share.compute - less.compute) * steps),
        )

    return whole._replace(shares=tuple(map(grown, whole.shares)), context=context)


def divided(share: Share, gpus: Sequence[str], split: Sequence[float]) -> Iterator[Share]:
    """What each GPU gets of a buffer that split_mode row or tensor spreads over all of them: equal
    parts, or in proportion to `split`. Intermediate results are needed everywhere.
    """
    if share.device in (HOST, *gpus) and not share.buffer.endswith("_Split"):
        yield share
        return
    parts = [*split, *[0.0] * len(gpus)][: len(gpus)] if any(split) else [1.0] * len(gpus)
    for gpu, part in zip(gpus, parts, strict=True):
        weights, cache = (int(size * part / sum(parts)) for size in (share.weights, share.cache))
        yield Share(gpu, share.buffer, weights, cache, share.compute)
