"""Recognises what a file is, by its first bytes, when it is not a GGUF model."""

from __future__ import annotations

from llmparams_cli.text.utf8 import whole

CONVERT = "convert it with llama.cpp's convert_hf_to_gguf.py, or get the GGUF version of the model"
UNPACK = "unpack it first"
OLD_GGML = ("is a GGML model from before GGUF", "get a newer conversion of the model")
PICKLE = ("is a PyTorch checkpoint", CONVERT)

# First bytes: what the file is, and the cure.
SIGNATURES = {
    b"version https://git-lfs": (
        "is a Git LFS pointer: the model itself was not fetched",
        "run 'git lfs pull' in its repository",
    ),
    # ggml, ggmf, ggjt, ggla: 32-bit numbers, stored little-endian.
    b"lmgg": OLD_GGML,
    b"fmgg": OLD_GGML,
    b"tjgg": OLD_GGML,
    b"algg": OLD_GGML,
    # Pickles begin with their protocol's number.
    b"\x80\x02": PICKLE,
    b"\x80\x03": PICKLE,
    b"\x80\x04": PICKLE,
    b"\x80\x05": PICKLE,
    b"\x89HDF\r\n": ("is an HDF5 (Keras) model", CONVERT),
    b"\x93NUMPY": ("is a NumPy array", CONVERT),
    b"\x1f\x8b": ("is compressed with gzip", UNPACK),
    b"\x28\xb5\x2f\xfd": ("is compressed with zstd", UNPACK),
    b"\xfd7zXZ\x00": ("is compressed with xz", UNPACK),
    b"BZh": ("is compressed with bzip2", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("is a 7z archive", UNPACK),
}


def describe(start: bytes) -> tuple[str, str]:
    """From a file's first few kB, what it is (to follow the word 'it'), and the cure."""
    for magic, answer in SIGNATURES.items():
        if start.startswith(magic):
            return answer
    if start.startswith(b"PK\x03\x04"):  # torch.save writes a zip archive too
        return PICKLE if b"data.pkl" in start else ("is a zip archive", UNPACK)
    # A safetensors file is the length of its header, then the header in JSON.
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 30:
        return "is a safetensors model", CONVERT
    if start[257:262] == b"ustar":
        return "is a tar archive", UNPACK
    if start.lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return "is an HTML page", "download the file itself, not the page about it"
    if _is_text(start):
        kind = "JSON" if start.lstrip().startswith((b"{", b"[")) else "text"
        return f"is {kind}", "give a .gguf file"
    return f"starts with the bytes {start[:4].hex(' ')}", "give a .gguf file"


def _is_text(start: bytes) -> bool:
    """Is it UTF-8 (the last character may be cut), with no control characters but white space?"""
    text = whole(start)
    if len(text.encode()) < len(start) - 3:
        return False
    return all(character.isprintable() or character.isspace() for character in text)
