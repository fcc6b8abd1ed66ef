"""Makes and measures one quantisation after another."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from llmparams_cli import APP
from llmparams_cli.analysis.ladder import Rung
from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.interrupt import orderly_end
from llmparams_cli.jobs.evaluation import text
from llmparams_cli.jobs.evaluation.beside import beside
from llmparams_cli.jobs.prepare import Prepared
from llmparams_cli.jobs.quantization.making import Order, Wanted, file_type, make, order, source_of
from llmparams_cli.models.gguf import Header
from llmparams_cli.protocol import Progress
from llmparams_cli.text.units import size_text

# Common ones that need no importance matrix; those that it makes worth their while come with it.
USUAL = (
    *("Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_XS", "Q4_0", "Q4_K_S", "Q4_K_M"),
    *("Q5_K_S", "Q5_K_M", "Q6_K", "Q8_0"),
)
SMALL = ("IQ2_XXS", "IQ2_XS", "IQ2_M", "IQ3_XXS", "IQ3_M")


def types(named: str | None, *, importance: bool) -> list[str]:
    """The file types of a ladder: those named with commas, or the usual ones."""
    if named is None:
        return [*SMALL * importance, *USUAL]
    return [*dict.fromkeys(file_type(word.strip()) for word in named.split(","))]


def climb(
    env: Environment,
    prepared: Prepared,
    kinds: Sequence[str],
    wanted: Wanted,
    reading: text.Wanted,
    prepare: Callable[[str], Prepared],
    progress: Progress,
    *,
    size: int | None = None,
) -> tuple[Header, list[Rung]]:
    """Make each type in a folder of its own, measure it beside the original, and remove it again;
    return the original's header, too. `wanted` says how; `prepare` makes a model of a path ready;
    the smallest must have at most `size` bytes.
    """
    rungs: list[Rung] = []
    with orderly_end(), tempfile.TemporaryDirectory(prefix=f"{APP}-") as folder:
        # All are planned before one is made: an error comes at once.
        orders = [
            order(prepared, replace(wanted, target=Path(folder, f"{kind}.gguf"), type=kind))
            for kind in kinds
        ]
        _refuse_large(orders, size)
        for each in orders:
            made = make(env, each, progress)
            found = beside(env, prepared, prepare(str(each.target)), reading, progress)
            each.target.unlink()
            header = made.result
            rungs.append(Rung(each.recipe.type, header.size, header.bits_per_weight, found))
    return source_of(prepared.model), rungs


def _refuse_large(orders: Sequence[Order], size: int | None) -> None:
    smallest = min((each.result.result for each in orders), key=lambda header: header.size)
    if size is not None and smallest.size > size:
        raise UsageError(
            f"none of the types has {size_text(size)} or less",
            f"the smallest, {smallest.quantization}, has {size_text(smallest.size)}",
        )
