"""How fast memory is read here, measured by reading much of it."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from llmparams_cli.backends.llama.host import hardware

if TYPE_CHECKING:
    from numpy import int64
    from numpy.typing import NDArray

MOST = 512 * 10**6  # bytes that are read
SHARE = 0.25  # of free memory at most
ROUNDS, PATIENCE = 4, 0.02  # rounds, and seconds that each takes at least


def bandwidth(size: int, threads: int, file: Path | None) -> float:
    """Bytes a second, the best of some rounds in which so many threads read `size` bytes together;
    fewer where that is much. What fits into the processor's caches comes from there, as a model of
    that size does. Of a mapped `file` the pages are read that a model from there has: they can be
    slower than those of the program's own memory (None).
    """
    import numpy as np

    numbers = _mapped(file, size) if file else _own(size)
    with ThreadPoolExecutor(threads) as pool:
        parts = np.array_split(numbers, threads)

        # numpy lets other threads run meanwhile; a maximum costs next to no arithmetic.
        def read(part: NDArray[int64], times: int) -> None:
            for _ in range(times):
                part.max()

        def round_of(times: int) -> float:
            began = time.perf_counter()
            list(pool.map(read, parts, [times] * threads))
            return time.perf_counter() - began

        return _best(round_of, numbers.nbytes)


def _best(round_of: Callable[[int], float], size: int) -> float:
    round_of(1)  # the threads are made, and pages are looked up for the first time
    times = max(1, int(PATIENCE / max(1e-9, round_of(1))))
    return size * times / min(round_of(times) for _ in range(ROUNDS))


def _mapped(file: Path, size: int) -> NDArray[int64]:
    import numpy as np

    count = max(1, min(size, MOST, file.stat().st_size) // 8)
    return np.memmap(file, np.int64, "r", shape=(count,))


def _own(size: int) -> NDArray[int64]:
    """Memory with pages as llama.cpp's buffers have them: numpy would ask for huge ones."""
    import numpy as np

    free = hardware.available_memory()
    limit = MOST if free is None else min(MOST, int(free * SHARE))
    count = max(1, min(size, limit) // 8)
    private = (
        {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    )
    numbers = np.ndarray((count,), np.int64, mmap.mmap(-1, count * 8, **private))
    numbers[:] = 1  # written, and not only reserved: pages that nobody wrote to are all the same
    return numbers
