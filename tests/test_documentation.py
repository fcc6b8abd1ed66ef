"""The page for contributors shows the rooms as they are."""

import re
import shlex
import subprocess
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from presets_world import write
from program import Program

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def drawing() -> str:
    """A line for each room, then a line for what each imports."""
    command = [sys.executable, "tools/rooms.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_drawing_of_the_rooms_is_current_and_fits_one_page(drawing):
    page = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    cure = "renew it: python tools/docs.py docs/development.md"
    assert f"$ python tools/rooms.py\n{drawing}```" in page, cure
    assert len(drawing.splitlines()) <= 74


def test_every_room_says_what_it_holds(drawing):
    rooms = drawing.partition("\n\n")[0].splitlines()
    assert [line for line in rooms if len(line.split()) < 5] == []


def test_the_preset_test_of_the_help_is_that_of_the_page_and_passes(program: Program) -> None:
    shown = program.call("presets", "test", "--help").text
    found = re.search(r"^ *tests:\n(?: {4,}.*\n|\n)+", shown, re.MULTILINE)
    assert found
    own = yaml.safe_load((ROOT / "docs" / "tested.yaml").read_text(encoding="utf-8"))
    tests = textwrap.dedent(found[0])
    assert yaml.safe_load(tests)["tests"][0]["input"] == own["tests"][0]["input"]
    write(program.place, {"mine.yaml": f"extends: legal-summary\n{tests}"})
    done = program.call("presets", "test", "./mine.yaml", "-m", "builtin")
    assert done.code == 0, done.text


def test_the_low_temperature_of_an_example_draws_what_is_likely(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever compares temperatures for the first time must not meet a rare draw at 0.2."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    from pictures import COMMANDS, CONTINUED

    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    commands = re.findall(
        r"^\$ llmparams (compare .*--grid temperature.*)$",
        "\n".join(page.read_text(encoding="utf-8") for page in pages),
        re.MULTILINE,
    )
    for command in [COMMANDS["compare"].replace(CONTINUED, ""), *commands]:
        words = shlex.split(command)
        after = dict(pairwise(words))
        coldest = after["--grid"].removeprefix("temperature=").partition(",")[0]
        for number in range(int(after.get("--samples", "1"))):
            seed = str(int(after["--seed"]) + number)
            flags = ("--temperature", coldest, "--seed", seed, "-n", after["--max-tokens"])
            tokens = program.call("explain", words[1], *flags, "--json").json["tokens"]
            for token in tokens:
                place = [each["id"] for each in token["candidates"]].index(token["id"])
                assert token["stages"][-1]["probabilities"][place] > 0.05, (command, token["text"])
