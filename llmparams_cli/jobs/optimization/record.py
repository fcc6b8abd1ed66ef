"""The journal of a search: a line for what is searched, then one for every finished trial.

It lies in the state directory under a hash of that first line, so the same command finds it again;
a model, case or value that changed is another search.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.optimization import Trial
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import display_path
from llmparams_cli.records.journal import Journal

FOLDER = "optimize"


class Record:
    """The journal of one search, open for appending. `trials` are those that it began with."""

    def __init__(self, env: Environment, subject: Mapping[str, Any], *, resume: bool) -> None:
        line = json.dumps(subject, sort_keys=True).encode() + b"\n"
        self.path = _path(env, line)
        self.trials: list[Trial] = []
        self.place = display_path(self.path, env.directory)
        if resume and not self.path.exists():
            raise UsageError(
                "--resume: no such search was begun",
                "the model, cases, --over, --metric and all other values must be as they were",
            )
        try:
            self._journal = Journal(self.path, self._read)
            if not resume:
                self._begin_anew()
        except BlockingIOError as error:
            raise UsageError("the same search runs already", "wait until it has ended") from error
        if not self._has_head:
            self._journal.append(line)

    def add(self, trials: Sequence[Trial]) -> None:
        """Append finished trials, all or none."""
        self._journal.append(*(_line(trial) for trial in trials))

    def close(self) -> None:
        self._journal.close()

    def _begin_anew(self) -> None:
        self._journal.close(remove=True)
        self.trials.clear()
        self._journal = Journal(self.path, self._read)

    def _read(self, lines: Iterator[bytes]) -> None:
        self._has_head = next(lines, None) is not None
        for number, line in enumerate(lines, 2):
            try:
                read = json.loads(line)
                scores = tuple(map(float, read["scores"]))
                ended = bool(read["given_up"]), str(read["failure"])
                self.trials.append(Trial(dict(read["values"]), scores, *ended))
            except (ValueError, TypeError, KeyError) as error:
                raise UsageError(
                    f"{self.place}:{number}: not a trial", "begin again without --resume"
                ) from error


def _path(env: Environment, line: bytes) -> Path:
    return env.state_dir / FOLDER / f"{hashlib.sha256(line).hexdigest()[:16]}.jsonl"


def _line(trial: Trial) -> bytes:
    return json.dumps(asdict(trial)).encode() + b"\n"
