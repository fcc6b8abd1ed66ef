"""The header of a model on the Hub, read by range requests; the model stays where it is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from llmparams_cli.download.choice import RemoteFile
from llmparams_cli.download.failures import AGAIN, Lost
from llmparams_cli.download.hub import Hub
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.models.cursor import damaged
from llmparams_cli.models.gguf import MAGIC, read_header
from llmparams_cli.models.reference import HubName
from llmparams_cli.text.units import size_text

MOST = 16 << 20  # bytes that are read in all
FIRST = 1 << 20  # bytes of the first request; then twice as much, and so on
LATER_PART = 1 << 17  # a split model's later parts have tensors in their headers, no vocabulary


@contextmanager
def header_only(name: HubName, env: Environment) -> Iterator[Path]:
    """A file that can be inspected like the model of this name, without its weights.

    `models.gguf.read_model` works on it: it has the model's length and header, and holes where
    the weights are, so it takes no room on the disk. All parts of a split model lie beside each
    other. The file is gone afterwards. At most `MOST` bytes are read. Raises ModelError.
    """
    hub = Hub(env)
    _, choice = hub.offer(name).chosen()
    with tempfile.TemporaryDirectory(prefix="llmparams-") as directory:
        left = MOST
        for number, file in enumerate(choice.files):
            file = hub.known(name.repository, file)
            path = Path(directory) / file.name
            left -= _read_header(
                hub, name.repository, file, path, LATER_PART if number else FIRST, left
            )
        yield Path(directory) / choice.files[0].name


def _read_header(
    hub: Hub, repository: str, file: RemoteFile, path: Path, step: int, left: int
) -> int:
    """Write as much of the file as its header needs; returns the number of bytes."""
    have, wanted = 0, step
    while True:
        end = min(wanted, left, file.size)
        have = _extend(hub, repository, file, path, have, end)
        try:
            header = read_header(path)
            if header.data_offset <= have or have == file.size:
                return have
        except ModelError:
            # Zeros where the header goes on, or really damaged? Only more bytes can tell.
            if have == file.size or path.read_bytes()[:4] != MAGIC:
                raise
        if have >= left:
            raise damaged(path, f"its header is longer than {size_text(MOST)}")
        wanted *= 2


def _extend(hub: Hub, repository: str, file: RemoteFile, path: Path, have: int, end: int) -> int:
    """Fetch the bytes from `have` up to `end`; returns how many there are now."""
    with (
        open(path, "r+b" if have else "w+b") as target,
        hub.open(repository, file.url, have, end) as response,
    ):
        # A server that ignores ranges begins at the beginning: read over what is there.
        at = have if response.status_code == 206 else 0
        target.seek(at)
        for chunk in response.iter_raw():
            target.write(chunk[: end - at])
            at += len(chunk)
            if at >= end:
                break  # closing the connection stops a server that would send everything
        target.truncate(file.size)
    if min(at, end) < end:
        raise Lost(f"{file.path} ends too early", AGAIN)
    return end
