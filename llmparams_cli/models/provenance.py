"""Where a model comes from, as its header tells: its maker, its licence, what it was made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# By name here, the keys that say it; the first one present counts.
FACTS = {
    "license": ("general.license", "general.license.name"),
    "license_link": ("general.license.link",),
    "author": ("general.author", "general.organization"),
    "url": (
        "general.url",
        "general.repo_url",
        "general.source.url",
        "general.source.huggingface.repository",
        "general.source.repo_url",
    ),
    "quantized_by": ("general.quantized_by",),
    "version": ("general.version",),
    "finetune": ("general.finetune",),
    "description": ("general.description",),
    "languages": ("general.languages",),
    "tags": ("general.tags",),
}
MOST_BASES = 16


def provenance(metadata: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """The facts that the file has, by name; `base_model` lists what the model was made from."""
    facts: dict[str, str | list[str]] = {}
    for name, keys in FACTS.items():
        for key in keys:
            if name not in facts and (value := _texts(metadata.get(key))):
                facts[name] = value
    if bases := list(filter(None, (_base(metadata, number) for number in range(MOST_BASES)))):
        facts["base_model"] = bases
    return facts


def _base(metadata: Mapping[str, Any], number: int) -> str:
    """The name and the address of one of the models that this one was made from."""
    parts = (metadata.get(f"general.base_model.{number}.{key}") for key in ("name", "repo_url"))
    return ", ".join(part for part in parts if isinstance(part, str) and part)


def _texts(value: Any) -> str | list[str] | None:
    """A text, or a list of texts; None for anything else."""
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return value if isinstance(value, str) else None
