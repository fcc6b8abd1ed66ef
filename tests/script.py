"""What a scripted model says where a test wants no particular words."""

from __future__ import annotations

from pathlib import Path

import yaml

STORIES = (
    "Once upon a time there was a fox who lived under a hill. Every morning it went to the river "
    "and spoke to the bear, and the bear told it where the best berries were to be found.",
    "There was a crow in the old tree by the mill. It had seen the fox come and go for years; now "
    "it wanted to know why nobody had ever asked a crow about the weather or the way.",
)


def write(directory: Path, *texts: str, delay: float = 0.0) -> Path:
    """A script that answers every message with one of these texts, or tells a story."""
    answers = [{"texts": [*(texts or STORIES)]}]
    path = directory / "script.yaml"
    path.write_text(yaml.safe_dump({"delay": delay, "answers": answers}, allow_unicode=True))
    return path
