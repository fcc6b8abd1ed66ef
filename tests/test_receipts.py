"""Receipts: what they say, when they are written, and what is refused when one is read."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import write_llama
from program import Program

from llmparams_cli import __version__
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.models import builtin
from llmparams_cli.params.table import PARAMS
from llmparams_cli.records import identity, reading, store

USAGE = ExitCode.USAGE
RUN = ("generate", "Tell me a story", "-n", "6", "--seed", "3")


def receipt_of(program: Program, *arguments: str) -> dict[str, Any]:
    done = program.call(*RUN, "--receipt", "run.json", *arguments)
    assert done.code == 0, done.stderr
    return load(program.place / "run.json")


def load(path: Path) -> dict[str, Any]:
    document = json.loads(path.read_text())
    assert isinstance(document, dict)
    return document


def logged(program: Program) -> list[Path]:
    return sorted((program.place / "state" / "log").glob("*"))


def log_at(place: Path) -> Environment:
    return Environment(variables={"LLMPARAMS_STATE_DIR": str(place)}, quiet=True)


# --- what a receipt says


def test_it_holds_all_that_the_json_says_and_what_a_replay_needs(program: Program) -> None:
    arguments = ("--system", "Be brief.", "--json", "--temperature", "0.9")
    result = program.call(*RUN, *arguments, "--receipt", "run.json").json
    receipt = load(program.place / "run.json")
    for key in ("text", "stop", "usage", "timing", "seed", "prompt"):
        assert receipt[key] == result[key], key
    assert receipt["model"].items() >= result["model"].items()
    assert receipt["model"]["sha256"] == hashlib.sha256(builtin.PATH.read_bytes()).hexdigest()
    assert receipt["model"]["size"] == builtin.PATH.stat().st_size
    assert receipt["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Tell me a story"},
    ]
    assert receipt["receipt_format"] == 2
    assert receipt["program"] == __version__
    assert receipt["library"]["llama-cpp-python"] == "0.3.36"
    assert receipt["device"]["threads"] == 1
    assert receipt["batch"] == {
        "batch_size": min(2048, receipt["context"]),
        "ubatch_size": 512,
        "sequences": 1,
        "cached_tokens": 0,
    }
    assert len(receipt["prompt_ids"]) == result["usage"]["prompt_tokens"]
    assert len(receipt["answer_ids"]) == result["usage"]["completion_tokens"]
    assert "".join(receipt["answer_texts"]) == result["text"]
    assert receipt["parameters"].keys() == PARAMS.keys()
    for name, said in result["parameters"].items():
        assert receipt["parameters"][name]["value"] == said["value"], name
    assert receipt["parameters"]["temperature"]["origin"] == {
        "source": "flag",
        "name": "--temperature",
    }


def test_log_probabilities_are_kept_only_where_they_were_computed(program: Program) -> None:
    assert receipt_of(program)["answer_logprobs"] is None
    done = program.call(*RUN, "--json", "--logprobs", "2", "--receipt", "run.json")
    tokens = done.json["tokens"]
    receipt = load(program.place / "run.json")
    assert receipt["answer_logprobs"] == [token["logprob"] for token in tokens]


def test_a_file_that_a_value_came_from_is_in_it_by_value(program: Program) -> None:
    (program.place / "g.gbnf").write_text('root ::= "yes" | "no"')
    receipt = receipt_of(program, "--grammar", "@g.gbnf")
    assert receipt["parameters"]["grammar"]["value"] == 'root ::= "yes" | "no"'


def test_a_forbidden_token_and_an_odd_text_survive(program: Program) -> None:
    receipt = receipt_of(program, "--logit-bias", "42=false", "--stop", "\x1b[31m\u202e")
    assert receipt["parameters"]["logit_bias"]["value"] == {"42": False}
    raw = (program.place / "run.json").read_text()
    assert "\x1b" not in raw and "\u202e" not in raw
    read = reading.load(program.place / "run.json", "run.json")
    values = {assignment.name: assignment.value for assignment in read.assignments}
    assert values["logit_bias"] == {"42": -float("inf")}
    assert values["stop"] == ["\x1b[31m\u202e"]
    assert read.edited == ()


def test_a_run_that_fails_by_its_stop_has_a_receipt(program: Program) -> None:
    done = program.call(*RUN, "--receipt", "run.json", "--fail-on", "max-tokens")
    assert done.code == ExitCode.UNWANTED_STOP
    assert load(program.place / "run.json")["stop"]["reason"] == "max-tokens"


# --- where it goes


@pytest.mark.parametrize("name", ["-", "", "/dev/null", "no/such/place.json", "directory"])
def test_what_cannot_be_a_file_is_refused_before_any_work(program: Program, name: str) -> None:
    (program.place / "directory").mkdir()
    done = program.call(*RUN, "--receipt", name)
    line = done.complaint(USAGE)
    assert "--receipt" in line and name in line
    assert logged(program) == []


def test_a_receipt_replaces_a_file_whole_and_follows_a_link(program: Program) -> None:
    (program.place / "real.json").write_text("old")
    (program.place / "run.json").symlink_to("real.json")
    receipt_of(program)
    assert (program.place / "run.json").is_symlink()
    assert load(program.place / "real.json")["receipt_format"] == 2
    assert not list(program.place.glob(".*"))


def test_every_run_is_in_the_log_and_its_owner_alone_may_read_it(program: Program) -> None:
    assert program.call(*RUN).code == 0
    [path] = logged(program)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stem == load(path)["id"]


@pytest.mark.parametrize("off", ["--no-log", "off", "0", "false"])
def test_the_log_can_be_turned_off(program: Program, off: str) -> None:
    flags = [off] if off.startswith("--") else []
    variables = {} if flags else {"LLMPARAMS_LOG": off}
    done = program.call(*RUN, *flags, **variables)
    assert done.code == 0 and "no effect" not in done.stderr
    assert logged(program) == []
    assert "run.json" not in os.listdir(program.place)


def test_a_wrong_word_in_the_variable_is_told(program: Program) -> None:
    line = program.call(*RUN, LLMPARAMS_LOG="perhaps").complaint(USAGE)
    assert "LLMPARAMS_LOG: 'perhaps'" in line and "LLMPARAMS_LOG=off" in line


def test_a_log_that_cannot_be_written_costs_one_note_and_no_answer(program: Program) -> None:
    (program.place / "state").write_text("a file where a directory should be")
    done = program.call(*RUN)
    assert done.code == 0
    assert done.text
    assert done.stderr.count("this run is not in the log") == 1


def test_a_receipt_that_cannot_be_written_is_an_error_after_the_answer(program: Program) -> None:
    arguments = ("generate", "-", "--receipt", "run.json")
    session = program.terminal(*arguments, width=400, LLMPARAMS_X="1")
    session.wait_for("LLMPARAMS_X has no effect")  # all flags are checked
    (program.place / "run.json").mkdir()
    session.type("hi\n")
    session.press_ctrl_d()
    shown = session.end()
    assert shown.code == USAGE
    assert "tokens/s" in "".join(shown.lines)
    assert "error: --receipt" in shown.lines[-1]


# --- the model file


def test_the_hash_is_remembered_until_the_file_looks_different(tmp_path: Path) -> None:
    model, cache = tmp_path / "m.gguf", tmp_path / "cache"
    model.write_bytes(b"one")
    first = identity.recall([model], cache)
    assert first.sha256 == hashlib.sha256(b"one").hexdigest()
    status = model.stat()
    model.write_bytes(b"two")
    os.utime(model, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert identity.recall([model], cache) == first  # so it is good enough for a log only
    read = identity.read([model], lambda _what, _done: None)
    assert read.sha256 == hashlib.sha256(b"two").hexdigest()
    assert not read.is_that_of(first)
    os.utime(model, ns=(1, 1))
    assert identity.recall([model], cache).sha256 == read.sha256


def test_a_large_file_has_a_fingerprint_until_it_was_hashed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(identity, "SMALL", 2)
    model, other = tmp_path / "m.gguf", tmp_path / "other.gguf"
    model.write_bytes(bytes(10_000_000))
    other.write_bytes(bytes(9_999_999) + b"!")
    found = identity.recall([model], tmp_path)
    assert found.sha256 is None and found.fingerprint
    assert identity.read([model], lambda _what, _done: None).is_that_of(found)
    assert not identity.read([other], lambda _what, _done: None).is_that_of(found)
    identity.remember([model], "known", tmp_path)
    assert identity.recall([model], tmp_path).sha256 == "known"


def test_a_damaged_memory_holds_nothing(tmp_path: Path) -> None:
    model = tmp_path / "m.gguf"
    model.write_bytes(b"one")
    for damage in ("{", "[]", '{"x": ', "\x00"):
        (tmp_path / "hashes.json").write_text(damage)
        assert identity.recall([model], tmp_path).sha256 == hashlib.sha256(b"one").hexdigest()


def test_parts_are_hashed_as_one_file_and_progress_ends_at_one(tmp_path: Path) -> None:
    parts = [tmp_path / name for name in ("a", "b")]
    for part, data in zip(parts, (b"ab", b"cd"), strict=True):
        part.write_bytes(data)
    progress: list[float] = []
    found = identity.read(parts, lambda _what, done: progress.append(done))
    assert found.sha256 == hashlib.sha256(b"abcd").hexdigest()
    assert found.size == 4 and progress[-1] == 1.0


def test_another_model_is_named_with_its_own_hash(program: Program) -> None:
    path = write_llama(program.place / "tiny.gguf")
    receipt = receipt_of(program, "--model", "tiny.gguf")
    assert receipt["model"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert receipt["model"]["builtin"] is False


# --- the log's limits


def fill(place: Path, count: int, size: int = 10) -> None:
    place.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (place / f"20261124T{number:06}000Z-00000{number % 10}.json").write_text("x" * size)


def test_the_oldest_runs_go_when_there_are_too_many(tmp_path: Path) -> None:
    fill(tmp_path, 1010)
    (tmp_path / "notes.txt").write_text("not ours")
    store.prune(tmp_path, "")
    names = sorted(os.listdir(tmp_path))
    assert len(names) == 1001
    assert names[0].startswith("20261124T000010") and "notes.txt" in names


@given(st.lists(st.integers(0, 50), max_size=12))
def test_what_stays_is_within_the_limits_and_the_newest(tmp_path_factory, sizes) -> None:
    place = tmp_path_factory.mktemp("log")
    for number, size in enumerate(sizes):
        (place / f"20261124T{number:06}000Z-000000.json").write_text("x" * size)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "MAX_RUNS", 5)
        patch.setattr(store, "MAX_BYTES", 100)
        store.prune(place, "")
    kept = sorted(os.listdir(place))
    all_names = [f"20261124T{n:06}000Z-000000.json" for n in range(len(sizes))]
    assert kept == all_names[len(all_names) - len(kept) :]
    assert len(kept) <= 5 and sum((place / name).stat().st_size for name in kept) <= 100
    dropped = len(sizes) - len(kept)
    if dropped and len(kept) < 5:
        assert sum(sizes[dropped - 1 :]) > 100


def test_the_run_just_written_stays_whatever_its_size_or_its_date(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(store, "MAX_RUNS", 2)
    env = log_at(tmp_path)
    fill(store.directory(env), 5)
    store.add(env, {"id": "19700101T000000000Z-abcde0"})
    assert store.ids(env)[-1] == "19700101T000000000Z-abcde0"
    assert len(store.ids(env)) == 3


def test_writers_at_the_same_time_lose_nothing_and_break_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(store, "MAX_RUNS", 40)
    env = log_at(tmp_path)
    failures: list[BaseException] = []

    def write(writer: int) -> None:
        try:
            for number in range(30):
                # All ids end in 0, so that every one of them prunes.
                store.add(env, {"id": f"20261124T{number:06}00{writer}Z-00000{0}", "text": "x"})
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=[writer]) for writer in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    store.prune(store.directory(env), "")
    kept = store.ids(env)
    assert len(kept) == 40
    assert all(load(store.directory(env) / f"{id}.json")["text"] == "x" for id in kept)
    assert kept[0] == "20261124T000029005Z-000000"


def test_a_killed_process_leaves_no_half_of_a_receipt(program: Program) -> None:
    for delay in ("0.15", "0.25", "0.35"):
        program.shell(f"llmparams generate hi -n 3 & sleep {delay}; kill -9 $!; wait $! || true")
    for path in logged(program):
        if not path.name.startswith("."):
            assert load(path)["receipt_format"] == 2


# --- reading what anybody may have written


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> dict[str, Any]:
    return receipt_of(Program(tmp_path_factory.mktemp("sample"), cache))


def broken(sample: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A copy with another value in one place; `...` removes what is there."""
    document: Any = json.loads(json.dumps(sample))
    *outer, last = path.split(".")
    inner = document
    for key in outer:
        inner = inner[key]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    assert isinstance(document, dict)
    return document


