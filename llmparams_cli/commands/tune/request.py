"""What a user asked of `tune`, in whichever way it is used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import orderly_end
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.jobs.tuning import start as starts
from llmparams_cli.jobs.tuning.folder import date_of
from llmparams_cli.jobs.tuning.material import Material, data_of, material_of
from llmparams_cli.jobs.tuning.order import Order
from llmparams_cli.jobs.tuning.start import Start
from llmparams_cli.models.fresh import Shape
from llmparams_cli.protocol import Progress
from llmparams_cli.training.records import Data


@dataclass(frozen=True)
class Files:
    """Where pictures and pages go, and whether stdout takes JSON."""

    png: str | None
    svg: str | None
    html: str | None
    as_json: bool


@dataclass(frozen=True)
class Request:
    """The command line, checked. `shape` is that of a new model (None: `model` is the start), which
    has the vocabulary of `tokenizer`; `type` None is what suits the start.
    """

    env: Environment
    model: str
    data: str
    order: Order
    shape: Shape | None
    tokenizer: str
    type: str | None
    merge: bool
    resume: bool
    force: bool
    dry_run: bool
    files: Files
    color: str

    def start(self, progress: Progress) -> Start:
        starts.rest_while_waiting()
        if self.shape is None:
            return starts.from_model(self.env, self._prepared(self.model), progress)
        return starts.from_scratch(self.shape, self._prepared(self.tokenizer), self.order.seed)

    def examples(self) -> Data:
        return data_of(self.env, self.data)

    def material(
        self, start: Start, data: Data, progress: Progress, target: Path | None = None
    ) -> Material:
        """The rows to learn from; of an unfinished run, with the date on which it began."""
        settings, date = start.settings, self.env.began.isoformat()
        if self.resume and target:
            date = date_of(target) or date
        return material_of(self.env, data, start.tokenizer, settings, self.order, date, progress)

    def _prepared(self, model: str) -> Prepared:
        return prepare(self.env, [], {"model": model})

    def but(self, order: Order, shape: Shape | None) -> Request:
        """The same with other settings."""
        return replace(self, order=order, shape=shape)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that is gone at the end, whatever ends it."""
    with orderly_end(), tempfile.TemporaryDirectory(prefix=f"{APP}-") as folder:
        yield Path(folder)
