"""Documents as JSON that is safe to print and that a stream can take."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Sequence
from typing import Any

from llmparams_cli.text.numbers import all_finite
from llmparams_cli.text.safe import escape_json


def name_twice(members: Sequence[tuple[str, Any]]) -> str | None:
    """The first name that an object has twice, by its members as they were read."""
    if len(dict(members)) == len(members):
        return None
    counts = Counter(name for name, _ in members)
    return next(name for name in counts if counts[name] > 1)


def json_text(document: Any, encoding: str | None = "utf-8", *, indent: int | None = None) -> str:
    """The document and a newline. Numbers that JSON cannot write are null; what is not ASCII is
    written as it is only where the encoding (None: ASCII) has all of it.
    """
    import json

    is_utf_8 = codecs.lookup(encoding or "ascii").name == "utf-8"
    text = json.dumps(
        all_finite(document), ensure_ascii=not is_utf_8, allow_nan=False, indent=indent
    )
    return escape_json(text) + "\n"
