"""How many tokens an answer needs at least that a constraint lets end: a lower estimate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache

from llmparams_cli.constraints import shortest_json
from llmparams_cli.constraints.checking.validity import unwrapped
from llmparams_cli.constraints.gbnf import reader, shortest
from llmparams_cli.constraints.gbnf.rules import Fault
from llmparams_cli.constraints.patterns import shortest_pattern
from llmparams_cli.params.conflicts import form
from llmparams_cli.params.settings import Settings

Cost = Callable[[str], int]

# What stands where any characters will do: long words and runs, which have few tokens.
FILLS = (
    " understanding", " information", " international", "understanding", "international",
    "INTERNATIONAL", " ", "0", "-", "=", "_",
)  # fmt: skip
SEPARATORS = ((",", ":"), (", ", ": "))  # how JSON may be spaced
EXACT = ("json_schema", "choices")  # whose alternatives are all counted
# Of texts that are as short, or longer by some characters, another one may have fewer tokens.
DOUBT = 0.2


def fewest(settings: Settings, cost: Cost, enough: int) -> int | None:
    """The tokens of the shortest answer, as `cost` counts those of a text. None where nothing
    constrains it, where nothing sure is known, or where `enough` tokens are enough.
    """
    name = form(settings)
    if not name:
        return None
    # A text has no more tokens than bytes.
    first = next(_texts(name, settings, len, "a"), None)
    if first is None or _bytes(first) <= enough:
        return None
    cost = cache(cost)  # names and alternatives are asked for again and again
    counts = []
    for fill in FILLS:
        counts.append(min(map(cost, _texts(name, settings, cost, fill)), default=0))
        if counts[-1] <= enough:
            return None
    least = min(counts)
    if name not in EXACT or max(counts) > least:  # something was left free
        least -= math.ceil(least * DOUBT)
    return least if least > enough else None


def _texts(name: str, settings: Settings, cost: Cost, fill: str) -> Iterator[str]:
    """Answers of which one may be that with the fewest tokens; first, one that is short."""
    if name == "choices":
        yield from sorted(settings[name], key=_bytes)
    elif name == "json_schema":
        schema = unwrapped(settings[name])
        for separators in SEPARATORS:
            text = shortest_json.shortest(schema, cost, fill, separators)
            if text is not None:
                yield text
    elif name == "grammar":
        with suppress(Fault):  # told where the grammar is followed
            yield shortest.shortest(reader.read(settings[name]), fill)
    else:
        with suppress(ValueError):  # what Python cannot read
            yield shortest_pattern.shortest(settings[name], fill)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
