"""Times the tests, one after the other, and has the machine measured beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, islice

from llmparams_cli.analysis.benchmark import Measured, test_name
from llmparams_cli.backends.llama.machine import Watch, hardware
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.benchmark.limits import Machine, threads_of
from llmparams_cli.jobs.benchmark.wanted import Test, in_memory
from llmparams_cli.protocol import Backend, Progress


@dataclass(frozen=True)
class _Timed:
    """A test that is done."""

    test: Test
    seconds: tuple[float, ...]
    others: float | None


class Benchmark:
    """Tests with so many runs each. What is done stays there when Ctrl-C ends the rest."""

    def __init__(self, env: Environment, tests: Sequence[Test], repeat: int) -> None:
        self.tests, self.repeat = tests, repeat
        self._env = env
        self._machine = Machine()
        self._done: list[_Timed] = []

    @property
    def results(self) -> list[Measured]:
        """The tests that are done, in their order, beside limits by all that was measured."""
        return [self._measured(each) for each in self._done]

    def run(self, progress: Progress) -> None:
        """Raises KeyboardInterrupt after Ctrl-C."""
        with Control() as control:
            for _, group in groupby(self.tests, in_memory):
                tests = list(group)
                model, settings = tests[0].model, tests[0].settings
                with opened(self._env, model, settings, control, progress) as backend:
                    for test in tests:
                        self._machine.measure(backend, test, progress)
                        control.check()
                        self._done.append(self._timed(backend, test, progress))
                        self._machine.measure(backend, test, progress)

    def _timed(self, backend: Backend, test: Test, progress: Progress) -> _Timed:
        what = f"{test_name(test.work)}, {len(self._done) + 1} of {len(self.tests)}"
        progress(what, 0.0)
        watch, seconds = Watch(), []
        for took in islice(backend.seconds(test.work, test.settings), self.repeat):
            seconds.append(took)
            progress(what, min(0.99, len(seconds) / self.repeat))
        taken = watch.taken()
        progress(what, 1.0)
        return _Timed(test, tuple(seconds), None if taken is None else taken.others)

    def _measured(self, timed: _Timed) -> Measured:
        test = timed.test
        return Measured(
            test.name,
            test.work,
            test.values,
            threads_of(test),
            timed.seconds,
            self._machine.limit(test),
            timed.others,
            hardware.cpus(),
        )
