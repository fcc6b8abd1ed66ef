"""`llmparams batch`: rows of every kind through one model, and what becomes of each."""

from __future__ import annotations

import io
import json
import signal
import time
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from program import wait_until

from llmparams_cli.env import Environment
from llmparams_cli.jobs.batch.run import by_size
from llmparams_cli.jobs.batch.sinks import Stream

BACKENDS = ("llama", "scripted")
SHORT = ("--max-tokens", "6")
TEXT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def write(program, *rows, name="in.jsonl"):
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    (program.place / name).write_text(text)
    return name


def records(program, name="out.jsonl"):
    return [json.loads(line) for line in (program.place / name).read_text().splitlines()]


def batch(program, *arguments, code=0, **more):
    done = program.call("batch", *arguments, *SHORT, **more)
    assert done.code == code, done.stderr
    return done


def test_every_line_of_a_pipe_gets_a_line_in_its_order(program):
    done = batch(program, "-", stdin=b"".join(b"Line %d\n" % n for n in range(40)))
    assert [each["id"] for each in done.events] == [*range(1, 41)]
    assert all(each["usage"]["completion_tokens"] <= 6 for each in done.events)
    assert all(each["text"] and each["stop"]["reason"] and each["seed"] for each in done.events)


def test_what_a_stream_cannot_take_is_escaped_in_it(program):
    done = program.pipe(
        *("batch", "-", "--keep", "prompt", *SHORT),
        stdin="héllo\n".encode(),
        PYTHONIOENCODING="ascii",
    )
    assert done.code == 0, done.stderr
    assert b"h\\u00e9llo" in done.stdout and done.events[0]["prompt"] == "héllo"


def test_a_file_appears_when_it_is_whole_and_its_journal_is_gone(program):
    done = batch(program, write(program, {"prompt": "Hi"}, {"prompt": "Ho"}), "-o", "out.jsonl")
    assert done.stdout == b"" and [each["id"] for each in records(program)] == [1, 2]
    assert sorted(path.name for path in program.place.glob("*.jsonl*")) == ["in.jsonl", "out.jsonl"]
    assert "2 rows" in done.stderr


def test_a_row_has_an_id_a_system_text_a_seed_and_fields_to_keep(program):
    row = {"id": "r7", "prompt": "Hi", "system": "Say yes.", "seed": 5, "topic": "foxes"}
    done = batch(program, write(program, row), "--keep", "topic", "--receipts")
    (record,) = done.events
    assert (record["id"], record["seed"], record["topic"]) == ("r7", 5, "foxes")
    assert record["receipt"]["messages"][0] == {"role": "system", "content": "Say yes."}
    assert record["receipt"]["parameters"]["seed"]["origin"] == {
        "source": "row",
        "file": "in.jsonl",
        "line": 1,
    }


def test_a_receipt_of_a_row_can_be_replayed(program):
    done = batch(program, write(program, {"prompt": "Hi", "seed": 5}), "--receipts")
    (program.place / "receipt.json").write_text(json.dumps(done.events[0]["receipt"]))
    replayed = program.call("replay", "receipt.json")
    assert replayed.code == 0, replayed.text


def test_wrong_rows_become_errors_in_their_place(program):
    name = write(
        program,
        {"prompt": "Hi"},
        '{"prompt": ',
        {"id": "x", "prompt": "Hi", "preset": "nonsense"},
        {"prompt": "Hi", "parameters": {"temprature": 1}},
        {"id": "e", "nothing": 1},
        {"prompt": "a fox " * 3000},
        {"prompt": "Ho"},
    )
    done = batch(program, name, "--context", "256", code=13)
    found = done.events
    assert [("error" in each) for each in found] == [False, True, True, True, True, True, False]
    errors = [each["error"] for each in found if "error" in each]
    assert [each["place"] for each in errors] == [
        "in.jsonl:2:12",
        "in.jsonl:3:1",
        "in.jsonl:4:33",
        "in.jsonl:5:1",
        "in.jsonl:6:1",
    ]
    assert [each["kind"] for each in errors] == ["row", "preset", "row", "row", "context"]
    assert errors[2]["message"].endswith("did you mean temperature?")
    assert [found[2]["id"], found[3]["id"], found[4]["id"]] == ["x", 4, "e"]
    assert "5 errors" in done.stderr


