"""A journal: lines that stay, whatever happens behind them."""

from __future__ import annotations

import resource
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.records.journal import Journal

LINES = (b"one", b"", b"three\r", b"\xff\x00")
WHOLE = b"".join(line + b"\n" for line in LINES)


@given(st.integers(0, len(WHOLE)), st.booleans())
def test_any_beginning_gives_its_whole_lines_and_goes_on_behind_them(cut: int, lazy: bool) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "j"
        path.write_bytes(WHOLE[:cut])
        count = WHOLE[:cut].count(b"\n")
        found: list[bytes] = []
        journal = Journal(path, lambda lines: None if lazy else found.extend(lines))
        assert found == ([] if lazy else list(LINES[:count]))
        assert journal.torn == cut - WHOLE[:cut].rfind(b"\n") - 1
        journal.append(b"five\n", b"six\n")
        journal.close()
        whole = b"".join(line + b"\n" for line in (*LINES[:count], b"five", b"six"))
        assert path.read_bytes() == whole


def test_a_reader_that_refuses_leaves_the_file_as_it_was_and_free(tmp_path: Path) -> None:
    path = tmp_path / "j"
    path.write_bytes(b"one\ntor")

    def refuse(lines: object) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        Journal(path, refuse)
    assert path.read_bytes() == b"one\ntor"
    Journal(path, list).close()


def test_one_program_at_a_time_and_one_name_for_each(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "deep" / "one", list)
    with pytest.raises(BlockingIOError):
        Journal(journal.path, list)
    with pytest.raises(FileExistsError):
        Journal(journal.path, list, new=True)
    taken = Journal(tmp_path / "taken", list)
    with pytest.raises(FileExistsError):
        journal.move(taken.path)
    journal.append(b"x\n")
    journal.move(tmp_path / "two")
    journal.append(b"y\n")
    assert (tmp_path / "two").read_bytes() == b"x\ny\n"
    assert not (tmp_path / "deep" / "one").exists()
    journal.close(remove=True)
    assert not (tmp_path / "two").exists()


def test_a_full_disk_is_an_error_and_no_half_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "j", list)
    journal.append(b"one\n")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6, before[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            journal.append(b"three\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert journal.path.read_bytes() == b"one\n"
    journal.append(b"two\n")
    journal.close()
    assert journal.path.read_bytes() == b"one\ntwo\n"
