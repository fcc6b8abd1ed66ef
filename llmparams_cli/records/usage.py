"""When each model was used last, as far as the log of runs goes back."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime, timezone

from llmparams_cli.env import Environment
from llmparams_cli.records import store

# The beginning of a receipt is enough, and much faster than the whole: a long answer follows.
HEAD = 16_384  # bytes
PATH = re.compile(rb'\n  "model": \{\s*"path": ("(?:[^"\\]|\\.)*")')


def last_used(env: Environment) -> dict[str, datetime]:
    """Dates of the last runs by the model's file, links resolved."""
    found: dict[str, datetime] = {}
    for id in store.ids(env):
        try:
            with store.path(env, id).open("rb") as file:
                match = PATH.search(file.read(HEAD))
            path = os.path.realpath(json.loads(match[1])) if match else ""
        except (OSError, ValueError):
            continue
        if path:
            found.setdefault(path, _date(id))
    return found


def _date(id: str) -> datetime:
    """The date that begins an id (`store.ids` yields only sound ones)."""
    try:
        return datetime.strptime(id[:15], "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)
    except ValueError:  # 31 February
        return datetime.fromtimestamp(0, timezone.utc)