def test_it_gives_up_after_more_errors_than_are_allowed(program):
    name = write(program, *["{"] * 5, {"prompt": "Hi"})
    done = batch(program, name, "-o", "out.jsonl", "--max-errors", "2", code=13)
    assert "more than --max-errors 2 after 3 rows" in done.stderr
    assert not (program.place / "out.jsonl").exists()
    assert (program.place / "out.jsonl.batch").exists()


def test_columns_fill_the_prompt_of_a_preset(program):
    (program.place / "ask.yaml").write_text(
        "prompt: 'Say {{ word }} in {{ language }}'\nvariables: {language: English, word: }\n"
    )
    (program.place / "in.csv").write_text("word,language\nhello,French\nbye,German\nx,\n")
    done = batch(program, "in.csv", "-p", "./ask.yaml", "--receipts")
    asked = [each["receipt"]["messages"][-1]["content"] for each in done.events]
    assert asked == ["Say hello in French", "Say bye in German", "Say x in "]


def test_a_template_makes_a_prompt_of_fields(program):
    (program.place / "in.csv").write_text("review,n\nGood,1\nBad,2\n")
    done = batch(program, "in.csv", "--template", "Kind? {{ review }}", "--receipts")
    asked = [each["receipt"]["messages"][-1]["content"] for each in done.events]
    assert asked == ["Kind? Good", "Kind? Bad"]
    assert "no prompt reads n; --keep copies fields" in done.stderr


def test_without_a_prompt_the_error_names_the_cure(program):
    (program.place / "in.csv").write_text("review\nGood\n")
    (record,) = batch(program, "in.csv", code=13).events
    assert record["error"]["message"].endswith("--template '{{ review }}' makes one of its fields")


@pytest.mark.real_model
def test_a_mixed_file_gives_what_single_runs_give(program):
    """Presets, schemas, stop texts, values, messages; beside bad rows."""
    presets = ["balanced", "creative-chat", "deterministic", "precise", "brainstorm", "code"]
    rows = [
        *({"prompt": f"Tell me of a {p}", "preset": p, "seed": n} for n, p in enumerate(presets)),
        {"prompt": "A fox, as JSON", "schema": TEXT, "seed": 3},
        "{",
        {"prompt": "Once upon a time", "parameters": {"stop": ["a"], "repeat_penalty": 1.5}},
        {"messages": [{"role": "user", "content": "Hi"}], "system": "Be brief.", "seed": 9},
        {"prompt": "fox " * 3000},
    ]
    rows = [{**row, "seed": row.get("seed", 1)} if isinstance(row, dict) else row for row in rows]
    flags = ("--max-tokens", "24", "--context", "512")
    done = program.call("batch", write(program, *rows), *flags)
    assert done.code == 13, done.stderr
    for row, record in zip(rows, done.events, strict=True):
        if "error" in record:
            assert row == "{" or len(row["prompt"]) > 1000
            continue
        alone = ["--seed", str(row["seed"]), *flags, "--json", "--no-log"]
        alone += ["-p", row["preset"]] if "preset" in row else []
        alone += ["--system", row["system"]] if "system" in row else []
        alone += ["--json-schema", json.dumps(TEXT)] if "schema" in row else []
        if "parameters" in row:
            alone += ["--stop", "a", "--repeat-penalty", "1.5"]
        prompt = row.get("prompt", "Hi")
        assert record["text"] == program.call("generate", prompt, *alone).json["text"], row


# Going on


def test_what_is_answered_is_not_asked_again(program):
    name = write(program, *({"prompt": f"Row {n}"} for n in range(6)))
    batch(program, name, "-o", "out.jsonl")
    before = records(program)
    name = write(program, *({"prompt": f"Row {n}"} for n in (5, 0, 9, 1, 2)))
    done = batch(program, name, "-o", "out.jsonl", "--resume", "--json")
    after = records(program)
    assert [after[n]["text"] for n in (0, 1, 3, 4)] == [before[n]["text"] for n in (5, 0, 1, 2)]
    assert done.json["kept"] == 4 and done.json["rows"] == 5
    assert done.json["usage"]["completion_tokens"] == after[2]["usage"]["completion_tokens"]


