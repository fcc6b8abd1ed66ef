"""From a name to a model on this disk: `smollm2`, `owner/repo:Q4_K_M`, `ollama:llama3.2:1b`.

What a name may be, the first kind that fits decides:

1. the name of a pulled model; or any model's with its store before it
2. the full name in its store, without the store; where a pulled model came from
3. a shorter one: without quantisation or tag, without owner, the file's name

Capitals do not count. Several names of one file are one model.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.models.catalogue import named
from llmparams_cli.models.reference import elsewhere
from llmparams_cli.models.stores import STORES, on_disk, own
from llmparams_cli.models.stores.kept import Kept, firsts
from llmparams_cli.models.summary import summaries

MOST_LISTED = 6  # candidates that an error names


def find(text: str, env: Environment) -> Kept | None:
    """The model of this name; None if there is none. Raises ModelError if there are several."""
    models = on_disk(env)
    named = [(model, _levels(model)) for model in models]
    for asked in _spellings(text):
        for level in range(3):
            if matches := [model for model, names in named if asked in names[level]]:
                return _one(text, matches, models, env)
    return None


def known(env: Environment) -> dict[str, Kept]:
    """The models that can be run, each by the shortest of its names that means it alone."""
    models = on_disk(env)
    read = summaries(models, env)
    runnable = [model for model in models if not read[model.reference].problem]
    return {label: model for model, label in labels(runnable)}


def labels(models: Iterable[Kept]) -> Iterator[tuple[Kept, str]]:
    """Every model with its name, and the store before that where another model has it, too."""
    models = list(models)
    first = firsts(models)
    meanings: dict[str, set[Kept]] = {}
    for model in models:
        for name in {model.name, *model.aliases}:
            meanings.setdefault(name.casefold(), set()).add(first[model.reference])
    for model in models:
        is_clear = len(meanings[model.name.casefold()]) == 1 or model.store == own.PREFIX
        yield model, model.name if is_clear else model.reference


def _spellings(text: str) -> list[str]:
    """The text, and how the Hub's names and addresses and the catalogue's are written here."""
    has_store = text.partition(":")[0] in STORES
    there = None if has_store else elsewhere(text)
    row = named(text)
    spellings = (text, str(there or text), row.name if row else text)
    return list(dict.fromkeys(each.casefold() for each in spellings))


def _levels(model: Kept) -> tuple[set[str], set[str], set[str]]:
    exact = {model.reference, *([model.name] if model.store == own.PREFIX else [])}
    full, short = {model.name, *model.aliases}, set(model.shorts)
    kinds = (exact, full | _in_store(model, full), short | _in_store(model, short))
    one, two, three = ({name.casefold() for name in names} for names in kinds)
    return one, two, three


def _in_store(model: Kept, names: set[str]) -> set[str]:
    return {f"{model.store}:{name}" for name in names}


def _one(text: str, matches: list[Kept], models: list[Kept], env: Environment) -> Kept:
    """The only model among the matches."""
    if len(_different(matches)) > 1:
        read = summaries(matches, env)
        matches = [each for each in matches if not read[each.reference].problem] or matches
    different = _different(matches)
    if len(different) == 1:
        return different[0]
    label = {model.reference: name for model, name in labels(models)}
    names = [label[model.reference] for model in different]
    more = ", …" if len(names) > MOST_LISTED else ""
    raise ModelError(
        f"{text!r} means {len(names)} models: {', '.join(names[:MOST_LISTED])}{more}",
        "name one of them",
    )


def _different(models: list[Kept]) -> list[Kept]:
    return list(dict.fromkeys(firsts(models).values()))
