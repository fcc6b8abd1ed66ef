"""Ollama's store: a manifest for each name, and blobs named by their SHA-256.

    MODELS/manifests/registry.ollama.ai/library/llama3.2/1b     {"layers": [{"mediaType": …
    MODELS/blobs/sha256-…                                       a GGUF file, if that is its type
    MODELS/blobs/sha256-…-partial                               a download

A model is the layer of one type; others are its template, parameters, licence and projector.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.files import read_regular
from llmparams_cli.models.stores.kept import MOST_BYTES, MOST_ENTRIES, Kept, entries, home

PREFIX = "ollama"
MODEL_LAYER = "application/vnd.ollama.image.model"
DIGEST = re.compile(r"sha256[:-]([0-9a-fA-F]{64})")
REGISTRY, LIBRARY, LATEST = "registry.ollama.ai", "library", "latest"
# Where its service keeps models: its own installer, distributions' packages, the snap.
SERVICES = (
    "/usr/share/ollama/.ollama/models",
    "/var/lib/ollama/.ollama/models",
    "/var/lib/ollama/models",
    "/var/lib/ollama",
    "/var/snap/ollama/common/models",
)


def kept(env: Environment) -> Iterator[Kept]:
    """The models in Ollama's store."""
    for place in places(env):
        for number, (parts, manifest) in enumerate(_manifests(place / "manifests")):
            if number >= MOST_ENTRIES:
                break
            if digest := _model_digest(manifest):
                blob = place / "blobs" / f"sha256-{digest}"
                if blob.is_file():
                    yield _kept(parts, blob, digest.lower())


def places(env: Environment) -> list[Path]:
    """Where Ollama keeps models: OLLAMA_MODELS alone, if it is set."""
    if chosen := env.variables.get("OLLAMA_MODELS"):
        return [Path(chosen)]
    return [home(env) / ".ollama" / "models", *map(Path, SERVICES)]


def _manifests(place: Path) -> Iterator[tuple[tuple[str, str, str, str], Path]]:
    """Registry, namespace, model and tag of every manifest, with its file."""
    for host in entries(place):
        for space in entries(Path(host.path)):
            for model in entries(Path(space.path)):
                for tag in entries(Path(model.path)):
                    yield (host.name, space.name, model.name, tag.name), Path(tag.path)


def _model_digest(manifest: Path) -> str:
    """The SHA-256 of the layer that is the model; empty if there is none, or no sound manifest."""
    try:
        document: Any = json.loads(read_regular(manifest, MOST_BYTES))
        for layer in document["layers"]:
            if layer["mediaType"] == MODEL_LAYER and (found := DIGEST.fullmatch(layer["digest"])):
                return found[1]
    except (ValueError, TypeError, KeyError, RecursionError):
        pass
    return ""


def _kept(parts: tuple[str, str, str, str], blob: Path, digest: str) -> Kept:
    host, space, model, tag = parts
    words = [space, model] if space != LIBRARY else [model]
    base = "/".join(words if host == REGISTRY else [host, space, model])
    # "hf.co/owner/repo:Q4_0" is also asked for as "owner/repo:Q4_0".
    bases = dict.fromkeys((base, "/".join(words)))
    names = [f"{each}:{tag}" for each in bases]
    untagged = tuple(bases) if tag == LATEST else ()
    return Kept(
        PREFIX,
        names[0],
        blob,
        (*names[1:], *untagged),
        (*bases, f"{model}:{tag}", model),
        (digest,),
    )
