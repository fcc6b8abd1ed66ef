"""`inspect owner/repo:quant`: a model is looked at where it is; only its header is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_server import HubServer
from models import write_llama
from program import Program

NAME = "owner/repo:Q8_0"


@pytest.fixture
def there(hub: HubServer, tmp_path: Path) -> Path:
    """A model of 3 MB on the Hub."""
    path = write_llama(tmp_path / "m-Q8_0.gguf", type="Q8_0", width=512, feed_forward=2048)
    hub.add("owner/repo", {path.name: path.read_bytes()})
    return path


def test_the_header_of_a_model_on_the_hub(
    program: Program, hub: HubServer, there: Path, tmp_path: Path
) -> None:
    asked = program.call("inspect", NAME, **hub.variables())
    assert asked.code == 0, asked.stderr
    here = program.call("inspect", str(there)).text.splitlines()
    lines = asked.text.splitlines()
    assert lines[: lines.index("")] == here[: here.index("")]
    assert any(line.startswith("weights  ") for line in lines)
    assert "fits" in lines[-1]
    assert hub.sent < 2 << 20 < there.stat().st_size
    assert not list((tmp_path / "models").glob("**/*.gguf"))


def test_its_tokenizer_and_keys_too(program: Program, hub: HubServer, there: Path) -> None:
    done = program.call("inspect", NAME, "--tokens", "the and", "--json", **hub.variables())
    assert [piece["text"] for piece in done.json["pieces"]] == ["the", " and"]
    keys = program.call("inspect", NAME, "--keys", **hub.variables()).text
    assert "llama.block_count = 2" in keys


def test_a_row_of_the_catalogue_before_it_is_pulled(
    program: Program, hub: HubServer, there: Path
) -> None:
    hub.add("bartowski/Llama-3.2-1B-Instruct-GGUF", {"a-Q4_K_M.gguf": there.read_bytes()})
    for name in ("llama3.2-1b", "llama3.2:1b"):
        done = program.call("inspect", name, "--keys", **hub.variables())
        assert "llama.block_count = 2" in done.text, done.stderr


@pytest.mark.parametrize("view", [["--weights", "*"], ["--layers"]])
def test_for_its_values_it_must_be_pulled(
    program: Program, hub: HubServer, there: Path, view: list[str]
) -> None:
    wrong = program.call("inspect", NAME, *view, **hub.variables()).complaint(4)
    assert "is not on this disk" in wrong and "models pull owner/repo:Q8_0" in wrong
    assert hub.requests == []
    program.call("inspect", str(there), "--compare", NAME, **hub.variables()).complaint(4)


def test_a_path_that_is_not_there_asks_no_network(program: Program, hub: HubServer) -> None:
    (program.place / "models").mkdir()
    for reference in ("models/tiny", "models/tiny.gguf", "tiny"):
        assert program.call("inspect", reference, **hub.variables()).complaint(4)
    assert hub.requests == []
