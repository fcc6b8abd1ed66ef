"""One chat's file: its entries, and the transcript that they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from llmparams_cli.errors import UsageError
from llmparams_cli.records.chats.entries import Configured, Entry, decode, encode
from llmparams_cli.records.chats.transcript import Transcript
from llmparams_cli.records.journal import Journal


def parse(lines: Iterable[bytes], place: str) -> tuple[list[Entry], Transcript]:
    """Read a chat; raises UsageError, which names the wrong line."""
    entries: list[Entry] = []
    transcript = Transcript()
    for number, line in enumerate(lines, 1):
        try:
            entry = decode(line, first=number == 1)
            transcript.apply(entry)
        except ValueError as error:
            raise UsageError(
                f"{place}:{number}: {error}", "mend this line, or delete it and all below it"
            ) from error
        entries.append(entry)
    return entries, transcript


class ChatJournal:
    """A chat that is in progress. Without a path, nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self.transcript = Transcript()
        self._entries: list[Entry] = []
        self._file = None if path is None else self._opened(path)

    @property
    def path(self) -> Path | None:
        return self._file.path if self._file else None

    @property
    def torn(self) -> int:
        """Bytes of an incomplete last line, removed on opening."""
        return self._file.torn if self._file else 0

    @property
    def is_new(self) -> bool:
        return not self._entries

    def record(self, entry: Entry) -> None:
        """Write the entry to the file, then apply it to the transcript."""
        if self.is_new and not isinstance(entry, Configured):
            raise AssertionError("a chat begins with its settings")
        if self._file:
            try:
                self._file.append(encode(entry, first=self.is_new))
            except OSError as error:
                raise _unwritable(self._file.path, error) from error
        self.transcript.apply(entry)
        self._entries.append(entry)

    def move(self, path: Path) -> None:
        """Rename the chat; the new name must be free."""
        try:
            if self._file:
                self._file.move(path)
            else:
                self._file = self._written(path)
        except FileExistsError as error:
            raise UsageError(
                f"there is a chat {path.stem!r} already", "choose another name"
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error

    def close(self) -> None:
        """Close the file, or remove it if nothing was said."""
        if self._file:
            self._file.close(remove=self.is_new)
        self._file = None

    def _written(self, path: Path) -> Journal:
        """A new file with all entries so far."""
        file = Journal(path, list, new=True)
        try:
            file.append(*(encode(e, first=place == 0) for place, e in enumerate(self._entries)))
        except OSError:
            file.close(remove=True)
            raise
        return file

    def _opened(self, path: Path) -> Journal:
        def read(lines: Iterable[bytes]) -> None:
            self._entries, self.transcript = parse(lines, str(path))

        try:
            return Journal(path, read)
        except BlockingIOError as error:
            raise UsageError(
                f"the chat {path.stem!r} is open in another program",
                "leave it there first, or choose another with --session",
            ) from error
        except OSError as error:
            raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the chat cannot be kept in {path}: {error.strerror}",
        "LLMPARAMS_STATE_DIR chooses another place; --no-save keeps nothing",
    )
