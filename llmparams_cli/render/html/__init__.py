"""`explain --html`: everything about one answer as a page that needs nothing but itself.

    page.html           the landmarks, empty
    style.css           light, dark, narrow, printed
    distribution.js     the sampler's arithmetic, for the sliders
    page.js             fills the landmarks from the data
    document.py         the data: an Explanation in compact form

What a model wrote is data there and stays data: JSON in a block that is no script, put
into the page as text. The policy in its head admits the one style and the two scripts by
their hashes, and no address at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any

from llmparams_cli.explanation import Explanation
from llmparams_cli.render.html.document import Recorded, document
from llmparams_cli.safe import printable

_PLACE = Path(__file__).parent
# Those that end a JSON block early, or that scripts of old took for the end of a line.
_IN_SCRIPT = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}


def page(
    explanation: Explanation,
    recorded: Recorded,
    *,
    start: int = 1,
    ascii: bool = False,
) -> str:
    """The whole page. `start` is the draw to open at; `ascii` escapes all other characters."""
    data = _visible(document(explanation, recorded, start))
    text = json.dumps(data, ensure_ascii=ascii, allow_nan=False, separators=(",", ":"))
    style, arithmetic, script = map(_file, ("style.css", "distribution.js", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; "
        f"script-src {_hash(arithmetic)} {_hash(script)}; base-uri 'none'; form-action 'none'"
    )
    parts = {
        "policy": policy,
        "style": style,
        "arithmetic": arithmetic,
        "script": script,
        "data": text.translate(_IN_SCRIPT),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _file("page.html"))


def _file(name: str) -> str:
    return (_PLACE / name).read_text(encoding="ascii")


def _hash(source: str) -> str:
    """As a content security policy names an inline style or script."""
    digest = hashlib.sha256(source.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def _visible(value: Any) -> Any:
    """Control characters and those that turn the writing around become visible."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {key: _visible(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_visible(item) for item in value]
    return value
