"""--show-params: the whole resolution, for a person, for grep and for programs."""

from __future__ import annotations

import json
import math

import pytest
from rendering import Pipe, Terminal, by_flag, by_preset, settings

from llmparams_cli.params.settings import DEFAULT, Origin, Settings, Source
from llmparams_cli.params.table import PARAMS
from llmparams_cli.presets.document import Placed
from llmparams_cli.render import settings_view

MODEL = ("/models/fox.gguf", Origin(Source.FLAG, "--model"))
SYSTEM = Placed("Be brief.\nBe kind.", Origin(Source.PRESET, "presets/legal-summary.yaml:3"))
RESOLVED = settings(
    by_preset("temperature", 1.2, "presets/creative-chat.yaml:5"),
    by_flag("temperature", 0.3),
    by_flag("stop", ["\n\n", "。"]),
    by_flag("logit_bias", {"42": -math.inf}),
)


def piped(resolved: Settings = RESOLVED) -> list[str]:
    pipe = Pipe()
    settings_view.show(pipe.env, resolved, model=MODEL, system=SYSTEM)
    assert pipe.stderr == ""
    return pipe.stdout.decode().splitlines()


def on_screen(width: int, **options: str) -> Terminal:
    terminal = Terminal(width, 200)
    settings_view.show(terminal.env, RESOLVED, model=MODEL, system=SYSTEM, **options)  # type: ignore[arg-type]
    return terminal


def test_a_pipe_gets_one_line_for_every_parameter() -> None:
    names = [line.split()[0] for line in piped() if line.startswith("  ")]
    assert sorted(names) == sorted(PARAMS)


def test_a_line_tells_value_origin_and_what_was_overrode() -> None:
    [line] = [line for line in piped() if line.startswith("  temperature ")]
    assert line.split(maxsplit=2) == [
        "temperature",
        "0.3",
        "flag --temperature  "
        "(overrode 1.2 from preset presets/creative-chat.yaml:5; 0.8 from default)",
    ]


def test_model_and_system_text_come_first_with_their_origins() -> None:
    assert piped()[:2] == [
        "model: /models/fox.gguf  (flag --model)",
        "system: Be brief.\\nBe kind.  (preset presets/legal-summary.yaml:3)",
    ]


def test_parameters_stand_under_the_headings_of_the_taxonomy() -> None:
    heading, found = "", {}
    for line in piped()[2:]:
        if line.startswith("  "):
            found[line.split()[0]] = heading
        else:
            heading = line
    assert found == {param.name: param.group.value for param in PARAMS.values()}


def test_a_pipe_gets_no_escape_sequence_and_no_blanks_at_line_ends() -> None:
    assert not any("\x1b" in line or line != line.rstrip() for line in piped())


@pytest.mark.parametrize("width", [34, 50, 80, 120])
def test_the_table_shows_every_name_and_fits_the_terminal(width: int) -> None:
    terminal = on_screen(width)
    text = terminal.bytes().decode()
    lines = terminal.lines()
    names = {line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "}
    assert names == set(PARAMS)
    unwrapped = text.count("\n") - sum(len(line) > width for line in text.split("\r\n")[:2])
    assert len(lines) <= unwrapped + 4  # only model and system text may wrap


def test_the_table_at_80_columns() -> None:
    lines = [" ".join(line.split()) for line in on_screen(80).lines()]
    start = lines.index("inference")
    assert lines[start + 1 : start + 5] == [
        "temperature 0.3 flag --temperature",
        "overrode 1.2 preset presets/creative-chat.yaml:5",
        "overrode 0.8 default",
        "top_k 40 default",
    ]


def test_the_table_at_50_columns_puts_origins_behind_values() -> None:
    lines = [" ".join(line.split()) for line in on_screen(50).lines()]
    assert "temperature 0.3 (flag --temperature)" in lines
    assert "top_k 40 (default)" in lines


def test_defaults_are_dim_and_chosen_values_are_not() -> None:
    lines = on_screen(80).bytes().decode().split("\r\n")
    [chosen] = [line for line in lines if "0.3" in line and "temperature" in line]
    [default] = [line for line in lines if " top_k " in line]
    assert "\x1b[2m" in default
    assert "\x1b[2m" not in chosen


def test_without_colour_no_escape_sequence_is_sent() -> None:
    assert b"\x1b" not in on_screen(80, color="never").bytes()


def test_json_holds_every_value_with_its_origin() -> None:
    pipe = Pipe()
    settings_view.show(pipe.env, RESOLVED, model=MODEL, system=SYSTEM, as_json=True)
    document = json.loads(pipe.stdout)
    assert document["model"] == {"value": "/models/fox.gguf", "origin": "flag --model"}
    assert document["system"] == {
        "value": "Be brief.\nBe kind.",
        "origin": "preset presets/legal-summary.yaml:3",
    }
    assert list(document["parameters"]) == list(PARAMS)
    assert document["parameters"]["logit_bias"]["value"] == {"42": False}
    assert document["parameters"]["temperature"]["overrode"][0]["value"] == 1.2


def test_no_system_text_is_null_in_json_and_absent_from_the_table() -> None:
    pipe, other = Pipe(), Pipe()
    settings_view.show(pipe.env, RESOLVED, model=("fox", DEFAULT), as_json=True)
    settings_view.show(other.env, RESOLVED, model=("fox", DEFAULT))
    assert json.loads(pipe.stdout)["system"] is None
    assert b"system" not in other.stdout


def test_escape_sequences_in_values_and_places_are_shown_not_sent() -> None:
    hostile = settings(by_preset("grammar", "\x1b[2J\nroot", "pre\x1b[2Jset.yaml:1"))
    text = "\n".join(piped(hostile))
    assert "<1b>[2J\\nroot" in text
    assert "pre<1b>[2Jset.yaml:1" in text
    assert "\x1b" not in text


def test_a_long_value_is_shortened_and_its_length_told() -> None:
    long = settings(by_flag("grammar", "x" * 5000))
    [line] = [line for line in piped(long) if line.startswith("  grammar ")]
    assert len(line) < 320
    assert "[... 5,000 characters in all]" in line


def test_a_stdout_without_utf_8_gets_question_marks() -> None:
    pipe = Pipe(encoding="ascii")
    settings_view.show(pipe.env, RESOLVED, model=MODEL)
    assert b'["\\n\\n", "?"]' in pipe.stdout
