"""`compare`: variants from one prefill, and the numbers of each."""

from __future__ import annotations

import csv
import io
import re
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presets_world import write
from program import Program
from rendering import Pipe
from rich.console import Console
from rich.text import Text

from llmparams_cli.analysis.comparison import (
    EXPLAINED,
    Fork,
    agreement,
    distinct,
    forks,
    read_metric,
    repetition,
)
from llmparams_cli.protocol import Token
from llmparams_cli.render.comparison.live import growing
from llmparams_cli.render.comparison.tree import tree

BACKENDS = ("llama", "scripted")  # see conftest

ROOT = Path(__file__).parent.parent
STORY = ("compare", "Tell me a story.", "--seed", "3", "-n", "12")


def variants(program: Program, *flags: str) -> dict[str, Any]:
    done = program.call(*STORY, "--json", *flags)
    assert done.code == 0, done.stderr
    return {variant["name"]: variant for variant in done.json["variants"]}


def test_every_answer_is_the_one_that_generate_gives(program: Program) -> None:
    """Decoding together changes rounding at most; these settings leave no near-ties."""
    found = variants(program, "--grid", "temperature=0,0.3", "--samples", "2")
    for name, variant in found.items():
        for sample in variant["samples"]:
            flag = ("--" + name).split("=")
            alone = program.call(
                "generate",
                "Tell me a story.",
                "-n",
                "12",
                "--no-newline",
                *flag,
                "--seed",
                str(sample["seed"]),
            )
            assert sample["text"] == alone.text


def test_a_grid_is_every_combination_with_the_same_seeds(program: Program) -> None:
    found = variants(program, "--grid", "temp=0.2,1.2", "--grid", "top-k=5,50", "--samples", "2")
    assert list(found) == [
        "temperature=0.2 top_k=5", "temperature=0.2 top_k=50",
        "temperature=1.2 top_k=5", "temperature=1.2 top_k=50",
    ]  # fmt: skip
    assert {tuple(s["seed"] for s in v["samples"]) for v in found.values()} == {(3, 4)}


@pytest.mark.real_model
def test_a_variant_is_named_by_the_file_not_by_what_is_in_it(program: Program) -> None:
    write(program.place, {"a.jinja": "{{ messages[0].content }}\n", "b.gbnf": 'root ::= "b"'})
    grids = ("--grid", "chat_template=a.jinja,chatml", "--grid", "grammar=none,@b.gbnf")
    found = variants(program, *grids, "-n", "2")
    assert list(found) == [
        f"chat_template={template} grammar={grammar}"
        for template in ("a.jinja", "chatml") for grammar in ("none", "@b.gbnf")
    ]  # fmt: skip
    last = found["chat_template=chatml grammar=@b.gbnf"]
    assert last["values"] == {"chat_template": "chatml", "grammar": "@b.gbnf"}
    assert last["samples"][0]["text"] == "b"


def test_equal_settings_give_equal_answers(program: Program) -> None:
    done = program.call(*STORY, "--json", "--grid", "top_k=40,40", "--temperature", "1")
    one, other = done.json["variants"]
    assert (one["name"], other["name"]) == ("top_k=40", "top_k=40 (2)")
    assert one["samples"][0]["token_ids"] == other["samples"][0]["token_ids"]


@pytest.mark.script("One fox, and then another fox, told each other one long story.")
def test_presets_with_other_system_texts_are_read_separately(program: Program) -> None:
    write(
        program.place,
        {
            "presets/a.yaml": "system: You answer in rhymes.\nparameters: {temperature: 0}",
            "presets/b.yaml": "parameters: {temperature: 0}",
        },
    )
    found = variants(program, "--preset", "a", "--preset", "b")
    for name, variant in found.items():
        alone = program.call(
            "generate", "Tell me a story.", "-p", name, "-n", "12", "--no-newline"
        ).text
        assert variant["samples"][0]["text"] == alone


