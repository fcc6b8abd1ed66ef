"""`llmparams params`: the list, one in full, JSON; on terminals of any width and in a pipe."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from program import Program

from llmparams_cli.commands.params import params
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode, UsageError
from llmparams_cli.jobs.effect import NO_SWEEPS, SWEEPS, measure, sweep_settings
from llmparams_cli.params.conflicts import is_inert
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.params.spec import Scope
from llmparams_cli.params.table import PARAMS, by_group
from llmparams_cli.presets.values import parameter


class Stream(io.TextIOWrapper):
    """A pipe, or a terminal without a size of its own."""

    def __init__(self, tty: bool = False, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def text(self) -> str:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode(self.encoding)


def shown(
    name: str | None = None, *, as_json: bool = False, width: int | None = None, color: bool = False
) -> str:
    """What the command prints: to a terminal if it has a width."""
    stream = Stream(tty=width is not None)
    variables = {"COLUMNS": str(width)} if width else {}
    if not color:
        variables["NO_COLOR"] = "1"
    params(Environment(stdout=stream, variables=variables), name, as_json)
    return stream.text()


def test_a_pipe_gets_one_line_for_each_parameter() -> None:
    lines = shown().splitlines()
    listed = [line.split()[0] for line in lines if line[2:].split(" ")[0] in PARAMS]
    assert listed == [param.name for group in by_group().values() for param in group]
    temperature = next(line for line in lines if line.startswith("  temperature "))
    assert temperature.split(None, 5)[1:] == [
        "0.8",
        "from",
        "0",
        "to",
        "10            Sharpens or flattens the model's probabilities.",
    ]


def test_the_list_has_every_heading_of_the_taxonomy() -> None:
    headings = [line for line in shown().splitlines() if line and not line.startswith(" ")]
    assert headings[:-1] == [
        "architecture",
        "training",
        "inference",
        "memory and compute",
        "output quality",
    ]


@pytest.mark.parametrize("width", [40, 50, 80, 129, 130, 200])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, shown(width=width).splitlines())) <= width
    for name in PARAMS:
        assert max(map(len, shown(name, width=width).splitlines())) <= width


@pytest.mark.parametrize("width", [50, 80, 130])
def test_every_summary_is_whole_on_every_terminal(width: int) -> None:
    text = " ".join(shown(width=width).split())
    assert [param.name for param in PARAMS.values() if param.summary not in text] == []


def test_only_a_terminal_gets_colours() -> None:
    assert "\x1b[" in shown(width=80, color=True)
    assert "\x1b[" not in shown(width=80)
    assert "\x1b[" not in shown(color=True)


def test_one_in_full_has_meaning_advice_and_names_elsewhere() -> None:
    text = shown("max_tokens")
    param = PARAMS["max_tokens"]
    for part in (
        param.meaning,
        param.raise_it,
        param.lower_it,
        "-n, --n-predict",
        "-1, or 1 or more",
        "512",
        "LLMPARAMS_MAX_TOKENS",
        "stopping",
        "num_predict",
    ):
        assert part in text


@pytest.mark.parametrize(
    "name",
    ["top_k", "top-k", "--top-k", "TOP_K", "--top_k"],
)
def test_a_name_may_have_dashes_or_underscores(name: str) -> None:
    assert parameter(name) is PARAMS["top_k"]


@pytest.mark.parametrize("flag", [flag for param in PARAMS.values() for flag in param.flags])
def test_every_flag_and_alias_finds_its_parameter(flag: str) -> None:
    assert flag in parameter(flag).flags
    assert flag in parameter(flag.lstrip("-")).flags


def test_an_unknown_name_is_refused_with_a_suggestion() -> None:
    with pytest.raises(UsageError) as error:
        shown("--temprature")
    assert error.value.message == (
        "there is no parameter '--temprature'; did you mean temperature?"
    )


def test_json_lists_every_parameter_with_every_field() -> None:
    rows = _strict(shown(as_json=True))
    assert [row["name"] for row in rows] == list(PARAMS)
    assert all(rows[0].keys() == row.keys() for row in rows)


def test_json_of_one_is_one_object() -> None:
    row = _strict(shown("temperature", as_json=True))
    assert row["flags"] == ["--temperature", "--temp"]
    assert row["variable"] == "LLMPARAMS_TEMPERATURE"
    assert row["default"] == 0.8
    assert row["neutral"] == 1.0
    assert row["group"] == "inference"
    assert row["scope"] == "sampling"
    assert row["stage"] == "temperature"
    assert row["changes_argmax"] is False
    assert row["schema"] == {"type": "number", "minimum": 0, "maximum": 10}
    assert row["elsewhere"]["llama_cpp"] == "--temp"
    assert row["gguf_key"] == "general.sampling.temp"


def test_the_list_prints_in_an_ascii_locale() -> None:
    stream = Stream(encoding="ascii")
    params(Environment(stdout=stream, variables={}), None, as_json=False)
    assert "temperature" in stream.text()


@pytest.mark.parametrize("name", ["max_tokens", "-n", "--n-predict"])
def test_the_program_takes_a_flag_for_a_name(name: str) -> None:
    run = _program("params", name)
    assert run.returncode == 0
    assert run.stdout.startswith("max_tokens\n")
    assert run.stderr == ""


def test_the_program_refuses_an_unknown_name_in_one_line() -> None:
    run = _program("params", "--json", "temprature")
    assert run.returncode == 2
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1
    assert "did you mean temperature?" in run.stderr


def _program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "llmparams_cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _strict(text: str) -> Any:
    """JSON without NaN and Infinity, which many readers refuse."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", SWEEPS)