WRONG = {
    "receipt_format=...": "receipt_format is missing",
    "receipt_format=3": "3 is none of the formats that this version reads: 1 and 2",
    'receipt_format="1"': "is not a whole number",
    "messages=[]": "messages: there is none",
    "messages=5": "5 is not a list",
    'messages=[{"role": "robot", "content": "hi"}]': 'messages[0].role: "robot" is not one of',
    'messages=[{"role": "user"}]': "messages[0].content is missing",
    'raw="yes"': 'raw: "yes" is not true or false',
    'overflow="never"': "is not one of refuse",
    "parameters.temperature.value=-1": "parameters.temperature.value: -1 is out of range",
    'parameters.temperature.value="hot"': "parameters.temperature.value: 'hot' is not a number",
    "parameters.temperature=5": "5 is not an object",
    'parameters.top_k.origin="moon"': 'parameters.top_k.origin: "moon" is not one of',
    'parameters.top_k.origin={"source": "moon"}': 'parameters.top_k.origin: "moon" is not one of',
    "parameters.top_k.origin=7": "parameters.top_k.origin: 7 is not an object",
    "parameters.top_k.origin={}": "parameters.top_k.origin: null is not one of default",
    'parameters.top_k.origin={"source": "preset", "line": -4}': "-4 is not the number of a line",
    'parameters.top_k.origin={"source": "preset", "line": true}': "true is not the number of a",
    'parameters.top_k.origin={"source": "preset", "file": ["a"]}': 'file: ["a"] is not text',
    'parameters.top_k.origin={"source": "flag", "name": "\\ud800"}': "is not Unicode text",
    'parameters.temprature={"value": 1, "origin": "default"}': "did you mean temperature?",
    'parameters.temp={"value": 1}': "there is no parameter 'temp'; did you mean temperature?",
    "answer_ids=[1, -1]": "answer_ids[1]: -1 is out of range",
    "answer_ids=[1.5]": "answer_ids[0]: 1.5 is not a whole number",
    "prompt_ids=[99999999999]": "prompt_ids[0]: 99999999999 is out of range",
    'answer_texts=["a"]': "it has 1 items, and answer_ids has 6",
    "answer_logprobs=[true, true, true, true, true, true]": "true is not a number",
    'stop.reason="bored"': "is not one of end-of-generation",
    "seed=null": "seed: None is not a whole number",
    "seed=-2": "seed: -2 is out of range",
    "model.path=...": "model.path is missing",
    "model.builtin=1": "1 is not true or false",
    "checksums=...": "checksums is missing",
    "usage=1": "usage: 1 is not an object",
}


