"""The model that comes inside the package, so that the first run needs no download."""

from __future__ import annotations

from pathlib import Path

from llmparams_cli.errors import ModelError

PATH = Path(__file__).parent / "builtin" / "model.gguf"
CHECKSUM = PATH.with_name("model.gguf.sha256")
REINSTALL = "install llmparams again, or give another model with --model PATH"


def verify() -> None:
    """Compare the file with its recorded SHA-256; raises ModelError if they differ.

    Only `doctor` does this: other commands should not wait for the hash.
    """
    import hashlib

    digest = hashlib.sha256()
    try:
        recorded = CHECKSUM.read_text(encoding="ascii").split()[:1]
        with PATH.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"the built-in model cannot be checked: {error}", REINSTALL) from error
    if recorded != [digest.hexdigest()]:
        raise ModelError(f"the built-in model {PATH} does not match its checksum", REINSTALL)
