"""Programs that keep GGUF files in plain folders: LM Studio, llama.cpp, Jan, GPT4All, llm."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Any

from llmparams_cli.env import Environment
from llmparams_cli.files import read_regular
from llmparams_cli.models.stores import hub
from llmparams_cli.models.stores.kept import (
    MOST_BYTES,
    SUFFIX,
    Kept,
    based,
    file_names,
    home,
    is_later_part,
    model_files,
    of_repository,
    stem,
)

MAC = "Library/Application Support"


def in_folder(store: str, directory: Path) -> Iterator[Kept]:
    """The models in a folder: publisher/repo/file.gguf is a file of a repository, model.gguf has
    its folder's name, any other one its own.
    """
    repositories: dict[str, dict[str, Path]] = {}
    for name, path in model_files(directory).items():
        inside = PurePosixPath(name)
        if len(inside.parts) == 3 and inside.name != "model.gguf":
            repository = repositories.setdefault(inside.parent.as_posix(), {})
            repository[inside.name] = path
        elif not is_later_part(name):
            own = inside.parent if inside.name == "model.gguf" else inside.with_name(stem(inside))
            yield Kept(store, own.as_posix(), path, (name,), (own.name, *file_names(inside)))
    for repository_name, files in repositories.items():
        yield from of_repository(store, repository_name, files)


def lm_studio(env: Environment) -> list[Path]:
    """LM Studio's home is where its pointer says, or one of two usual places; its settings can
    move the models away from there.
    """
    user = home(env)
    homes = [user / ".cache" / "lm-studio", user / ".lmstudio"]
    with suppress(ValueError):
        homes.append(Path(read_regular(user / ".lmstudio-home-pointer", MOST_BYTES).strip()))
    return [*filter(None, map(_downloads, homes)), *(place / "models" for place in homes)]


def _downloads(lm_studio_home: Path) -> Path | None:
    """The folder that LM Studio's settings name."""
    try:
        settings: Any = json.loads(read_regular(lm_studio_home / "settings.json", MOST_BYTES))
        folder = settings["downloadsFolder"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return Path(folder) if isinstance(folder, str) and folder else None


def llama_cpp(env: Environment) -> list[Path]:
    """llama.cpp's cache (`fs_get_cache_directory` in its common.cpp)."""
    if chosen := env.variables.get("LLAMA_CACHE"):
        return [Path(chosen)]
    if sys.platform == "darwin":
        return [home(env) / "Library" / "Caches" / "llama.cpp"]
    return [based(env, "XDG_CACHE_HOME", ".cache") / "llama.cpp"]


def in_llama_cpp(store: str, directory: Path) -> Iterator[Kept]:
    """Flat files of older versions; newer ones use LLAMA_CACHE as the Hub uses its cache."""
    for name, path in model_files(directory, deepest=0).items():
        if not is_later_part(name):
            inside = PurePosixPath(name)
            yield Kept(store, stem(inside), path, (name,), ())
    yield from hub.in_cache(directory, store)


def jan(env: Environment) -> list[Path]:
    """Jan's data folder, now and before its version 0.6."""
    data = [based(env, "XDG_DATA_HOME", ".local/share"), home(env) / MAC]
    return [*(place / "Jan/data/llamacpp/models" for place in data), home(env) / "jan" / "models"]


def gpt4all(env: Environment) -> list[Path]:
    """The folders of GPT4All's application and of its Python package."""
    data = [based(env, "XDG_DATA_HOME", ".local/share"), home(env) / MAC]
    package = based(env, "XDG_CACHE_HOME", ".cache") / "gpt4all"
    return [*(place / "nomic.ai" / "GPT4All" for place in data), package]


def llm(env: Environment) -> list[Path]:
    """Where the plugin llm-gguf of Simon Willison's llm has its register and its downloads."""
    user = env.variables.get("LLM_USER_PATH")
    config = [based(env, "XDG_CONFIG_HOME", ".config"), home(env) / MAC]
    homes = [Path(user)] if user else [place / "io.datasette.llm" for place in config]
    return [place / "gguf" for place in homes]


def in_llm(store: str, directory: Path) -> Iterator[Kept]:
    """What llm-gguf has registered, wherever it lies, by the names that llm has for it; then what
    else is in its folder.
    """
    registered = list(_registered(store, directory / "models.json"))
    yield from registered
    seen = {model.path for model in registered}
    yield from (each for each in in_folder(store, directory / "models") if each.path not in seen)


def _registered(store: str, register: Path) -> Iterator[Kept]:
    try:
        models: Any = json.loads(read_regular(register, MOST_BYTES))
        for name, fields in models.items():
            path, aliases = Path(fields["path"]), [*map(str, fields.get("aliases", []))]
            if path.is_absolute() and path.name.lower().endswith(SUFFIX) and path.is_file():
                yield Kept(store, name, path, (f"gguf/{name}", *aliases), file_names(path))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OSError):
        return
