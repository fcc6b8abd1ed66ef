"""Pages in a real browser: what becomes of their document, and what their scripts compute."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
browser = pytest.mark.skipif(not BROWSER, reason="needs chromium (apt-get install chromium)")


def opened(html: str, place: Path, script: str = "", address: str = "") -> str:
    """The document after the browser has run it; `script` runs last, the policy lifted for it.
    `address` is what follows the '#'.
    """
    if script:
        html = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
        html = html.replace("</body>", f"<script>{script}</script></body>")
    file = place / "opened.html"
    file.write_text(html)
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000")
    done = subprocess.run(
        [
            str(BROWSER),
            *flags,
            f"--user-data-dir={place / 'browser'}",
            "--dump-dom",
            f"file://{file}#{address}",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        timeout=60,
        check=True,
    )
    return done.stdout.decode()


def computed(html: str, place: Path, function: str, *arguments: Any, address: str = "") -> Any:
    """What this body of a function returns in the page; `args` are its arguments."""
    script = f"""
    const args = {json.dumps(arguments)};
    const out = document.createElement("pre");
    out.id = "result";
    out.textContent = JSON.stringify((() => {{ {function} }})());
    document.body.append(out);
    """
    found = re.search(
        r'<pre id="result">(.*?)</pre>', opened(html, place, script, address), re.DOTALL
    )
    assert found, "the script has failed"
    return json.loads(unescape(found[1]))
