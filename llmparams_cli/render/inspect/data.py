"""All views as JSON for scripts. Numbers are not rounded; keys keep their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llmparams_cli.analysis.inside import Described, Difference, Norm, Split
from llmparams_cli.analysis.memory import Fit, Need
from llmparams_cli.models.anatomy import Layers, Part
from llmparams_cli.models.cursor import Array
from llmparams_cli.models.gguf import Header
from llmparams_cli.models.subject import Subject
from llmparams_cli.text.safe import spelled


def overview(subject: Subject, fit: Fit | None, problem: str) -> dict[str, Any]:
    """The main view. `problem` says why there is no memory."""
    header, body = subject.header, subject.anatomy
    shares = header.tensor_types()
    return {
        "files": [str(path) for path in header.paths],
        "bytes": header.size,
        "name": header.name,
        "architecture_name": header.architecture,
        "quantization": header.quantization,
        "generates": subject.model is not None,
        "refusal": subject.refusal or None,
        "origin": subject.provenance,
        "architecture": subject.architecture,
        "parameters": {
            "total": body.parameters,
            "weights": body.weights,
            "biases": body.biases,
            "bytes": body.bytes,
            "bits_per_parameter": body.bits_per_parameter,
            "by_kind": [_part(part) for part in body.parts],
            "by_layer": [_layers(group) for group in body.layers],
            "outside_layers": [_part(part) for part in body.outside],
            "by_type": {name: share._asdict() for name, share in shares.items()},
        },
        "tokenizer": asdict(subject.tokenizer),
        "chat_template": _template(subject),
        "recommended_sampling": header.sampling,
        "memory": memory(fit) if fit else None,
        "memory_problem": problem or None,
    }


def _template(subject: Subject) -> dict[str, Any] | None:
    can = subject.abilities
    if not can:
        return None
    return {"text": subject.template, **asdict(can), "names": list(subject.header.chat_templates)}


def _part(part: Part) -> dict[str, Any]:
    return asdict(part)


def _layers(group: Layers) -> dict[str, Any]:
    return {
        "tower": group.tower,
        "layers": list(group.numbers),
        "weights_each": group.weights,
        "biases_each": group.biases,
        "bytes_together": group.bytes,
        "each": [_part(part) for part in group.each],
    }


def memory(fit: Fit) -> dict[str, Any]:
    """What a run takes as it is set, and with other contexts and caches."""
    return {
        "usable": dict(fit.own.free),
        "layers": fit.layers,
        "fitting": dict(fit.fitting),
        "refused_cache_types": list(fit.refused),
        "own": need(fit.own),
        "usual": [need(each) for each in fit.usual],
    }


def need(found: Need) -> dict[str, Any]:
    """What one context with one type of cache takes, in bytes."""
    return {
        "context": found.context,
        "cache_type": found.cache_type,
        "weights": found.weights,
        "cache": found.cache,
        "compute": found.compute,
        "total": found.total,
        "devices": dict(found.on),
        "gpu_layers": found.gpu_layers,
        "fits": found.fits,
        "runs": found.runs,
    }


def described(tensors: Sequence[Described]) -> list[dict[str, Any]]:
    """The values of tensors; extremes with their indices."""
    return [
        {
            "name": tensor.name,
            "kind": tensor.kind,
            "type": tensor.type,
            "shape": list(tensor.shape),
            **asdict(tensor.statistics),
            "root_mean_square": tensor.statistics.root_mean_square,
            "extremes": [
                {"index": list(tensor.index(each.place)), "value": each.value}
                for each in tensor.statistics.extremes
            ],
        }
        for tensor in tensors
    ]


def norms(found: Sequence[Norm]) -> list[dict[str, Any]]:
    """The norm of every tensor."""
    return [asdict(norm) for norm in found]


def split(found: Split) -> dict[str, Any]:
    """A text in tokens; bytes in hexadecimal."""
    return {
        "tokens": sum(not piece.is_added for piece in found.pieces),
        "added": sum(piece.is_added for piece in found.pieces),
        "bytes": found.size,
        "pieces": [
            {
                "id": piece.id,
                "text": spelled(piece.text),
                "bytes": piece.bytes.hex(),
                "special": piece.is_special,
                "added": piece.is_added,
            }
            for piece in found.pieces
        ],
    }


def difference(found: Difference) -> dict[str, Any]:
    """Two files side by side."""
    return {
        "files": list(found.names),
        "identical": found.is_identical,
        "tensors": [
            {
                "name": tensor.name,
                "kind": tensor.kind,
                "types": list(tensor.types),
                "shapes": [list(shape) for shape in tensor.shapes],
                "same": tensor.is_same,
                "distance": asdict(tensor.distance) if tensor.distance else None,
            }
            for tensor in found.tensors
        ],
        "only_first": list(found.only_first),
        "only_second": list(found.only_second),
        "metadata": {key: [plain(first), plain(second)] for key, first, second in found.metadata},
    }


def keys(header: Header) -> dict[str, Any]:
    """All metadata; in place of a long array, its length."""
    return {key: plain(value) for key, value in header.metadata.items()}


def tensors(header: Header) -> list[dict[str, Any]]:
    """All tensors, without their values."""
    return [
        {
            "name": tensor.name,
            "type": tensor.type.name,
            "shape": list(tensor.shape[::-1]),
            "elements": tensor.elements,
            "bytes": tensor.bytes,
        }
        for tensor in header.tensors
    ]


def plain(value: Any) -> Any:
    """A value of the metadata as JSON has it."""
    return {"items": len(value)} if isinstance(value, Array) else value
