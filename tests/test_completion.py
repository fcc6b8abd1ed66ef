"""What a shell offers after a Tab: values, whatever the shell."""

from __future__ import annotations

import re

import pytest
from presets_world import write
from program import Program

from llmparams_cli.formats import FORMATS, WRITTEN
from llmparams_cli.params.kinds import Choice
from llmparams_cli.params.table import PARAMS
from llmparams_cli.protocol import StopReason


def offered(program: Program, line: str, shell: str = "fish") -> list[str]:
    """What follows the line, whose last word is incomplete."""
    variables = {"_TYPER_COMPLETE_ARGS": f"llmparams {line}"}
    if shell == "bash":
        # As bash splits it: each run of marks is a word.
        typed = [re.findall(r"[:=@]+|[^:=@]+", word) or [""] for word in line.split(" ")]
        words = ["llmparams", *(part for parts in typed for part in parts)]
        variables = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    action = {"_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = program.pipe(_LLMPARAMS_COMPLETE=f"complete_{shell}", **variables, **action)
    assert (done.code, done.stderr) == (0, "")
    return [line.partition("\t")[0] for line in done.text.splitlines() if line]


SHIPPED = {"balanced", "brainstorm", "creative-chat", "precise"}


@pytest.mark.parametrize(
    "words",
    [
        "generate --preset ", "explain -p ", "compare -p precise -p ", "chat -p ",
        "presets show ", "presets diff ", "presets diff precise ", "presets check ",
        "presets test ", "presets export ", "presets edit ", "presets new x -p ",
        "explain hi --what-if ",
    ],
)  # fmt: skip
def test_presets(program: Program, words: str) -> None:
    write(program.place, {"presets/mine.yaml": "", "llmparams.yaml": "presets: {entry: {}}"})
    assert {*SHIPPED, "mine", "entry"} <= set(offered(program, words))
    assert "mine" in offered(program, f"{words}mi")
    assert offered(program, f"{words}./") == []  # a path: the shell completes it


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_hint_tells_where_a_preset_is(program: Program, shell: str) -> None:
    write(program.place, {"presets/mine.yaml": ""})
    [text] = offered(program, "generate -p mi", shell)
    assert text == {
        "zsh": """_arguments '*: :(("mine":"project"))\'""",
    }.get(shell, "mine")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("params temperature", ["temperature"]),
        ("params top", ["top_k", "top_n_sigma", "top_p"]),
        ("params top-", ["top-k", "top-n-sigma", "top-p"]),
        ("compare hi --grid top_", ["top_k=", "top_n_sigma=", "top_p="]),
        ("compare hi --grid top_p", ["top_p=", "top_p=0.95"]),
        ("compare hi --grid contex", []),  # all variants have one context
        ("compare hi --grid ignore_eos=", ["ignore_eos=true", "ignore_eos=false"]),
        ("compare hi --grid ignore_eos=true,f", ["ignore_eos=true,false"]),
        ("explain hi --what-if x=1,min_", ["x=1,min_p=", "x=1,min_p=0.05"]),
        ("explain hi --what-if precise,ignore_eos=t", ["precise,ignore_eos=true"]),
        ("replay x.json --set cache_type_k=q8", ["cache_type_k=q8_0"]),
        ("replay x.json --set cache-type-k=q8", ["cache-type-k=q8_0"]),
        ("presets export precise --format olla", ["ollama"]),
        ("generate --cache-type-k q4", ["q4_0", "q4_1"]),
        ("generate --sampler-order top_k,top_", ["top_k,top_n_sigma", "top_k,top_p"]),
        ("generate --draft-model buil", ["builtin"]),
        ("generate --fail-on max", ["max-tokens"]),
        ("generate --fail-on max-tokens,time", ["max-tokens,time-limit"]),
    ],
)  # fmt: skip
def test_parameters_and_their_words(program: Program, words: str, found: list[str]) -> None:
    assert sorted(offered(program, words)) == sorted(found)


def test_every_word_of_a_closed_list(program: Program) -> None:
    for param in PARAMS.values():
        if isinstance(param.kind, Choice):
            assert offered(program, f"generate {param.flag} ") == list(param.kind.words)
    assert set(WRITTEN) < set(offered(program, "presets show precise --format "))
    assert set(FORMATS) == set(offered(program, "presets import x --format "))
    assert offered(program, "explain --fail-on ") == [reason.value for reason in StopReason]


def test_runs(program: Program) -> None:
    assert offered(program, "replay ") == []
    for _ in range(2):
        program.call("generate", "hi", "-n", "1")
    ids = [run["id"] for run in program.call("log", "--json").json]
    for words in ("replay ", "log show ", "presets new x --from "):
        assert offered(program, words) == ["last", *ids]
        assert offered(program, words + "la") == ["last"]
        short = ids[1].partition("-")[2]
        assert offered(program, words + short) == [short]
    assert offered(program, "replay ./") == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("generate --preset=prec", ["precise"]),
        ("compare hi --grid top_", ["top_k=", "top_n_sigma=", "top_p="]),
        ("compare hi --grid cache", []),
        ("replay last --set cache_type_k=q8", ["q8_0"]),
        ("replay last --set=cache_type_k=q8", ["q8_0"]),
        ("explain a@b.c --what-if temperature=0,ignore_eos=f", ["false"]),
        ("generate hi@you -p prec", ["precise"]),
    ],
)
def test_bash_gets_what_follows_its_own_marks(
    program: Program, words: str, found: list[str]
) -> None:
    assert sorted(offered(program, words, "bash")) == found


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_no_file_name_acts_in_a_shell(program: Program, shell: str) -> None:
    names = ["\\$(touch x)", "`touch x`", "a b", "a'b", 'a"b', "a\x1b[31m", "a;b", "good"]
    write(program.place, {f"presets/{name}.yaml": "" for name in names})
    lines = offered(program, "generate -p ", shell)
    assert any("good" in line for line in lines)
    assert not [c for c in "\\$`;\x1b " if any(c in x.replace(" '*: :", "") for x in lines)]


def test_only_the_commands_that_are_typed_are_loaded(program: Program) -> None:
    """A Tab must not take the time to import all of them."""
    done = program.pipe(
        _LLMPARAMS_COMPLETE="complete_fish",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
        _TYPER_COMPLETE_ARGS="llmparams presets show pr",
        PYTHONVERBOSE="1",
    )
    assert b"precise" in done.stdout
    assert "llmparams_cli.commands.presets.show" in done.stderr
    for module in ("commands.generate", "commands.presets.diff", "backends.llama"):
        assert f"import 'llmparams_cli.{module}'" not in done.stderr
    for module in ("numpy", "llama_cpp", "jinja2", "yaml"):
        assert f"import '{module}'" not in done.stderr