@pytest.mark.parametrize("change", WRONG)
def test_what_is_wrong_is_one_line_with_its_place(
    program: Program, sample: dict[str, Any], change: str
) -> None:
    path, _, value = change.partition("=")
    document = broken(sample, path, ... if value == "..." else json.loads(value))
    (program.place / "bad.json").write_text(json.dumps(document))
    line = program.call("replay", "bad.json").complaint(USAGE)
    assert line.startswith("bad.json: ") and WRONG[change] in line
    assert line.rstrip().endswith(")")  # the cure


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "Expecting value in line 1"),
        (b"{", "in line 1, column 2"),
        (b"[]", "is not an object"),
        (b"\xff", "is not a receipt: not UTF-8: byte 0 (line 1) is 0xff"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"receipt_format": NaN}', "JSON has no NaN"),
        (b'{"receipt_format": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_what_is_no_json_is_no_receipt(program: Program, data: bytes, words: str) -> None:
    (program.place / "bad.json").write_bytes(data)
    line = program.call("replay", "bad.json").complaint(USAGE)
    assert "bad.json" in line and words in line


def test_escapes_in_a_receipt_do_not_reach_the_terminal(
    program: Program, sample: dict[str, Any]
) -> None:
    document = broken(sample, "overflow", "\x1b[2J")
    (program.place / "bad.json").write_text(json.dumps(document))
    assert "\x1b" not in program.call("replay", "bad.json").stderr


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.data())
def test_any_value_in_any_place_is_read_or_refused(sample, data) -> None:
    key = data.draw(st.sampled_from(sorted(sample)))
    inner = sample[key]
    path = key
    if isinstance(inner, dict) and inner and data.draw(st.booleans()):
        path = (
            f"{key}.{data.draw(st.sampled_from(sorted(k for k in inner if '.' not in k) or ['x']))}"
        )
    document = broken(sample, path, data.draw(JSON)) if "." not in key else sample
    try:
        receipt = reading.check(reading.Field("place", "", document))
    except UsageError as error:
        assert error.message.startswith("place: ") and error.hint
    else:
        assert receipt.messages


def test_an_edited_receipt_knows_what_was_edited(sample: dict[str, Any]) -> None:
    def edited(path: str, value: Any) -> tuple[str, ...]:
        return reading.check(reading.Field("p", "", broken(sample, path, value))).edited

    assert edited("date", "2020-01-01") == ()
    assert edited("parameters.temperature.value", 0.25) == ("parameters.temperature",)
    assert edited("parameters.top_k", ...) == ("parameters.top_k",)
    assert edited("messages", [{"role": "user", "content": "hello"}]) == ("messages",)
    assert edited("text", "other") == ("text",)
    assert edited("checksums.seed", "0") == ("seed",)
