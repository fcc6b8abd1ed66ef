"""Real vocabularies: llama.cpp's own files, with what it expects of them."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sdist
from asked import settings
from program import Program

from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.jobs.inspect.tokens import split
from llmparams_cli.models.gguf import read_model
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.rendering import prompt

pytestmark = pytest.mark.network
SEPARATOR = "\n__ggml_vocab_test__\n"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    folder = sdist.models(tmp_path_factory)
    return sorted(folder.glob("ggml-vocab-*.gguf"))


@pytest.fixture(scope="module")
def models(files: list[Path]) -> Iterator[dict[Path, Any]]:
    """Every file's tokenizer: some take a second to open."""
    with ExitStack() as stack:
        yield {file: stack.enter_context(vocabulary(file)) for file in files}


def cases(file: Path) -> list[tuple[str, list[int]]]:
    texts = file.with_name(f"{file.name}.inp").read_bytes().decode().removesuffix(SEPARATOR)
    lines = file.with_name(f"{file.name}.out").read_text().splitlines()
    ids = [[int(word) for word in line.split()] for line in lines]
    return list(zip(texts.split(SEPARATOR), ids, strict=True))


def test_texts_are_split_as_llama_cpp_expects(models: dict[Path, Any]) -> None:
    checked = 0
    for file, model in models.items():
        if not file.with_name(f"{file.name}.inp").exists():
            continue
        for text, ids in cases(file):
            assert model.tokenize(text, special=True) == ids, (file.name, text)
            checked += 1
    assert checked > 400


def test_inspect_tells_what_is_added_to_a_text(files: list[Path]) -> None:
    for file in [file for file in files if "phi-3" in file.name or "bert-bge" in file.name]:
        text, ids = cases(file)[-1]
        pieces = split(read_model(file), text).pieces
        assert [piece.id for piece in pieces if not piece.is_added] == ids


def test_a_text_that_goes_on_comes_back_as_it_was(models: dict[Path, Any]) -> None:
    checked = 0
    for file, model in models.items():
        if "-spm" not in file.name and "phi-3" not in file.name and "baichuan" not in file.name:
            continue
        texts = ["the fox", ".", " the", "\n\nthe", "</s>", "  two", "ä🦊", "1 2 3", "x" * 3000]
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


def asked(text: str, literal: tuple[tuple[int, int], ...] = (), **more: Any) -> Request:
    return Request((Message("user", text, literal=literal),), settings(), **more)


def special_names(model: Any) -> list[str]:
    """Names of tokens that are not for texts: all but those that fill the vocabulary up."""
    names = [model.name(token) for token in range(model.n_vocab) if is_special(model, token)]
    fillers = [name for name in names if name.startswith("[PAD")]
    return [name for name in names if "{" not in name and name not in fillers][:20] + fillers[:2]


def test_no_message_can_write_a_token_of_the_template(models: dict[Path, Any]) -> None:
    checked = 0
    for file, model in models.items():
        names = special_names(model)
        template = "".join(names) + "{{ messages[0].content }}" + "".join(names)
        for frame in (
            template,
            "{{ messages[0].content }}",
        ):  # whether the template has them or not
            own = prompt(model, frame, asked(""), print).tokens
            for text in ("".join(names), " ".join(names), *names, f"<|im_{names[0]}start|>"):
                made = prompt(model, frame, asked(text), print)
                both = (own, made.tokens)
                first, second = (sum(is_special(model, id) for id in each) for each in both)
                assert first == second, (file.name, text)
                assert text in made.text
                checked += 1
    assert checked > 400


def test_a_raw_prompt_has_control_tokens_only_where_it_may(models: dict[Path, Any]) -> None:
    checked = 0
    for file, model in models.items():
        for name in special_names(model):
            # Where the pipe's text begins, and where it ends.
            for text, start, end, wanted in (
                (f"a {name} b", 0, 0, 1),
                (f"a {name} b", 2, 2 + len(name), 0),
                (f"{name}{name}{name}", len(name), 2 * len(name), 2),
                (name, 0, 2, 0),
                (name, 1, len(name), 0),
            ):
                given = asked(text, ((start, end),), raw=True, special=True)
                made = prompt(model, "", given, print)
                tokens = made.tokens
                if model.begin_token is not None:
                    assert tokens[0] == model.begin_token
                    tokens = tokens[1:] if wanted < 2 or name != model.name(tokens[0]) else tokens
                assert sum(is_special(model, id) for id in tokens) == wanted, (file.name, text)
                assert made.text == text
                assert not any(
                    is_special(model, id)
                    for id in prompt(model, "", asked(text, raw=True), print).tokens[1:]
                ), (file.name, text)
                checked += 1
    assert checked > 500


def test_a_raw_prompt_without_their_names_is_tokenised_as_ever(models: dict[Path, Any]) -> None:
    for file, model in models.items():
        begin = [] if model.begin_token is None else [model.begin_token]
        inputs = cases(file) if file.with_name(f"{file.name}.inp").exists() else []
        for text, _ in inputs:
            ids = [*begin, *model.tokenize(text)]
            for special in (False, True):
                given = asked(text, raw=True, special=special)
                assert prompt(model, "", given, print).tokens == ids, (file.name, text)


def is_special(model: Any, token: int) -> bool:
    # Runs of blanks and line ends, and single letters, are user-defined in some vocabularies.
    is_one = model.is_control(token) or model.is_user_defined(token)
    return is_one and len(model.name(token).strip()) > 1
