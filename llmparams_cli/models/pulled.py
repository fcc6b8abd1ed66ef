"""The models that `models pull` brought: a folder each, with a record of what is in it.

    MODELS_DIR/smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
    MODELS_DIR/smollm2/pulled.json

The record is written last: a folder without one holds no model.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.files import read_regular, write_whole

RECORD = "pulled.json"
MOST_BYTES = 1_000_000  # of a record


@dataclass(frozen=True)
class PulledFile:
    """A file's name in the folder, its bytes, and the SHA-256 that they had when they came."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Pulled:
    """A model by the `name` that finds it again; `source` is what can be pulled once more.

    `files` are in the order of a split model's parts, the one to load first. `date` is the day
    (ISO 8601, UTC) on which it came.
    """

    name: str
    source: str
    revision: str
    files: tuple[PulledFile, ...]
    license: str
    date: str


def folder(models: Path, name: str) -> Path:
    """Where the model of this name is kept: owner/repo:Q4_0 in owner--repo--Q4_0."""
    return models / name.replace("/", "--").replace(":", "--")


def write(pulled: Pulled, models: Path) -> None:
    """Record a model whose files are complete."""
    text = json.dumps(asdict(pulled), indent=2) + "\n"
    write_whole(folder(models, pulled.name) / RECORD, text)


def read(directory: Path) -> Pulled | None:
    """The model in this folder; None if there is no sound record."""
    try:
        fields: dict[str, Any] = json.loads(read_regular(directory / RECORD, MOST_BYTES))
        files = tuple(PulledFile(**file) for file in fields.pop("files"))
        pulled = Pulled(files=files, **fields)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    is_sound = _has_right_types(pulled) and all(map(_is_inside, files))
    is_own = is_sound and folder(directory.parent, pulled.name) == directory
    return pulled if files and is_own else None


def _has_right_types(pulled: Pulled) -> bool:
    """Is everything a text that has to be one? The record might have been written by anybody."""
    texts = [pulled.name, pulled.source, pulled.revision, pulled.license, pulled.date]
    texts += [text for file in pulled.files for text in (file.name, file.sha256)]
    return all(isinstance(text, str) for text in texts) and all(
        type(file.size) is int and file.size >= 0 for file in pulled.files
    )


def _is_inside(file: PulledFile) -> bool:
    """Is its name that of a file in the folder of its record?"""
    name = file.name
    return name.isprintable() and Path(name).name == name and name not in ("", "..")


def all_pulled(models: Path) -> Iterator[Pulled]:
    """All models in this directory, by name."""
    try:
        folders = sorted(path for path in models.iterdir() if path.is_dir())
    except OSError:
        return
    yield from filter(None, map(read, folders))
