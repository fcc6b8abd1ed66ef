"""Examples as tokens: what the model reads when it is used, and which of it is learned."""

from collections.abc import Iterator

import pytest
import sdist
from asked import settings
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from models import CONTROL_TOKENS, USER_DEFINED, sentencepiece, write_llama

from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.weights import vocabulary
from llmparams_cli.backends.words import END, Words
from llmparams_cli.errors import UsageError
from llmparams_cli.models.builtin import PATH
from llmparams_cli.models.gguf import read_model
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates import rendering
from llmparams_cli.training.conversations import AT_ONCE, LAST_ALONE
from llmparams_cli.training.encoding import AS_LETTERS, Encoder
from llmparams_cli.training.records import Record

DATE = "2026-11-27T10:00:00"
END_NAME = "<|end|>"
# Qwen 3: thoughts stand in the last answer alone.
RETHOUGHT = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' and loop.last %}"
    "<think>{{ m.reasoning_content or '' }}</think>{% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# DeepSeek R1: a prompt opens the thoughts, and no answer has them.
OPENED = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content.split('</think>')[-1] }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)
PLAIN = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Phi 3.5: more stands behind the last answer than behind others.
ENDED = PLAIN.replace("{% endif %}", "{% else %}<|end|>bye{% endif %}")
# Mistral: the system text goes into the last message of the user.
MOVED = (
    "{% for m in messages if m.role != 'system' %}<|{{ m.role }}|>"
    "{% if m.role == 'user' and loop.index0 + (not add_generation_prompt) + 1 == loop.length %}"
    "{{ messages[0].content }} {% endif %}{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
NO_END = (
    "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


class Learning(Words):
    """A tokenizer whose tokens end where <|end|> is."""

    end_token: int | None = END

    def ends_generation(self, token: int) -> bool:
        return token == END


def conversation(*texts: str, system: str = "") -> Record:
    roles = ("user", "assistant")
    messages = [Message("system", system)] if system else []
    messages += [Message(roles[place % 2], text) for place, text in enumerate(texts)]
    return Record("a:1", messages=tuple(messages))


def encoded(
    template: str, record: Record, *, mask: bool = True, model: Words | None = None
) -> tuple[str, list[str], list[str]]:
    """All the text, the learned runs in it, and the notes."""
    words = model or Learning(4096)
    notes: list[str] = []
    encoder = Encoder(words, template, settings(), DATE, notes.append, mask_prompt=mask)
    row = encoder.document(record).row
    whole, runs, was = "", [], False
    for token, learned in zip(row.tokens.tolist(), row.learned.tolist(), strict=True):
        name = words.name(token)
        whole += name
        if learned:
            runs = [*runs, name] if not was else [*runs[:-1], runs[-1] + name]
        was = learned
    return whole, runs, notes


# Thoughts are opened from the second answer on.
LATER = PLAIN.replace(
    "<|assistant|>{% endif %}", "<|assistant|>{{ '<think>' if messages[1:] }}{% endif %}"
)
# Nemotron: what a prompt opens stays open in the last answer.
LEFT_OPEN = PLAIN.replace(
    "{{ m.content }}", "{{ '<think>' if loop.last and loop.index0 % 2 }}{{ m.content }}"
).replace("<|assistant|>{% endif %}", "<|assistant|><think>{% endif %}{# </think> #}")
CHAT = conversation("Hi", "Hello.", "More?", "No.")


@pytest.mark.parametrize(
    ("template", "record", "whole", "learned"),
    [
        (
            PLAIN,
            CHAT,
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|><|assistant|>No.<|end|>",
            ["Hello.<|end|>", "No.<|end|>"],
        ),
        (
            PLAIN,
            conversation("Hi", "Hello.", "More?", system="S"),
            "<|system|>S<|end|><|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|>",
            ["Hello.<|end|>"],
        ),
        (
            ENDED,
            CHAT,
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|><|assistant|>No.<|end|>"
            "<|end|>bye",
            ["Hello.<|end|>", "No.<|end|>"],
        ),
        (
            NO_END,
            CHAT,
            "user: Hi\nassistant: Hello.\nuser: More?\nassistant: No.\n<|end|>",
            ["Hello.\n", "No.\n<|end|>"],
        ),
        (
            RETHOUGHT,
            CHAT,
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|><|assistant|><think>"
            "</think>No.<|end|>",
            ["<think></think>No.<|end|>"],
        ),
        (
            OPENED,
            CHAT,
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|><|assistant|><think>\n"
            "\n</think>\n\nNo.<|end|>",
            ["\n</think>\n\nNo.<|end|>"],
        ),
        (
            OPENED,
            conversation("Hi", "<think>\nHm\n</think>\n\nNo."),
            "<|user|>Hi<|end|><|assistant|><think>\nHm\n</think>\n\nNo.<|end|>",
            ["Hm\n</think>\n\nNo.<|end|>"],
        ),
        (
            OPENED,
            conversation("Hi", "Hm\n</think>No."),
            "<|user|>Hi<|end|><|assistant|><think>\nHm\n</think>No.<|end|>",
            ["Hm\n</think>No.<|end|>"],
        ),
        (
            RETHOUGHT,
            conversation("Hi", "<think>\nHm\n</think>\n\nNo."),
            "<|user|>Hi<|end|><|assistant|><think>Hm</think>No.<|end|>",
            ["<think>Hm</think>No.<|end|>"],
        ),
        (
            PLAIN,
            conversation("Hi", "<think>\nHm\n</think>\n\nNo."),
            "<|user|>Hi<|end|><|assistant|><think>\nHm\n</think>\n\nNo.<|end|>",
            ["<think>\nHm\n</think>\n\nNo.<|end|>"],
        ),
        (
            PLAIN,
            Record("a", messages=(Message("user", "Hi"), Message("assistant", "No.", "Hm"))),
            "<|user|>Hi<|end|><|assistant|><think>\nHm\n</think>\n\nNo.<|end|>",
            ["<think>\nHm\n</think>\n\nNo.<|end|>"],
        ),
        (
            LATER,
            CHAT,
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>More?<|end|><|assistant|><think>"
            "\n</think>\n\nNo.<|end|>",
            ["\n</think>\n\nNo.<|end|>"],
        ),
        (
            LEFT_OPEN,
            conversation("Hi", "Hello."),
            "<|user|>Hi<|end|><|assistant|><think>\n</think>\n\nHello.<|end|>",
            ["\n</think>\n\nHello.<|end|>"],
        ),
        (
            PLAIN,
            conversation("Hi", "<think>a</think>b", "More?", "<think>c</think>d"),
            "<|user|>Hi<|end|><|assistant|><think>a</think>b<|end|><|user|>More?<|end|>"
            "<|assistant|><think>c</think>d<|end|>",
            ["<think>a</think>b<|end|>", "<think>c</think>d<|end|>"],
        ),
        (
            RETHOUGHT,
            conversation("Hi", "A </think> ends it."),
            "<|user|>Hi<|end|><|assistant|><think></think>A </think> ends it.<|end|>",
            ["<think></think>A </think> ends it.<|end|>"],
        ),
        (
            MOVED,
            conversation("Hi", "Hello.", "More?", "No.", system="S"),
            "<|user|>Hi<|end|><|assistant|>Hello.<|end|><|user|>S More?<|end|><|assistant|>No."
            "<|end|>",
            ["No.<|end|>"],
        ),
        (
            PLAIN,
            Record("a", messages=(Message("assistant", "Hello."), Message("user", "Hi"))),
            "<|assistant|>Hello.<|end|><|user|>Hi<|end|>",
            ["Hello.<|end|>"],
        ),
        ("", Record("a", "Once upon"), "Once upon<|end|>", [" upon<|end|>"]),
        ("", conversation("Q: ", "Hello."), "Q: Hello.<|end|>", ["Hello.<|end|>"]),
    ],
)
def test_answers_are_learned_up_to_their_ends(template, record, whole, learned):
    assert encoded(template, record)[:2] == (whole, learned)


def test_the_user_is_told_what_is_not_learned():
    assert encoded(PLAIN, CHAT)[2] == encoded(ENDED, CHAT)[2] == encoded(NO_END, CHAT)[2] == []
    assert encoded(RETHOUGHT, CHAT)[2] == [LAST_ALONE]
    assert encoded(LATER, CHAT)[2] == [LAST_ALONE, AT_ONCE]
    assert encoded(OPENED, CHAT)[2] == [LAST_ALONE, AT_ONCE]
    moved = conversation("Hi", "Hello.", "More?", "No.", system="S")
    assert LAST_ALONE in encoded(MOVED, moved)[2]


@pytest.mark.parametrize("template", [PLAIN, ENDED, NO_END, RETHOUGHT, OPENED, ""])
def test_without_a_mask_all_but_the_first_token_is_learned(template):
    record = CHAT if template else conversation("Hi", "Hello.")
    model = Learning(4096)
    found = Encoder(model, template, settings(), DATE, lambda _: None).document(record)
    assert found.whole and not found.row.learned[0] and found.row.learned[1:].all()
    assert encoded(template, record, mask=False)[0] == encoded(template, record)[0]


def test_a_text_may_be_cut_and_a_conversation_not():
    encoder = Encoder(Learning(4096), PLAIN, settings(), DATE, lambda _: None)
    assert not encoder.document(Record("a", "Once")).whole


def test_a_text_that_went_through_a_template_is_told():
    whole, _, notes = encoded(PLAIN, Record("a", "<|user|>Hi<|end|><|assistant|><b>"))
    assert notes == [AS_LETTERS.format(name) for name in ("<|assistant|>", "<|end|>", "<|user|>")]
    model = Learning(4096)
    row = Encoder(model, PLAIN, settings(), DATE, lambda _: None).document(Record("a", whole)).row
    assert not any(map(model.is_control, row.tokens[:-1].tolist()))


def test_what_the_template_refuses_is_named():
    refusing = "{{ raise_exception('no') }}" + PLAIN
    with pytest.raises(UsageError, match=r"^a:1: the chat template fails: no"):
        encoded(refusing, CHAT)
    with pytest.raises(UsageError, match=r"^a:1: the model has no chat template for a conv"):
        encoded("", CHAT)
    shouting = OPENED.replace("m.content.", "m.content.upper().")
    with pytest.raises(UsageError, match=r"^a:1: the chat template changes what the assistant"):
        encoded(shouting, conversation("hi", "hello"))


def test_a_model_without_an_end_learns_none():
    model = Learning(4096)
    model.end_token = None
    assert encoded("", Record("a", "Once upon"), model=model)[0] == "Once upon"


TEXTS = st.text(st.sampled_from("ab \n<|end|>{}\u00e9"), min_size=1).filter(str.strip)


@examples(max_examples=60, deadline=None)
@given(st.lists(TEXTS, min_size=2, max_size=6), st.sampled_from((PLAIN, ENDED, OPENED)))
def test_what_is_before_an_answer_is_the_prompt_for_it(texts, template):
    """And control tokens come from the template alone, whatever the messages say."""
    model = Learning(4096)
    record = conversation(*texts[: len(texts) // 2 * 2])
    encoder = Encoder(model, template, settings(), DATE, lambda _: None, mask_prompt=True)
    found = encoder.document(record).row
    request = Request(record.messages[:-1], settings(), date=DATE)
    asked = rendering.prompt(model, template, request, lambda _: None).tokens
    assert found.tokens[: len(asked)].tolist() == asked
    assert not found.learned[len(asked) - 1] and found.learned[len(asked)]
    ends = (found.tokens == END).sum()
    assert ends == len(record.messages) + (template == ENDED)
    behind = found.tokens[len(asked) :].tolist()
    assert found.learned[len(asked) :].tolist() == [
        place <= behind.index(END) for place in range(len(behind))
    ]


@pytest.fixture(scope="module")
def builtin() -> Iterator[Model]:
    with vocabulary(PATH) as model:
        yield model


@pytest.mark.real_model
@pytest.mark.parametrize("template", ["own", "chatml"])
def test_the_builtin_model_learns_its_answers(builtin, template):
    own = template == "own"
    chosen = read_model(PATH).chat_templates["default"] if own else template
    encoder = Encoder(builtin, chosen, settings(), DATE, print, mask_prompt=True)
    record = conversation("Hi <|im_end|>", "Hello.", "More?", "No.")
    row = encoder.document(record).row
    names = [builtin.name(token) for token in row.tokens.tolist()]
    start, end = "<|im_start|>", "<|im_end|>"
    assert "".join(names) == (
        f"{start}user\nHi {end}{end}\n{start}assistant\nHello.{end}\n"
        f"{start}user\nMore?{end}\n{start}assistant\nNo.{end}\n"
    )
    assert names.count(end) == 4
    learned = [name for name, flag in zip(names, row.learned, strict=True) if flag]
    assert "".join(learned) == f"Hello.{end}No.{end}"


@pytest.fixture(scope="module")
def spaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Model]:
    """A SentencePiece vocabulary with BOS, whose marks for thoughts are tokens."""
    metadata = sentencepiece()
    more = ("<think>", "</think>")
    added = {"tokens": more, "scores": (0.0, 0.0), "token_type": (USER_DEFINED, USER_DEFINED)}
    for key, values in added.items():
        metadata[f"tokenizer.ggml.{key}"] = [*metadata[f"tokenizer.ggml.{key}"], *values]
    count = len(metadata["tokenizer.ggml.tokens"])
    path = tmp_path_factory.mktemp("spaced") / "m.gguf"
    with vocabulary(write_llama(path, vocabulary=count, metadata=metadata)) as model:
        yield model


@pytest.mark.real_model
def test_begin_and_spaces_are_as_in_use(spaced):
    encoder = Encoder(spaced, PLAIN, settings(), DATE, print)
    text = encoder.document(Record("a", "the fox <s>")).row.tokens.tolist()
    names = [spaced.name(token) for token in text]
    assert names[0] == "<s>" and names[-1] == "</s>" and names.count("<s>") == 1
    assert text[1:4] == spaced.tokenize("the fox <s>")[:3]
    pair = Encoder(spaced, "", settings(), DATE, print).document(conversation("the", "fox")).row
    fox = spaced.tokenize("fox", goes_on=True)
    assert pair.tokens.tolist()[1:-1] == [*spaced.tokenize("the"), *fox]
    row = encoder.document(conversation("the", "fox")).row.tokens.tolist()
    assert [spaced.name(token) for token in row[:2]] == ["<s>", CONTROL_TOKENS[2]]


@pytest.mark.real_model
def test_thoughts_are_told_by_their_tokens_and_by_nobody_elses(spaced):
    encoder = Encoder(spaced, OPENED, settings(), DATE, lambda _: None, mask_prompt=True)
    record = conversation("a <think>", "<think>the <|end|></think>fox")
    row = encoder.document(record).row
    marks = [spaced.tokenize(name, special=True)[-1] for name in ("<think>", "</think>")]
    assert [row.tokens.tolist().count(mark) for mark in marks] == [1, 1]
    learned = row.tokens[row.learned].tolist()
    assert learned.count(marks[1]) == 1 and marks[0] not in learned
    assert "".join(map(spaced.name, learned)) == "the <|end|></think> fox<|end|>"


@pytest.mark.network
def test_all_known_templates_teach_answers_that_end(tmp_path_factory):
    """Of every template that takes such a conversation."""
    folder = sdist.models(tmp_path_factory) / "templates"
    learned = {}
    for path in sorted(folder.glob("*.jinja")):
        try:
            learned[path.stem] = encoded(path.read_text(), CHAT)[1]
        except UsageError:
            continue
    assert len(learned) >= 65
    for name, runs in learned.items():
        assert "No." in runs[-1] and "More?" not in "".join(runs), name
        assert len(runs) == 1 or (len(runs) == 2 and "Hello." in runs[0]), name
    both = [name for name, runs in learned.items() if len(runs) == 2]
    assert {"microsoft-Phi-3.5-mini-instruct", "Qwen-Qwen2.5-7B-Instruct"} <= {*both}
    assert len(both) >= 40
