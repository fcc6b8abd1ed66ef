"""`models pull` from the Hub: names, quantisations, what comes and what is printed."""

import json

import pytest
from hub_server import COMMIT, sha256
from models import write_llama
from shapes import write_llama_3_2_1b

from llmparams_cli.backends.llama.machine import hardware
from llmparams_cli.download.choice import RemoteFile, choices, choose, label, quant_of
from llmparams_cli.errors import ExitCode, ModelError
from llmparams_cli.jobs import pull as pull_job
from llmparams_cli.models.catalogue import CATALOGUE, CONTEXT
from llmparams_cli.models.gguf import read_model
from llmparams_cli.models.reference import HubName, elsewhere


def test_a_model_comes_whole_and_its_name_is_all_that_stdout_has(program, hub, pull, gguf):
    hub.add("owner/repo", {"README.md": b"#", "tiny-Q4_0.gguf": gguf})
    done = pull("owner/repo")
    assert (done.code, done.text) == (0, "owner/repo:Q4_0\n")
    assert "from the Hub (commit 0123456), licence apache-2.0, kept in models/owner" in done.stderr
    folder = program.place / "models" / "owner--repo--Q4_0"
    assert (folder / "tiny-Q4_0.gguf").read_bytes() == gguf
    assert json.loads((folder / "pulled.json").read_text()) | {"date": ""} == {
        "name": "owner/repo:Q4_0",
        "source": f"owner/repo@{COMMIT}:Q4_0",
        "revision": COMMIT,
        "files": [{"name": "tiny-Q4_0.gguf", "size": len(gguf), "sha256": sha256(gguf)}],
        "license": "apache-2.0",
        "date": "",
    }
    assert program.pulled() == [f"{folder.name}/pulled.json", f"{folder.name}/tiny-Q4_0.gguf"]
    assert read_model(folder / "tiny-Q4_0.gguf").name == "tiny"


@pytest.mark.parametrize(
    "again",
    [
        *("owner/repo", "owner/repo:q4_0", "hf.co/Owner/repo:Q4_0", "owner/repo:tiny-Q4_0.gguf"),
        "https://huggingface.co/owner/repo/resolve/main/tiny-Q4_0.gguf?download=true",
    ],
)
def test_what_is_here_is_not_asked_for_again(hub, pull, gguf, again):
    hub.add("owner/repo", {"tiny-Q4_0.gguf": gguf})
    assert pull("owner/repo").code == 0
    hub.requests.clear()
    done = pull(again)
    assert (done.code, done.text) == (0, "owner/repo:Q4_0\n")
    assert "here already" in done.stderr
    assert not hub.requests


def test_another_quantisation_or_revision_is_another_model(program, hub, pull, gguf):
    hub.add(
        "owner/repo", {"a-Q4_0.gguf": gguf, "a-Q8_0.gguf": gguf}, revisions=("main", "v1", COMMIT)
    )
    assert pull("owner/repo:Q4_0").text == "owner/repo:Q4_0\n"
    assert pull("owner/repo:Q8_0").text == "owner/repo:Q8_0\n"
    assert pull("owner/repo:Q4_0", "--revision", "v1").text == "owner/repo@v1:Q4_0\n"
    assert pull("owner/repo@v1:q4_0").stderr.count("here already") == 1
    folders = {path.partition("/")[0] for path in program.pulled()}
    assert folders == {"owner--repo--Q4_0", "owner--repo--Q8_0", "owner--repo@v1--Q4_0"}


def test_a_damaged_model_is_fetched_again(program, hub, pull, gguf):
    hub.add("owner/repo", {"tiny-Q4_0.gguf": gguf})
    pull("owner/repo")
    file = program.place / "models" / "owner--repo--Q4_0" / "tiny-Q4_0.gguf"
    file.write_bytes(gguf[:100])
    assert pull("owner/repo").code == 0
    assert file.read_bytes() == gguf


