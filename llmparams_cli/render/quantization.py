"""`llmparams quantize`: what was made of a model, or would be."""

from __future__ import annotations

from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.files import display_path
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.quantized import Quantized
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import size_text

HEAD = ("file", "type", "size", "bits/weight")


def show(env: Environment, found: Quantized, *, color: str) -> None:
    """Print a line for each file, and what the new one is made of."""
    view = View(env, color)
    view.table(HEAD, [_row(env, found.source), _row(env, found.result)])
    view.line()
    share = found.result.size / found.source.size
    view.line(f"{share:.0%} of the size; {_mix(found.result)}", DIM)
    if found.unfit:
        count = len(found.unfit)
        many = f"{count} tensors have rows" if count > 1 else "1 tensor has rows"
        view.line(f"{many} that are no whole number of its blocks: they got a larger type", DIM)
    if found.is_planned:
        view.line("nothing was written (--dry-run)", DIM)


def show_json(env: Environment, found: Quantized) -> None:
    """Print both files in numbers."""
    document = {
        "source": _file(found.source),
        "result": _file(found.result),
        "unfit": list(found.unfit),
        "dry_run": found.is_planned,
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def _row(env: Environment, header: Header) -> tuple[str, ...]:
    return (
        one_line(display_path(header.path, env.directory)),
        header.quantization,
        size_text(header.size),
        f"{header.bits_per_weight:.2f}",
    )


def _mix(header: Header) -> str:
    shares = sorted(header.tensor_types().items(), key=lambda item: -item[1].bytes)
    mix = ", ".join(f"{type} ({share.tensors})" for type, share in shares)
    return f"tensors: {mix}"


def _file(header: Header) -> dict[str, Any]:
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
