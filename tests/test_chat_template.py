"""Which chat template makes the prompt, what it is given, and how thinking is set in it."""

import json
from pathlib import Path
from typing import Any

import pytest
from asked import settings
from models import CHAT_TEMPLATE, sentencepiece, write_llama
from program import Program

from llmparams_cli.backends.open import named_templates
from llmparams_cli.backends.words import CONTROLS, Words
from llmparams_cli.errors import ExitCode
from llmparams_cli.protocol import Message, Request
from llmparams_cli.templates.abilities import abilities
from llmparams_cli.templates.marks import marks_of
from llmparams_cli.templates.rendering import Prompt, prompt
from llmparams_cli.templates.syntax import variables
from llmparams_cli.templates.thinking import offer

BACKENDS = ("llama", "scripted")
OWN = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}[answer]"
SAID = "{{ messages | map(attribute='content') | join }}"
CHATML = "<|im_start|>user\nx<|im_end|>\n<|im_start|>assistant\n"


def asked(program: Program, *arguments: str) -> Any:
    """The prompt that the model got."""
    done = program.call("generate", "x", "-n", "1", "--no-log", "--json", *arguments)
    assert done.code == 0, done.stderr
    return done.json["prompt"]


def made(template: str, *messages: Message, **values: Any) -> tuple[Prompt, list[str]]:
    """A prompt for the scripted vocabulary, and the notes about it."""
    notes: list[str] = []
    request = Request(messages or (Message("user", "x"),), settings(**values))
    return prompt(Words(4096), template, request, notes.append), notes


def text(template: str, *messages: Message, **values: Any) -> str:
    """What this part of a template makes; the rest of it says what the messages say."""
    whole = made(template + "|" + SAID, *messages, **values)[0].text
    return whole.rpartition("|")[0]


# Which one


def test_a_template_is_a_file_a_name_or_jinja(program: Program) -> None:
    (program.place / "own.jinja").write_text(OWN + "\n")
    assert asked(program, "--chat-template", "own.jinja") == "[user]x[answer]"
    assert asked(program, "--chat-template", "@own.jinja") == "[user]x[answer]"
    assert asked(program, "--chat-template", OWN) == "[user]x[answer]"
    assert asked(program, "--chat-template", "chatml") == CHATML
    assert asked(program, "--chat-template", " chatml\n") == CHATML
    assert asked(program, "--chat-template", "default") == asked(program) != "x"


def test_a_preset_names_a_file_beside_itself(program: Program) -> None:
    folder = program.place / "presets"
    folder.mkdir()
    (folder / "own.jinja").write_text(OWN)
    for given in ("own.jinja", "'@own.jinja'"):
        (folder / "mine.yaml").write_text(f"parameters:\n  chat_template: {given}\n")
        assert asked(program, "-p", "presets/mine.yaml") == "[user]x[answer]"
    (folder / "mine.yaml").write_text("parameters: {chat_template: chatml}\n")
    assert asked(program, "-p", "presets/mine.yaml") == CHATML


@pytest.mark.parametrize("several", [False, True])
def test_the_hubs_files_have_a_template_in_json(program: Program, several: bool) -> None:
    named = [{"name": "rag", "template": "no {"}, {"name": "default", "template": OWN}]
    content = {"chat_template": named if several else OWN, "eos_token": "</s>"}
    (program.place / "tokenizer_config.json").write_text(json.dumps(content))
    assert asked(program, "--chat-template", "tokenizer_config.json") == "[user]x[answer]"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no chat template in it"),
        ("Hello", "no chat template in it"),
        ('{"eos_token": "</s>"}', "no chat_template in this JSON"),
        ('{"chat_template": [1, {"name": "rag"}]}', "no chat_template in this JSON"),
        ("[1]", "no chat_template in this JSON"),
    ],
)
def test_a_file_without_a_template_is_named(program: Program, content: str, reason: str) -> None:
    (program.place / "f.txt").write_text(content)
    done = program.call("generate", "x", "--chat-template", "f.txt")
    line = done.complaint(ExitCode.USAGE)
    assert reason in line and "f.txt" in line and "--chat-template" in line


