"""Trees as other programs leave them on a disk: the Hub's cache, Ollama, LM Studio, packages."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from models import write_llama

from llmparams_cli.files import sha256
from llmparams_cli.models import pulled
from llmparams_cli.models.pulled import Pulled, PulledFile

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TYPES = "application/vnd.ollama.image."


def model(path: Path, seed: int = 0, **more: object) -> Path:
    """A small sound model; another seed makes another file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_llama(path, layers=1, seed=seed, **more)  # type: ignore[arg-type]


def pull(models: Path, name: str, seed: int = 0, source: str = "") -> Path:
    """A model as `models pull` leaves it; returns its file."""
    path = model(pulled.folder(models, name) / f"{name.rpartition('/')[2]}.Q4_1.gguf", seed)
    file = PulledFile(path.name, path.stat().st_size, sha256(path))
    record = Pulled(name, source or f"{name}-source/repo", "", (file,), "mit", "2026-11-26")
    pulled.write(record, models)
    return path


def hub(home: Path, repository: str, files: Mapping[str, Path], commit: str = COMMIT) -> Path:
    """A repository in the Hub's cache, to which the files are moved; returns its snapshot."""
    place = home / f".cache/huggingface/hub/models--{repository.replace('/', '--')}"
    snapshot = place / "snapshots" / commit
    for folder in (place / "refs", place / "blobs", snapshot):
        folder.mkdir(parents=True, exist_ok=True)
    (place / "refs" / "main").write_text(commit)
    (place / "blobs" / f"{'a' * 64}.incomplete").touch()
    for name, path in files.items():
        blob = place / "blobs" / sha256(path)
        os.replace(path, blob)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return snapshot


def ollama(models: Path, manifest: str, path: Path) -> Path:
    """A model in Ollama's store, to which the file is moved; returns its blob."""
    digest = sha256(path)
    blob = models / "blobs" / f"sha256-{digest}"
    blob.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, blob)
    (models / "blobs" / f"sha256-{'c' * 64}-partial").touch()
    layers = [("model", digest), ("template", "1" * 64), ("params", "2" * 64)]
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {"mediaType": "application/vnd.docker.container.image.v1+json"},
        "layers": [
            {"mediaType": TYPES + kind, "digest": f"sha256:{digest}", "size": 1}
            for kind, digest in reversed(layers)
        ],
    }
    file = models / "manifests" / manifest
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document))
    return blob


def package(place: Path, name: str, path: Path) -> Path:
    """A Python package that is a model, as pip installs it; the file is moved into it."""
    inside = place / name / path.name
    inside.parent.mkdir(parents=True)
    os.replace(path, inside)
    hash = base64.urlsafe_b64encode(bytes.fromhex(sha256(inside))).decode().rstrip("=")
    info = place / f"{name}-0.1.2.dist-info"
    info.mkdir()
    (info / "RECORD").write_text(
        f"{name}/__init__.py,,\n{name}/{path.name},sha256={hash},{inside.stat().st_size}\n"
    )
    return inside
