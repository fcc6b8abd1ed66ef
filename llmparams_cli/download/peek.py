"""The header of a model on the Hub, read by range requests; the model stays where it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from llmparams_cli.download.choice import RemoteFile
from llmparams_cli.download.failures import AGAIN, Lost
from llmparams_cli.download.hub import Hub
from llmparams_cli.download.transfer import begins_at
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
        try:
            for number, file in enumerate(choice.files):
                remote = _Remote(hub, name.repository, hub.known(name.repository, file))
                step = LATER_PART if number else FIRST
                left -= _read_header(remote, Path(directory) / file.name, step, left)
        except ModelError as error:  # the reader names the file here, which nobody has asked for
            error.message = error.message.replace(f"{directory}{os.sep}", "")
            error.args = (error.message,)
            raise
        yield Path(directory) / choice.files[0].name


class _Remote(NamedTuple):
    hub: Hub
    repository: str
    file: RemoteFile


def _read_header(remote: _Remote, path: Path, step: int, left: int) -> int:
    """Write as much of the file as its header needs; returns the number of bytes."""
    size, have, wanted = remote.file.size, 0, step
    if left <= 0:
        raise damaged(path, f"the headers of all parts are longer than {size_text(MOST)}")
    while True:
        have = _extend(remote, path, have, min(wanted, left, size))
        try:
            if read_header(path).data_offset <= have:
                return have
        except ModelError:
            # Zeros where the header goes on, or really damaged? Only more bytes can tell.
            if have == size or not _starts_right(path):
                raise
        if have == size:
            return have
        if have >= left:
            raise damaged(path, f"its header is longer than {size_text(MOST)}")
        wanted *= 2


def _starts_right(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _extend(remote: _Remote, path: Path, have: int, end: int) -> int:
    """Fetch the bytes from `have` up to `end`; returns how many there are now."""
    file = remote.file
    with (
        open(path, "r+b" if have else "w+b") as target,
        remote.hub.open(remote.repository, file.url, have, end) as response,
    ):
        at = begins_at(response, have, file)
        target.seek(at)
        for chunk in response.iter_raw():
            target.write(chunk)
            at += len(chunk)
            if at >= end:
                break  # closing the connection stops a server that would send everything
        target.truncate(file.size)
    if at < end:
        raise Lost(f"{file.path} ends too early", AGAIN)
    return end
