"""What the user orders: the options of `llmparams batch`, read but for those of settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.analysis.comparison import Metric
from llmparams_cli.jobs.prepare import FORMATTED, Form
from llmparams_cli.jobs.receipt import Run

Receipt = Callable[[Run], Mapping[str, Any]]


@dataclass(frozen=True)
class Order:
    """Where rows come from and answers go (`output` None: to standard output), and what becomes of
    them. `receipt` makes that of a run, if receipts are wanted.
    """

    source: str
    format: str | None = None
    output: Path | None = None
    presets: tuple[str, ...] = ()
    template: str | None = None
    form: Form = FORMATTED
    ordered: bool = True
    shortest: bool = False
    keep: tuple[str, ...] = ()
    metrics: tuple[Metric, ...] = ()
    is_measured: bool = False
    max_errors: int | None = None
    resume: bool = False
    retry_errors: bool = False
    replace: bool = False
    receipt: Receipt | None = None

    def gives_up(self, errors: int) -> bool:
        """Are these too many errors to go on?"""
        return self.max_errors is not None and errors > self.max_errors