def test_force_replaces_a_model(program, hub, pull, gguf):
    hub.add("owner/repo", {"tiny-Q4_0.gguf": gguf})
    pull("owner/repo")
    newer = gguf[:-4] + b"\0\0\0\0"
    hub.add("owner/repo", {"tiny-Q4_0.gguf": newer})
    assert pull("owner/repo", "--force").code == 0
    folder = program.place / "models" / "owner--repo--Q4_0"
    assert (folder / "tiny-Q4_0.gguf").read_bytes() == newer
    assert len(program.pulled()) == 2


def test_all_parts_of_a_split_model_come(program, hub, pull, tmp_path):
    first = write_llama(tmp_path / "big-Q4_0.gguf", tensors_per_file=8)
    parts = {f"Q4_0/{path.name}": path.read_bytes() for path in sorted(tmp_path.glob("*-of-*"))}
    assert len(parts) > 2
    hub.add("owner/repo", {**parts, "mmproj-F16.gguf": b"GGUF", "imatrix.gguf": b"GGUF"})
    done = pull("owner/repo")
    assert done.text == "owner/repo:Q4_0\n", done.stderr
    folder = program.place / "models" / "owner--repo--Q4_0"
    assert {path.name for path in folder.glob("*.gguf")} == {name[5:] for name in parts}
    assert len(read_model(folder / first.name).paths) == len(parts)


def test_a_dry_run_says_what_would_come_and_fetches_nothing(program, hub, pull, gguf):
    hub.add("owner/repo", {"tiny-Q4_K_M.gguf": gguf, "tiny-Q8_0.gguf": gguf})
    done = pull("owner/repo", "--dry-run")
    assert done.code == 0
    assert "Q4_K_M is taken" in done.stderr
    assert [line.split()[0] for line in done.text.splitlines()] == [
        *("name", "file", "from", "to", "disk", "licence", "also"),
    ]
    plan = pull("owner/repo", "--dry-run", "--json").json
    assert plan["files"] == [
        {"path": "tiny-Q4_K_M.gguf", "size": len(gguf), "sha256": sha256(gguf)}
    ]
    assert (plan["name"], plan["others"], plan["here"]) == ("owner/repo:Q4_K_M", ["Q8_0"], False)
    assert not hub.asked()
    assert program.pulled() == []


def test_json_tells_where_the_model_is(program, hub, pull, gguf):
    hub.add("owner/repo", {"tiny-Q4_0.gguf": gguf})
    first, second = pull("owner/repo", "--json").json, pull("owner/repo", "--json").json
    assert first == second | {"new": True}
    assert first["path"] == str(program.place / "models" / "owner--repo--Q4_0")
    assert first["name"] == "owner/repo:Q4_0"


