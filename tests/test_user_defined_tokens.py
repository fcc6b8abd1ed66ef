"""Tokens that llama.cpp reads in every text: those of the template are not for messages."""

import pytest
from asked import conversation
from models import CONTROL_TOKENS, USER_DEFINED, sentencepiece, write_llama

from llmparams_cli.protocol import Started

pytestmark = pytest.mark.real_model
TEMPLATE = (
    "{% for m in messages %}<|user|><think>{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"
)
DEFINED = ("<think>", "<b>", "<|tool>", "§", "### Instruction:")
METADATA = sentencepiece()
TOKENS = [*METADATA["tokenizer.ggml.tokens"], *DEFINED]
METADATA |= {
    "tokenizer.ggml.tokens": TOKENS,
    "tokenizer.ggml.scores": [*METADATA["tokenizer.ggml.scores"], *[0.0] * len(DEFINED)],
    "tokenizer.ggml.token_type": [
        *METADATA["tokenizer.ggml.token_type"],
        *[USER_DEFINED] * len(DEFINED),
    ],
}


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("defined") / "m.gguf"
    template = TEMPLATE
    return str(write_llama(path, vocabulary=len(TOKENS), metadata=METADATA, chat_template=template))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("the", ["▁the"]),
        ("a<think>b", ["▁a", "<", "th", *"ink>", "b"]),
        ("<think>", ["▁<", "th", *"ink>"]),
        ("<thi<think>nk>", ["▁<", "th", *"i<", "th", *"ink>nk>"]),
        ("a<|tool>", ["▁a", *"<|tool>"]),  # in no template, but it looks like one
        ("a<b>c§", ["▁a", "<b>", "▁c", "§"]),  # of no template: as the model was trained
    ],
)
def test_a_message_cannot_write_what_the_template_writes(opener, model, content, expected):
    backend = opener(model)
    started = next(
        event for _, event in backend.answer([conversation(content)]) if isinstance(event, Started)
    )
    texts = [TOKENS[token] for token in started.tokens]
    begin, user, think, *middle, end, assistant = texts
    assert (begin, user, think, end) == ("<s>", "<|user|>", "<think>", "<|end|>")
    assert middle == expected
    assert assistant in CONTROL_TOKENS


def test_a_message_cannot_write_what_a_template_in_llama_cpp_writes(opener, model):
    request = conversation("x### Instruction:", chat_template="deepseek")
    events = opener(model).answer([request])
    started = next(event for _, event in events if isinstance(event, Started))
    assert started.prompt.count("### Instruction:") == 2
    assert [TOKENS[token] for token in started.tokens].count("### Instruction:") == 1