def test_a_row_with_another_value_is_another_row(program):
    rows = [{"prompt": "Hi", "seed": 1}, {"prompt": "Hi", "system": "A"}, {"prompt": "Hi"}]
    batch(program, write(program, *rows), "-o", "out.jsonl")
    others = [
        {"prompt": "Hi", "seed": 2},
        {"prompt": "Hi", "system": "B"},
        {"prompt": "Hi", "expect": {"contains": "a"}},
        {"prompt": "Hi", "parameters": {"temperature": 0.5}},
        {"prompt": "Hi"},
    ]
    name = write(program, *others)
    assert batch(program, name, "-o", "out.jsonl", "--resume", "--json").json["kept"] == 1


def test_rows_are_written_in_their_order_whatever_their_ends(program):
    out = io.StringIO()
    for ordered, expected in ((True, [1, 2, 3, 5]), (False, [3, 2, 5, 1])):
        sink = Stream(Environment(stdout=out), ordered=ordered)
        for row in (3, 2, 5, 1):
            sink.add(row, "", False, {"id": row})
            assert ordered is not sink.may_begin(row + 5000)
        written = [json.loads(line)["id"] for line in out.getvalue().splitlines()]
        assert written == ([1, 2, 3] if ordered else expected), "as soon as those above are there"
        sink.finish(complete=False)
        assert [json.loads(line)["id"] for line in out.getvalue().splitlines()] == expected
        out.seek(0), out.truncate()


def test_equal_rows_each_have_an_answer_of_their_own(program):
    name = write(program, *[{"prompt": "Hi"}] * 3)
    batch(program, name, "-o", "out.jsonl")
    before = records(program)
    name = write(program, *[{"prompt": "Hi"}] * 5)
    done = batch(program, name, "-o", "out.jsonl", "--resume", "--json")
    assert done.json["kept"] == 3
    assert [each["seed"] for each in records(program)][:3] == [each["seed"] for each in before]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (("--temperature", "0.123"), "temperature was 0.8 and is 0.123"),
        (("--system", "Hello"), 'system was null and is "Hello"'),
        (("--template", "{{ prompt }}"), "template was null"),
    ],
)
def test_a_batch_that_was_begun_otherwise_is_not_mixed_with_this_one(program, more, told):
    name = write(program, "{", "{", {"prompt": "Hi"})
    batch(program, name, "-o", "out.jsonl", "--max-errors", "0", code=13)
    done = batch(program, name, "-o", "out.jsonl", "--resume", *more, code=2)
    assert told in done.stderr and "--force begins anew" in done.stderr


def test_errors_are_tried_again_only_if_that_is_asked(program):
    name = write(program, {"prompt": "Hi", "preset": "mine"}, {"prompt": "Ho"})
    batch(program, name, "-o", "out.jsonl", code=13)
    mine = program.place / "presets" / "mine.yaml"
    mine.parent.mkdir()
    mine.write_text("parameters: {temperature: 0}\n")
    done = batch(program, name, "-o", "out.jsonl", "--resume", "--retry-errors", "--json")
    assert done.json["kept"] == 1 and done.json["errors"] == 0


