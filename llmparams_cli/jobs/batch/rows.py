"""From a row to a request: its presets and values, and the key that identifies it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import LlmparamsError, UsageError
from llmparams_cli.jobs.batch.order import Order
from llmparams_cli.jobs.cases import expected_by, is_measured
from llmparams_cli.jobs.prepare import Prepared, prepare, refuse_template
from llmparams_cli.openai import batch_file
from llmparams_cli.params.conflicts import changed
from llmparams_cli.params.settings import Settings
from llmparams_cli.params.spec import Scope
from llmparams_cli.presets.document import Placed
from llmparams_cli.presets.nodes import Unreadable
from llmparams_cli.protocol import Backend, Request
from llmparams_cli.rows.asked import Asked, asked
from llmparams_cli.rows.row import Row

CHARACTERS = 4  # of a token
KEY = 12  # bytes of a row's key
# What changes the speed of an answer, and its text by rounding at most.
NOT_IN_KEY = ("threads", "threads_batch", "batch_size", "ubatch_size")


@dataclass(frozen=True)
class Task:
    """A row that is to be answered. `known` are its own fields that the record repeats."""

    row: Row
    asked: Asked
    is_openai: bool
    prepared: Prepared
    request: Request
    key: str
    known: Mapping[str, Any]

    @property
    def size(self) -> int:
        """How much work it is, roughly in characters."""
        read = sum(len(each.content) for each in self.request.messages)
        most: int = self.request.settings["max_tokens"]
        return read + max(0, most) * CHARACTERS


class Tasks:
    """Makes the tasks of a batch. `base` is what holds for all of its rows, `model` the identity of
    the model, `flags` and `variables` are as for `prepare`.
    """

    def __init__(
        self,
        env: Environment,
        order: Order,
        base: Prepared,
        model: Mapping[str, Any],
        flags: Mapping[str, Any],
        variables: tuple[str, ...],
    ) -> None:
        self._env = env
        self._order = order
        self._flags = flags
        self._variables = variables
        self._model = model
        self._by_presets: dict[tuple[str, ...], Prepared | LlmparamsError] = {(): base}
        self._base = base
        self.unseen = {*order.keep}  # fields to be kept that no row has had

    def task(self, row: Row, place: str, backend: Backend) -> Task:
        """The task of a row; raises Unreadable, or another error of this program."""
        is_openai = batch_file.is_request(row)
        wishes = batch_file.asked(row, place) if is_openai else asked(row, place)
        self._tell(wishes)
        prepared = self._prepared(wishes)
        request = self._request(prepared, wishes, row, backend)
        known = {name: row.fields[name].plain() for name in self._order.keep if name in row.fields}
        self.unseen -= known.keys()
        key = self._key(request, wishes)
        return Task(row, wishes, is_openai, prepared, request, key, known)

    def key_of_unread(self, text: str) -> str:
        """The key of a row that makes no request, by what is wrong with it."""
        return _digest(["unread", text])

    def _prepared(self, wishes: Asked) -> Prepared:
        """What holds for the row: the presets and values of all rows below its own."""
        base = self._by_preset(wishes.presets)
        settings = changed(base.settings, wishes.assignments)
        refuse_template(settings, base.model)
        system = base.system
        if wishes.system is not None:
            system = Placed(wishes.system, wishes.origin)
        return replace(base, settings=settings, system=system)

    def _by_preset(self, presets: tuple[str, ...]) -> Prepared:
        found = self._by_presets.get(presets)
        if found is None:
            try:
                found = self._with(presets)
            except LlmparamsError as error:
                found = error
            self._by_presets[presets] = found
        if isinstance(found, LlmparamsError):
            raise found
        return found

    def _with(self, presets: tuple[str, ...]) -> Prepared:
        prepared = prepare(
            self._env, [*self._order.presets, *presets], self._flags, self._variables
        )
        if prepared.in_memory != self._base.in_memory:
            wanted = prepared.model.known_as or prepared.model.name
            raise UsageError(
                f"preset {', '.join(presets)} wants another model in memory ({wanted})",
                "a batch has one model in memory; --model overrides presets",
            )
        if self._base.prompt_template and self._order.template is not None:
            prepared = replace(prepared, prompt_template=self._base.prompt_template)
        return prepared

    def _request(self, prepared: Prepared, wishes: Asked, row: Row, backend: Backend) -> Request:
        order = self._order
        measured = order.is_measured or (wishes.expect and is_measured(wishes.expect))
        expected = expected_by(wishes.expect, backend) if wishes.expect else ()
        logprobs = 0 if measured and wishes.logprobs is None else wishes.logprobs
        form = replace(order.form, raw=True) if wishes.raw else order.form
        if wishes.messages:
            messages = prepared.conversation(wishes.messages)
            return Request(messages, prepared.settings, form.raw, logprobs, form.overflow, expected)
        if wishes.prompt is None and prepared.needs_input:
            raise Unreadable(row.mark, _no_prompt(wishes))
        if wishes.raw and wishes.prompt is not None:  # nothing is put around it
            prepared = replace(prepared, system=None, prompt_template=None)
        return prepared.with_variables(wishes.variables).request(
            wishes.prompt or "", form=form, logprobs=logprobs, expected=expected
        )

    def _key(self, request: Request, wishes: Asked) -> str:
        expect = wishes.expect.expect if wishes.expect else {}
        return _digest(
            [
                self._model,
                [[m.role, m.content, m.reasoning] for m in request.messages],
                [request.raw, request.overflow, request.logprobs],
                values(request.settings),
                sorted((name, repr(wanted)) for name, wanted in expect.items()),
                [metric.name for metric in self._order.metrics],
            ]
        )

    def _tell(self, wishes: Asked) -> None:
        for note in wishes.notes:
            self._env.note(f"rows: {note}")
        if wishes.model:
            name = self._base.model.known_as or self._base.model.name
            self._env.note(f"rows name the model {wishes.model}; all of them go to {name}")
        template = self._base.prompt_template
        read = template.reads if template else set()
        unread = wishes.variables.keys() - read - {*self._order.keep}
        if unread and not wishes.presets:  # whose prompts may read them
            listed = ", ".join(sorted(unread))
            self._env.note(f"no prompt reads {listed}; --keep copies fields into the output")


def values(settings: Settings) -> dict[str, Any]:
    """The values that decide a text, as JSON has them."""
    return {
        each.name: each.param.kind.to_json(each.value)
        for each in settings.both
        if each.param.scope is not Scope.LOAD and each.param.name not in NOT_IN_KEY
    }


def _digest(what: Any) -> str:
    import hashlib

    text = json.dumps(what, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=KEY).hexdigest()


def _no_prompt(wishes: Asked) -> str:
    if not wishes.variables:
        return "there is no prompt in it"
    first = next(iter(wishes.variables))
    return f"there is no prompt in it; --template '{{{{ {first} }}}}' makes one of its fields"
