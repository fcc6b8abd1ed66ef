"""`llmparams models`, and a model's name wherever a path can stand."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import stores
from program import Program

from llmparams_cli.commands.chat.slash import completions
from llmparams_cli.download.staging import STAGED
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin

HINTS = ("pulled", "Ollama", "built in")
REPO = "owner/Some-1B-GGUF"
SHORT = ("-n", "1", "--temperature", "0")


@pytest.fixture
def here(program: Program) -> Program:
    """The program in a home of its own."""
    program.variables["HOME"] = str(program.place / "home")
    return program


def models(program: Program) -> Path:
    return program.place / "models"


def home(program: Program) -> Path:
    return program.place / "home"


def config(program: Program) -> Path:
    return program.place / "config/config.yaml"


# list


def test_the_list_has_every_model_with_its_numbers(here: Program) -> None:
    path = stores.pull(models(here), "smollm2", 1)
    digest = next(iter(here.call("models", "list", "--json").json))["sha256"]
    blob = stores.ollama(
        here.place / "ollama", "registry.ollama.ai/library/phi/3b", _copy(path, here.place / "a")
    )
    done = here.call("models", "list", "--json")
    assert done.stderr == ""
    pulled, other, built_in = done.json
    assert pulled == {
        "name": "smollm2",
        "where": "pulled",
        "path": str(path),
        "files": 1,
        "title": "tiny",
        "architecture": "llama",
        "size": path.stat().st_size,
        "quantization": "F32",
        "parameters": pulled["parameters"],
        "context": 256,
        "sha256": digest,
        "same_as": None,
        "is_copy": False,
        "last_used": None,
        "problem": None,
    }
    assert pulled["parameters"] > 10_000
    assert (other["name"], other["path"], other["where"]) == ("phi:3b", str(blob), "Ollama")
    assert (other["same_as"], other["is_copy"]) == ("smollm2", True)
    assert (built_in["name"], built_in["where"]) == ("builtin", "built in")


def _copy(path: Path, target: Path) -> Path:
    target.write_bytes(path.read_bytes())
    return target


def test_a_pipe_gets_a_line_for_each(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    lines = here.call("models", "list").text.splitlines()
    fields = lines[0].split("\t")
    assert fields[:3] == ["smollm2", str(path.stat().st_size), "F32"]
    assert fields[4:] == ["256", "pulled", "-"]


def test_a_terminal_gets_a_table_and_in_a_narrow_one_whole_names(here: Program) -> None:
    long = "somebody/A-Very-Long-Name-Of-A-Model-1B-Instruct-GGUF"
    stores.hub(home(here), long, {"x-Q4_K_M.gguf": stores.model(here.place / "a")})
    stores.pull(models(here), "smollm2", 0)
    wide = here.terminal("models", "list", width=120).end().lines
    assert wide[0].split() == ["name", "size", "type", "params", "context", "where", "used"]
    assert wide[1].startswith("smollm2  ") and "  the same file" not in wide[2]
    assert wide[2].startswith(f"{long}:Q4_K_M  ") and wide[3] == "  a copy of smollm2"
    narrow = here.terminal("models", "list", width=80).end().lines
    assert narrow[1] == "smollm2" and narrow[3] == f"{long}:Q4_K_M"
    assert all(len(line) <= 80 for line in narrow)


def test_what_cannot_be_run_is_told_on_request(here: Program) -> None:
    place = home(here) / ".lmstudio/models/owner/repo"
    stores.model(place / "x-Q8_0.gguf")
    stores.model(place / "mmproj-F16.gguf", metadata={"general.type": "mmproj"})
    cut = stores.model(place / "cut.gguf", 1)
    os.truncate(cut, 2000)
    done = here.call("models", "list")
    assert "2 more files are no model that can be run: --all says why" in done.stderr
    assert "mmproj" not in done.text and "cut" not in done.text
    problems = {
        each["path"]: each["problem"]
        for each in here.call("models", "list", "--all", "--json").json
    }
    assert "truncated" in problems[str(cut)]
    assert "image or audio" in problems[str(place / "mmproj-F16.gguf")]


def test_the_last_run_of_a_model_is_in_the_list(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    link = here.place / "link.gguf"
    link.symlink_to(path)
    done = here.call("generate", "hi", "-m", str(link), *SHORT)
    assert done.code == 0
    date = here.call("models", "list", "--json").json[0]["last_used"]
    (receipt,) = (here.place / "state/log").iterdir()
    assert date == json.loads(receipt.read_text())["date"]
    # An older run of the same model changes nothing.
    older = receipt.with_name(f"20200101T000000{receipt.name[15:]}")
    older.write_bytes(receipt.read_bytes())
    assert here.call("models", "list", "--json").json[0]["last_used"] == date


def test_hostile_names_cannot_steer_the_terminal(here: Program) -> None:
    place = home(here) / ".lmstudio/models/owner/repo"
    place.mkdir(parents=True)
    path = os.fsencode(place) + b"/\x1b[31m\xff\nx.gguf"
    os.rename(stores.model(here.place / "x.gguf"), path)
    for arguments in (("--json",), (), ("--all",)):
        done = here.call("models", "list", *arguments)
        assert done.code == 0 and b"\x1b" not in done.stdout and b"\xff" not in done.stdout
    assert len(here.call("models", "list").text.splitlines()) == 2


# path


def test_the_path_and_nothing_else(here: Program) -> None:
    path = stores.pull(models(here), "owner/repo:Q4_0")
    assert here.call("models", "path", "owner/repo").stdout == f"{path}\n".encode()
    assert here.call("models", "path", "builtin").text == f"{builtin.PATH}\n"
    place = home(here) / ".lmstudio/models/a/b"
    place.mkdir(parents=True)
    strange = os.fsencode(place) + b"/\xffx-Q8_0.gguf"
    os.rename(stores.model(here.place / "x.gguf", 1), strange)
    assert here.call("models", "path", "a/b:Q8_0").stdout == strange + b"\n"
    complaint = here.call("models", "path", "owner/rpo").complaint(ExitCode.MODEL)
    assert complaint == (
        "owner/rpo is not on this disk; did you mean owner/repo:Q4_0?"
        " (llmparams models pull owner/rpo)"
    )


# verify


def test_a_model_is_right_wrong_or_damaged(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    done = here.call("models", "verify")
    assert done.code == 0
    lines = done.text.splitlines()
    assert [line.partition(",")[0] for line in lines] == ["smollm2: right", "builtin: right"]
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    done = here.call("models", "verify", "smollm2")
    assert done.code == ExitCode.MODEL
    assert done.text.startswith("smollm2: wrong, SHA-256 ") and "should be" in done.text
    os.truncate(path, 1000)
    done = here.call("models", "verify", "smollm2", "--json")
    assert done.code == ExitCode.MODEL
    (report,) = done.json
    assert (report["verdict"], report["sha256"]) == ("damaged", [])
    assert "truncated" in report["reason"]


def test_a_blobs_name_is_its_checksum(here: Program) -> None:
    stores.hub(home(here), REPO, {"x-Q8_0.gguf": stores.model(here.place / "a", 1)})
    blob = stores.ollama(
        here.place / "ollama",
        "registry.ollama.ai/library/phi/3b",
        stores.model(here.place / "b", 2),
    )
    stores.model(home(here) / ".lmstudio/models/a/b/y-Q8_0.gguf", 3)
    with blob.open("ab") as file:
        file.write(b"x")
    done = here.call("models", "verify", "--all")
    assert done.code == ExitCode.MODEL
    verdicts = [line.split(": ", 1)[1].split(",")[0] for line in done.text.splitlines()]
    assert verdicts == ["right", "wrong", "no checksum is known", "right"]


def test_a_part_that_is_gone_is_damage(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    assert here.call("models", "verify", str(path)).text.startswith(f"{path}: no checksum")
    path.unlink()
    done = here.call("models", "verify", "smollm2")
    assert done.code == ExitCode.MODEL


# remove


def test_a_pulled_model_is_removed_with_its_record(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    size = path.stat().st_size
    complaint = here.call("models", "remove", "smollm2").complaint(ExitCode.USAGE)
    assert "--yes" in complaint and path.exists()
    done = here.call("models", "remove", "smollm2", "--yes")
    assert (done.code, done.stdout) == (0, b"")
    assert f"removed smollm2: {size / 1000:.1f} kB are free" in done.stderr
    assert not path.parent.exists() and models(here).exists()


def test_a_terminal_is_asked(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    session = here.terminal("models", "remove", "smollm2")
    session.wait_for("[y/N]")
    session.type("n\n")
    assert session.end().code == 0 and path.exists()
    session = here.terminal("models", "remove", "smollm2")
    session.wait_for("[y/N]")
    session.type("y\n")
    assert session.end().code == 0 and not path.exists()


def test_other_programs_remove_their_own(here: Program) -> None:
    snapshot = stores.hub(home(here), REPO, {"x-Q8_0.gguf": stores.model(here.place / "a", 1)})
    blob = stores.ollama(
        here.place / "ollama",
        "registry.ollama.ai/library/phi/3b",
        stores.model(here.place / "b", 2),
    )
    mine = stores.model(models(here) / "mine.gguf", 3)
    for name, way in (
        (f"{REPO}:Q8_0", f"hf cache rm model/{REPO}"),
        ("phi", "ollama rm phi:3b"),
        ("mine", f"rm {mine}"),
        ("builtin", "a part of this program"),
    ):
        assert way in here.call("models", "remove", name, "--yes").complaint(ExitCode.USAGE)
    assert all(each.exists() for each in (snapshot / "x-Q8_0.gguf", blob, mine, builtin.PATH))
    here.call("models", "remove", "nothing", "--yes").complaint(ExitCode.MODEL)


def test_nothing_outside_the_folder_can_be_removed(here: Program) -> None:
    secret = stores.model(here.place / "secret/x.gguf")
    record = {
        "name": "..",
        "source": "",
        "revision": "",
        "files": [{"name": "x.gguf", "size": 1, "sha256": ""}],
        "license": "",
        "date": "",
    }
    folder = models(here) / "evil"
    folder.mkdir(parents=True)
    for name, files in (
        ("..", record["files"]),
        ("evil", [{"name": "../../secret/x.gguf", "size": 1, "sha256": ""}]),
        ("../secret", record["files"]),
    ):
        (folder / "pulled.json").write_text(json.dumps({**record, "name": name, "files": files}))
        here.call("models", "remove", name, "--yes").complaint(ExitCode.MODEL)
    # A folder that is a link leads out, too.
    stores.pull(here.place / "other", "smollm2", 1)
    (models(here) / "smollm2").symlink_to(here.place / "other/smollm2")
    complaint = here.call("models", "remove", "smollm2", "--yes").complaint(ExitCode.USAGE)
    assert "is a link" in complaint
    assert secret.exists() and len([*(here.place / "other/smollm2").iterdir()]) == 2


def test_a_file_that_is_a_link_is_unlinked_and_other_files_stay(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    original = here.place / "kept.gguf"
    path.rename(original)
    path.symlink_to(original)
    (path.parent / "notes.txt").write_text("mine")
    done = here.call("models", "remove", "smollm2", "--yes")
    assert original.exists() and [*path.parent.iterdir()] == [path.parent / "notes.txt"]
    assert "other files, which stay: notes.txt" in done.stderr
    hard = stores.pull(models(here), "other", 1)
    os.link(hard, here.place / "second.gguf")
    assert "0 bytes are free" in here.call("models", "remove", "other", "--yes").stderr


def test_the_default_that_is_removed_is_told(here: Program) -> None:
    stores.pull(models(here), "smollm2")
    here.call("models", "default", "smollm2")
    done = here.call("models", "remove", "smollm2", "--yes")
    assert "config/config.yaml:1 still names it" in done.stderr


# default


def test_the_default_is_shown_and_written(here: Program) -> None:
    assert here.call("models", "default").text == "builtin\n"
    stores.pull(models(here), "smollm2", 1)
    done = here.call("models", "default")
    assert done.text == "smollm2\n"
    assert "the only model that was pulled" in done.stderr
    stores.pull(models(here), "other", 2)
    assert here.call("models", "default").text == "builtin\n"
    done = here.call("models", "default", "other")
    assert (done.code, done.stdout) == (0, b"")
    text = "model: other  # the default: llmparams models default\n"
    assert config(here).read_text() == text
    assert here.call("models", "default").text == "other\n"
    assert "using other (config/config.yaml:1)" in here.call("generate", "hi", *SHORT).stderr
    here.call("models", "default", "--unset")
    assert config(here).read_text() == ""
    assert "names no model" in here.call("models", "default", "--unset").stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# mine\n", "# mine\nmodel: builtin  # ours\n"),
        ("# mine", "# mine\nmodel: builtin  # ours\n"),
        ("system: Hi\r\n", "system: Hi\r\nmodel: builtin  # ours\r\n"),
        (
            "model: old.gguf # why\nparameters:\n  seed: 3 # three\n",
            "model: builtin # why\nparameters:\n  seed: 3 # three\n",
        ),
        ("a: &\n", None),
        (
            "description: |\n  x\n\nmodel: |-\n  old\n  er\n\nsystem: y\n",
            "description: |\n  x\n\nmodel: builtin  # ours\n\nsystem: y\n",
        ),
        ('system: "model: x"\n', 'system: "model: x"\nmodel: builtin  # ours\n'),
        ("variables: {model: x}\n", "variables: {model: x}\nmodel: builtin  # ours\n"),
        ("variables:\n  model: x\n", "variables:\n  model: x\nmodel: builtin  # ours\n"),
        ("{system: Hi}\n", None),
        ("system: Hi\n...\n", None),
        ("? model\n: old.gguf\nsystem: Hi\n", None),
        ("\"model\": 'old'\n", "model: builtin  # ours\n"),
    ],
)
def test_the_rest_of_the_configuration_stays(here: Program, before: str, after: str | None) -> None:
    config(here).parent.mkdir()
    config(here).write_bytes(before.encode())
    done = here.call("models", "default", "builtin")
    if after is None:
        assert "config.yaml" in done.complaint(ExitCode.PRESET)
        assert config(here).read_bytes() == before.encode()
        return
    assert done.code == 0, done.stderr
    wanted = after.replace("# ours", "# the default: llmparams models default")
    assert config(here).read_bytes().decode() == wanted


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("# mine\nmodel: old.gguf # why\nsystem: Hi\n", "# mine\nsystem: Hi\n"),
        ("---\nmodel: old.gguf\n", "---\n"),
        ("system: Hi\nmodel: |-\n  old\n  er\n", "system: Hi\n"),
        ("? model\n: old.gguf\nsystem: Hi\n", None),
        ("{model: old.gguf}\n", None),
    ],
)
def test_taking_the_default_back_leaves_the_rest(
    here: Program, before: str, after: str | None
) -> None:
    config(here).parent.mkdir()
    config(here).write_text(before)
    done = here.call("models", "default", "--unset")
    if after is None:
        assert "change `model:` in it yourself" in done.complaint(ExitCode.PRESET)
    assert config(here).read_text() == (before if after is None else after)


def test_what_counts_more_than_the_default_is_told(here: Program) -> None:
    (here.place / "llmparams.yaml").write_text("model: builtin\n")
    stores.pull(models(here), "smollm2")
    done = here.call("models", "default", "smollm2")
    assert "here builtin counts more (project llmparams.yaml:1)" in done.stderr
    here.call("models", "default", "nothing").complaint(ExitCode.MODEL)
    here.call("models", "default", "x", "--unset").complaint(ExitCode.USAGE)


def test_the_default_is_written_by_a_name_that_is_its_own(here: Program) -> None:
    manifest = "registry.ollama.ai/library/phi/3b"
    stores.ollama(here.place / "ollama", manifest, stores.model(here.place / "a"))
    here.call("models", "default", "PHI")
    assert config(here).read_text().startswith("model: ollama:phi:3b  #")
    assert here.call("models", "default").text == "ollama:phi:3b\n"
    here.call("models", "default", "builtin")
    assert config(here).read_text().startswith("model: builtin  #")


def test_a_path_as_the_default_is_absolute(here: Program) -> None:
    path = stores.model(here.place / "my: model.gguf")
    here.call("models", "default", path.name)
    assert config(here).read_text().startswith(f'model: "{path}"')
    assert here.call("models", "default").text == f"{path}\n"


# A name wherever a path does


def test_a_name_runs_in_every_command(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    (here.place / "presets").mkdir()
    (here.place / "presets/mine.yaml").write_text("model: smollm2\n")
    for arguments in (
        ("generate", "hi", "-m", "smollm2", "--json", *SHORT),
        ("generate", "hi", "-p", "mine", "--json", *SHORT),
    ):
        assert here.call(*arguments).json["model"]["path"] == str(path)
    done = here.call("generate", "hi", "--json", *SHORT, LLMPARAMS_MODEL="smollm2")
    assert done.json["model"]["path"] == str(path)
    shown = here.call("presets", "show", "mine").text
    assert shown.startswith("model: smollm2  (preset presets/mine.yaml:1)")
    for arguments in (
        ("compare", "hi", "-m", "smollm2", "--grid", "seed=1,2", "--json", "-n", "1"),
        ("explain", "hi", "-m", "smollm2", "--json", "-n", "1"),
        ("presets", "diff", "balanced", "precise", "-m", "smollm2", "--tokens", "1"),
    ):
        done = here.call(*arguments)
        assert done.code == 0 and "built-in" not in done.stderr, done.stderr


def test_a_name_in_a_file_or_variable_that_leads_nowhere(here: Program) -> None:
    (here.place / "llmparams.yaml").write_text("system: x\nmodel: nothing\n")
    complaint = here.call("generate", "hi").complaint(ExitCode.MODEL)
    assert complaint.startswith("llmparams.yaml:2: there is no file and no model 'nothing'")
    complaint = here.call("generate", "hi", LLMPARAMS_MODEL="none").complaint(ExitCode.MODEL)
    assert complaint.startswith("LLMPARAMS_MODEL: there is no file and no model 'none'")


def test_the_receipt_says_where_the_model_was_named(here: Program) -> None:
    path = stores.pull(models(here), "smollm2")
    here.call("generate", "hi", *SHORT, "--receipt", "run.json")
    model = json.loads((here.place / "run.json").read_text())["model"]
    assert (model["known_as"], model["path"]) == ("smollm2", str(path))
    assert model["origin"] == {"source": "default", "name": "the only model that was pulled"}
    assert len(model["sha256"]) == 64
    shown = here.call("generate", "hi", "--show-params").text
    assert shown.startswith("model: smollm2  (default the only model that was pulled)\n")
    assert here.call("replay", "run.json").text.startswith("identical")
    assert here.call("replay", "run.json", "-m", "smollm2").text.startswith("identical")


def test_a_replay_finds_a_model_that_has_moved(here: Program) -> None:
    path = stores.model(here.place / "x.gguf")
    here.call("generate", "hi", "-m", "x.gguf", *SHORT, "--receipt", "run.json")
    stores.hub(home(here), REPO, {"x-Q8_0.gguf": path})
    done = here.call("replay", "run.json")
    assert done.text.startswith("identical")
    assert f"is gone: using hf:{REPO}:Q8_0, which is the same by SHA-256" in done.stderr


def test_a_chat_changes_its_model_by_name(here: Program) -> None:
    stores.pull(models(here), "smollm2", 1)
    stores.pull(models(here), "other", 2)
    lines = ["/model", "/model smollm2", "Hi", "/model", "/unset model", "/model nothing"]
    text = "".join(f"{line}\n" for line in lines).encode()
    done = here.call("chat", "--no-save", "-n", "1", stdin=text)
    assert done.code == ExitCode.MODEL and "'nothing'" in done.stderr
    shown = [line for line in done.text.splitlines() if "(" in line]
    assert (
        shown[0] == "llmparams-tiny  (default built in)" and shown[-1] == "smollm2  (chat /model)"
    )
    assert "model: smollm2 (chat /model)" in done.stderr
    assert "model: llmparams-tiny (default built in)" in done.stderr


# Completion


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("generate -m ", ["builtin", "phi:3b", "smollm2"]),
        ("generate --model s", ["smollm2"]),
        ("presets test -m s", ["smollm2"]),
        ("replay x.json -m s", ["smollm2"]),
        ("models path p", ["phi:3b"]),
        ("models verify s", ["smollm2"]),
        ("models default b", ["builtin"]),
        ("models remove ", ["smollm2"]),
        ("models pull qwen3-4", ["qwen3-4b"]),
        ("models pull big", ["big/one:Q4_0"]),
        ("generate -m ./", []),
    ],
)
def test_a_shell_completes_names(here: Program, words: str, found: list[str]) -> None:
    stores.pull(models(here), "smollm2", 1)
    library = "registry.ollama.ai/library"
    stores.ollama(here.place / "ollama", f"{library}/phi/3b", stores.model(here.place / "a", 2))
    stores.pull(models(here) / STAGED, "big/one:Q4_0", 3)  # as a pull that was broken off
    done = here.pipe(_LLMPARAMS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=f"llmparams {words}")
    # Zsh's form: "name":"hint", where a colon in a name is escaped.
    offered = re.findall(r'"([^"]+?)"(?::"[^"]*")?', done.text.replace("\\", ""))
    assert sorted({name for name in offered if name not in HINTS}) == found, done
    assert found or "_files" in done.text  # a path is completed by the shell


@pytest.mark.parametrize("shell", ["zsh", "bash"])
@pytest.mark.parametrize("name", ["a\\$(id)", "a`id`", "a b", "a*", "a\nb", "a'b", 'a"b', "a;b"])
def test_what_a_shell_would_take_apart_or_run_is_not_offered(
    here: Program, shell: str, name: str
) -> None:
    stores.model(models(here) / f"{name}.gguf")
    stores.model(models(here) / "plain.gguf", 1)
    done = here.pipe(
        _LLMPARAMS_COMPLETE=f"complete_{shell}",
        _TYPER_COMPLETE_ARGS="llmparams generate -m ",
        COMP_WORDS="llmparams\ngenerate\n-m\n",
        COMP_CWORD="3",
    )
    offered = done.text.replace("\\", "")
    assert "plain" in offered and not re.search(r"\bid\b|\ba\b", offered), done


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("generate|-m|", ["builtin", "phi:3b", "phi:4b", "smollm2"]),
        ("generate|-m|p", ["phi:3b", "phi:4b"]),
        ("generate|-m|phi|:", ["3b", "4b"]),
        ("generate|-m|phi|:|3", ["3b"]),
        ("models|path|ollama|:|phi|:|4", []),
        ("generate|-m|phi|:|3b|--color|al", ["always"]),
    ],
)
def test_bash_splits_words_at_colons(here: Program, words: str, found: list[str]) -> None:
    stores.pull(models(here), "smollm2", 1)
    for tag in ("3b", "4b"):
        manifest = f"registry.ollama.ai/library/phi/{tag}"
        stores.ollama(here.place / "ollama", manifest, stores.model(here.place / "a", int(tag[0])))
    typed = ["llmparams", *words.split("|")]
    done = here.pipe(
        _LLMPARAMS_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(typed),
        COMP_CWORD=str(len(typed) - 1),
    )
    assert sorted(done.text.split()) == found, done


def test_a_chat_completes_names(here: Program) -> None:
    stores.pull(models(here), "smollm2")
    env = Environment(variables=here.variables)
    assert ("smollm2", "pulled") in [*completions(env, "/model s")]
    assert ("model", "the model") in [*completions(env, "/unset m")]


# Doctor


def test_doctor_says_what_each_program_keeps(here: Program) -> None:
    path = stores.pull(models(here), "smollm2", 1)
    stores.hub(home(here), REPO, {"x-Q8_0.gguf": _copy(path, here.place / "a")})
    linked = home(here) / ".lmstudio/models/a/b/x.gguf"
    linked.parent.mkdir(parents=True)
    linked.symlink_to(path)
    report = here.call("doctor", "--json").json
    said = {each["name"]: each["value"] for each in report["models"]}
    size = f"1 model, {path.stat().st_size / 1000:.1f} kB, in "
    assert said == {
        "pulled": f"{size}{models(here)}",
        "Hub cache": f"{size}{home(here) / '.cache/huggingface/hub'}",
        # A second name of a file takes up no space.
        "LM Studio": f"1 model, 0 bytes, in {home(here) / '.lmstudio/models'}",
    }
    (model,) = (each for each in report["settings"] if each["name"] == "model")
    assert model["value"] == "smollm2 (default the only model that was pulled)"


# What the built-in model is for

TOY = "no --model given: using the small built-in model"
LIMIT = "not to be trusted with documents (llmparams models pull smollm2 brings a real one)"


@pytest.mark.parametrize(
    ("arguments", "stdin", "is_document"),
    [
        (("Once upon a time",), b"", False),
        (("What is top-k?",), b"short", False),
        (("Tell me a story of " + "a fox and " * 40 + "a bear.",), b"", False),
        (("What is this?",), b"word " * 80, True),
        (("What is this?", "-f", "x.txt"), b"", True),
        (("The Supplier delivers by May.", "-p", "legal-summary"), b"", True),
        (("Peter is 42.", "-p", "json-extract"), b"", True),
        (("Summarise this: it rains.",), b"", True),
        (("Tell me a story.", "-p", "creative-chat"), b"", False),
    ],
)
def test_the_built_in_model_declines_documents(
    here: Program, arguments: tuple[str, ...], stdin: bytes, is_document: bool
) -> None:
    (here.place / "x.txt").write_text("a text")
    done = here.call("generate", *arguments, *SHORT, stdin=stdin)
    (line,) = (line for line in done.stderr.splitlines() if "built-in" in line)
    end = f", which is {LIMIT}" if is_document else " (for stories, parameters and tests"
    assert line.startswith(f"llmparams: {TOY}{end}")
    done = here.call("generate", *arguments, *SHORT, "-m", "builtin", stdin=stdin)
    told = [line for line in done.stderr.splitlines() if "built-in" in line]
    wanted = f"llmparams: the built-in model is {LIMIT}"
    assert told == ([wanted] if is_document else [])


def test_several_pulled_models_are_named_where_none_was_chosen(here: Program) -> None:
    stores.pull(models(here), "smollm2", 1)
    stores.pull(models(here), "other", 2)
    done = here.call("generate", "hi", *SHORT)
    assert (
        "no --model given, and there are other, smollm2: using the small built-in model"
        " (llmparams models default NAME chooses one of them)" in done.stderr
    )


def test_a_chat_with_a_preset_for_documents_declines_them(here: Program) -> None:
    done = here.call("chat", "--no-save", "-p", "legal-summary", stdin=b"")
    assert LIMIT in done.stderr
    done = here.call("chat", "--no-save", stdin=b"")
    assert "for stories, parameters" in done.stderr
