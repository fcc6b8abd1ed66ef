"""`llmparams quantize`: what was made of a model, or would be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from llmparams_cli.analysis.divergence import Beside
from llmparams_cli.analysis.perplexity import TextResult
from llmparams_cli.env import Environment
from llmparams_cli.files import display_path
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.quantized import Quantized
from llmparams_cli.render.divergence import divergence_object, show_divergence
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import size_text

HEAD = ("file", "type", "size", "bits/weight")
MEASURED = ("", "perplexity", "error", "read/s", "written/s")


def show(env: Environment, found: Quantized, measured: Beside | None, *, color: str) -> None:
    """Print a line for each file, what the new one is made of, and what it costs."""
    view = View(env, color)
    view.table(HEAD, [_row(env, found.source), _row(env, found.result)])
    view.line()
    if measured:
        base, other = found.source.quantization, found.result.quantization
        rows = [
            (base, *_measures(measured.base, measured.speeds[0])),
            (other, *_measures(measured.other, measured.speeds[1])),
        ]
        view.table(MEASURED, rows)
        view.line()
        show_divergence(view, measured, base, other)
        view.line()
    for line in _notes(found):
        view.line(line, DIM)


def show_json(env: Environment, found: Quantized, measured: Beside | None) -> None:
    """Print both files in numbers, and how far the second departs from the first."""
    source, result = file_object(found.source), file_object(found.result)
    document: dict[str, Any] = {"source": source, "result": result}
    if measured:
        source |= measured_object(measured.base, measured.speeds[0])
        result |= measured_object(measured.other, measured.speeds[1])
        document["divergence"] = divergence_object(measured)
    document |= {"unfit": list(found.unfit), "dry_run": found.is_planned}
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _notes(found: Quantized) -> Iterator[str]:
    share = found.result.size / found.source.size
    yield f"{share:.0%} of the size; {_mix(found.result)}"
    if found.unfit:
        count = len(found.unfit)
        many = f"{count} tensors have rows" if count > 1 else "1 tensor has rows"
        yield f"{many} that are no whole number of its blocks: they got a larger type"
    if found.is_planned:
        yield "nothing was written (--dry-run)"


def _row(env: Environment, header: Header) -> tuple[str, ...]:
    return (
        one_line(display_path(header.path, env.directory)),
        header.quantization,
        size_text(header.size),
        f"{header.bits_per_weight:.2f}",
    )


def _measures(result: TextResult, speed: float) -> tuple[str, ...]:
    score = result.score
    read = f"{result.speed:.0f}"
    return (f"{score.perplexity:.4f}", f"± {score.error:.4f}", read, f"{speed:.0f}")


def measured_object(result: TextResult, speed: float) -> dict[str, Any]:
    """What a model made of the text, for JSON."""
    return {
        "perplexity": rounded(result.score.perplexity),
        "error": rounded(result.score.error),
        "bits_per_byte": rounded(result.score.bits_per_byte),
        "read_per_second": rounded(result.speed),
        "written_per_second": rounded(speed),
    }


def _mix(header: Header) -> str:
    shares = sorted(header.tensor_types().items(), key=lambda item: -item[1].bytes)
    mix = ", ".join(f"{type} ({share.tensors})" for type, share in shares)
    return f"tensors: {mix}"


def file_object(header: Header) -> dict[str, Any]:
    """A file in numbers, for JSON."""
    return {
        "path": str(header.path),
        "type": header.quantization,
        "size": header.size,
        "parameters": header.parameters,
        "bits_per_weight": rounded(header.bits_per_weight),
        "tensors": {
            type: {"count": share.tensors, "bytes": share.bytes}
            for type, share in header.tensor_types().items()
        },
    }
