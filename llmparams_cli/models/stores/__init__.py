"""What models are on this disk, in this program's folder and those of others.

Nothing here uses the network, loads a model, or reads more of a file than its name. Whatever is
in those folders was written by others, and may be half-written or wrong: it is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from llmparams_cli.env import Environment
from llmparams_cli.models import builtin
from llmparams_cli.models.stores import folders, hub, ollama, own, packages
from llmparams_cli.models.stores.kept import Kept


@dataclass(frozen=True)
class Store:
    """A program that keeps models: its name, where it may keep them, what it has, and the command
    by which it removes one ({name}: the model's, {repository}: without quantisation, {path}).
    """

    title: str
    places: Callable[[Environment], list[Path]]
    kept: Callable[[Environment], Iterator[Kept]]
    remove: str


def _folder(
    prefix: str,
    title: str,
    places: Callable[[Environment], list[Path]],
    remove: str,
    inside: Callable[[str, Path], Iterator[Kept]] = folders.in_folder,
) -> Store:
    def kept(env: Environment) -> Iterator[Kept]:
        for place in dict.fromkeys(places(env)):
            yield from inside(prefix, place)

    return Store(title, places, kept, remove)


def built_in() -> Kept:
    """The model that comes with the program."""
    return Kept(BUILT_IN, BUILTIN, builtin.PATH, sha256=builtin.checksum())


BUILT_IN, BUILTIN = "llmparams", "builtin"  # its store and its name there
RM = "rm {path}"
# By the prefix of their models' names. Where a model is in several, the first one names it.
STORES = {
    own.PREFIX: Store("pulled", own.places, own.kept, "llmparams models remove {name}"),
    own.PLACED: Store("models folder", own.places, lambda _env: iter(()), RM),
    hub.PREFIX: Store("Hub cache", hub.places, hub.kept, "hf cache rm model/{repository}"),
    ollama.PREFIX: Store("Ollama", ollama.places, ollama.kept, "ollama rm {name}"),
    "lmstudio": _folder("lmstudio", "LM Studio", folders.lm_studio, "LM Studio: My Models"),
    "llamacpp": _folder("llamacpp", "llama.cpp", folders.llama_cpp, RM, folders.in_llama_cpp),
    "jan": _folder("jan", "Jan", folders.jan, "Jan: Settings, Models"),
    "gpt4all": _folder("gpt4all", "GPT4All", folders.gpt4all, RM),
    "llm": _folder("llm", "llm", folders.llm, RM, folders.in_llm),
    packages.PREFIX: Store("package", packages.places, packages.kept, "pip uninstall {name}"),
    BUILT_IN: Store(
        "built in", lambda _env: [builtin.PATH.parent], lambda _env: iter([built_in()]), "it stays"
    ),
}


def on_disk(env: Environment) -> list[Kept]:
    """All models, those of the first store first. A name says what a file should be: whether it is
    a model that can be run, its header tells (`summary`).
    """
    found: dict[str, Kept] = {}
    for store in STORES.values():
        for model in store.kept(env):
            found.setdefault(model.reference, model)
    return list(found.values())
