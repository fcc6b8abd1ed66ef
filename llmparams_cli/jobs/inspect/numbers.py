"""The values of a model's tensors: one described, all norms by layer, two files compared."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.inside import Compared, Described, Difference, Norm
from llmparams_cli.analysis.weights import distance, norm, statistics
from llmparams_cli.backends.llama.weights import values
from llmparams_cli.errors import UsageError
from llmparams_cli.models.anatomy import place
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header, Tensor, read_header
from llmparams_cli.params.kinds import did_you_mean

Progress = Callable[[str, float], None]
READ = 1 << 22  # bytes that are compared at a time


@dataclass(frozen=True)
class Stored:
    """A tensor, the file that it is in, and the byte where its values begin."""

    tensor: Tensor
    path: Path
    position: int

    def values(self) -> Iterator[Any]:
        return values(self.path, self.position, self.tensor)

    def data(self) -> Iterator[bytes]:
        """The bytes as they are stored, in slices."""
        left = self.tensor.bytes
        with open(self.path, "rb") as file:
            file.seek(self.position)
            while left > 0 and (data := file.read(min(READ, left))):
                left -= len(data)
                yield data


def stored(header: Header) -> list[Stored]:
    """All tensors of a model, which may be split over several files."""
    parts = [header] if len(header.paths) == 1 else map(read_header, header.paths)
    return [
        Stored(tensor, part.path, part.data_offset + tensor.offset)
        for part in parts
        for tensor in part.tensors
    ]


def wanted(header: Header, pattern: str) -> list[Stored]:
    """The tensors of this name, or that a pattern fits: blk.*.attn_q.weight, or a regular
    expression between slashes. Raises UsageError if there is none.
    """
    matches = _matcher(pattern)
    everything = stored(header)
    found = [each for each in everything if matches(each.tensor.name)]
    if not found:
        names = [each.tensor.name for each in everything]
        # 'attn_q' finds the first that has it in its name; else the one that is spelled alike.
        parts = [name for name in names if pattern in name]
        guess = f"; did you mean {parts[0]}?" if parts else did_you_mean(pattern, names)
        raise UsageError(
            f"--weights {pattern}: there is no such tensor in {header.path}{guess}",
            "--tensors lists them; blk.*.attn_q.weight names several",
        )
    return found


def _matcher(pattern: str) -> Callable[[str], object]:
    if len(pattern) > 2 and pattern.startswith("/") and pattern.endswith("/"):
        try:
            return re.compile(pattern[1:-1]).search
        except re.error as error:
            raise UsageError(f"--weights {pattern}: {error}", "as in Python's re") from error
    return lambda name: name == pattern or fnmatchcase(name, pattern)


def describe(tensors: Sequence[Stored], progress: Progress) -> list[Described]:
    """The values of each of these tensors."""
    watch = _Watch("reading weights", 2 * sum(each.tensor.elements for each in tensors), progress)
    return [
        Described(
            each.tensor.name,
            place(each.tensor.name).kind,
            each.tensor.type.name,
            each.tensor.shape[::-1],
            statistics(lambda each=each: watch.over(each.values())),  # type: ignore[misc]
        )
        for each in tensors
    ]


def norms(header: Header, progress: Progress) -> list[Norm]:
    """The norm of every tensor."""
    tensors = stored(header)
    watch = _Watch("reading weights", sum(each.tensor.elements for each in tensors), progress)
    found = []
    for each in tensors:
        where = place(each.tensor.name)
        length, count = norm(watch.over(each.values()))
        mean = length / math.sqrt(count) if count else 0.0
        found.append(
            Norm(
                each.tensor.name, where.kind, where.layer, where.tower, where.is_bias, length, mean
            )
        )
    return found


def compare(first: Header, second: Header, progress: Progress) -> Difference:
    """Two models, tensor by tensor and key by key."""
    left = {each.tensor.name: each for each in stored(first)}
    right = {each.tensor.name: each for each in stored(second)}
    common = [name for name in left if name in right]
    total = sum(left[name].tensor.elements for name in common)
    watch = _Watch("comparing weights", total, progress)
    return Difference(
        (str(first.path), str(second.path)),
        tuple(_compared(left[name], right[name], watch) for name in common),
        tuple(name for name in left if name not in right),
        tuple(name for name in right if name not in left),
        tuple(_metadata(first, second)),
    )


def _compared(left: Stored, right: Stored, watch: _Watch) -> Compared:
    one, other = left.tensor, right.tensor
    found = None
    if one.shape == other.shape and not _same_bytes(left, right):
        found = distance(watch.over(left.values()), right.values())
    else:
        watch.skip(one.elements)
    return Compared(
        one.name,
        place(one.name).kind,
        (one.type.name, other.type.name),
        (one.shape[::-1], other.shape[::-1]),
        found,
    )


def _same_bytes(left: Stored, right: Stored) -> bool:
    if left.tensor.type != right.tensor.type:
        return False
    return all(a == b for a, b in zip(left.data(), right.data(), strict=False))


def _metadata(first: Header, second: Header) -> Iterator[tuple[str, Any, Any]]:
    """The keys whose values differ, with both values."""
    for key in dict.fromkeys((*first.metadata, *second.metadata)):
        one, other = first.metadata.get(key), second.metadata.get(key)
        if isinstance(one, Array) and isinstance(other, Array):
            # Where an array lies in its file says nothing.
            is_same = first.array(key) == second.array(key)
        else:
            is_same = repr(one) == repr(other)  # NaN is like NaN
        if not is_same:
            yield key, one, other


class _Watch:
    """Tells how far the reading of so many elements is."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, max(1, total), progress
        self._done = 0

    def over(self, slices: Iterable[Any]) -> Iterator[Any]:
        for part in slices:
            yield part
            self.skip(part.size)

    def skip(self, count: int) -> None:
        self._done += count
        self._progress(self._what, self._done / self._total)
