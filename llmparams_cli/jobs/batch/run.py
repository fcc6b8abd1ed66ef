"""The rows of a batch through one backend: each is answered, found answered, or an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Any

from llmparams_cli.analysis.batch import Tally, scores
from llmparams_cli.constraints.checking.validity import verdict
from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.batch.order import Order
from llmparams_cli.jobs.batch.rows import Task, Tasks
from llmparams_cli.jobs.batch.sinks import Sink
from llmparams_cli.jobs.receipt import Run
from llmparams_cli.openai import batch_file
from llmparams_cli.presets.nodes import Mark, Unreadable
from llmparams_cli.presets.outcome import judge
from llmparams_cli.protocol import (
    Backend,
    Failed,
    Finished,
    Request,
    Started,
    StopReason,
    numbered,
)
from llmparams_cli.records.document import chosen_from, said, stop_object, usage_object
from llmparams_cli.rows.row import BadRow, Row
from llmparams_cli.rows.source import Source

STRETCH = 256  # rows that are sorted together
LEAVING = "letting those rows end that have begun; Ctrl-C again stops at once"
PATIENCE = 0.1  # seconds for which nothing but the next row is waited for
Watch = Callable[[Tally], None]


class Batch:
    """One run; `tally` counts what has ended. `watch` is told after each row."""

    def __init__(
        self,
        env: Environment,
        order: Order,
        tasks: Tasks,
        source: Source,
        sink: Sink,
        backend: Backend,
        control: Control,
        watch: Watch,
    ) -> None:
        self.tally = Tally()
        self._env = env
        self._order = order
        self._tasks = tasks
        self._source = source
        self._sink = sink
        self._backend = backend
        self._control = control
        self._watch = watch
        self._active: dict[int, Task] = {}  # by the number of its request
        self._started: dict[int, Started] = {}
        self._at_end = False

    def run(self) -> bool:
        """Work on all rows. Returns whether all have ended: not so after Ctrl-C, or beyond
        max_errors.
        """
        began = time.monotonic()
        with closing(self._backend.answer(self._requests())) as events:
            for number, event in events:
                self.tally.seconds = time.monotonic() - began
                if self._control.is_leaving and not self._control.stop:
                    self._env.note(LEAVING)
                if isinstance(event, Started):
                    self._started[number] = event
                elif isinstance(event, Finished):
                    self._finished(number, event)
                elif isinstance(event, Failed):
                    task = self._active.pop(number)
                    self._started.pop(number, None)
                    self._failed(task.row, event.error, task)
        self.tally.seconds = time.monotonic() - began
        return self._at_end and not self._active

    def _requests(self) -> Iterator[Request | None]:
        """The requests of the rows, as they are asked for. None: no row is there at the moment."""
        tasks = self._arriving()
        for number, task in numbered(by_size(tasks) if self._order.shortest else tasks):
            if task is None:
                yield None
                continue
            self._active[number] = task
            yield task.request

    def _arriving(self) -> Iterator[Task | None]:
        """The rows that are to be answered. None: there is none at the moment."""
        while not self._control.is_leaving and not self._order.gives_up(self.tally.errors):
            try:
                row = self._source.next(0.0 if self._active else PATIENCE)
            except StopIteration:
                self._at_end = True
                return
            if row is None:
                yield None
                continue
            while not self._sink.may_begin(row.number) and not self._control.is_leaving:
                yield None
            if task := self._task(row):
                yield task

    def _task(self, row: Row | BadRow) -> Task | None:
        """The task of a row, unless it has ended already: it is an error, or was answered."""
        try:
            if isinstance(row, BadRow):
                raise Unreadable(row.mark, row.reason)
            task = self._tasks.task(row, self._source.place, self._backend)
        except (Unreadable, LlmparamsError) as error:
            self._failed(row, error)
            return None
        known = self._sink.claim(row.number, task.key)
        if known is None:
            return task
        self._count(known, kept=True)
        return None

    def _finished(self, number: int, finished: Finished) -> None:
        task, started = self._active.pop(number), self._started.pop(number)
        if finished.stop.reason is StopReason.INTERRUPTED:
            self._active[number] = task  # it has not ended
            return
        record = self._record(task, started, finished)
        self._sink.add(task.row.number, task.key, False, record)
        self._count(record)

    def _record(self, task: Task, started: Started, finished: Finished) -> dict[str, Any]:
        if task.is_openai:
            record = batch_file.answered(task.asked, task.key, started, finished)
            record |= chosen_from(finished)
        else:
            record = {
                "id": task.row.number if task.asked.id is None else task.asked.id,
                **task.known,
                **said(finished),
                "stop": stop_object(finished.stop),
                "usage": usage_object(finished.usage),
                "seed": started.seed,
            }
        record.update(self._judged(task, started, finished))
        if self._order.receipt:
            prepared = task.prepared
            run = Run(
                prepared.model,
                prepared.model_origin,
                task.request,
                started,
                finished,
                self._backend.facts(),
            )
            record["receipt"] = dict(self._order.receipt(run))
        return record if task.is_openai else {**record, "key": task.key}

    def _judged(self, task: Task, started: Started, finished: Finished) -> dict[str, Any]:
        """What is measured of an answer: metrics, its test, its schema."""
        found: dict[str, Any] = {}
        if self._order.metrics:
            found["metrics"] = scores(self._order.metrics, finished)
        if task.asked.expect:
            result = judge("", task.asked.expect, [(started.seed, finished)])
            failures = [*result.outcomes[0].failures, *filter(None, [result.distinct])]
            found |= {"passed": not failures, **({"failures": failures} if failures else {})}
        return found | verdict(finished.text, task.request.settings)

    def _failed(
        self, row: Row | BadRow, error: Unreadable | LlmparamsError, task: Task | None = None
    ) -> None:
        place = Mark(row.line, 1) if isinstance(row, Row) else row.mark
        place = error.mark if isinstance(error, Unreadable) else place
        where = f"{self._source.place}:{place.line}:{place.column}"
        message, hint, kind = _told(error)
        key = task.key if task else self._tasks.key_of_unread(f"{message} {fields(row)}")
        known = None if task else self._sink.claim(row.number, key)
        if known is not None:
            self._count(known, kept=True)
            return
        if isinstance(row, Row) and batch_file.is_request(row):
            id = task.asked.id if task else row.fields["custom_id"].plain()
            record = batch_file.failed(id, key, f"{where}: {message}{f' ({hint})' if hint else ''}")
        else:
            record = {
                "id": task.asked.id if task and task.asked.id is not None else _id(row),
                "error": {
                    "kind": kind,
                    "message": message,
                    "hint": hint,
                    "place": where,
                    "line": place.line,
                    "column": place.column,
                },
                "key": key,
            }
        self._sink.add(row.number, key, True, record)
        self._count(record)

    def _count(self, record: Mapping[str, Any], *, kept: bool = False) -> None:
        self.tally.add(record, kept=kept)
        self._watch(self.tally)


def by_size(tasks: Iterable[Task | None]) -> Iterator[Task | None]:
    """The shortest first, in stretches, so that none waits for ever."""
    stretch: list[Task] = []
    for task in chain(tasks, [None]):
        if task is not None:
            stretch.append(task)
        if task is None or len(stretch) == STRETCH:
            yield from sorted(stretch, key=lambda each: each.size)
            stretch.clear()
        if task is None:
            yield None


def fields(row: Row | BadRow) -> str:
    """What a row says, as far as it can be read; or its number."""
    if isinstance(row, BadRow):
        return str(row.number)
    return repr({name: node.plain() for name, node in row.fields.items()})


def _told(error: Unreadable | LlmparamsError) -> tuple[str, str, str]:
    """The message, the cure and the kind of an error."""
    if isinstance(error, Unreadable):
        return error.reason, "", "row"
    return error.message, error.hint, error.exit_code.name.lower()


def _id(row: Row | BadRow) -> Any:
    """The row's own id, if it can be read; otherwise its number."""
    given = row.fields.get("id") if isinstance(row, Row) else None
    plain = given.plain() if given else None
    return plain if isinstance(plain, (str, int)) else row.number