def test_what_one_model_and_context_cannot_give_to_each_is_told(program: Program) -> None:
    write(
        program.place,
        {
            "presets/a.yaml": "parameters: {temperature: 0, context: 300, seed: 4}",
            "presets/b.yaml": "parameters: {temperature: 1, context: 200}",
        },
    )
    done = program.call("compare", "hi", "-p", "a", "-p", "b", "-n", "2")
    notes = [line for line in done.stderr.splitlines() if "serves all variants" in line]
    assert [note.split()[1:3] for note in notes] == [["seed", "4"], ["context", "300"]]
    assert all("presets/a.yaml:1" in note for note in notes)
    same = program.call("compare", "hi", "-p", "a", "-p", "a", "-n", "2")
    assert "serves all variants" not in same.stderr


def test_a_branch_that_ends_early_does_not_disturb_the_others(program: Program) -> None:
    found = variants(program, "--grid", "max_tokens=2,9", "--temperature", "0")
    short, long = (variant["samples"][0] for variant in found.values())
    assert short["stop"]["reason"] == "max-tokens"
    assert len(short["token_ids"]) == 2
    assert long["token_ids"][:2] == short["token_ids"]
    assert len(long["token_ids"]) == 9


def test_more_answers_than_fit_into_one_batch_are_the_same(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer at once changes rounding at most; see above."""
    write(program.place, {"p.txt": "Tell me a story.\nWhat is top-k?\nhi\n"})
    flags = ("--prompts", "p.txt", "--grid", "temperature=0,0.3", "--samples", "2", "--json")
    all_at_once = program.call("compare", *flags, "--seed", "3", "-n", "9").json
    monkeypatch.setattr("llmparams_cli.backends.llama.decoding.room.AT_ONCE", 3)
    three_at_once = program.call("compare", *flags, "--seed", "3", "-n", "9").json
    assert texts(three_at_once) == texts(all_at_once)


def texts(document: dict[str, Any]) -> list[tuple[str, str]]:
    samples = [sample for variant in document["variants"] for sample in variant["samples"]]
    return [(sample["prompt"], sample["text"]) for sample in samples]


def test_the_time_limit_is_each_answers_own(program: Program) -> None:
    found = variants(program, "--grid", "time_limit=0,0.000001", "--temperature", "0")
    free, limited = (variant["samples"][0] for variant in found.values())
    assert (free["stop"]["reason"], limited["stop"]["reason"]) == ("max-tokens", "time-limit")
    assert len(limited["token_ids"]) < len(free["token_ids"])


def test_json_tells_every_parameter_of_each_variant(program: Program) -> None:
    found = variants(program, "--grid", "temperature=0.2,1", "--top-k", "7")
    for name, value in (("temperature=0.2", 0.2), ("temperature=1", 1.0)):
        told = found[name]["parameters"]
        alone = program.call(
            "generate", *STORY[1:], "--temperature", str(value), "--top-k", "7", "--json"
        ).json["parameters"]
        assert told["temperature"]["value"] == value
        assert told["temperature"]["origin"] == "flag --grid"
        assert {key: each["value"] for key, each in told.items()} == {
            key: each["value"] for key, each in alone.items()
        }


def test_colours_can_be_asked_for_and_refused(program: Program) -> None:
    flags = ("--grid", "temperature=0.2,1", "-q", "-n", "2")
    assert (
        b"\x1b[1mtemperature=0.2"
        in program.call("compare", "x", *flags, "--color", "always").stdout
    )
    assert b"\x1b" not in program.call("compare", "x", *flags).stdout
    shown = program.terminal("compare", "x", *flags, "--color", "never").end()
    assert b"\x1b[1m" not in shown.received


def test_csv_has_a_row_for_each_answer(program: Program) -> None:
    flags = ("--grid", "temperature=0.2,1", "--samples", "2", "--metric", "json")
    done = program.call(*STORY, "--csv", *flags, "--metric", "command:wc -c")
    rows = list(csv.DictReader(io.StringIO(done.text)))
    assert [row["temperature"] for row in rows] == ["0.2", "0.2", "1", "1"]
    assert all(int(float(row["command:wc -c"])) == len(row["text"].encode()) for row in rows)
    assert {row["json"] for row in rows} == {"0.0"}


@pytest.mark.script("\x1b]0;title\x07\x1b[2J\u202e\u200f\u2028")
def test_nothing_that_a_model_writes_acts_on_a_terminal(program: Program) -> None:
    wild = "\x1b]0;title\x07\x1b[2J\u202e\u200f\u2028"
    grammar = f'root ::= "{wild}"'
    flags = ("--raw", "--grammar", grammar, "--grid", "top_k=40,50", "-q")
    for how in ((), ("--csv",), ("--json",)):
        shown = program.terminal("compare", "hi", *flags, *how).end()
        assert shown.code == 0
        for harm in ("\x1b]", "\x1b[2J", "\x07", "\u202e", "\u200f", "\u2028"):
            assert harm not in shown.received.decode()
    rows = csv.DictReader(io.StringIO(program.call("compare", "hi", *flags, "--csv").text))
    assert [row["text"] for row in rows] == [wild, wild]


@pytest.mark.parametrize(
    "flags",
    [
        ("--metric", f"regex:{'a|' + chr(27)}]0;title\a\u202e\n"),
        ("--metric", "command:echo 3 #\x1b]0;title\a\u202e"),
        ("--metric", "regex:(\x1b]0;title\a\u202e"),
        ("--metric", "\x1b]0;title\a\u202e"),
        ("--metric", "command:echo '\x1b]0;title\a\u202e'"),
        ("--grid", "stop=\x1b]0;title\a\u202e,b"),
    ],
)
def test_no_text_of_a_flag_acts_on_a_terminal(program: Program, flags: tuple[str, ...]) -> None:
    arguments = (*STORY, "--grid", "top_k=40,50,60", "-q", *flags)
    told = [program.terminal(*arguments, *how).end().received for how in ((), ("--csv",))]
    told.append(program.call(*arguments).stdout)
    for text in (each.decode() for each in told):
        assert not any(harm in text for harm in ("\x1b]", "\x07", "\u202e")), flags
        fails = "command:echo '" in flags[1]  # no number: told in a note, which -q silences
        assert "title" in text or not text or fails


def test_many_prompts(program: Program) -> None:
    write(program.place, {"p.jsonl": '{"prompt": "hi"}\n{"prompt": "What is top-k?"}\n'})
    flags = ("--prompts", "p.jsonl", "--grid", "temperature=0,1", "-n", "4", "--json")
    found = program.call("compare", *flags).json["variants"]
    for variant in found:
        assert [s["prompt"] for s in variant["samples"]] == ["hi", "What is top-k?"]
        assert variant["means"]["agreement"] is None


def test_texts_stand_below_their_prompt(program: Program) -> None:
    write(program.place, {"p.txt": "hi\nWhat is top-k?\n"})
    flags = ("--prompts", "p.txt", "--grid", "temperature=0,1", "-n", "4", "--seed", "3")
    found = program.call("compare", *flags, "--json").json["variants"]
    lines = program.call("compare", *flags).text.splitlines()
    wanted = []
    for number, prompt in enumerate(("hi", "What is top-k?"), 1):
        wanted.append(f'prompt {number} of 2: "{prompt}"')
        for variant in found:
            wanted.append(f"  {variant['name']}")
            wanted.append(f"    seed 3: {variant['samples'][number - 1]['text'].strip()}")
        wanted.append("")
    assert lines[: len(wanted)] == wanted
    assert lines[len(wanted)] == "where they part, prompt 1, seed 3 (--json tells all)"


def test_a_prompt_that_is_given_twice_agrees_with_nothing(program: Program) -> None:
    write(program.place, {"once.txt": "hi\n", "twice.txt": "hi\nhi\n"})
    flags = ("--grid", "temperature=1,1.5", "--samples", "2", "-n", "6", "--seed", "3", "--json")
    once, twice = (
        program.call("compare", "--prompts", file, *flags).json["variants"]
        for file in ("once.txt", "twice.txt")
    )
    agreements = [variant["means"]["agreement"] for variant in once]
    assert [variant["means"]["agreement"] for variant in twice] == agreements
    assert None not in agreements


def test_the_table_stands_below_the_texts(program: Program) -> None:
    done = program.call(*STORY, "--grid", "temperature=0.2,1")
    head, first, second, *_ = done.text[done.text.index("  tokens  ") :].splitlines()
    assert head.split()[:3] == ["tokens", "distinct-1", "distinct-2"]
    assert first.startswith("temperature=0.2") and second.startswith("temperature=1")


@pytest.mark.real_model
@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("--xtc-probability", "0.9"),
        ("--mirostat", "2"),
        ("--grammar", 'root ::= "The " .*'),
        ("--regex", "The .*"),
    ],
)
def test_the_entropy_is_that_of_what_was_drawn_from(
    program: Program, flags: tuple[str, ...]
) -> None:
    found = variants(program, "--grid", "temperature=0,0.3,1.8", *flags)
    for variant in found.values():
        arguments = ("explain", *STORY[1:], "--temperature", variant["values"]["temperature"])
        tokens = program.call(*arguments, *flags, "--json").json["tokens"]
        mean = fmean(token["stages"][-1]["entropy"] for token in tokens)
        assert variant["means"]["drawn_entropy"] == pytest.approx(mean, abs=1e-4)
    assert found["temperature=0"]["means"]["drawn_entropy"] == 0


def test_the_numbers_are_explained_below_the_table_and_in_the_help(program: Program) -> None:
    grid = ("--grid", "temperature=0.2,1")
    alone = program.call(*STORY, *grid).text
    told = program.call(*STORY, *grid, "--samples", "2").text
    usage = " ".join(program.call("compare", "--help").text.split())
    page = (ROOT / "docs" / "compare.md").read_text(encoding="utf-8")
    for name, meaning in EXPLAINED.items():
        assert f"{name} {meaning}" in usage
        assert meaning in page
        # A script has no drawn_entropy, and neither model here thinks.
        assert meaning in told or name in ("drawn_entropy", "thought")
        assert len(f"drawn_entropy  {meaning}") < 80
    assert EXPLAINED["repetition"] in alone
    assert EXPLAINED["agreement"] in told and EXPLAINED["agreement"] not in alone


@pytest.mark.parametrize("samples", ["1", "2"])
def test_the_answers_keep_their_columns_where_they_fit(program: Program, samples: str) -> None:
    flags = ("--grid", "temperature=0.2,1.6,2", "--samples", samples, "-q")
    wide = program.terminal(*STORY, *flags, width=90).end()
    plain = re.sub(r"\x1b\[\d*m", "", wide.received.decode())
    plain = plain[: plain.index("where they part")]
    head, *rows = plain[plain.rindex("temperature=0.2 ") :].split("\r\n")
    found = variants(program, *flags)
    for place, (name, variant) in zip((0, 30, 60), found.items(), strict=True):
        assert head[place:].startswith(name)
        shown = " ".join(" ".join(row[place : place + 28] for row in rows).split())
        for sample in variant["samples"]:
            assert " ".join(sample["text"].split()) in shown
    narrow = program.terminal(*STORY, *flags, width=60).end()
    assert not any(
        "temperature=0.2 " in line and "temperature=1.6" in line for line in narrow.lines
    )


@pytest.mark.real_model
def test_the_tree_in_text_and_json_leads_to_what_each_variant_drew(program: Program) -> None:
    flags = ("--grid", "temperature=0,0.8,0.8,2")
    document = program.call(*STORY, *flags, "--json").json
    ids = [variant["samples"][0]["token_ids"] for variant in document["variants"]]
    assert ids[1] == ids[2]
    for fork in document["forks"]:
        for branch in fork["branches"]:
            at = fork["number"] - 1
            drew = [v["name"] for v, own in zip(document["variants"], ids, strict=True)
                    if own[at : at + 1] == [branch["id"]]]  # fmt: skip
            assert set(branch["variants"]) <= set(drew)
    shown = program.call(*STORY, *flags).text
    first, *_ = document["forks"]
    assert f"draw {first['number']}, " in shown
    assert shown.index("where they part, seed 3\n") < shown.index(f"draw {first['number']}, ")


def test_a_tree_by_hand() -> None:
    def answer(text: str) -> list[Token]:
        return [Token(ord(char), char, -0.6931472) for char in text]

    env = Pipe().env
    lines = tree(
        env, [answer(text) for text in ("abc", "abd", "ab", "x\x1b")], ["A", "B", "C", "D"]
    )
    assert [line.split() for line in lines] == [
        ["draw", "1,", "at", "the", "start"],
        ['"a"', "50.0%", "A,", "B,", "C"],
        ["draw", "3,", "after", '"ab"'],
        ['"c"', "50.0%", "A"],
        ['"d"', "50.0%", "B"],
        ["ends", "C"],
        ['"x"', "50.0%", "D"],
    ]
    [_, _, escape] = tree(env, [answer("x"), answer("\x1b")], ["A", "B" * 3])
    assert "\x1b" not in escape


@pytest.mark.script("One fox, and then another fox, told each other one long story.")
def test_equal_answers_part_nowhere(program: Program) -> None:
    shown = program.call(*STORY, "--grid", "seed=1,2", "--temperature", "0").text
    assert "nowhere: these answers are the same" in shown


GRIDS = ("--grid", "temperature=0,0.8,1.5,2", "--grid", "repeat_penalty_growth=once,exponential")


@pytest.mark.parametrize("width", [30, 40, 80, 120])
@pytest.mark.parametrize("flags", [GRIDS, (*GRIDS[:2], "--samples", "2")])
def test_no_line_of_the_numbers_is_wider_than_the_terminal(
    width: int, flags: tuple[str, ...], program: Program
) -> None:
    """What is wider stands in blocks, and nothing is left out."""
    [head] = [x for x in program.call(*STORY, *flags).text.splitlines() if " distinct-1 " in x]
    shown = program.terminal(*STORY, *flags, "-q", width=width).end()
    text = re.sub(r"\x1b\[\d*m", "", shown.received.decode())
    lines = text[text.index("where they part") :].splitlines()
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    for metric in head.split():
        assert metric in words or metric == "stops"
    assert "stops" in words or "max-tokens" in words


@pytest.mark.parametrize(
    "text",
    [
        "short",
        "word " * 200 + "end",
        "a paragraph\n\n" * 30 + "end",
        "狐狸" * 300 + "end",
        "tab\t" * 90 + "\nend",
        "x" * 2000 + "\n\nend",
    ],
)
def test_live_columns_show_the_newest_words(text: str) -> None:
    console = Console(file=io.StringIO(), width=60, height=16)
    with console.capture() as capture:
        console.print(growing(console, ["left", "right"], [Text(text), Text("other")]))
    lines = capture.get().splitlines()
    assert len(lines) < 16
    assert any(text[-3:] in line for line in lines)
    assert ("…" in capture.get()) == (text != "short")


def test_live_columns_leave_the_table_on_the_screen(program: Program) -> None:
    shown = program.terminal(*STORY, "--grid", "temperature=0.2,1", width=100).end()
    assert shown.code == 0
    assert any("distinct-1" in line for line in shown.lines)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("grep -c xyz", "ended with 1 and printed '0'"),
        ("echo x", "printed 'x'"),
        ("echo nan", "printed 'nan'"),
    ],
)
def test_a_metric_that_fails_costs_no_answer(program: Program, command: str, said: str) -> None:
    given = (*STORY, "--grid", "top_k=1,2", "-n", "3", "--metric", f"command:{command}")
    done = program.call(*given, "--json")
    assert done.code == 0
    assert said in done.stderr and done.stderr.count("it is missing there") == 1
    variants = done.json["variants"]
    samples = [each for variant in variants for each in variant["samples"]]
    assert {each["metrics"][f"command:{command}"] for each in samples} == {None}
    assert all(each["text"] for each in samples)


def test_one_setting_answers_many_prompts(program: Program) -> None:
    (program.place / "list.txt").write_text("One\nTwo\nThree\n")
    done = program.call("compare", "--prompts", "list.txt", "-p", "precise", "-n", "3", "--csv")
    assert done.code == 0
    assert len(done.text.splitlines()) == 4


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ((), 2, "there is only one answer"),
        (("--grid", "temprature=1,2"), 2, "unknown parameter 'temprature'"),
        (("--grid", "temperature=1,99"), 2, "--grid temperature: 99 is out of range"),
        (("--grid", "temperature"), 2, "has no values (--grid temperature=A,B,C)"),
        (("--grid", "context=512,1024"), 2, "one model is loaded once"),
        (("--grid", "top_k=1,2", "--metric", "regex:("), 2, "not a regular expression"),
        (("--grid", "top_k=1,2", "--metric", "nonsense"), 2, "--metric 'nonsense' is unknown"),
        (("--grid", "top_k=1,2", "--metric", "length:20-10"), 2, "(length:10-20)"),
        (("--grid", "top_k=1,2", "--prompts", "none.txt"), 2, "--prompts and PROMPT exclude"),
        (("--grid", "top_k=1,2", "--html", "no/x.html"), 2, "--html no/x.html: there is no such"),
        (
            ("--grid", "top_k=1,2", "--svg", "no/x.svg"),
            2,
            "--svg no/x.svg: there is no such",
        ),
        (("--grid", "top_k=1,2", "--json", "--csv"), 2, "exclude each other"),
        (("--grid", "top_k=1,2", "--context", "8"), 5, "the context holds 8"),
    ],
)
def test_slips_are_told(flags: tuple[str, ...], code: int, message: str, program: Program) -> None:
    assert message in program.call("compare", "Tell me a story.", *flags, "-n", "2").complaint(code)


def test_a_prompt_fits_if_there_is_room_for_one_token_more(program: Program) -> None:
    text = "the fox and the crow " * 6
    count = program.call("generate", text, "--json", "-n", "1").json["usage"]["prompt_tokens"]
    arguments = ("compare", text, "--grid", "temperature=0,1", "--seed", "1", "--ignore-eos")
    for limit in ("1", "-1"):
        line = program.call(*arguments, "-n", limit, "--context", str(count)).complaint(5)
        assert f"the prompt has {count} tokens and the context holds {count}" in line
        done = program.call(*arguments, "-n", limit, "--context", str(count + 1), "--json")
        assert done.code == 0, done.stderr
        for variant in done.json["variants"]:
            [sample] = variant["samples"]
            assert sample["token_ids"]
            assert sample["stop"]["reason"] == ("max-tokens" if limit == "1" else "context-full")


def test_prompts_come_from_one_place(program: Program) -> None:
    grid = ("--grid", "top_k=1,2")
    done = program.call("compare", "--prompts", "none.txt", *grid)
    assert "--prompts none.txt: no such file" in done.complaint(2)
    done = program.call("compare", "--prompts", "none.txt", "--file", "x", *grid)
    assert "--prompts and --file exclude each other" in done.complaint(2)
    for command in ("compare", "explain"):
        told = program.call(command, *(grid if command == "compare" else ())).complaint(2)
        assert "there is no prompt" in told or "the prompt is empty" in told
        assert "generate" not in told
        told = program.call(command, "two", "words").complaint(2)
        assert f'llmparams {command} "Once upon a time"' in told


def test_ctrl_c_ends_a_metric_and_the_program(program: Program) -> None:
    metric = "command:echo started >&2; exec sleep 50"
    session = program.terminal(*STORY, "--grid", "temperature=0.2,1", "--metric", metric, "-q")
    session.wait_for("started")
    session.press_ctrl_c()
    assert session.end().code == 130


def test_variants_with_equal_settings_have_names_of_their_own(program: Program) -> None:
    flags = ("--grid", "temperature=0,0,0", "--grid", "top_k=5,5")
    names = list(variants(program, *flags))
    assert names[:2] == ["temperature=0 top_k=5", "temperature=0 top_k=5 (2)"]
    assert len(set(names)) == 6
    assert list(variants(program, "-p", "precise", "-p", "precise")) == ["precise", "precise (2)"]


def test_the_metrics_by_hand() -> None:
    text = "The fox saw the fox. The fox saw the fox."
    assert distinct(text, 1) == 3 / 10
    assert distinct(text, 2) == 4 / 9
    assert repetition(text) == pytest.approx(2 / 7)
    assert distinct("", 1) is None
    assert agreement([]) is None


@given(st.text())
def test_shares_are_shares(text: str) -> None:
    for value in (distinct(text, 1), distinct(text, 2), repetition(text)):
        assert value is None or 0 <= value <= 1


ANSWERS = st.lists(st.lists(st.integers(0, 2), max_size=6), min_size=1, max_size=8)


@given(ANSWERS)
def test_forks_are_where_answers_part(ids: list[list[int]]) -> None:
    """Along its forks each answer spells its tokens; equal answers stay together to the end."""
    answers = [[Token(id, f"{id}") for id in each] for each in ids]
    found = forks(answers)
    for fork in found:
        assert len(fork.branches) > 1
        assert len({branch.token and branch.token.id for branch in fork.branches}) > 1
        for branch in fork.branches:
            for number in branch.answers:
                own = answers[number]
                assert fork.before == "".join(token.text for token in own[: fork.number - 1])
                assert own[fork.number - 1 : fork.number] == (
                    [branch.token] if branch.token else []
                )
    for one, other in combinations(range(len(ids)), 2):
        parted = [fork for fork in found if _apart(fork, one, other)]
        assert len(parted) == (ids[one] != ids[other])
        if parted:
            same = [a == b for a, b in zip(ids[one], ids[other], strict=False)]
            assert parted[0].number == 1 + [*same, False].index(False)


def _apart(fork: Fork, one: int, other: int) -> bool:
    places = [{one, other} & set(branch.answers) for branch in fork.branches]
    return [one] in map(list, places) and [other] in map(list, places)


@given(ANSWERS)
def test_a_fork_comes_after_the_ones_that_lead_to_it(ids: list[list[int]]) -> None:
    found = forks([[Token(id, f"{id}") for id in each] for each in ids])
    for at, fork in enumerate(found):
        own = {number for branch in fork.branches for number in branch.answers}
        above = [
            earlier
            for earlier in found[:at]
            if any(own <= set(branch.answers) for branch in earlier.branches)
        ]
        assert len(above) == fork.depth
        assert all(earlier.number < fork.number for earlier in above)


def test_a_length_band_is_closed() -> None:
    class Answer:
        answer_tokens = (0,) * 5

    share = read_metric("length:5-9", no_shell, print).measure
    assert share(Answer()) == 1  # type: ignore[arg-type]
    assert read_metric("length:6-9", no_shell, print).measure(Answer()) == 0  # type: ignore[arg-type]


def test_a_metrics_command_runs_in_the_environment_of_the_program(program: Program) -> None:
    metric = 'command:test -d "$LLMPARAMS_CONFIG_DIR/../here" && echo $((KNOWN + 1))'
    (program.place / "here").mkdir()
    (program.place / "config").mkdir()
    grid = ("--grid", "top_k=1,2", "--metric", metric, "-n", "2", "--csv")
    done = program.call("compare", "hi", *grid, KNOWN="41")
    assert done.code == 0, done.stderr
    rows = csv.DictReader(io.StringIO(done.text))
    assert [float(row[metric]) for row in rows] == [42, 42]


def no_shell(command: str, text: str) -> tuple[int, str]:
    raise AssertionError("there is no command to run")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("many.txt", "\n" * 3_000_000 + "hi\r\n"),
        ("one.jsonl", f'{{"prompt": "hi", "note": "{"x" * 3_000_000}"}}'),
    ],
)
def test_a_file_of_prompts_may_be_large(program: Program, name: str, text: str) -> None:
    (program.place / name).write_text(text, newline="")
    done = program.call("compare", "--prompts", name, "--grid", "top_k=1,2", "-n", "1", "--json")
    assert done.code == 0, done.stderr
    [sample] = done.json["variants"][0]["samples"]
    assert sample["prompt"] == "hi"


def test_prompts_beyond_the_context_are_shortened_where_that_is_asked_for(
    program: Program,
) -> None:
    write(program.place, {"p.txt": f"hi\n{'word ' * 200}\n"})
    flags = ("--prompts", "p.txt", "--grid", "top_k=1,5", "--context", "96", "-n", "4")
    assert "--overflow" in program.call("compare", *flags).complaint(5)
    done = program.call("compare", *flags, "--overflow", "truncate-start", "--json")
    assert done.code == 0, done.stderr
    assert "were dropped from its start" in done.stderr
    assert all(sample["text"] for each in done.json["variants"] for sample in each["samples"])