def test_the_effect_is_measured_and_nothing_changes_at_the_value_it_is_compared_with(name, program):
    document = program.call("params", name, "--effect", "--json").json
    changed = {point["value"]: point["changed"] for point in document["effect"]}
    assert all(0 <= share <= 1 for share in changed.values())
    assert changed.get(document["effect_against"], 0) == 0
    assert max(changed.values()) > 0.002, "a trial that shows nothing is none"


def test_every_sampling_parameter_has_a_plot_or_a_reason():
    sampling = {name for name, param in PARAMS.items() if param.scope is Scope.SAMPLING}
    assert sampling == {*SWEEPS, *NO_SWEEPS}
    assert not {*SWEEPS} & {*NO_SWEEPS}
    for name, sweep in SWEEPS.items():
        settings = sweep_settings(Environment(variables={}), **sweep.beside)
        acts = settings.but(Assignment(name, sweep.values[-1], Origin(Source.DEFAULT, "sweep")))
        assert not is_inert(PARAMS[name], acts), name


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("name", ["dry_sequence_breakers", "logit_bias", "dynatemp_exponent"])
def test_the_plot_fits_and_tells_what_it_compares_with(name, width, program):
    shown = program.terminal("params", name, width=width).end()
    text = " ".join(shown.lines)
    assert f"than with {name}" in " ".join(text.split())
    last = shown.lines[-len(SWEEPS[name].values) :]
    assert all(line.endswith("%") for line in last)


def test_a_plot_that_there_cannot_be_is_explained(program):
    done = program.call("params", "seed", "--effect")
    assert done.text.splitlines()[-1].startswith("  no plot of its effect: ")


def test_what_else_is_on_is_told(program):
    lines = program.call("params", "mirostat-tau", "--effect").text.splitlines()
    assert any(line.endswith("with mirostat 2, all other samplers off") for line in lines)


def test_the_measurement_tells_how_far_it_is():
    told = {}
    env = Environment(stdout=Stream(), stderr=Stream(), variables={})

    def progress(what, done, _tokens=0):
        told.setdefault(what, []).append(done)

    measure(env, PARAMS["top_k"], progress)
    for what in ("writing", "measuring"):
        assert told[what] == sorted(told[what]) and told[what][-1] == 1


def test_the_effect_takes_one_thread_or_as_many_as_the_variable_says():
    assert sweep_settings(Environment(variables={}))["threads"] == 1
    assert sweep_settings(Environment(variables={"LLMPARAMS_THREADS": "3"}))["threads"] == 3


def test_more_temperature_leaves_more_to_chance(program):
    points = program.call("params", "temperature", "--effect", "--json").json["effect"]
    bits = [point["entropy"] for point in points]
    assert bits == sorted(bits) and bits[0] == 0


def test_the_effect_is_drawn_on_a_terminal_and_can_be_left_out(program):
    shown = program.terminal("params", "top-p").end()
    assert any("left to chance" in line for line in shown.lines)
    without = program.terminal("params", "top-p", "--no-effect").end()
    assert not any("left to chance" in line for line in without.lines)


def test_every_trial_value_is_allowed():
    for name, sweep in SWEEPS.items():
        for value in sweep.values:
            PARAMS[name].kind.check(value)
        for other, value in sweep.beside.items():
            PARAMS[other].kind.check(value)


def test_ctrl_c_while_an_effect_is_measured_ends_the_program(program: Program) -> None:
    process = program.start("params", "temperature", "--effect")
    maps = Path(f"/proc/{process.pid}/maps")
    while ".gguf" not in maps.read_text():  # the model is loaded: it is being measured
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    done = program.end(process)
    assert done.code == ExitCode.INTERRUPTED
    assert "%" not in done.text
