"""Opens what a batch needs: its rows, its output, the model; and runs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from llmparams_cli.analysis.batch import Tally
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.batch.order import Order
from llmparams_cli.jobs.batch.rows import Tasks, values
from llmparams_cli.jobs.batch.run import Batch
from llmparams_cli.jobs.batch.sinks import File, Sink, Stream
from llmparams_cli.jobs.model_note import note_model
from llmparams_cli.jobs.prepare import Prepared, prepare
from llmparams_cli.jobs.receipt import adapters, recalled
from llmparams_cli.params.settings import Origin, Source
from llmparams_cli.presets import prompt_template
from llmparams_cli.presets.document import Placed, text_of
from llmparams_cli.presets.prompt_template import PromptTemplate
from llmparams_cli.protocol import Progress
from llmparams_cli.rows.source import Source as Rows

Total = tuple[int, bool] | None  # rows of the input, and whether that is certain
Watch = Callable[[Tally, Total], None]
TEMPLATE = Origin(Source.FLAG, "--template")


def base(
    env: Environment, order: Order, flags: Mapping[str, Any], variables: tuple[str, ...]
) -> Prepared:
    """What holds for all rows."""
    given = variables if order.template is None else ()
    prepared = prepare(env, order.presets, flags, given)
    if order.template is None:
        return prepared
    try:
        reads = prompt_template.names(order.template)
    except ValueError as error:
        raise UsageError(f"--template: {error}", "--template 'Summarise: {{ text }}'") from error
    known = prompt_template.from_preset(Placed(order.template, TEMPLATE), {}, variables)
    own = known.values if known else {}
    template = PromptTemplate(Placed(order.template, TEMPLATE), own, reads)
    return replace(prepared, prompt_template=template)


def run(
    env: Environment,
    order: Order,
    prepared: Prepared,
    flags: Mapping[str, Any],
    variables: tuple[str, ...],
    parallel: int,
    progress: Progress,
    watch: Watch,
) -> tuple[Tally, bool]:
    """Answer all rows; return the counts, and whether all rows have ended."""
    # Its prompt may want what only a row has.
    note_model(env, replace(prepared, prompt_template=None))
    model = _model(env, prepared)
    tasks = Tasks(env, order, prepared, model, flags, variables)
    with (
        closing(Rows(env, order.source, order.format)) as rows,
        closing(_sink(env, order, _about(prepared, order, model))) as sink,
        Control(gently=True) as control,
        opened(
            env, prepared.model, prepared.settings, control, progress, slots=parallel, patient=True
        ) as backend,
    ):
        batch = Batch(
            env,
            order,
            tasks,
            rows,
            sink,
            backend,
            control,
            lambda tally: watch(tally, rows.total),
        )
        try:
            complete = batch.run()
        except BaseException:
            sink.finish(complete=False)  # what is answered is answered
            raise
        sink.finish(complete=complete)
        if tasks.unseen:
            env.note(f"--keep: no row has {', '.join(sorted(tasks.unseen))}")
        return batch.tally, complete


def _sink(env: Environment, order: Order, about: Mapping[str, Any]) -> Sink:
    if order.output is None:
        return Stream(env, ordered=order.ordered)
    return File(env, order, about)


def _model(env: Environment, prepared: Prepared) -> dict[str, Any]:
    """What tells the model from others: its name, its content, its adapters'."""
    model = prepared.model
    return {
        "name": model.name,
        **recalled(env, model.files),
        "adapters": [recalled(env, (path,)) for path in adapters(prepared.settings)],
    }


def _about(prepared: Prepared, order: Order, model: Mapping[str, Any]) -> dict[str, Any]:
    template = prepared.prompt_template
    return {
        "about": {
            "model": dict(model),
            "settings": values(prepared.settings),
            "system": text_of(prepared.system),
            "template": template.source.text if template else None,
            "raw": order.form.raw,
        }
    }