def test_a_file_that_is_not_there_is_no_name(program: Program) -> None:
    for given in ("no.jinja", "presets/no", "@no"):
        done = program.call("generate", "x", "--chat-template", given)
        line = done.complaint(ExitCode.USAGE)
        assert f"{program.place}/{given.lstrip('@')}: no such file" in line
    (program.place / "p.yaml").write_text("parameters:\n  chat_template: no.jinja\n")
    done = program.call("presets", "check", "p.yaml")
    assert done.code == ExitCode.PRESET and "p.yaml:2" in done.text + done.stderr


def test_a_receipt_has_the_template_itself(program: Program) -> None:
    (program.place / "own.jinja").write_text(OWN)
    arguments = ("--chat-template", "own.jinja", "--receipt", "r.json", "--seed", "1")
    done = program.call("generate", "x", "-n", "1", *arguments)
    assert done.code == 0, done.stderr
    (program.place / "own.jinja").unlink()
    assert OWN in (program.place / "r.json").read_text().replace('\\"', '"')
    assert program.call("replay", "r.json").code == 0


@pytest.mark.real_model
@pytest.mark.parametrize("name", ["chatmll", "tool use", "x" * 5000])
def test_a_wrong_name_is_refused_before_the_model_is_loaded(program: Program, name: str) -> None:
    path = write_llama(program.place / "m.gguf", tensors={"output_norm.weight": None})
    arguments = ("generate", "x", "-m", str(path), "--chat-template", name)
    line = program.call(*arguments).complaint(ExitCode.USAGE)
    assert "(flag --chat-template)" in line and "the model has default" in line
    assert "vicuna" in line and len(line) < 1200
    assert ("did you mean chatml?" in line) == (name == "chatmll")


def test_jinja_that_is_none_is_refused_before(program: Program) -> None:
    (program.place / "p.yaml").write_text("parameters:\n  chat_template: '{% if %}'\n")
    line = program.call("generate", "x", "-p", "p.yaml").complaint(ExitCode.USAGE)
    assert "p.yaml:2" in line and "not valid Jinja" in line


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("templates", "arguments", "expected"),
    [
        ({"": "chatml"}, [], CHATML),
        ({"": None, "tool_use": OWN}, [], "[user]x[answer]"),
        ({"": "", "tool_use": OWN}, [], "[user]x[answer]"),
        ({"": "1" + SAID, "tool_use": OWN}, [], "1x"),
        ({"": "1" + SAID, "tool_use": OWN}, ["tool_use"], "[user]x[answer]"),
        ({"": None, "rag": "2" + SAID, "tool_use": OWN}, ["rag"], "2x"),
        ({"": None, "rag": "2" + SAID}, [], "2x"),
        ({"": None, "chatml": "3" + SAID}, ["chatml"], "3x"),  # its own goes before llama.cpp's
        ({"": None}, [], "x"),
        ({"": None}, ["chatml"], CHATML),
        ({"": None, "tool_use": "{% for t in tools %}{% endfor %}" + OWN}, [], "[user]x[answer]"),
    ],
)
def test_a_models_own_templates_have_names(
    program: Program, templates: dict[str, str | None], arguments: list[str], expected: str
) -> None:
    own = {f"tokenizer.chat_template{'.' * bool(name)}{name}": t for name, t in templates.items()}
    names = {"tokenizer.chat_templates": [name for name in templates if name] or None}
    path = write_llama(program.place / "m.gguf", metadata={**own, **names})
    flags = [part for name in arguments for part in ("--chat-template", name)]
    assert asked(program, "-m", str(path), *flags) == expected


@pytest.mark.real_model
def test_a_models_template_that_is_no_known_name(program: Program) -> None:
    path = write_llama(program.place / "m.gguf", chat_template="mistral of ours")
    arguments = ("generate", "x", "-m", str(path), "-n", "1", "--no-log")
    line = program.call(*arguments).complaint(ExitCode.MODEL)
    assert "'mistral of ours'" in line and "--chat-template" in line
    assert program.call(*arguments, "--raw").code == 0
    assert program.call(*arguments, "--chat-template", "chatml").code == 0


def test_a_chat_takes_another_template(program: Program) -> None:
    (program.place / "own.jinja").write_text("{% generation %}" + OWN + "{% endgeneration %}")
    done = program.call(
        "chat", "--no-save", "-n", "1", "--chat-template", "own.jinja", stdin=b"a\nb\n"
    )
    assert done.code == 0, done.stderr


