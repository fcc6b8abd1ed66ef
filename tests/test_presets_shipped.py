"""The presets that come with the program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmparams_cli.env import Environment
from llmparams_cli.params.conflicts import inert
from llmparams_cli.params.settings import Settings, Source, resolve
from llmparams_cli.presets.cascade import gather
from llmparams_cli.presets.document import Document, load

REPOSITORY = Path(__file__).parent.parent
PRESETS = {path.stem: path for path in sorted((REPOSITORY / "presets").glob("*.yaml"))}


def read(name: str) -> Document:
    return load(PRESETS[name], Source.PRESET, REPOSITORY)


def settings(name: str) -> Settings:
    variables = {"LLMPARAMS_CONFIG_DIR": str(REPOSITORY / "nowhere")}
    env = Environment(variables=variables, directory=REPOSITORY)
    return resolve(gather(env, [name]).assignments)


def test_the_promised_presets_are_there() -> None:
    promised = "legal-summary creative-chat precise balanced code json-extract brainstorm"
    assert {*promised.split(), "deterministic"} <= set(PRESETS)


@pytest.mark.parametrize("name", PRESETS)
def test_a_shipped_preset_describes_itself_and_names_its_schema(name: str) -> None:
    first = PRESETS[name].read_text(encoding="utf-8").splitlines()[0]
    assert first == "# yaml-language-server: $schema=preset.schema.json"
    assert read(name).description.endswith(".")
    assert read(name).assignments


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_has_a_comment_that_says_why(name: str) -> None:
    text = PRESETS[name].read_text(encoding="utf-8")
    numbers = re.findall(r"^  \w+: +[-.\d]+(.*)$", text, flags=re.MULTILINE)
    assert len(numbers) == len(read(name).assignments)
    assert all(re.fullmatch(r" +# .{10,}", comment) for comment in numbers)
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("name", PRESETS)
def test_no_shipped_preset_sets_what_cannot_matter(name: str) -> None:
    assert inert(settings(name)) == []


def test_summaries_are_cool_and_chat_is_hot() -> None:
    assert settings("legal-summary")["temperature"] <= 0.3
    assert settings("creative-chat")["temperature"] >= 1.0
    assert settings("deterministic")["temperature"] == 0


@pytest.mark.parametrize("name", ["legal-summary", "json-extract"])
def test_the_built_in_model_is_trained_with_the_system_text(name: str) -> None:
    system = read(name).system
    sources = (REPOSITORY / "tools" / "builtin_model").glob("*.py")
    assert system and any(f'"{system.text}"' in path.read_text("utf-8") for path in sources)
