"""`cache`: what is kept of long prompts, listed and cleared; and how much may be kept."""

from __future__ import annotations

import re
import shutil

import pytest
from models import write_llama

from llmparams_cli.backends.llama.decoding.prefixes import Prefixes
from llmparams_cli.errors import ExitCode

USAGE = ExitCode.USAGE
TEXT = "The fox saw a bear. The bear saw the fox. " * 12
RUN = ("generate", "--raw", "-n", "2", "--temperature", "0", "--quiet", "--json")
BUILTIN = (*RUN, "-m", "builtin", TEXT)


@pytest.fixture
def apart(program, cache, tmp_path, monkeypatch):
    """The program with a cache directory of its own, where the library has been probed."""
    own = tmp_path / "cache"
    own.mkdir()
    for path in cache.glob("*.json"):
        shutil.copy(path, own)
    program.variables |= {"LLMPARAMS_CACHE_DIR": str(own), "LLMPARAMS_CACHE_SIZE": ""}
    program.cache = own
    monkeypatch.setattr(Prefixes, "least", 128)
    return program


@pytest.fixture
def filled(apart):
    """Something is kept of two models; the second was used last."""
    model = write_llama(apart.place / "tiny.gguf", context=1024)
    assert apart.call(*BUILTIN).code == 0
    assert apart.call(*RUN, "-m", str(model), TEXT).code == 0
    return apart


def cached(done):
    assert done.code == 0, done.stderr
    return done.json["usage"]["cached_tokens"]


def files(program):
    return [path for path in (program.cache / "prefixes").rglob("*") if path.is_file()]


def test_the_list_has_a_line_for_each_model_the_last_used_first(filled):
    done = filled.call("cache", "list")
    assert done.code == 0
    lines = [line.split("\t") for line in done.text.splitlines()]
    assert [line[0] for line in lines] == ["tiny.gguf", "builtin"]
    sizes = [path.stat().st_size for path in files(filled)]
    assert sum(int(line[1]) for line in lines) == len(sizes)
    assert all(int(line[2]) == 64 * int(line[1]) for line in lines)
    assert sum(int(line[3]) for line in lines) == sum(sizes)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line[4]) for line in lines)
    assert lines[0][5] == str(filled.place / "tiny.gguf")
    assert re.search(r"of 2\.0 GB$", done.stderr)
    assert filled.call("cache", "list", "--quiet").stderr == ""


def test_the_list_as_json(filled):
    found = filled.call("cache", "list", "--json", LLMPARAMS_CACHE_SIZE="3MB").json
    assert [each["model"] for each in found["models"]] == ["tiny.gguf", "builtin"]
    for key in ("segments", "tokens", "size"):
        assert found[key] == sum(each[key] for each in found["models"]) > 0
    assert found["limit"] == 3_000_000


def test_the_list_on_a_terminal(filled):
    shown = filled.terminal("cache", "list").end()
    assert shown.code == 0
    assert shown.lines[0].split() == ["model", "segments", "tokens", "size", "used"]
    assert shown.lines[2].startswith("builtin")


def test_what_is_damaged_is_listed_nevertheless(filled):
    for path in files(filled):
        path.write_bytes(b"nothing")
    found = filled.call("cache", "list", "--json").json
    assert {each["model"] for each in found["models"]} == {"unknown"}
    assert found["segments"] == len(files(filled)) and found["tokens"] == 0


def test_an_empty_cache(apart):
    assert apart.call("cache", "list").text == ""
    assert apart.call("cache", "list", "--json").json["models"] == []
    assert apart.call("cache", "clear", "--all").code == 0


@pytest.mark.parametrize("name", ["tiny.gguf", "PATH"])
def test_clearing_a_model_leaves_the_others(filled, name):
    before = filled.call("cache", "list", "--json").json
    name = str(filled.place / "tiny.gguf") if name == "PATH" else name
    done = filled.call("cache", "clear", name)
    assert done.code == 0 and f"removed {before['models'][0]['segments']} segments" in done.stderr
    after = filled.call("cache", "list", "--json").json
    assert after["models"] == before["models"][1:]
    assert cached(filled.call(*BUILTIN)) > 0


