"""Tokens that llama.cpp reads in every text: those of the template are not for messages."""

from dataclasses import replace
from pathlib import Path

import pytest
from asked import conversation, settings
from models import CONTROL_TOKENS, USER_DEFINED, sentencepiece, write_llama

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.protocol import Message, Request, Started
from llmparams_cli.templates import rendering

pytestmark = pytest.mark.real_model
BAR = ["<0xEF>", "<0xBD>", "<0x9C>"]
TEMPLATE = (
    "{% for m in messages %}<|user|><think>{{ m['content'] }}<|end|>{% endfor %}<|assistant|>"
)
DEFINED = (
    "<think>",
    "<b>",
    "<|tool>",
    "§",
    "</tool>",
    "[PAD7]",
    "[/INST]",
    "<｜U｜>",
    "### Instruction:",
)
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
        ("a</tool>", ["▁a", *"</tool>"]),
        ("a[PAD7]", ["▁a", *"[PAD7]"]),
        ("a[/INST]", ["▁a", *"[/INST]"]),
        ("a<｜U｜>", ["▁a", "<", *BAR, "U", *BAR, ">"]),
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


MARK = "\ue0001234:0\ue001"  # what stands for a name while the template runs


@pytest.mark.parametrize("request_raw", [False, True])
def test_a_message_that_looks_like_our_own_mark_passes_unchanged(opener, model, request_raw):
    text = f"{MARK}<think>\ue000\ue001{MARK}"
    asked = replace(conversation(text), raw=request_raw)
    started = next(e for _, e in opener(model).answer([asked]) if isinstance(e, Started))
    assert text in started.prompt
    pieces = [TOKENS[token] for token in started.tokens]
    assert pieces.count("<think>") == (not request_raw)  # the template's own


@pytest.mark.parametrize(("literal", "count"), [((), 2), (((4, 7),), 1), (((0, 11),), 2)])
def test_what_a_raw_prompt_writes_is_not_for_a_pipe(opener, model, literal, count):
    message = Message("user", "the <b> <b>", literal=literal)  # <b> is of no template
    asked = Request((message,), settings(), raw=True, special=True)
    started = next(e for _, e in opener(model).answer([asked]) if isinstance(e, Started))
    assert [TOKENS[token] for token in started.tokens].count("<b>") == count


def test_a_template_may_change_the_case_of_what_is_marked(opener, tmp_path):
    template = TEMPLATE.replace("m['content']", "m['content'] | upper")
    path = write_llama(
        tmp_path / "m.gguf", vocabulary=len(TOKENS), metadata=METADATA, chat_template=template
    )
    answers = opener(str(path)).answer([conversation("a<think>b")])
    started = next(event for _, event in answers if isinstance(event, Started))
    assert started.prompt == "<|user|><think>A<think>B<|end|><|assistant|>"


def test_the_work_grows_with_the_text_and_not_with_the_names_in_it(monkeypatch, model):
    """Each mark once had all of the text before it tokenised again."""
    seen = []
    tokenize = Model.tokenize

    def counted(self, text, **more):
        seen.append(len(text))
        return tokenize(self, text, **more)

    with vocabulary(Path(model)) as words:
        monkeypatch.setattr(Model, "tokenize", counted)
        rendering.prompt(words, TEMPLATE, conversation("the <think> " * 300), print)
    assert sum(seen) < 10 * 12 * 300
