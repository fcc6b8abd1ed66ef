"""The cache of the Hugging Face Hub's library, which other programs use, too.

HUB/models--owner--repo/refs/main                      the commit's hash
HUB/models--owner--repo/snapshots/COMMIT/x.gguf        a link to ../../blobs/SHA256
HUB/models--owner--repo/blobs/SHA256.incomplete        a download, linked when it is whole
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.files import read_regular
from llmparams_cli.models.stores.kept import (
    MOST_BYTES,
    SHA256,
    Kept,
    based,
    entries,
    model_files,
    of_repository,
)

PREFIX = "hf"
REPOSITORY = "models--"
SHORT = 12  # letters of a commit that names an older version


def kept(env: Environment) -> Iterator[Kept]:
    """The models in the Hub's cache."""
    for place in places(env):
        yield from in_cache(place, PREFIX)


def places(env: Environment) -> list[Path]:
    """The cache that huggingface_hub would use (its constants.py)."""
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        if chosen := env.variables.get(variable):
            return [Path(os.path.expandvars(os.path.expanduser(chosen)))]
    if chosen := env.variables.get("HF_HOME"):
        return [Path(os.path.expandvars(os.path.expanduser(chosen))) / "hub"]
    return [based(env, "XDG_CACHE_HOME", ".cache") / "huggingface" / "hub"]


def in_cache(cache: Path, store: str) -> Iterator[Kept]:
    """The models of a cache that is laid out like the Hub's."""
    for entry in entries(cache):
        if entry.name.startswith(REPOSITORY):
            repository = entry.name.removeprefix(REPOSITORY).replace("--", "/", 1)
            yield from _of_repository(Path(entry.path), repository, store)


def _of_repository(place: Path, repository: str, store: str) -> Iterator[Kept]:
    """The files of the main version, and those of others that it does not have."""
    references = _references(place / "refs")
    snapshots = [Path(entry.path) for entry in entries(place / "snapshots")]
    main = references.get("main") or (snapshots[-1].name if snapshots else "")
    names = {commit: name for name, commit in references.items()}
    seen: set[str] = set()
    for snapshot in sorted(snapshots, key=lambda path: path.name != main):
        files = model_files(snapshot)
        blobs = {name: os.path.realpath(path) for name, path in files.items()}
        files = {name: path for name, path in files.items() if blobs[name] not in seen}
        seen.update(blobs.values())
        revision = names.get(snapshot.name, snapshot.name[:SHORT])
        label = repository if snapshot.name == main else f"{repository}@{revision}"
        hashes = {path: _sha256(blobs[name]) for name, path in files.items()}
        yield from of_repository(store, label, files, hashes)


def _references(place: Path) -> dict[str, str]:
    """Commits by the branch or tag that names them."""
    found = {}
    for name in sorted(entry.name for entry in entries(place)):
        try:
            found[name] = read_regular(place / name, MOST_BYTES).strip()
        except ValueError:
            continue
    return found


def _sha256(blob: str) -> str:
    """The hash that is a blob's name; empty where it is none (small files have another one, and
    without links there are no blobs).
    """
    name = os.path.basename(blob)
    return name if SHA256.fullmatch(name) else ""
