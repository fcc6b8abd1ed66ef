"""`llmparams quantize --ladder`: quantisations side by side, as a table with bars and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from llmparams_cli.analysis.ladder import Rung, beaten
from llmparams_cli.env import Environment
from llmparams_cli.models.gguf import Header
from llmparams_cli.render.bars import bar
from llmparams_cli.render.divergence import divergence_object
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.quantization import file_object, measured_object
from llmparams_cli.render.styles import DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.units import size_text

HEAD = ("type", "size", "bits", "KL divergence", "", "same top", "written/s")
BAR = 12  # columns
DECADES = 4  # that a bar spans: a full one is the largest divergence


def show(
    env: Environment, source: Header, rungs: Sequence[Rung], chosen: Rung | None, *, color: str
) -> None:
    """Print a line for each type, the largest first, and what follows from them."""
    view = View(env, color)
    ordered = sorted(rungs, key=lambda rung: -rung.size)
    most = max(rung.distance for rung in rungs)
    view.table(HEAD, [_original(source, rungs), *(_row(env, rung, most) for rung in ordered)])
    view.line()
    for line in _notes(rungs, chosen):
        view.line(line)
    view.line("a bar longer by a quarter of the longest: ten times the divergence", DIM)


def show_json(env: Environment, source: Header, rungs: Sequence[Rung], chosen: Rung | None) -> None:
    """Print all of it in numbers."""
    losers, first = beaten(rungs), rungs[0].beside
    document = {
        "source": file_object(source) | measured_object(first.base, first.speeds[0]),
        "ladder": [
            {
                "type": rung.type,
                "size": rung.size,
                "bits_per_weight": rounded(rung.bits_per_weight),
                **measured_object(rung.beside.other, rung.speed),
                "divergence": divergence_object(rung.beside),
                "beaten_by": losers.get(rung.type),
            }
            for rung in rungs
        ],
        "chosen": chosen.type if chosen else None,
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _original(source: Header, rungs: Sequence[Rung]) -> tuple[str, ...]:
    speed = max(rung.beside.speeds[0] for rung in rungs)
    return (
        source.quantization,
        size_text(source.size),
        f"{source.bits_per_weight:.2f}",
        "",
        "",
        "",
        f"{speed:.0f}",
    )


def _row(env: Environment, rung: Rung, most: float) -> tuple[str, ...]:
    divergence = rung.beside.divergence
    share = 1 + math.log10(rung.distance / most) / DECADES if rung.distance > 0 else 0.0
    return (
        rung.type,
        size_text(rung.size),
        f"{rung.bits_per_weight:.2f}",
        f"{rung.distance:.5f} ± {divergence.mean.error:.5f}",
        bar(max(0.0, share), BAR, env.stdout),
        f"{divergence.same.value:.1%}",
        f"{rung.speed:.0f}",
    )


def _notes(rungs: Sequence[Rung], chosen: Rung | None) -> Iterator[str]:
    for loser, winner in beaten(rungs).items():
        yield f"{winner} beats {loser}: no larger, nearer to the original and no slower"
    if chosen:
        yield f"nearest to the original of those that fit: {chosen.type}, {size_text(chosen.size)}"
