"""How fast this machine's memory is, measured by reading much of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from llmparams_cli.backends.llama.host import hardware

MOST = 512 * 10**6  # bytes that are read
SHARE = 0.25  # of free memory at most
ROUNDS, PATIENCE = 4, 0.02  # rounds, and seconds that each takes at least


def bandwidth(size: int, threads: int) -> float:
    """Bytes a second, the best of some rounds in which so many threads read `size` bytes together;
    fewer where that is much. What fits into the processor's caches comes from there, as a model of
    that size does.
    """
    import numpy as np

    free = hardware.available_memory()
    limit = MOST if free is None else min(MOST, int(free * SHARE))
    count = max(threads, min(size, limit) // 8)
    # Written, and not only reserved: pages that nobody wrote to are all the same one.
    parts = np.array_split(np.ones(count, np.int64), threads)
    with ThreadPoolExecutor(threads) as pool:
        # numpy lets other threads run meanwhile; a maximum costs next to no arithmetic.
        read = lambda part, times: [part.max() for _ in range(times)]  # noqa: E731

        def round_of(times: int) -> float:
            began = time.perf_counter()
            list(pool.map(read, parts, [times] * threads))
            return time.perf_counter() - began

        return _best(round_of, count * 8)


def _best(round_of: Callable[[int], float], size: int) -> float:
    round_of(1)  # the threads are made
    times = max(1, int(PATIENCE / max(1e-9, round_of(1))))
    return size * times / min(round_of(times) for _ in range(ROUNDS))
