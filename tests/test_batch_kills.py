"""A batch that is killed again and again, a disk that fills up: nothing is lost, nothing twice."""

from __future__ import annotations

import json
import random
import signal
import time
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import wait_until

from llmparams_cli.errors import UsageError
from llmparams_cli.records.results import Results

ABOUT = {"about": {"model": "m"}}


@pytest.mark.parametrize("unordered", [False, True])
def test_after_kills_at_any_moment_every_row_is_there_once(program, unordered):
    rows, chance = 300, random.Random(unordered)
    (program.place / "in").write_text("".join(f"{n}\n" for n in range(1, rows + 1)))
    arguments = ["batch", "in", "-o", "out.jsonl", "--resume", "--max-tokens", "4", "--quiet"]
    arguments += ["--unordered"] if unordered else []
    journal, output = program.place / "out.jsonl.batch", program.place / "out.jsonl"
    counts = [0]
    for _ in range(4):
        process = program.start(*arguments)
        wait_until(lambda: output.exists() or len(_lines(journal)) > counts[-1] + 1)
        time.sleep(chance.random() / 10)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        if output.exists():
            break
        counts.append(len(_lines(journal)))
    assert len(counts) > 2 and counts == sorted(counts), "what was there stays"
    kept = {entry["key"]: entry["record"] for entry in map(json.loads, _lines(journal)[1:])}
    done = program.pipe(*arguments)
    assert done.code == 0, done.stderr
    found = [json.loads(line) for line in output.read_text().splitlines()]
    ids = [each["id"] for each in found]
    assert sorted(ids) == [*range(1, rows + 1)] and (unordered or ids == sorted(ids))
    assert all(record in found for record in kept.values()), "none was answered again"
    assert not journal.exists()


def _lines(path):
    """The whole lines of a file."""
    try:
        return path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return []


@settings(deadline=None)  # others may be busy on the machine
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=12),
    st.data(),
)
def test_a_journal_cut_anywhere_keeps_its_whole_lines(tmp_path_factory, added, data):
    path = tmp_path_factory.mktemp("results") / "out.batch"
    results = Results(path, ABOUT)
    for number, (key, is_error) in enumerate(added, 1):
        results.add(number, key, is_error, {"n": number})
    results.flush()
    results.close()
    if not added:
        assert not path.exists(), "without an answer there is nothing to go on with"
        return
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    path.write_bytes(whole[: data.draw(st.integers(first, len(whole)))])
    left = added[: path.read_bytes().count(b"\n") - 1]
    with closing(Results(path, ABOUT)) as results:
        assert results.earlier == len(left)
        for number in range(1, len(left) + 3):
            key = data.draw(st.sampled_from("abc"))
            errors = data.draw(st.booleans())
            found = results.claim(number, key, errors=errors)
            there = [n for n, (k, e) in enumerate(left, 1) if k == key and (errors or not e)]
            if found is None:
                assert not there
            else:
                assert found["n"] in there
                left[found["n"] - 1] = ("", True)  # it is another row's now


def test_the_answers_come_back_in_either_order(tmp_path):
    results = Results(tmp_path / "out.batch", ABOUT)
    for row in (3, 1, 2):
        results.add(row, str(row), False, {"row": row})
    results.flush()
    assert [each["row"] for each in results.records(ordered=True)] == [1, 2, 3]
    assert [each["row"] for each in results.records(ordered=False)] == [3, 1, 2]
    results.close(remove=True)
    assert not (tmp_path / "out.batch").exists()


@pytest.mark.parametrize("text", ["nonsense\n", "{}\n", '{"batch": 1}\n{"row": 1}\n', "[]\n"])
def test_a_file_that_is_no_journal_is_left_as_it_is(tmp_path, text):
    path = tmp_path / "out.batch"
    path.write_text(text)
    with pytest.raises(UsageError, match="journal"):
        Results(path, ABOUT)
    assert path.read_text() == text


def test_a_full_disk_is_told_and_what_is_there_stays(program):
    (program.place / "in").write_text("".join(f"{n}\n" for n in range(500)))
    limited = 'ulimit -f 64; llmparams batch in -o out.jsonl --max-tokens 2 --quiet "$@"'
    done = program.shell(limited)
    assert done.code == 11, done.stderr
    journal = program.place / "out.jsonl.batch"
    kept = [json.loads(line) for line in _lines(journal)[1:]]
    assert journal.read_bytes().endswith(b"\n") and kept
    done = program.pipe(
        *("batch", "in", "-o", "out.jsonl", "--max-tokens", "2", "--resume", "--json", "--quiet")
    )
    assert done.code == 0, done.stderr
    assert done.json["kept"] == len(kept) and done.json["rows"] == 500
