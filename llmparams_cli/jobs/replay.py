"""Runs a receipt again: is the answer the same, and if not, where and why does it differ?"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import resolve_path
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.answers import Seen, answer
from llmparams_cli.jobs.prepare import settle
from llmparams_cli.jobs.receipt import adapters, circumstances
from llmparams_cli.models.resolve import ResolvedModel, find_model, location, with_sha256
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import (
    Assignment,
    Origin,
    Settings,
    Source,
    differences,
    resolve,
)
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets import values
from llmparams_cli.presets.cascade import Gathered
from llmparams_cli.protocol import Finished, Piece, Progress, Request, Started
from llmparams_cli.records import identity, reading, store
from llmparams_cli.records.comparison import CUT_OFF, Difference, Replay, beside, first_difference
from llmparams_cli.records.reading import File, Receipt
from llmparams_cli.text.shorten import brief

SET = "--set"
FROM_RECEIPT = Origin(Source.FLAG, "receipt")


def find(env: Environment, text: str) -> Receipt:
    """The receipt in the file `text`, or of the run in the log that has this id."""
    path = resolve_path(text, env.directory)
    # Whatever looks like a path is one: its error must not be about ids in the log.
    if os.path.lexists(path) or os.sep in text or text.endswith(".json"):
        return reading.load(path, text)
    found = store.find(env, text)
    return reading.load(found, str(found))


def replay(
    env: Environment,
    receipt: Receipt,
    *,
    model: str | None = None,
    changes: Sequence[str] = (),
    progress: Progress,
) -> Replay:
    """Generate again with the values of the receipt, but for `changes` (NAME=VALUE)."""
    changed = _changed(changes, env.directory)
    layers = Gathered([*_recorded(receipt), *changed])

    def note(text: str) -> None:
        if SET in text:  # the first run has noted everything else
            env.note(text)

    settings, resolved = settle(
        layers, lambda _: _model(env, receipt, model), note, recommended=False
    )
    files = _file_differences(receipt, resolved, settings, progress)
    started, finished, facts = _generate(env, receipt, resolved, settings, progress)
    now = circumstances(facts, finished.usage.cached_tokens)
    differences = [
        *_edits(receipt),
        *_change_differences(receipt, changed),
        *files,
        *_prompt_difference(receipt, started),
        *_circumstance_differences(receipt, now),
    ]
    return beside(receipt, started, finished, differences)


def _recorded(receipt: Receipt) -> Iterator[Assignment]:
    """The values of the receipt. What chance, memory or the clock decided is now set to what it
    was.
    """
    yield from receipt.assignments
    known = {assignment.label: assignment for assignment in receipt.assignments}
    for name, value in (("seed", receipt.seed), ("context", receipt.context)):
        left_open = name in known and known[name].value == PARAMS[name].default
        if left_open or name in receipt.edited:
            yield Assignment(name, value, FROM_RECEIPT)
    # It was cut off from outside (Ctrl-C, time limit): now it ends at the same length.
    if receipt.stop.reason in CUT_OFF:
        yield Assignment("max_tokens", len(receipt.answer_ids), FROM_RECEIPT)
    # A slower machine must not cut off the answer.
    yield Assignment("time_limit", 0.0, FROM_RECEIPT)


def _changed(changes: Sequence[str], directory: Path) -> list[Assignment]:
    """The values of --set, those of one parameter joined as flags are."""
    return values.assignments(changes, directory, Origin(Source.FLAG, SET))


def _model(env: Environment, receipt: Receipt, given: str | None) -> ResolvedModel:
    if given is None and receipt.is_builtin:
        return find_model(BUILTIN, env)
    if given is None and not os.path.exists(location(receipt.model.path)):
        if same := with_sha256(receipt.model.identity.sha256, env):
            env.note(f"{receipt.model.path} is gone: using {same}, which is the same by SHA-256")
            return find_model(same, env)
        raise ModelError(
            f"{receipt.model.path}, the model of the receipt, does not exist",
            "--model PATH names it where it is now",
        )
    return find_model(given or receipt.model.path, env)


def _generate(
    env: Environment,
    receipt: Receipt,
    resolved: ResolvedModel,
    settings: Settings,
    progress: Progress,
) -> tuple[Started, Finished, Mapping[str, Any]]:
    """Generate the answer again; also returns the facts of the backend."""
    request = Request(
        receipt.messages,
        settings,
        receipt.raw,
        logprobs=0,
        overflow=receipt.overflow,
        expected=receipt.answer_ids,
        date=receipt.prompt_date,
        special=receipt.special,
    )
    pieces = 0

    def watch(event: Seen) -> None:
        nonlocal pieces
        if isinstance(event, Piece):
            pieces += 1
            progress("replaying", min(pieces / (len(receipt.answer_ids) + 1), 0.99))

    with Control() as control, opened(env, resolved, settings, control, progress) as backend:
        started, finished = answer(backend, request, watch)
        return started, finished, backend.facts()  # facts need a backend that is still open


def _edits(receipt: Receipt) -> Iterator[Difference]:
    now = {f"parameters.{a.label}": PARAMS[a.name].kind.show(a.value) for a in receipt.assignments}
    now |= {"seed": str(receipt.seed), "context": str(receipt.context)}
    now["prompt_date"] = receipt.prompt_date
    for name in receipt.edited:
        yield Difference(name, None, brief(now.get(name) or "otherwise", 60))


def _change_differences(receipt: Receipt, changed: list[Assignment]) -> Iterator[Difference]:
    seed = Assignment("seed", receipt.seed, FROM_RECEIPT)
    before = resolve([*receipt.assignments, seed])
    after = resolve([*receipt.assignments, seed, *changed])
    for name, old, new in differences(before, after):
        show = new.param.kind.show
        yield Difference(
            f"parameters.{name}", brief(show(old.value)), f"{brief(show(new.value))} ({SET})"
        )


def _file_differences(
    receipt: Receipt, resolved: ResolvedModel, settings: Settings, progress: Progress
) -> list[Difference]:
    """Differences between the files now and in the receipt. Every byte is read: a flipped bit shows
    neither in the size nor in the date.
    """
    pairs: list[tuple[str, File | None, Sequence[Path]]] = [
        ("model", receipt.model, resolved.files)
    ]
    for index, path in enumerate(adapters(settings)):
        recorded = receipt.adapters[index] if index < len(receipt.adapters) else None
        pairs.append((f"adapter {path.name}", recorded, [path]))
    found = []
    for what, recorded, paths in pairs:
        try:
            now = identity.read(paths, progress)
        except OSError as error:
            raise ModelError(f"{error.filename} cannot be read: {error.strerror}") from error
        if recorded is None or not now.is_that_of(recorded.identity):
            before = _name(recorded.identity) if recorded else "none"
            found.append(Difference(f"{what} file", before, _name(now)))
    return found


def _name(file: identity.Identity) -> str:
    if file.sha256:
        return f"SHA-256 {file.sha256[:16]}…"
    return f"{file.size} bytes, fingerprint {(file.fingerprint or 'none')[:16]}…"


def _prompt_difference(receipt: Receipt, started: Started) -> Iterator[Difference]:
    recorded, now = receipt.prompt_ids, started.tokens
    if recorded == now:
        return
    if started.date and not receipt.prompt_date:
        yield Difference("date (written by the chat template)", _local(receipt.date), started.date)
    place = first_difference(recorded, now)
    yield Difference(
        f"prompt token {place + 1} (from messages, template and tokenizer)",
        *(str(ids[place]) if place < len(ids) else "none" for ids in (recorded, now)),
    )


def _local(date: str) -> str:
    """The date of a receipt as templates write it: in local time, without its zone."""
    try:
        # Before Python 3.11, fromisoformat does not read Z.
        moment = datetime.fromisoformat(date.replace("Z", "+00:00"))
        return moment.astimezone().replace(tzinfo=None).isoformat()
    except (ValueError, OverflowError):
        return brief(date)


def _circumstance_differences(receipt: Receipt, now: dict[str, Any]) -> Iterator[Difference]:
    # The program is a bare version, every other section a dictionary.
    sections = {**now, "program": {"version": now["program"]}}
    for section in {**receipt.circumstances, **sections}:
        recorded, current = receipt.circumstances.get(section, {}), sections.get(section, {})
        for name in {**recorded, **current}:
            before, after = recorded.get(name), current.get(name)
            if before != after:
                yield Difference(f"{section} {name}", *(_shown(v) for v in (before, after)))


def _shown(value: Any) -> str:
    return brief(", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "none"
