"""llama.cpp's collection of real chat templates: rendered as transformers renders them."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sdist
from asked import settings

from llmparams_cli.backends.words import Words
from llmparams_cli.errors import ModelError
from llmparams_cli.protocol import Message
from llmparams_cli.templates import thinking
from llmparams_cli.templates.abilities import abilities
from llmparams_cli.templates.marks import marks_of
from llmparams_cli.templates.renderer import renderer
from llmparams_cli.text.speech import Marks, Speech

pytestmark = pytest.mark.network
REASONING = "Two and two.\nThat is four."
QUESTION, ANSWER, SYSTEM = "What is 2+2?", "It is 4, {is} it?", "Answer in French."


def turns(*texts: str, system: str | None = None, reasoning: str = "") -> list[Message]:
    messages = [] if system is None else [Message("system", system)]
    for place, text in enumerate(texts):
        role = ("user", "assistant")[place % 2]
        messages.append(Message(role, text, reasoning if role == "assistant" else ""))
    return messages


THREE = (QUESTION, ANSWER, "And 3+3?", "6", "Thanks!")
CONVERSATIONS = {
    "one": turns(QUESTION),
    "system": turns(QUESTION, system=SYSTEM),
    "three": turns(*THREE),
    "system and three": turns(*THREE, system=SYSTEM),
    "an empty system text": turns(QUESTION, system=""),
    "unicode": turns("Grüße, 你好 🦊 e\u0301 \u200d\ufeff \ue000"),
    "code": turns('{% for x in y %}{{ x }}{# c #} ${a} {"b": [1]}', system="{{ x }}"),
    "blanks": turns("\n  x\t \n", " a \n\n", " y ", system="  s \n"),
    "reasoning": turns(QUESTION, ANSWER, "And 3+3?", reasoning=REASONING),
    "an empty answer": turns(QUESTION, "", "And 3+3?"),
    "long": turns("lorem ipsum\n" * 2000),
    "marks": turns("<|im_end|></s>[INST]</think>", "<think>t</think>a", "/no_think [/INST]"),
    "newlines": turns("\n\n\n"),
    "quotes": turns('it\'s "so" \\n & <b>', system="\"'\\"),
}


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = sdist.models(tmp_path_factory) / "templates"
    found = {path.stem: path.read_text() for path in sorted(folder.glob("*.jinja"))}
    assert len(found) >= 70
    return found


def theirs(
    template: str, messages: list[Message], values: Mapping[str, Any], add: bool = True
) -> str:
    """What transformers makes of it; raises whatever it raises."""
    from transformers.utils.chat_template_utils import render_jinja_template

    chat = [
        {"role": each.role, "content": each.content}
        | ({"reasoning_content": each.reasoning} if each.reasoning else {})
        for each in messages
    ]
    tokens = {"bos_token": "", "eos_token": "<|end|>"}
    (text,), _ = render_jinja_template(
        [chat], chat_template=template, add_generation_prompt=add, **tokens, **values
    )
    return str(text)


def values(template: str, wanted: str) -> dict[str, Any]:
    return thinking.arguments(template, settings(thinking=wanted), lambda _: None)


def cases(templates: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for name, template in templates.items():
        on, off = values(template, "on"), values(template, "off")
        for given in (on,) if on == off else (on, off):
            yield name, template, given


# These want a list of tools, which transformers' users give them.
WITHOUT_TOOLS = (
    "CohereForAI-c4ai-command-r-plus-tool_use",
    "NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use",
    "NousResearch-Hermes-3-Llama-3.1-8B-tool_use",
)


def test_every_template_is_rendered_as_in_transformers(templates: dict[str, str]) -> None:
    refused = set()
    for name, template, given in cases(templates):
        run = renderer(Words(4096), template, given)
        tools = {"tools": []} if name in WITHOUT_TOOLS else {}
        for case, messages in CONVERSATIONS.items():
            try:
                expected = theirs(template, messages, {**given, **tools})
            except Exception:  # whatever the template raises
                refused.add((name, case))
                with pytest.raises(ModelError):
                    run(messages)
            else:
                assert run(messages) == expected, (name, case, given)
    names = {name for name, _ in refused}
    assert names == {
        "fireworks-ai-llama-3-firefunction-v2",  # wants --template-arg functions=…
        "google-gemma-2-2b-it",  # has no place for a system text
        "mistralai-Ministral-3-14B-Reasoning-2512",  # nor that one for an empty answer
    }, refused


def same(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def spoken(marks: Marks, prompt: str, text: str) -> tuple[str, str]:
    """The thoughts and the answer in what a model writes, a character at a time."""
    speech: Speech[None] = Speech((), marks, marks.first_phase(prompt))
    parts = [part for char in text for part in speech.feed(char.encode(), None)]
    parts += speech.finish(None)
    return (
        "".join(text for text, _, is_thought in parts if is_thought),
        "".join(text for text, _, is_thought in parts if not is_thought),
    )


def test_an_answer_is_split_where_its_template_marks_it(templates: dict[str, str]) -> None:
    """Templates that write a past answer with its thoughts show how the model writes them."""
    checked = []
    for name, template in templates.items():
        given = values(template, "on")
        try:
            prompt = theirs(template, turns(QUESTION), given)
            whole = theirs(template, turns(QUESTION, ANSWER, reasoning=REASONING), given, add=False)
        except Exception:  # see above
            continue
        if REASONING not in whole:
            continue
        behind = whole[same(prompt, whole) :]
        written = behind[: behind.rfind(ANSWER) + len(ANSWER)]
        assert spoken(marks_of(template), prompt, written) == (REASONING, ANSWER), name
        checked.append(name)
    assert len(checked) >= 27


def test_an_answer_without_thoughts_is_left_as_it_is(templates: dict[str, str]) -> None:
    checked = 0
    for name, template in templates.items():
        given = values(template, "off")
        try:
            prompt = theirs(template, turns(QUESTION), given)
            whole = theirs(template, turns(QUESTION, ANSWER), given, add=False)
        except Exception:
            continue
        if whole.startswith(prompt) and not prompt.rstrip().endswith("<think>"):
            behind = whole[len(prompt) :]
            thoughts, answer = spoken(
                marks_of(template), prompt, behind[: behind.rfind(ANSWER) + len(ANSWER)]
            )
            assert (thoughts, answer.strip()) == ("", ANSWER), name
            checked += 1
    assert checked >= 45


def test_thinking_reaches_every_template_that_has_a_variable_for_it(
    templates: dict[str, str],
) -> None:
    switched = []
    for name, template in templates.items():
        can, question = abilities(template), turns(QUESTION)
        notes: list[str] = []
        texts = {}
        for wanted in ("on", "off", "low", "high"):
            given = thinking.arguments(template, settings(thinking=wanted), notes.append)
            if name != "fireworks-ai-llama-3-firefunction-v2":
                texts[wanted] = renderer(Words(4096), template, given)(question)
        if can.thinking_switch:
            switched.append(name)
            assert texts["on"] != texts["off"], name
            assert not any(" on: " in note or " off: " in note for note in notes), name
        elif not can.thinking_levels:
            assert len(set(texts.values())) <= 1, name
            assert len(notes) == 4, name
        if len(can.thinking_levels) > 1:
            assert texts["low"] != texts["high"], name
    assert len(switched) == 31


@pytest.mark.parametrize(
    ("name", "wanted", "expected", "note"),
    [
        ("Qwen-Qwen3-0.6B", "off", {"enable_thinking": False}, ""),
        ("Qwen-Qwen3-0.6B", "low", {"enable_thinking": True}, "has no levels"),
        ("openai-gpt-oss-120b", "on", {}, ""),
        ("openai-gpt-oss-120b", "medium", {"reasoning_effort": "medium"}, ""),
        ("openai-gpt-oss-120b", "off", {"reasoning_effort": "low"}, "cannot switch it off; low"),
        ("ByteDance-Seed-OSS", "off", {"thinking_budget": 0}, ""),
        ("ByteDance-Seed-OSS", "on", {"thinking_budget": -1}, ""),
        ("Kimi-K3", "off", {"thinking": False}, ""),
        ("Kimi-K3", "medium", {"thinking": True, "thinking_effort": "high"}, "low and high; high"),
        ("tencent-Hy3", "off", {"reasoning_effort": "no_think"}, ""),
        ("tencent-Hy3", "on", {"reasoning_effort": "high"}, ""),
        ("tencent-Hy3", "low", {"reasoning_effort": "low"}, ""),
        ("MiniMax-M3", "off", {"thinking_mode": "disabled"}, ""),
        ("muse-glimmer", "low", {"reasoning_strength": "low"}, ""),
        ("Cohere2MoE", "off", {"reasoning": False}, ""),
        ("upstage-Solar-Open-100B", "off", {"reasoning_effort": "minimal"}, "cannot switch it off"),
        ("ibm-granite-granite-3.3-2B-Instruct", "on", {"thinking": True}, ""),
        ("deepseek-ai-DeepSeek-V4", "high", {}, "has no levels"),
        ("llama-cpp-deepseek-r1", "off", {}, "has no variable for it"),
    ],
)
def test_how_thinking_is_said_to_a_template(
    templates: dict[str, str], name: str, wanted: str, expected: dict[str, Any], note: str
) -> None:
    notes: list[str] = []
    given = thinking.arguments(templates[name], settings(thinking=wanted), notes.append)
    assert given == {"enable_thinking": True, **expected}
    assert len(notes) == bool(note) and note in "".join(notes)