def test_without_a_name_the_catalogue_is_shown_and_no_server_asked(program):
    done = program.call("models", "pull", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.code == 0
    assert all(row.name in done.text for row in CATALOGUE)
    assert all(len(line) <= 80 for line in done.text.splitlines())
    rows = {row["name"]: row for row in program.call("models", "pull", "--json").json}
    assert rows["smollm2"]["size"] == 98_362_432
    assert not rows["smollm2"]["here"]


def test_a_narrow_terminal_breaks_lines_between_words(program):
    lines = program.terminal("models", "pull", width=60).end().lines
    assert lines[lines.index("Memory: with a context of 4,096 tokens. Get one: llmparams") + 1] == (
        "    models pull NAME"
    )


def test_the_catalogue_tells_what_does_not_fit_here(program, monkeypatch):
    def rows():
        return {
            line.split()[0]: line
            for line in program.call("models", "pull").text.splitlines()
            if line
        }

    monkeypatch.setattr(hardware, "available_memory", lambda: 1_300_000_000)
    assert "needs more free memory" in rows()["qwen3-8b"]
    assert "first try" in rows()["smollm2"]
    monkeypatch.setattr(pull_job, "free_space", lambda directory: 10_000)
    assert "needs more room on the disk" in rows()["smollm2"]
    monkeypatch.undo()
    folder = program.place / "models" / "smollm2"
    folder.mkdir(parents=True)
    (folder / "x.gguf").write_bytes(b"GGUF")
    files = [{"name": "x.gguf", "size": 4, "sha256": ""}]
    record = {"source": "pypi:x==1", "revision": "1", "license": "", "date": "2026-01-01"}
    (folder / "pulled.json").write_text(json.dumps({"name": "smollm2", "files": files, **record}))
    assert rows()["smollm2"].endswith("[here]")


def test_the_catalogue_and_inspect_tell_the_same_memory(program, tmp_path):
    row = next(row for row in CATALOGUE if row.name == "llama3.2-1b")
    path = write_llama_3_2_1b(tmp_path / "model.gguf")
    assert path.stat().st_size == pytest.approx(row.size, rel=0.02)  # another tokenizer
    done = program.call("inspect", str(path), "--estimate-only", "-c", str(CONTEXT), "--json")
    own = done.json["own"]
    rearranged = own["weights"] - path.stat().st_size  # less the tokenizer
    if rearranged > 0.1 * row.size:  # as CPUs with AVX2 or NEON do
        assert row.memory == pytest.approx(own["total"], rel=0.05)
    assert row.memory >= 0.95 * own["total"]


def test_rows_of_the_catalogue_can_be_pulled_as_they_stand():
    assert len(CATALOGUE) <= 12
    for row in CATALOGUE:
        assert elsewhere(row.name) is None
        assert row.hub or row.packages
        assert len(row.sha256) == 64
        name = elsewhere(row.hub) if row.hub else None
        assert name is None or (isinstance(name, HubName) and name.quantization), row
        assert quant_of(f"model-{row.quantization}") == row.quantization


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["smolm2"], "did you mean smollm2?"),
        (["nothing-like-it"], "not in the catalogue"),
        (["smollm2", "--revision", "v1"], "--revision v1 does not fit smollm2"),
        (["owner/repo@v2", "--revision", "v1"], "--revision v1 does not fit"),
        (["owner/repo:Q4_K_S"], "owner/repo has no Q4_K_S; did you mean Q4_K_M? (there are: Q4"),
        (["owner/repo:other.gguf"], "has no file other.gguf"),
        (["owner/missing"], "there is no repository owner/missing"),
        (["owner/repo@v9"], "has no such revision"),
        (["owner/empty"], "there is no GGUF model in owner/empty"),
        (["own--er/repo"], "cannot be the name of a repository"),
    ],
)
def test_a_wrong_name_ends_in_one_line(program, hub, pull, gguf, arguments, words):
    hub.add("owner/repo", {"a-Q4_K_M.gguf": gguf, "a-Q4_0.gguf": gguf})
    hub.add("owner/empty", {"mmproj-F16.gguf": gguf, "model.safetensors": b""})
    done = pull(*arguments)
    assert words in done.complaint(done.code)
    assert done.code in (2, 4)
    assert program.pulled() == []


QUANTS = {
    "Llama-3.2-1B-Instruct-Q4_K_M": "Q4_K_M",
    "qwen2.5-0.5b-instruct-q4_k_m": "Q4_K_M",
    "SmolLM2-135M-Instruct.Q4_1": "Q4_1",
    "Qwen3-UD-Q4_K_XL": "UD-Q4_K_XL",
    "model_q8_0": "Q8_0",
    "gemma-3-1b-it-BF16": "BF16",
    "gpt-oss-20b-mxfp4": "MXFP4",
    "x-IQ2_XXS": "IQ2_XXS",
    "x.i1-IQ3_M": "IQ3_M",
    "Q4_0-was-here-Q5_K_S": "Q5_K_S",
    "Q6_K/model": "Q6_K",
    "model-fp16": "FP16",
    "BTL-3-AVQ2": "",
    "Qwen3-4B": "",
    "model": "",
}


@pytest.mark.parametrize(("stem", "quant"), QUANTS.items())
def test_the_quantisation_in_a_name_is_a_whole_word(stem, quant):
    assert quant_of(stem) == quant


def named(*paths, size=1):
    return choices(RemoteFile(path, size + number, "") for number, path in enumerate(paths))


