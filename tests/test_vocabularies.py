"""Real vocabularies: llama.cpp's own files, with what it expects of them."""

from pathlib import Path

import pytest
import sdist
from program import Program

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.jobs.inspect.tokens import split
from llmparams_cli.models.gguf import read_model

pytestmark = pytest.mark.network
SEPARATOR = "\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = sdist.models(tmp_path_factory.mktemp("llama.cpp"))
    return sorted(folder.glob("ggml-vocab-*.gguf"))


def cases(file: Path) -> list[tuple[str, list[int]]]:
    texts = file.with_name(f"{file.name}.inp").read_bytes().decode().removesuffix(SEPARATOR)
    lines = file.with_name(f"{file.name}.out").read_text().splitlines()
    ids = [[int(word) for word in line.split()] for line in lines]
    return list(zip(texts.split(SEPARATOR), ids, strict=True))


def test_texts_are_split_as_llama_cpp_expects(files: list[Path]) -> None:
    checked = 0
    for file in files:
        if not file.with_name(f"{file.name}.inp").exists():
            continue
        with vocabulary(file) as model:
            for text, ids in cases(file):
                assert model.tokenize(text, special=True) == ids, (file.name, text)
                checked += 1
        text, ids = cases(file)[-1]
        pieces = split(read_model(file), text).pieces
        assert [piece.id for piece in pieces if not piece.is_added] == ids
    assert checked > 400


def test_a_text_that_goes_on_comes_back_as_it_was(files: list[Path]) -> None:
    checked = 0
    for file in files:
        if "-spm" not in file.name and "phi-3" not in file.name and "baichuan" not in file.name:
            continue
        texts = ["the fox", ".", " the", "\n\nthe", "</s>", "  two", "ä🦊", "1 2 3", "x" * 3000]
        with vocabulary(file) as model:
            for text in texts:
                tokens = model.tokenize(text, goes_on=True)
                assert b"".join(map(model.piece, tokens)).decode() == text, (file.name, text)
                checked += 1
    assert checked >= 18


def test_inspect_describes_every_vocabulary(files: list[Path], program: Program) -> None:
    assert len(files) > 15
    for file in files:
        done = program.call("inspect", str(file), "--json")
        assert done.code == 0, (file.name, done.stderr)
        assert done.json["tokenizer"]["size"] == read_model(file).vocabulary_size
