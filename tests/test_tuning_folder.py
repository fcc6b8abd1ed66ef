"""The folder of an unfinished run: what is kept, and what a killed program leaves."""

import json
from pathlib import Path

import numpy as np
import pytest

from llmparams_cli.analysis.tuning import Check, Stride
from llmparams_cli.errors import UsageError
from llmparams_cli.jobs.tuning.folder import (
    METRICS,
    RUN,
    STATE,
    RunFolder,
    date_of,
    refuse_foreign,
)


def stride(step: int) -> Stride:
    return Stride(step, step / 4, 3.0 - step / 10, 1e-3, 0.5, 100 * step, 0.1 * step)


def check(step: int) -> Check:
    return Check(step, 2.5, True, ("an answer",))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A run that was killed: its state is of step 2, its metrics go to step 4."""
    path = tmp_path / "out.gguf.tune"
    folder = RunFolder(path)
    folder.begin({"rate": 0.1})
    folder.log(check(0), stride(1), stride(2), check(2))
    folder.save({"w": np.arange(6.0, dtype=np.float32)}, {"step": 2, "stopping": [1, None]})
    folder.log(stride(3), stride(4))
    folder.close()
    return path


def test_what_is_kept_comes_back(place):
    folder = RunFolder(place)
    state = folder.load()
    assert state is not None and state["w"].tolist() == [0, 1, 2, 3, 4, 5]
    assert state["w"].dtype == np.float32
    assert folder.position == {"step": 2, "stopping": [1, None]}
    assert folder.run() == {"rate": 0.1}
    folder.close()


def test_steps_after_the_state_are_forgotten(place):
    folder = RunFolder(place)
    assert len(folder.strides) == 4
    folder.load()
    assert [each.step for each in folder.strides] == [1, 2]
    assert folder.checks == [check(0), check(2)]
    folder.log(stride(3))
    folder.close()
    steps = [json.loads(line)["step"] for line in (place / METRICS).read_text().splitlines()]
    assert steps == [0, 1, 2, 2, 3]


def test_without_a_state_all_begins_again(place):
    (place / STATE).unlink()
    folder = RunFolder(place)
    assert folder.load() is None
    assert folder.strides == folder.checks == []
    assert (place / METRICS).read_text() == ""
    folder.close()


def test_two_programs_do_not_share_a_run(place):
    folder = RunFolder(place)
    with pytest.raises(UsageError, match="goes on already"):
        RunFolder(place)
    folder.close()


@pytest.mark.parametrize("damage", [b"", b"PK\3\4 no archive", b"\0" * 100])
def test_a_damaged_state_is_an_error_in_one_line(place, damage):
    (place / STATE).write_bytes(damage)
    folder = RunFolder(place)
    with pytest.raises(UsageError, match=STATE):
        folder.load()
    folder.close()


@pytest.mark.parametrize("name", [RUN, METRICS])
def test_a_damaged_file_is_an_error_in_one_line(place, name):
    (place / name).write_text('{"kind": "other"}\n' if name == METRICS else "{")
    with pytest.raises(UsageError, match=name):
        RunFolder(place).run()


def test_a_torn_line_of_the_metrics_is_dropped(place):
    with (place / METRICS).open("a") as file:
        file.write('{"kind": "step", "st')
    folder = RunFolder(place)
    assert [each.step for each in folder.strides] == [1, 2, 3, 4]
    folder.close()


def test_at_the_end_the_metrics_stay(place, tmp_path):
    folder = RunFolder(place)
    folder.remove(tmp_path / "kept.jsonl")
    assert not place.exists()
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 6


def test_what_is_not_ours_stays(tmp_path):
    path = tmp_path / "out.gguf.tune"
    path.write_text("notes")
    with pytest.raises(UsageError, match="in the way"):
        refuse_foreign(path)
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="in the way"):
        refuse_foreign(path)
    RunFolder(path).close()  # nothing was begun
    assert [each.name for each in path.iterdir()] == ["notes.txt"]
    link = tmp_path / "link.tune"
    link.symlink_to(path)
    with pytest.raises(UsageError, match="in the way"):
        refuse_foreign(link)


def test_a_run_can_begin_anew(place):
    folder = RunFolder(place)
    folder.clear()
    assert folder.load() is None and folder.strides == [] and not folder.has_begun()
    folder.close()
    assert not place.exists()


def test_the_date_of_a_run_is_found(tmp_path):
    target = tmp_path / "out.gguf"
    assert date_of(target) == ""
    folder = RunFolder(tmp_path / "out.gguf.tune")
    folder.begin({"date": "2026-11-26T10:00:00"})
    assert date_of(target) == "2026-11-26T10:00:00"
    folder.close()
