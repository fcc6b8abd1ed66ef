"""What the machine can do at most: measured beside the tests, for what each of them needs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from llmparams_cli.analysis.benchmark import Limit, products_per_second
from llmparams_cli.backends.llama.machine import hardware
from llmparams_cli.jobs.benchmark.wanted import Test, in_memory
from llmparams_cli.models.demand import Demand, columns, demand
from llmparams_cli.protocol import Backend, Progress

MACHINE = "measuring the machine"
Key = tuple[object, ...]


class Machine:
    """Rates of memory and of arithmetic. Of those that are measured several times the best one
    counts: what else the machine does only makes it slower.
    """

    def __init__(self) -> None:
        self._rates: dict[Key, float | None] = {}

    def measure(self, backend: Backend, test: Test, progress: Progress) -> None:
        """All that this test needs, once more."""
        threads, count = threads_of(test), _columns(test)
        work: dict[Key, Callable[[], float | None]] = {
            _memory(test): partial(backend.bandwidth, threads)
        }
        for type in _needed(test).types:
            work[_products(test, type)] = partial(backend.products, type, count, threads)
        for number, (key, measure) in enumerate(work.items()):
            progress(MACHINE, number / len(work))
            self._keep(key, measure())
        progress(MACHINE, 1.0)

    def limit(self, test: Test) -> Limit:
        """What a test could reach, by what was measured so far."""
        needed = _needed(test)
        rates = {type: self._rates.get(_products(test, type)) for type in needed.types}
        return Limit(
            needed.bytes,
            needed.products,
            self._rates.get(_memory(test)),
            products_per_second(needed.weights, needed.attention, rates),
        )

    def _keep(self, key: Key, rate: float | None) -> None:
        known = self._rates.get(key)
        self._rates[key] = rate if known is None or rate is None else max(known, rate)


def threads_of(test: Test) -> int:
    """How many threads of the CPU do this work."""
    threads = int(test.settings["threads"]) or hardware.usable_cpus()
    return int(test.settings["threads_batch"]) or threads if test.work.read else threads


def _columns(test: Test) -> int:
    return columns(test.work, test.settings["ubatch_size"])


def _memory(test: Test) -> Key:
    return (in_memory(test), threads_of(test))


def _products(test: Test, type: str) -> Key:
    return (*_memory(test), type, _columns(test))


def _needed(test: Test) -> Demand:
    settings = test.settings
    return demand(
        test.model.header,
        test.work,
        settings["ubatch_size"],
        settings["cache_type_k"],
        settings["cache_type_v"],
    )