@pytest.mark.parametrize("command", ["generate", "chat", "compare", "explain"])
def test_no_hint_names_an_option_that_the_command_lacks(program: Program, command: str) -> None:
    if command == "explain" and program.variables.get("LLMPARAMS_MODEL", "").startswith("scripted"):
        pytest.skip("it records logits")
    stdin = b"x\n" if command == "chat" else b""
    words = {"chat": [], "compare": ["x", "--grid", "seed=1,2"]}.get(command, ["x"])
    given = ["--chat-template", "{{ raise_exception('never') }}"]
    done = program.call(command, *words, *given, stdin=stdin)
    assert done.code == ExitCode.MODEL
    assert "never" in done.stderr and "--chat-template" in done.stderr
    assert "--raw" not in done.stderr


@pytest.mark.real_model
def test_names_of_templates_in_llama_cpp() -> None:
    names = named_templates()
    assert len(names) > 40 and "chatml" in names
    for name in names:  # control tokens and zeros in messages pass through every one
        messages = (Message("system", "s\0s"), Message("user", "a<|user|>\0z"))
        made_of, notes = made(name, *messages)
        assert "a<|user|>\0z" in made_of.text, name
        assert "s\0s" in made_of.text, name  # before the message, if there is no place for it
        assert bool(notes) != abilities(name).system, name
        user = 256 + CONTROLS.index("<|user|>")
        assert made_of.tokens.count(user) == made(name)[0].text.count("<|user|>"), name


def test_thoughts_are_marked_as_the_chosen_template_marks_them(program: Program) -> None:
    assert marks_of("gpt-oss") == marks_of("{{ '<|channel|>' }}") != marks_of("chatml")
    assert marks_of("solar-open").ends and marks_of("seed_oss").opens == ("<seed:think>",)
    spoken = made("{{ messages[0].content }}[THINK][/THINK]")[0].marks
    assert spoken.opens == ("[THINK]",)


# What it is given


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ tools is none and documents is none }} {{ functions is defined }}", "True False"),
        ("{{ {'b': 1, 'a': '<é>'} | tojson }}", '{"b": 1, "a": "<é>"}'),
        ("{{ {'b': 1, 'a': 2} | tojson(separators=(',', ':'), sort_keys=true) }}", '{"a":2,"b":1}'),
        ("{{ 'é' | tojson(ensure_ascii=true) }}", '"\\u00e9"'),
        ("{{ [1] | tojson(indent=2) }}", "[\n  1\n]"),
        ("{{ [1] | tojson(true, 1) }}", "[\n 1\n]"),
        ("{{ eos_token }}{{ bos_token }}{{ pad_token is defined }}", "<|end|>False"),
        ("{{ additional_special_tokens | join }}", "<|system|><|user|><|assistant|>"),
        ("{% generation %}{% set a = 1 %}{{ a }}{% endgeneration %}{{ a }}", "1"),
        ("{% for m in [1, 2] %}{{ m }}{% break %}{% endfor %}", "1"),
        ("{{ add_generation_prompt }} {{ enable_thinking }}", "True True"),
    ],
)  # fmt: skip
def test_a_template_finds_what_transformers_gives_it(template: str, expected: str) -> None:
    assert text(template) == expected


@pytest.mark.parametrize("said", ["say <|end|> now", r"\<|end|>", "\\ue0001:0\ue001<|end|>"])
def test_json_in_ascii_keeps_what_a_message_says(said: str) -> None:
    template = "{{ messages[0].content | tojson(ensure_ascii=true) }}<|user|>"
    found, notes = made(template, Message("user", said))
    assert (found.text, notes) == (json.dumps(said) + "<|user|>", [])
    plain = made(template.replace("true", "false"), Message("user", said))
    assert found.tokens == plain[0].tokens or not said.isascii()


@pytest.mark.real_model
def test_special_tokens_are_those_of_the_vocabulary(program: Program) -> None:
    names = ("bos", "eos", "unk", "pad", "sep", "mask", "cls")
    template = "".join(f"{{{{ {name}_token is defined and {name}_token }}}} " for name in names)
    metadata = {**sentencepiece(), "tokenizer.ggml.cls_token_id": 1}
    tokens = metadata["tokenizer.ggml.tokens"]
    metadata["tokenizer.ggml.padding_token_id"] = 2
    metadata["tokenizer.ggml.unknown_token_id"] = 0
    path = write_llama(
        program.place / "m.gguf",
        vocabulary=len(tokens),
        metadata=metadata,
        chat_template=template + SAID,
    )
    *found, _said = asked(program, "-m", str(path)).split()
    bos, eos, unk, pad, *others = found
    assert (bos, unk, pad, others[-1]) == ("<s>", tokens[0], tokens[2], tokens[1])
    assert eos in tokens and "False" in others


