"""All models on this disk, with what their headers say and when they were used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.models.names import labels
from llmparams_cli.models.report import Listed
from llmparams_cli.models.stores import BUILT_IN, STORES, on_disk
from llmparams_cli.models.stores.kept import Kept, firsts
from llmparams_cli.models.summary import summaries
from llmparams_cli.protocol import Check
from llmparams_cli.records.usage import last_used
from llmparams_cli.text.units import size_text


def listed(env: Environment) -> list[Listed]:
    """All models, and what looks like one and has a `problem`."""
    models = on_disk(env)
    read = summaries(models, env)
    # Only what can be run competes for the short names.
    sound = [model for model in models if not read[model.reference].problem]
    names = {model.reference: name for model, name in labels(sound)}
    first, used = firsts(models), last_used(env)
    found = []
    for model in models:
        original = first[model.reference]
        path = os.path.realpath(model.path)
        found.append(
            Listed(
                names.get(model.reference, model.reference),
                model,
                read[model.reference],
                "" if original is model else names.get(original.reference, original.reference),
                original is not model and not _is_same_file(model, original),
                used.get(path),
            )
        )
    return found


def _is_same_file(one: Kept, other: Kept) -> bool:
    try:
        return os.path.samefile(one.path, other.path)
    except OSError:
        return False


def kept_models(env: Environment) -> Iterator[Check]:
    """What each program keeps, for `doctor`; nothing where it keeps nothing."""
    models = [each for each in listed(env) if not each.summary.problem]
    for prefix, store in STORES.items():
        its = [each for each in models if each.kept.store == prefix]
        if its and prefix != BUILT_IN:
            size = sum(each.summary.size for each in its if not each.same_as or each.is_copy)
            there = [str(place) for place in store.places(env) if _holds(place, its)]
            count = f"{len(its)} model{'s' if len(its) > 1 else ''}"
            places = ", ".join(dict.fromkeys(there))
            yield Check("models", store.title, f"{count}, {size_text(size)}, in {places}")


def _holds(place: Path, models: list[Listed]) -> bool:
    return any(each.kept.path.is_relative_to(place) for each in models)
