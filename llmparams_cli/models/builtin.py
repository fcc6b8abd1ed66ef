"""The model that comes inside the package, so that the first run needs no download."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.errors import ModelError
from llmparams_cli.files import sha256

PATH = Path(__file__).parent / "builtin" / "model.gguf"
CHECKSUM = PATH.with_name("model.gguf.sha256")
REINSTALL = "install llmparams again, or give another model with --model PATH"


def checksum() -> tuple[str, ...]:
    """The recorded SHA-256; empty if there is no record."""
    try:
        return tuple(CHECKSUM.read_text(encoding="ascii").split()[:1])
    except (OSError, UnicodeDecodeError):
        return ()


def verify() -> None:
    """Compare the file with its recorded SHA-256; raises ModelError if they differ.

    Only `doctor` does this: other commands should not wait for the hash.
    """
    try:
        found = sha256(PATH)
    except OSError as error:
        raise ModelError(f"the built-in model cannot be checked: {error}", REINSTALL) from error
    if checksum() != (found,):
        raise ModelError(f"the built-in model {PATH} does not match its checksum", REINSTALL)
