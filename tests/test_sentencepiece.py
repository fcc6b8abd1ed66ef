"""Texts that go on after others, on a vocabulary that puts a space before every text."""

import pytest
from asked import conversation, raw
from models import sentencepiece, write_llama

from llmparams_cli.protocol import Passage, Started

pytestmark = pytest.mark.real_model
TOKENS = sentencepiece()["tokenizer.ggml.tokens"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    return str(write_llama(path, vocabulary=len(TOKENS), metadata=sentencepiece()))


@pytest.fixture
def backend(opener, model):
    return opener(model)


def texts(tokens):
    return [TOKENS[token] for token in tokens]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("the fox", ["the", "▁fox"]),
        (" the", ["▁the"]),
        (".", ["."]),
        ("\n\nthe", ["<0x0A>", "<0x0A>", "the"]),
        ("ä", ["<0xC3>", "<0xA4>"]),
        ("", []),
    ],
)
def test_a_text_that_goes_on_has_no_space_before_it(backend, text, expected):
    assert texts(backend.encode(text)) == expected


def test_a_target_goes_on_after_the_prompt(backend):
    ((_, scored),) = backend.score([Passage(raw("the fox"), ". the.")])
    assert scored.trace.texts() == [".", " the", "."]
    scored.trace.close()


@pytest.mark.parametrize("bias", [" the=false", "the=false"])
def test_a_bias_is_for_what_its_text_says(program, model, bias):
    done = program.call("explain", "fox", "-m", model, "--logit-bias", bias, "-n", "1", "--json")
    kept = {stage["name"]: stage["kept"] for stage in done.json["tokens"][0]["stages"]}
    assert kept["model"] - kept["logit_bias"] == 1


def prompt(backend, content):
    request = conversation(content)
    started = next(event for _, event in backend.answer([request]) if isinstance(event, Started))
    return texts(started.tokens)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("A</s>B", ["▁A", "<", "/", "s", ">", "B"]),
        ("the<s>the</s>fox", ["▁the", *"<s>", "the", *"</s>", "fox"]),
        ("</s>", ["▁<", *"/s>"]),
        ("the </s> fox", ["▁the", "▁<", *"/s>", "▁fox"]),
        ("</s></s>", ["▁<", *"/s></s>"]),
    ],
)
def test_what_looks_like_a_control_token_is_text_like_any_other(backend, content, expected):
    begin, user, *middle, end, assistant = prompt(backend, content)
    assert (begin, user, end, assistant) == ("<s>", "<|user|>", "<|end|>", "<|assistant|>")
    assert middle == expected


def test_a_shortened_prompt_gains_no_space(backend):
    text = "the fox " * 200
    request = raw(text, overflow="truncate-middle")
    started = next(event for _, event in backend.answer([request]) if isinstance(event, Started))
    assert started.prompt.startswith("the fox the")
