"""Numbers for people."""

from __future__ import annotations


def size_text(count: float) -> str:
    """A number of bytes: '999 bytes', '4.1 GB'."""
    if count < 1000:
        return f"{count:.0f} bytes"
    for unit in ("kB", "MB", "GB", "TB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count:.0f} {unit}"
