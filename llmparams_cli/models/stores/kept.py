"""A model that a program keeps on this disk: its file and the names that find it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from llmparams_cli.env import Environment

SUFFIX = ".gguf"
SHA256 = re.compile(r"[0-9a-f]{64}")
PART = re.compile(r"-(\d{5})-of-(\d{5})(?=\.gguf$)", re.IGNORECASE)
# What converters write into a file's name: Q4_K_M, UD-Q4_K_XL, IQ4_NL, F16, MXFP4_MOE.
QUANTIZATION = re.compile(
    r"(?<![A-Za-z0-9])(?:UD-)?"
    r"(?:I?Q\d(?:_(?:K|\d|XXS|XS|S|M|L|XL|NL))*|TQ\d_\d|[BF]?F?P?(?:16|32)|(?:MX|NV)FP4(?:_MOE)?)"
    r"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
ENDING = re.compile(r"[-_.]gguf$", re.IGNORECASE)  # of a repository's name
# Files beside a model that are none, by what llama.cpp and LM Studio call them; and downloads
# that have their last name already but for a beginning (GPT4All, LM Studio).
COMPANION = re.compile(r"mmproj|imatrix", re.IGNORECASE)
UNFINISHED = ("incomplete-", "downloading_", ".")

DEEPEST = 6  # folders below a store's own
MOST_ENTRIES = 50_000  # files and folders that are looked at in one store
MOST_BYTES = 1_000_000  # of a manifest, or of another file about models


@dataclass(frozen=True)
class Kept:
    """A model of the store `store` (its prefix). `path` is the file to load: of a split model, the
    first part. `name` is unique in its store; `aliases` mean this model there, too, and `shorts`
    do as long as no other has them. `sha256` is known of some, in the order of `files`.
    """

    store: str
    name: str
    path: Path
    aliases: tuple[str, ...] = ()
    shorts: tuple[str, ...] = ()
    sha256: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """The name that no model of another store can have."""
        return f"{self.store}:{self.name}"

    @property
    def files(self) -> tuple[Path, ...]:
        """All parts, as the first one's name counts them."""
        found = PART.search(self.path.name)
        if not found or int(found[1]) != 1:
            return (self.path,)
        start, end = self.path.name[: found.start()], self.path.name[found.end() :]
        numbers = range(1, int(found[2]) + 1)
        return tuple(self.path.with_name(f"{start}-{n:05}-of-{found[2]}{end}") for n in numbers)


def firsts(models: Iterable[Kept]) -> dict[str, Kept]:
    """For every model, by its reference, the first one that is the same: by its hash, or because
    both names lead to one file on the disk.
    """
    same: dict[str, Kept] = {}
    found: dict[str, Kept] = {}
    for model in models:
        marks = [mark for mark in (_inode(model.path), "".join(model.sha256)) if mark]
        known = [same[mark] for mark in marks if mark in same]
        first = known[0] if known else model
        same |= dict.fromkeys(marks, first)
        for other in known[1:]:  # this model is the same as two that had nothing in common
            for each in (same, found):
                each |= {key: first for key, value in each.items() if value is other}
        found[model.reference] = first
    return found


def _inode(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_dev}:{status.st_ino}" if status.st_ino else ""


def stem(path: PurePosixPath | Path) -> str:
    """A model's file name without its ending and, of a split model, without the part's number."""
    return PART.sub("", path.name)[: -len(SUFFIX)]


def quantization(path: PurePosixPath | Path) -> str:
    """The quantisation that a file's name or else its folder's names last, in capitals."""
    found = QUANTIZATION.findall(stem(path)) or QUANTIZATION.findall(path.parent.name)
    return found[-1].upper() if found else ""


def of_repository(
    store: str, repository: str, files: dict[str, Path], sha256: dict[Path, str] | None = None
) -> Iterator[Kept]:
    """The models among a repository's files, which are named by their paths in it. `sha256` has
    the hashes that are known.

    owner/repo:Q4_K_M if one file has this quantisation, otherwise owner/repo:file.gguf; both are
    aliases, as owner/repo, repo, what LM Studio makes of these, and the file's name are shorts.
    """
    models = {name: path for name, path in files.items() if not is_later_part(name)}
    kinds = {
        name: "" if COMPANION.search(name) else quantization(PurePosixPath(name)) for name in models
    }
    for name, path in sorted(models.items()):
        kind, by_file = kinds[name], f"{repository}:{name}"
        by_kind = f"{repository}:{kind}"
        is_clear = bool(kind) and [*kinds.values()].count(kind) == 1
        hashes = [(sha256 or {}).get(file, "") for file in Kept(store, "", path).files]
        yield Kept(
            store,
            by_kind if is_clear else by_file,
            path,
            (by_file, by_kind) if kind else (by_file,),
            (*_shorts(repository, kind), *file_names(PurePosixPath(name))),
            tuple(hashes) if all(hashes) else (),
        )


def _shorts(repository: str, kind: str) -> Iterator[str]:
    """Of Some/Model-GGUF in Q4_K_M: Some/Model-GGUF and Model-GGUF, and as LM Studio lists it:
    some/model, model, model@q4_k_m (capitals do not count).
    """
    for base in (repository, repository.rpartition("/")[2]):
        key = ENDING.sub("", base)
        yield from dict.fromkeys((base, key, *([f"{key}@{kind}"] if kind else [])))


def file_names(path: PurePosixPath | Path) -> tuple[str, str]:
    """A file's name with and without its ending."""
    return path.name, stem(path)


def is_later_part(name: str) -> bool:
    """Is it a part of a split model, but not the first one?"""
    found = PART.search(name)
    return found is not None and int(found[1]) != 1


def home(env: Environment) -> Path:
    """The user's home directory."""
    return Path(env.variables.get("HOME") or os.path.expanduser("~"))


def based(env: Environment, variable: str, default: str) -> Path:
    """One of the XDG base directories: its variable, or this default in the home directory."""
    return Path(env.variables.get(variable) or home(env) / default)


def model_files(directory: Path, deepest: int = DEEPEST) -> dict[str, Path]:
    """The whole .gguf files in a directory and below it, by their paths in it.

    Links are followed, each directory is read once (links may form a loop), and what cannot be
    read is left out.
    """
    found: dict[str, Path] = {}
    seen: set[tuple[int, int]] = set()
    places, count = [(directory, 0)], 0
    while places and count < MOST_ENTRIES:
        place, depth = places.pop()
        for entry in entries(place, seen):
            count += 1
            path = Path(entry.path)
            if entry.name.startswith(UNFINISHED):
                continue
            if is_directory(entry):
                places += [(path, depth + 1)] if depth < deepest else []
            elif entry.name.lower().endswith(SUFFIX) and is_file(entry):
                found[path.relative_to(directory).as_posix()] = path
    return dict(sorted(found.items()))


def entries(directory: Path, seen: set[tuple[int, int]] | None = None) -> list[os.DirEntry[str]]:
    """What is in a directory, by name; nothing if it cannot be read or was `seen` before."""
    try:
        status = directory.stat()
        if seen is not None:
            if (status.st_dev, status.st_ino) in seen:
                return []
            seen.add((status.st_dev, status.st_ino))
        with os.scandir(directory) as items:
            return sorted(items, key=lambda entry: entry.name)
    except (OSError, ValueError):
        return []


def is_directory(entry: os.DirEntry[str]) -> bool:
    """Is it a directory, or a link to one? A link that leads nowhere is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_file(entry: os.DirEntry[str]) -> bool:
    """Is it a regular file, or a link to one?"""
    try:
        return entry.is_file()
    except OSError:
        return False
