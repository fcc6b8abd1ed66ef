"""Which files of a repository are models, which quantisation each has, and which one is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from llmparams_cli.download import SourceError
from llmparams_cli.models.stores.kept import QUANTIZATION
from llmparams_cli.params.kinds import did_you_mean

_PART = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})$")
# Words in names of files that lie beside a model: its eyes and ears, statistics of its weights.
_NO_MODEL = {"mmproj", "imatrix", "vocab"}
# Drafts and adapters, which are models to those who name them.
_HELPERS = {"eagle", "eagle3", "draft", "drafter", "lora", "adapter"}
# What is taken where none was named: good for its size first. Then whatever is smallest.
USUAL = (
    *("Q4_K_M", "UD-Q4_K_XL", "Q4_K_S", "Q4_0", "Q4_1", "IQ4_XS", "IQ4_NL", "MXFP4", "MXFP4_MOE"),
    *("Q5_K_M", "Q5_K_S", "Q6_K", "Q8_0"),
)
NO_MODEL = "look for a conversion: names of such repositories usually end in -GGUF"
MOST_NAMED = 12  # quantisations or files in a hint


@dataclass(frozen=True)
class RemoteFile:
    """A file of a source: its path there, its bytes, its SHA-256 (empty: unknown), its address."""

    path: str
    size: int
    sha256: str
    url: str = ""

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name


@dataclass(frozen=True)
class Choice:
    """A model among others: its files in the order of their parts; '' is an unknown `quant`."""

    quant: str
    files: tuple[RemoteFile, ...]
    missing: int = 0  # parts that the source lacks

    @property
    def size(self) -> int:
        return sum(file.size for file in self.files)

    @property
    def path(self) -> str:
        return self.files[0].path


def choices(files: Iterable[RemoteFile]) -> list[Choice]:
    """The models among the files of a repository or package, by path."""
    groups: dict[tuple[str, int], dict[int, RemoteFile]] = {}
    for file in sorted(files, key=lambda file: file.path):
        if not file.path.lower().endswith(".gguf"):
            continue
        stem = file.path[: -len(".gguf")]
        part = _PART.search(stem)
        key = (stem[: part.start()], int(part["count"])) if part else (stem, 0)
        groups.setdefault(key, {})[int(part["number"]) if part else 1] = file
    return [
        Choice(
            quant_of(stem),
            tuple(parts[number] for number in sorted(parts)),
            sum(number not in parts for number in range(1, count + 1)),
        )
        for (stem, count), parts in groups.items()
    ]


def quant_of(stem: str) -> str:
    """The quantisation that a path without its ending names, in capitals; else its folder's."""
    for name in reversed(stem.split("/")):
        if found := QUANTIZATION.findall(name):
            return str(found[-1]).upper()
    return ""


def choose(there: Sequence[Choice], part: str, where: str) -> Choice:
    """The model that `part` means: a file, a quantisation, or '' for the usual one.

    Raises SourceError, with what there is, if there is no such model or more than one.
    """
    if part.lower().endswith(".gguf"):
        return _by_file(there, part, where)
    models = language_models(there)
    if not models:
        raise SourceError(f"there is no GGUF model in {where}", NO_MODEL)
    found = [choice for choice in models if _means(part, choice)] if part else _usual(models)
    if not found:
        quants = sorted({choice.quant for choice in models if choice.quant})
        guess = did_you_mean(part.upper(), quants)
        raise SourceError(f"{where} has no {part}{guess}", f"there are: {listed(models)}")
    if len(found) > 1 and len({_stem(choice) for choice in found}) == 1:
        return _complete(min(found, key=lambda choice: len(choice.files)), where)  # in one file
    if len(found) > 1:
        what = f"several models in {part}" if part else "several models"
        files = ", ".join(choice.path for choice in found[:MOST_NAMED])
        raise SourceError(f"{where} has {what}", f"name a file: {files}")
    return _complete(found[0], where)


def listed(models: Iterable[Choice]) -> str:
    """Their quantisations, or files where these have none, as a hint names them."""
    names = sorted({choice.quant or choice.path for choice in models})
    more = ", …" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def label(choice: Choice, there: Iterable[Choice]) -> str:
    """What names this model among the others: its quantisation, or its file."""
    same = [each for each in language_models(list(there)) if each.quant == choice.quant]
    return choice.quant if choice.quant and same == [choice] else choice.path


def most_usual(quants: Iterable[str]) -> str:
    """Of these quantisations, the one that is taken where none was named; '' if none is usual."""
    capitals = {quant.upper(): quant for quant in quants}
    return next((capitals[quant] for quant in USUAL if quant in capitals), "")


def _by_file(there: Sequence[Choice], part: str, where: str) -> Choice:
    for choice in there:
        if part in {file.path for file in choice.files}:
            return _complete(choice, where)
    named = [c for c in there if part.lower() in {f.name.lower() for f in c.files}]
    if len(named) == 1:  # the folder may be left out
        return _complete(named[0], where)
    guess = did_you_mean(part, [choice.path for choice in there])
    files = ", ".join(choice.path for choice in there[:MOST_NAMED]) or "no GGUF file at all"
    raise SourceError(f"{where} has no file {part}{guess}", "" if guess else f"there is {files}")


def _usual(models: Sequence[Choice]) -> list[Choice]:
    if len(models) == 1:
        return list(models)
    quant = most_usual(choice.quant for choice in models)
    if quant or all(not choice.quant for choice in models):
        return [choice for choice in models if choice.quant == quant]
    return [min(models, key=lambda choice: choice.size)]


def _means(part: str, choice: Choice) -> bool:
    wanted, quant = part.upper(), choice.quant
    stem = _stem(choice).upper()
    return wanted in {quant, quant.removeprefix("UD-"), stem, stem.rpartition("/")[2]}


def _stem(choice: Choice) -> str:
    """Its path without the ending and the number of a part."""
    return _PART.sub("", choice.path[: -len(".gguf")])


def language_models(there: Sequence[Choice]) -> list[Choice]:
    """Those that are language models, to judge by their names."""
    candidates = [choice for choice in there if _NO_MODEL.isdisjoint(_words(choice.path))]
    models = [choice for choice in candidates if not _is_helper(choice.path)]
    return models or candidates


def _is_helper(path: str) -> bool:
    # A model may have MTP layers and say so in its name; a draft head alone begins with it.
    starts_as_draft = any(_words(part)[:1] == ["mtp"] for part in path.split("/"))
    return starts_as_draft or not _HELPERS.isdisjoint(_words(path))


def _words(path: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", path.lower())


def _complete(choice: Choice, where: str) -> Choice:
    if choice.missing:
        raise SourceError(
            f"{where} lacks {choice.missing} of the parts of {choice.path}", "another quantisation"
        )
    return choice
