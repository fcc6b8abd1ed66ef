"""Identifies model files: by the SHA-256 of all their bytes, or of a sample."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from llmparams_cli import files
from llmparams_cli.files import write_whole

SMALL = 256 << 20  # bytes that are hashed within a second
SAMPLES = 16
SAMPLE_BYTES = 64 << 10
REMEMBERED = 64  # hashes in the cache

Progress = Callable[[str, float], None]


class Identity(NamedTuple):
    """The identity of a model in one file, or in several parts. Without `sha256` (hashing would
    have taken too long), `fingerprint` is the hash of `SAMPLES` samples of each file.
    """

    size: int
    sha256: str | None
    fingerprint: str | None = None

    def is_that_of(self, recorded: Identity) -> bool:
        """Are they the same, as far as can be told? Fingerprints tell different models apart, but
        may miss a single changed weight.
        """
        if recorded.sha256:
            return self.sha256 == recorded.sha256
        return (self.size, self.fingerprint) == (recorded.size, recorded.fingerprint)


def read(paths: Sequence[Path], progress: Progress) -> Identity:
    """Hash every byte, ignoring the cache; raises OSError if the files cannot be read."""
    size = _size(paths)
    return Identity(size, _sha256(paths, size, progress), _fingerprint(paths))


def recall(paths: Sequence[Path], cache_dir: Path) -> Identity:
    """The identity from the cache; otherwise from hashing, if the files are small enough."""
    size = _size(paths)
    known = _read_cache(cache_dir).get(_key(paths))
    if not isinstance(known, str) and size <= SMALL:
        known = files.sha256(*paths)
        remember(paths, known, cache_dir)
    if isinstance(known, str):
        return Identity(size, known)
    return Identity(size, None, _fingerprint(paths))


def remember(paths: Sequence[Path], sha256: str | None, cache_dir: Path) -> None:
    """Store the hash in the cache, if it can be written (see `_key` for how long it holds)."""
    entries = _read_cache(cache_dir)
    entries.pop(_key(paths), None)  # so that it moves to the end: the oldest are dropped
    kept = dict([*entries.items(), (_key(paths), sha256)][-REMEMBERED:])
    with suppress(OSError):
        write_whole(_cache(cache_dir), json.dumps(kept, indent=1), parents=True, private=True)


def stamped(path: Path) -> list[Any]:
    """What identifies a file on this machine in no time: a sample of its bytes, and the metadata
    that changes when it is replaced or written to.
    """
    status = path.stat()
    return [_fingerprint([path]), status.st_size, status.st_mtime_ns, status.st_ino]


def _sha256(paths: Sequence[Path], size: int, progress: Progress) -> str:
    done = 0

    def report(count: int) -> None:
        nonlocal done
        done += count
        progress("checking the model file", min(done / size, 1.0))

    return files.sha256(*paths, report=report)


def _fingerprint(paths: Sequence[Path]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            last = max(0, path.stat().st_size - SAMPLE_BYTES)
            for place in range(SAMPLES):
                file.seek(last * place // (SAMPLES - 1))
                digest.update(file.read(SAMPLE_BYTES))
    return digest.hexdigest()


def _size(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _key(paths: Sequence[Path]) -> str:
    """The metadata that changes when a file is replaced or written to: size, time, inode."""
    statuses = ((path, os.stat(path)) for path in paths)
    return " | ".join(f"{p} {s.st_size} {s.st_mtime_ns} {s.st_ino}" for p, s in statuses)


def _cache(cache_dir: Path) -> Path:
    return cache_dir / "hashes.json"


def _read_cache(cache_dir: Path) -> dict[str, Any]:
    try:
        entries = json.loads(_cache(cache_dir).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return entries if isinstance(entries, dict) else {}