def test_clearing_all(filled):
    other = filled.cache / "prefixes" / "mine.txt"
    other.write_text("not a segment")
    done = filled.call("cache", "clear", "--all")
    assert done.code == 0 and "are free" in done.stderr and done.stdout == b""
    assert files(filled) == [other]
    assert cached(filled.call(*BUILTIN)) == 0


def test_what_to_clear_has_to_be_said(filled):
    assert "--all" in filled.call("cache", "clear").complaint(USAGE)
    assert "--all" in filled.call("cache", "clear", "builtin", "--all").complaint(USAGE)
    assert "builtin" in filled.call("cache", "clear", "no-such-model").complaint(USAGE)
    assert files(filled)


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        (["--no-cache"], {}),
        ([], {"LLMPARAMS_CACHE_SIZE": "off"}),
        ([], {"LLMPARAMS_CACHE_SIZE": "0"}),
    ],
    ids=str,
)
def test_no_cache_neither_reads_nor_writes(apart, flags, variables):
    assert cached(apart.call(*BUILTIN, *flags, **variables)) == 0
    assert files(apart) == []
    fresh = apart.call(*BUILTIN).json
    found = apart.call(*BUILTIN).json
    assert found["usage"]["cached_tokens"] > 0
    again = apart.call(*BUILTIN, *flags, **variables).json
    assert again["usage"]["cached_tokens"] == 0
    assert again["text"] == found["text"] == fresh["text"]


def test_the_size_is_a_limit(apart):
    apart.call(*BUILTIN)
    size = sum(path.stat().st_size for path in files(apart))
    limit = size * 3 // 2
    other = TEXT.replace("fox", "cat")
    assert apart.call(*RUN, "-m", "builtin", other, LLMPARAMS_CACHE_SIZE=str(limit)).code == 0
    assert size * 3 // 4 < sum(path.stat().st_size for path in files(apart)) <= limit
    assert cached(apart.call(*RUN, "-m", "builtin", other)) > cached(apart.call(*BUILTIN))


def test_a_size_that_is_none(apart):
    line = apart.call(*BUILTIN, LLMPARAMS_CACHE_SIZE="much").complaint(USAGE)
    assert "LLMPARAMS_CACHE_SIZE: 'much'" in line
    apart.call("cache", "list", LLMPARAMS_CACHE_SIZE="-1").complaint(USAGE)


@pytest.mark.parametrize("command", [["explain"], ["compare", "--grid", "top_k=1,2"]], ids=str)
def test_other_commands_find_what_generate_has_read(apart, monkeypatch, command):
    apart.call(*BUILTIN)
    before, loads, load = files(apart), [], Prefixes.load
    monkeypatch.setattr(Prefixes, "load", lambda *given: loads.append(load(*given)) or loads[-1])
    flags = ("-m", "builtin", "--raw", "-n", "2", "--temperature", "0", "--quiet", "--json")
    done = apart.call(*command, TEXT, *flags)
    assert done.code == 0 and loads and all(loads)
    loads.clear()
    fresh = apart.call(*command, TEXT, *flags, "--no-cache")
    assert fresh.code == 0 and loads == []
    assert files(apart) == before


def test_a_chat_goes_on_where_its_last_process_was(apart):
    lines = "".join(f"{TEXT[:300]}\n" for _ in range(2)).encode()
    flags = ("-m", "builtin", "-n", "3", "--temperature", "0")
    assert apart.call("chat", *flags, "--no-save", stdin=lines).code == 0
    assert files(apart) == []
    assert apart.call("chat", *flags, stdin=lines).code == 0
    assert files(apart)
    done = apart.call("chat", "--continue", *flags, "--verbose", stdin=b"And then?\n")
    [kept] = re.findall(r"new \+ (\d+) kept", done.stderr)
    assert int(kept) > 0 and int(kept) % 64 == 0


def test_the_help_names_it(apart):
    assert re.search(r"^ +cache +\S", apart.call("--help").text, re.MULTILINE)
    assert "--no-cache" in apart.call("generate", "--help").text
    for command in ("list", "clear"):
        assert apart.call("cache", command, "--help").code == 0


def test_the_statistics_say_what_was_kept(apart):
    run = [word for word in BUILTIN if word not in ("--json", "--quiet")]
    told = [apart.call(*run, "--verbose").stderr for _ in range(2)]
    assert " prompt + 2 completion" in told[0]
    assert re.search(r" prompt \(\d+ kept\) \+ 2 completion", told[1])