def test_thoughts_of_past_answers_have_the_names_that_templates_know() -> None:
    names = ("reasoning_content", "reasoning", "thinking")
    template = "".join(f"{{{{ messages[1].{name} or 0 }}}}" for name in names)
    messages = [Message("user", "a"), Message("assistant", "b", "why"), Message("user", "c")]
    assert text(template, *messages) == "whywhywhy"
    messages[1] = Message("assistant", "b")
    assert text(template, *messages) == "000"


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% for c in m.content %}{% if c.type == 'text' %}{{ c.text }}"
        "{% endif %}{% endfor %}{% endfor %}",
        "{% for m in messages %}{{ '' + m.content[0]['text'] }}{% endfor %}",
        "{{ messages | map(attribute='content') | map('first') | map(attribute='text') | join }}",
        "{% if messages[0].content is string %}{{ messages[0].content }}{% else %}no text"
        "{% endif %}",
    ],
)
def test_templates_for_pictures_get_texts_as_parts(template: str) -> None:
    assert made(template)[0].text == "x"


def test_control_tokens_in_thoughts_are_text() -> None:
    messages = [Message("user", "a"), Message("assistant", "b", "<|end|>"), Message("user", "c")]
    found, _ = made("{{ messages[1].reasoning }}{{ '<|end|>' }}" + SAID, *messages)
    assert found.text == "<|end|><|end|>abc"
    assert found.tokens.count(256 + CONTROLS.index("<|end|>")) == 1


# Thinking


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{% set x = 1 %}{{ x }}", []),
        ("{{ x }}{% set x = 1 %}", ["x"]),
        ("{% set x = x | default(1) %}", ["x"]),
        ("{% if y %}{% set x = y %}{% endif %}{{ x }}", ["y"]),
        ("{% macro f(x) %}{{ x }}{% endmacro %}{{ f(1) }}{{ x }}", ["x"]),
        ("{% for x in y %}{{ x }}{% endfor %}", ["y"]),
        ("{{ message.x }}{{ 'z' }}{# u #} v", ["message"]),
        ("{% if %}", []),
        ("{{ [" + "(" * 3000 + "}}", []),
    ],
)
def test_the_variables_that_a_template_wants(template: str, expected: list[str]) -> None:
    assert list(variables(template)) == expected


@pytest.mark.parametrize(
    ("template", "switch", "levels"),
    [
        ("{{ reasoning_effort }}", "", ("low", "medium", "high")),
        # What is not low is the rest.
        ("{% if reasoning_effort == 'low' %}x{% endif %}", "", ("low", "high")),
        ("{{ 'x' if reasoning_effort == 'low' else 'y' }}", "", ("low", "high")),
        # Whatever else it is given it writes out.
        ("{% if reasoning_effort == 'low' %}x{% else %}{{ reasoning_effort }}{% endif %}", "",
         ("low", "medium", "high")),
        ("{% if reasoning_effort not in ['low', 'high'] %}{{ raise_exception(reasoning_effort) }}"
         "{% endif %}", "", ("low", "high")),
        ("{% set e = reasoning_effort | default('medium') %}{% if e == 'none' %}{% endif %}",
         "reasoning_effort", ("medium", "high")),
        ("{% if (reasoning_effort | lower) in ('none', 'low') %}{% endif %}",
         "reasoning_effort", ("low", "high")),
        ("{% if reasoning_effort in ['low', 'high'] %}{{ reasoning_effort }}{% endif %}",
         "", ("low", "high")),
        ("{% if not reasoning_effort in ['low'] %}{% set reasoning_effort = 'low' %}{% endif %}",
         "", ("low",)),
        ("{% if enable_thinking and reasoning_effort != 'max' %}{% endif %}",
         "enable_thinking", ()),
        ("{% for enable_thinking in messages %}{{ enable_thinking }}{% endfor %}", "", ()),
    ],
)  # fmt: skip
def test_what_is_offered_is_read_off_the_template(
    template: str, switch: str, levels: tuple[str, ...]
) -> None:
    has = offer(template)
    assert (has.switch, has.levels) == (switch, levels)


