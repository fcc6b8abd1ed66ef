"""The page for contributors shows the rooms as they are."""

import subprocess
import sys
from pathlib import Path

import pytest

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
    assert len(drawing.splitlines()) <= 70


def test_every_room_says_what_it_holds(drawing):
    rooms = drawing.partition("\n\n")[0].splitlines()
    assert [line for line in rooms if len(line.split()) < 5] == []
