"""Finds the model that a reference means, a GGUF file or a script, and checks it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.errors import ModelError
from llmparams_cli.files import resolve_path
from llmparams_cli.models import builtin
from llmparams_cli.models.check import check
from llmparams_cli.models.gguf import Header, read_model
from llmparams_cli.models.script import Script, read_script
from llmparams_cli.presets.document import SCRIPTED

# What people copy from the Hugging Face Hub: a URL, or user/repo:Q4_K_M.
HUB_REFERENCE = r"https?://.+|(hf\.co|huggingface\.co)/.+|[\w.-]+/[\w.-]+:[\w.-]+"
LATER_PART = r"-(?!00001)\d{5}-of-\d{5}\.gguf$"
MOST_LISTED = 5  # models that a hint names
GIVE_A_FILE = "give the path of a .gguf file"


@dataclass(frozen=True)
class ResolvedModel:
    """A model that exists, is complete and passed all checks.

    `reference` finds it again from any directory; receipts identify it by its `files`.
    `recommended` are its author's settings, by their keys in a GGUF file.
    """

    reference: str
    name: str
    files: tuple[Path, ...]
    has_template: bool
    recommended: Mapping[str, Any]
    is_builtin: bool

    def is_raw(self, wanted: bool = False) -> bool:
        """Do prompts skip the chat template, because it is `wanted` or because there is none?"""
        return wanted or not self.has_template


@dataclass(frozen=True)
class GgufModel(ResolvedModel):
    """A model file for llama.cpp."""

    path: Path
    header: Header


@dataclass(frozen=True)
class ScriptedModel(ResolvedModel):
    """Answers from a file; there is nothing to load."""

    script: Script


def find_model(reference: str | None, env: Environment) -> ResolvedModel:
    """Find a model, read its header or script and check it; None is the built-in model.

    Raises ModelError, with the cure, for anything but a sound language model.
    """
    if reference is not None and reference.startswith(SCRIPTED):
        return _scripted(reference, env.directory)
    header = read_model(model_file(reference, env))
    return language_model(header, is_builtin=reference is None)


def model_file(reference: str | None, env: Environment) -> Path:
    """The GGUF file that a reference means, whatever is in it; None is the built-in model."""
    if reference is not None and reference.startswith(SCRIPTED):
        raise ModelError(f"{reference} is a script: there are no weights in it", GIVE_A_FILE)
    return _builtin() if reference is None else _find(reference, env.directory)


def language_model(header: Header, *, is_builtin: bool = False) -> GgufModel:
    """The model with this header; raises ModelError if no text can be generated with it."""
    check(header)
    return GgufModel(
        reference=str(header.path),
        name=header.name,
        files=header.paths,
        has_template=bool(header.chat_template),
        recommended=header.metadata,
        is_builtin=is_builtin,
        path=header.path,
        header=header,
    )


def location(reference: str) -> str:
    """The path in a model's reference."""
    return reference.removeprefix(SCRIPTED)


def _scripted(reference: str, directory: Path) -> ScriptedModel:
    path = resolve_path(location(reference), directory)
    script = read_script(path, directory)
    return ScriptedModel(
        reference=f"{SCRIPTED}{path}",
        name=script.name,
        files=(path,),
        has_template=True,
        recommended={},
        is_builtin=False,
        script=script,
    )


def _builtin() -> Path:
    if not builtin.PATH.exists():
        raise ModelError("the built-in model is missing", builtin.REINSTALL)
    return builtin.PATH


def _find(reference: str, directory: Path) -> Path:
    if reference in ("", "-"):
        raise ModelError(
            f"{reference!r} is not a model file",
            f"a model cannot come from a pipe: {GIVE_A_FILE}",
        )
    try:
        path = directory / Path(reference).expanduser()
        exists, is_directory = path.exists(), path.is_dir()
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ModelError(f"{reference} cannot be read: {reason}", GIVE_A_FILE) from error
    if is_directory:
        raise ModelError(f"{path} is a directory", _listed(path) or GIVE_A_FILE)
    # After looking for a file: a path such as models/tiny:v2 can look like a Hub reference.
    if not exists and re.fullmatch(HUB_REFERENCE, reference):
        raise ModelError(
            f"{reference}: this version cannot pull models from the Hub",
            "download the .gguf file and give its path",
        )
    if not exists:
        from llmparams_cli.params.kinds import did_you_mean

        guess = did_you_mean(path.name, _models_in(path.parent))
        hint = _listed(path.parent) or GIVE_A_FILE
        raise ModelError(f"{path} does not exist{guess}", "" if guess else hint)
    return path


def _listed(directory: Path) -> str:
    """A hint that lists the models in a directory; nothing when there are none."""
    names = _models_in(directory)
    more = ", …" if len(names) > MOST_LISTED else ""
    return f"models there: {', '.join(names[:MOST_LISTED])}{more}" if names else ""


def _models_in(directory: Path) -> list[str]:
    try:
        names = sorted(path.name for path in directory.iterdir())
    except OSError:
        return []
    # Of a split model, only the first part can be given.
    return [name for name in names if name.endswith(".gguf") and not re.search(LATER_PART, name)]