def test_thinking_and_arguments_reach_the_template(program: Program) -> None:
    template = "{{ messages[0].content }} {{ enable_thinking }} {{ n }} {{ s }}"
    given = ("--chat-template", template)
    assert asked(program, *given) == "x True  "
    assert asked(program, *given, "--thinking", "off") == "x False  "
    arguments = ("--template-arg", "n=2.5", "--template-arg", "s=a b")
    assert asked(program, *given, "--thinking", "off", *arguments) == "x False 2.5 a b"
    override = ("--thinking", "off", "--template-arg", "enable_thinking=true")
    assert asked(program, *given, *override) == "x True  "
    (program.place / "p.yaml").write_text(
        "parameters: {thinking: off, template_arg: {n: [1], s: x}}"
    )
    assert asked(program, *given, "-p", "p.yaml") == "x False [1] x"


def test_effort_has_another_name_as_in_llama_cpp() -> None:
    found, notes = made("{{ reasoning_strength }}" + SAID, template_arg={"reasoning_effort": "max"})
    assert (found.text, notes) == ("maxx", [])


def test_what_a_template_has_no_place_for_is_said_once(program: Program) -> None:
    flags = ("--thinking", "off", "--template-arg", "nme=1", "--chat-template", OWN)
    done = program.call("chat", "--no-save", "-n", "1", *flags, stdin=b"a\nb\nc\n")
    assert done.code == 0, done.stderr
    assert done.stderr.count("thinking off: the chat template has no variable for it") == 1
    assert done.stderr.count("template_arg nme: the chat template has no such variable") == 1


def test_without_a_template_nothing_of_it_has_an_effect(program: Program) -> None:
    flags = ("--raw", "--thinking", "on", "--template-arg", "a=1", "--chat-template", "chatml")
    done = program.call("generate", "x", "-n", "1", "--no-log", *flags)
    assert done.code == 0, done.stderr
    for name in ("thinking", "template_arg", "chat_template"):
        assert f"no chat template is applied: {name} has no effect" in done.stderr


@pytest.mark.real_model
def test_a_variable_that_is_missing_can_be_given(program: Program) -> None:
    template = "{{ 'a' + wanted }}" + SAID
    arguments = ("generate", "x", "-n", "1", "--no-log", "--chat-template", template)
    line = program.call(*arguments).complaint(ExitCode.MODEL)
    assert "'wanted' is undefined" in line and "--template-arg wanted=VALUE" in line
    assert program.call(*arguments, "--template-arg", "wanted=b").code == 0


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("template", "shown", "switch", "levels"),
    [
        ("{% if enable_thinking %}x{% endif %}", "thinking yes: off, on", True, []),
        ("{{ reasoning_effort }}", "thinking yes: low, medium, high", False,
         ["low", "medium", "high"]),
        ("{% if reasoning_effort in ['no_think', 'low', 'high'] %}{% endif %}",
         "thinking yes: off, on, low, high", True, ["low", "high"]),
        ("{{ '<think>' }}", "thinking yes   (", False, []),
        ("chatml", "(chatml, by name)", False, []),
        (CHAT_TEMPLATE, "thinking no ", False, []),
    ],
)  # fmt: skip
def test_inspect_shows_how_thinking_is_set(
    program: Program, template: str, shown: str, switch: bool, levels: list[str]
) -> None:
    path = write_llama(program.place / "m.gguf", chat_template=template)
    assert shown in program.call("inspect", str(path)).text
    found = program.call("inspect", str(path), "--json").json["chat_template"]
    assert (found["thinking_switch"], found["thinking_levels"]) == (switch, levels)
    assert (found["text"], found["names"]) == (template, ["default"])


@pytest.mark.real_model
def test_inspect_names_all_templates(program: Program, tmp_path: Path) -> None:
    more = {"tokenizer.chat_template.tool_use": OWN, "tokenizer.chat_template.\x1b[2J": "x{"}
    path = write_llama(program.place / "m.gguf", metadata=more)
    assert "named default, tool_use, <1b>[2J" in program.call("inspect", str(path)).text