def test_an_error_stands_for_its_row_until_it_is_to_be_tried_again(program):
    name = write(program, {"prompt": "a fox " * 3000}, {"prompt": "Ho"})
    usual = (name, "-o", "out.jsonl", "--context", "256", "--json")
    batch(program, *usual, code=13)
    assert batch(program, *usual, "--resume", code=13).json["kept"] == 2
    again = batch(program, *usual, "--resume", "--retry-errors", code=13).json
    assert again["kept"] == 1 and again["errors"] == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("-o", "out.jsonl"), "out.jsonl exists"),
        (("-o", "in.jsonl", "--force"), "is the input"),
        (("-o", "../{place}/in.jsonl", "--force"), "is the input"),
        (("-o", "nowhere/out.jsonl"), "there is no directory"),
        (("-o", "/dev/null", "--force"), "is not a file"),
        (("-o", ".", "--force"), "is not a file"),
        (("--resume",), "--resume has no effect without -o"),
        (("--json",), "--json has no effect without -o"),
        (("-o", "x.jsonl", "--retry-errors"), "--retry-errors has no effect without --resume"),
        (("-o", "x.jsonl", "--resume", "--force"), "give one of them"),
        (("--format", "xml"), "--format 'xml' is unknown"),
        (("--metric", "good"), "--metric 'good' is unknown"),
        (("--template", "{{{{ x"), "--template: not a Jinja template"),
        (("--template", "@missing"), "--template @missing: No such file"),
        (("--parallel", "0"), "--parallel"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_a_model_is_loaded(program, arguments, told):
    write(program, {"prompt": "Hi"})
    (program.place / "out.jsonl").write_text("precious\n")
    arguments = [each.format(place=program.place.name) for each in arguments]
    done = batch(program, "in.jsonl", *arguments, code=2)
    assert told in done.complaint(2)
    assert (program.place / "out.jsonl").read_text() == "precious\n"


def test_the_shortest_rows_may_be_answered_first(program):
    sizes = [30, 5, 20, 1]
    name = write(program, *({"id": n, "prompt": "fox " * n} for n in sizes))
    usual = (name, "--parallel", "1", "--order", "shortest")
    done = batch(program, *usual, "--unordered")
    assert [each["id"] for each in done.events] == sorted(sizes)
    assert [each["id"] for each in batch(program, *usual).events] == sizes


@settings(deadline=None)  # others may be busy on the machine
@given(st.lists(st.none() | st.integers(0, 9), max_size=30))
def test_sorting_loses_nothing_and_holds_nothing_back(sizes):
    """Where nobody waits, all that came before are out, the shortest first."""
    tasks = [None if size is None else SimpleNamespace(size=size) for size in sizes]
    sorted_ones, stretch = [], []
    for size in [*sizes, None]:
        if size is None:
            sorted_ones += [*sorted(stretch), None]
            stretch = []
        else:
            stretch.append(size)
    assert [each and each.size for each in by_size(tasks)] == sorted_ones


@pytest.mark.parametrize("line", ["words", '{"id": "batch_req_abc"}', '{"id": 1}', "[]"])
def test_a_file_of_others_is_not_taken_for_our_own(program, line):
    (program.place / "out.jsonl").write_text(f"{line}\n")
    name = write(program, {"prompt": "Hi"})
    done = batch(program, name, "-o", "out.jsonl", "--resume", code=2)
    assert "out.jsonl:1: not a line that batch has written" in done.complaint(2)
    assert (program.place / "out.jsonl").read_text() == f"{line}\n"
    assert not (program.place / "out.jsonl.batch").exists()


def test_what_fails_before_an_answer_leaves_nothing(program):
    (program.place / "in.csv").write_bytes(b"")
    batch(program, "in.csv", "-o", "out.jsonl", code=2)
    assert [path.name for path in program.place.glob("out*")] == []


def test_no_rows_are_no_answers(program):
    done = batch(program, write(program), "-o", "out.jsonl", "--json")
    assert done.json["rows"] == 0 and (program.place / "out.jsonl").read_bytes() == b""


def test_a_field_that_no_row_has_cannot_be_kept(program):
    done = batch(program, write(program, {"prompt": "Hi"}), "--keep", "topic")
    assert "--keep: no row has topic" in done.stderr


def test_force_replaces_what_is_there(program):
    (program.place / "out.jsonl").write_text("old\n")
    batch(program, write(program, {"prompt": "Hi"}), "-o", "out.jsonl", "--force")
    assert len(records(program)) == 1


@pytest.mark.real_model
def test_two_programs_do_not_write_one_output(program):
    endless = ("--max-tokens", "-1", "--ignore-eos")
    name = write(program, {"prompt": "Hi"})
    first = program.start("batch", name, "-o", "out.jsonl", *endless)
    try:
        wait_until((program.place / "out.jsonl.batch").exists)
        journal = (program.place / "out.jsonl.batch").stat()
        for way in ("--resume", "--force"):
            done = batch(program, name, "-o", "out.jsonl", way, code=2)
            assert "another batch is writing it" in done.complaint(2)
        assert (program.place / "out.jsonl.batch").stat().st_ino == journal.st_ino
    finally:
        first.kill()
        first.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.real_model
def test_the_first_signal_lets_end_what_has_begun(program, number):
    name = write(program, *({"prompt": f"Tell me of fox {n}"} for n in range(2000)))
    arguments = ("batch", name, "-o", "out.jsonl", "--max-tokens", "60", "--ignore-eos")
    process = program.start(*arguments, "--parallel", "2")
    journal = program.place / "out.jsonl.batch"
    wait_until(lambda: journal.exists() and len(journal.read_text().splitlines()) > 3)
    process.send_signal(number)
    done = program.end(process)
    assert done.code == 130, done.stderr
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    assert all(each["record"]["stop"]["reason"] == "max-tokens" for each in rows)
    assert f"interrupted after {len(rows)} rows" in done.stderr
    assert "Ctrl-C again stops at once" in done.stderr
    assert not (program.place / "out.jsonl").exists()


@pytest.mark.script("word " * 400, delay=0.05)
def test_the_second_signal_does_not_wait(program):
    name = write(program, *({"prompt": f"Row {n}"} for n in range(50)))
    arguments = ("batch", name, "-o", "out.jsonl", "--max-tokens", "-1", "--ignore-eos")
    process = program.start(*arguments)
    wait_until((program.place / "out.jsonl.batch").exists)
    for _ in range(2):  # two in no time count as one
        process.send_signal(signal.SIGINT)
        time.sleep(0.3)
    done = program.end(process)
    assert done.code == 130, done.stderr
    journal = program.place / "out.jsonl.batch"  # there is one if the first came before all else
    assert '"interrupted"' not in (journal.read_text() if journal.exists() else ""), "it is half"


# What is measured


def test_metrics_tests_and_schemas_are_measured_on_rows(program):
    name = write(
        program,
        {"prompt": "Hi", "expect": {"tokens": {"max": 100}}},
        {"prompt": "Hi", "expect": {"contains": "no such text", "entropy": {"max": 50}}},
    )
    metrics = ("--metric", "length:0-100", "--metric", "regex:no such", "--metric", "entropy")
    done = batch(program, name, *metrics, "-o", "out.jsonl", "--json")
    first, second = records(program)
    assert first["passed"] is True and second["passed"] is False
    assert second["failures"][0].startswith("contains: 'no such text' is not in")
    assert first["metrics"]["length:0-100"] == 1 and first["metrics"]["regex:no such"] == 0
    assert first["metrics"]["entropy"] >= 0
    assert (done.json["passed"], done.json["failed"]) == (1, 1)
    assert done.json["metrics"]["length:0-100"] == 1


@pytest.mark.real_model
def test_an_answer_that_is_cut_off_is_not_as_the_schema_wants(program):
    name = write(
        program,
        {"prompt": "A number", "schema": TEXT},
        {"prompt": "A number", "schema": TEXT, "parameters": {"max_tokens": 2}},
    )
    done = program.call("batch", name, "--max-tokens", "200", "--temperature", "0", "--json")
    assert done.code == 2
    done = program.call("batch", name, "--max-tokens", "200", "--temperature", "0")
    whole, cut = done.events
    assert cut["valid"] is False and "is not JSON" in cut["invalid"]
    assert whole["valid"] is (whole["stop"]["reason"] == "end-of-generation")
    assert "not as the schema wants" in done.stderr


def test_the_summary_counts(program):
    name = write(program, *({"prompt": f"Row {n}"} for n in range(4)), "{")
    summary = batch(program, name, "-o", "out.jsonl", "--json", code=13).json
    found = [each for each in records(program) if "error" not in each]
    assert summary["rows"] == 5 and summary["errors"] == 1 and summary["complete"]
    assert sum(summary["stops"].values()) == 4
    for kind in ("prompt_tokens", "completion_tokens", "cached_tokens"):
        assert summary["usage"][kind] == sum(each["usage"][kind] for each in found)
    rate = summary["usage"]["completion_tokens"] / summary["seconds"]
    assert summary["tokens_per_s"] == pytest.approx(rate, rel=1e-3)
    cost = summary["per_thousand_rows"]
    assert cost["prompt_tokens"] == summary["usage"]["prompt_tokens"] * 200


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_other_kinds_of_files_go_out(program, ending):
    if ending == "parquet":
        pytest.importorskip("pyarrow")
    name = write(program, {"id": "a", "prompt": "Hi"}, "{")
    batch(program, name, "-o", f"out.{ending}", code=13)
    data = (program.place / f"out.{ending}").read_bytes()
    if ending == "csv":
        head, first, second = data.decode().splitlines()
        assert head.startswith("id,text,stop.reason,") and "error.message" in head
        assert first.startswith("a,") and second.startswith("2,")
    else:
        assert data[:4] == data[-4:] == b"PAR1"
    done = batch(program, name, "-o", f"out.{ending}", "--resume", code=2)
    assert "is finished, and not JSON lines" in done.stderr