@pytest.mark.parametrize(
    ("paths", "part", "chosen"),
    [
        (["a-Q4_K_M.gguf", "a-Q4_K_S.gguf", "a-Q8_0.gguf"], "", "a-Q4_K_M.gguf"),
        (["a-Q8_0.gguf", "a-Q5_K_M.gguf"], "", "a-Q5_K_M.gguf"),
        (["a-F16.gguf"], "", "a-F16.gguf"),
        (["a-F16.gguf", "a-Q2_K.gguf"], "", "a-F16.gguf"),  # nothing usual: the smallest
        (["a-Q4_K_M.gguf", "a-UD-Q4_K_M.gguf"], "ud-q4_k_m", "a-UD-Q4_K_M.gguf"),
        (["a-Q4_K_M.gguf", "a-UD-Q4_K_XL.gguf"], "q4_k_xl", "a-UD-Q4_K_XL.gguf"),
        (["a-Q4_K_M.gguf", "a-Q4_K.gguf"], "q4_k", "a-Q4_K.gguf"),
        (["Q4_0/a.gguf", "Q8_0/a.gguf"], "Q8_0", "Q8_0/a.gguf"),
        (["x/a-Q8_0.gguf", "b-Q8_0.gguf"], "a-Q8_0.gguf", "x/a-Q8_0.gguf"),
        (["Compact.gguf", "I-Compact.gguf"], "i-compact", "I-Compact.gguf"),
        (["eagle3-a-Q8_0.gguf", "a-mxfp4.gguf"], "", "a-mxfp4.gguf"),
        (["mtp-a-Q8_0.gguf", "a-MTP-Q8_0.gguf"], "Q8_0", "a-MTP-Q8_0.gguf"),
        (["lora-a-F16.gguf"], "", "lora-a-F16.gguf"),
        (["mmproj-a-F16.gguf", "a-F16.gguf"], "", "a-F16.gguf"),
        (["mmproj-a-F16.gguf"], "mmproj-a-F16.gguf", "mmproj-a-F16.gguf"),
        ([*(f"a-Q4_0-0000{n}-of-00002.gguf" for n in (1, 2)), "a-Q4_0.gguf"], "", "a-Q4_0.gguf"),
        (["a-Q4_0.gguf"], "a-q4_0", "a-Q4_0.gguf"),
    ],
)
def test_the_model_that_is_meant(paths, part, chosen):
    assert choose(named(*paths), part, "o/r").path == chosen


@pytest.mark.parametrize(
    ("paths", "part", "words"),
    [
        (["a-Q4_0.gguf", "b-Q4_0.gguf"], "Q4_0", "several models in Q4_0"),
        (["a.gguf", "b.gguf"], "", "several models"),
        (["a-Q4_0-00001-of-00003.gguf", "a-Q4_0-00003-of-00003.gguf"], "", "lacks 1 of the parts"),
        (["a-Q4_0.gguf", "b-Q4_0-00001-of-00001.gguf"], "", "several models"),
        (["a-Q4_0-00009-of-00002.gguf"], "", "lacks 2 of the parts"),
        (["mmproj-F16.gguf"], "", "no GGUF model"),
        (["a-Q4_K_M.gguf"], "Q4_K", "has no Q4_K; did you mean Q4_K_M?"),
    ],
)
def test_what_is_not_clear_is_refused_with_what_there_is(paths, part, words):
    with pytest.raises(ModelError) as caught:
        choose(named(*paths), part, "o/r")
    assert words in caught.value.message


def test_a_label_means_one_model():
    there = named("a-Q4_0.gguf", "x/b-Q8_0.gguf", "c-Q8_0.gguf", "plain.gguf")
    labels = [label(choice, there) for choice in there]
    assert labels == ["Q4_0", "c-Q8_0.gguf", "plain.gguf", "x/b-Q8_0.gguf"]
    for choice in there:
        assert choose(there, label(choice, there), "o/r") == choice


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_a_wish_for_the_catalogue(pull, name):
    """A script whose variable is empty must not go on."""
    complaint = pull(name).complaint(ExitCode.MODEL)
    assert f"{name!r} is not in the catalogue" in complaint
