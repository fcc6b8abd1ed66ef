"""Times the tests, one after the other, and measures beside them what the machine could do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

from llmparams_cli.analysis.benchmark import Limit, Measured, test_name
from llmparams_cli.backends.llama.machine import Watch, bandwidth, devices, hardware
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.benchmark.wanted import Test
from llmparams_cli.models.demand import columns, demand, weight_bytes
from llmparams_cli.params.spec import Scope
from llmparams_cli.protocol import Backend, Progress

MACHINE = "measuring the machine"


@dataclass(frozen=True)
class _Timed:
    """A test that is done, and under which keys the machine's rates for it are found."""

    test: Test
    seconds: tuple[float, ...]
    others: float | None
    memory: tuple[Any, ...]
    arithmetic: tuple[Any, ...]


class Benchmark:
    """Tests with so many runs each. What is done stays there when Ctrl-C ends the rest."""

    def __init__(self, env: Environment, tests: Sequence[Test], repeat: int) -> None:
        self.tests, self.repeat = tests, repeat
        self._env = env
        self._done: list[_Timed] = []
        # The best that was seen: what else the machine does only makes it slower.
        self._rates: dict[tuple[Any, ...], float | None] = {}

    @property
    def results(self) -> list[Measured]:
        """The tests that are done, in their order."""
        return [self._measured(each) for each in self._done]

    def run(self, progress: Progress) -> None:
        """Raises KeyboardInterrupt after Ctrl-C."""
        with Control() as control:
            for _, group in groupby(self.tests, _in_memory):
                tests = list(group)
                first = tests[0]
                with opened(self._env, first.model, first.settings, control, progress) as backend:
                    for test in tests:
                        self._done.append(self._timed(backend, test, progress, control))

    def _timed(self, backend: Backend, test: Test, progress: Progress, control: Control) -> _Timed:
        memory, arithmetic = self._machine(backend, test, progress)
        control.check()
        what = f"{test_name(test.work)}, {len(self._done) + 1} of {len(self.tests)}"
        progress(what, 0.0)
        watch, seconds = Watch(), []
        for took in islice(backend.seconds(test.work, test.settings), self.repeat):
            seconds.append(took)
            progress(what, min(0.99, len(seconds) / self.repeat))
        taken = watch.taken()
        progress(what, 1.0)
        self._machine(backend, test, progress)  # once more: it may have been busy before
        others = None if taken is None else taken.others
        return _Timed(test, tuple(seconds), others, memory, arithmetic)

    def _machine(
        self, backend: Backend, test: Test, progress: Progress
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Measure the machine with the threads of this test, and tell under which keys the rates
        are found.
        """
        progress(MACHINE, 0.0)
        threads, header = threads_of(test), test.model.header
        size = weight_bytes(header)
        memory = (size, threads)
        if not _uses_gpu(test):
            self._keep(memory, bandwidth(size, threads))
        progress(MACHINE, 0.5)
        count = columns(test.work, test.settings["ubatch_size"])
        arithmetic = (*_in_memory(test), count, threads)
        self._keep(arithmetic, backend.products(count, test.settings))
        progress(MACHINE, 1.0)
        return memory, arithmetic

    def _keep(self, key: tuple[Any, ...], rate: float | None) -> None:
        known = self._rates.get(key)
        self._rates[key] = rate if known is None or rate is None else max(known, rate)

    def _measured(self, timed: _Timed) -> Measured:
        test, settings = timed.test, timed.test.settings
        needed = demand(
            test.model.header,
            test.work,
            settings["ubatch_size"],
            settings["cache_type_k"],
            settings["cache_type_v"],
        )
        limit = Limit(
            needed.bytes,
            needed.products,
            self._rates.get(timed.memory),
            self._rates.get(timed.arithmetic),
        )
        return Measured(
            test.name,
            test.work,
            test.values,
            threads_of(test),
            timed.seconds,
            limit,
            timed.others,
            hardware.cpus(),
        )


def threads_of(test: Test) -> int:
    """How many threads of the CPU do this work."""
    threads = int(test.settings["threads"]) or hardware.usable_cpus()
    return int(test.settings["threads_batch"]) or threads if test.work.read else threads


def _uses_gpu(test: Test) -> bool:
    return test.settings["gpu_layers"] != 0 and bool(devices.gpus())


def _in_memory(test: Test) -> tuple[Any, ...]:
    """What decides which weights are loaded, and how."""
    return (test.model.reference, *map(str, test.settings.of_scope(Scope.LOAD)))
