"""The program's own folder: what `models pull` brought, and GGUF files that the user put there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from llmparams_cli.env import Environment
from llmparams_cli.models import pulled
from llmparams_cli.models.pulled import Pulled
from llmparams_cli.models.reference import HubName, PackageName, elsewhere
from llmparams_cli.models.stores.kept import Kept, file_names, is_later_part, model_files, stem

PREFIX = "pulled"
PLACED = "file"


def kept(env: Environment) -> Iterator[Kept]:
    """The models in the folder: the pulled ones first."""
    there = list(pulled_models(env))
    yield from there
    recorded = {model.path.parent for model in there}
    for name, path in model_files(env.models_dir).items():
        if path.parent not in recorded and not is_later_part(name):
            own = PurePosixPath(name).with_name(stem(path)).as_posix()
            yield Kept(PLACED, own, path, (name,), file_names(path))


def pulled_models(env: Environment) -> Iterator[Kept]:
    """The models that `models pull` brought."""
    for record in pulled.all_pulled(env.models_dir):
        place = pulled.folder(env.models_dir, record.name)
        if (place / record.files[0].name).is_file():
            yield _kept(record, place)


def places(env: Environment) -> list[Path]:
    """The folder."""
    return [env.models_dir]


def _kept(record: Pulled, place: Path) -> Kept:
    path = place / record.files[0].name
    source = elsewhere(record.source)
    hubs = [each for each in (elsewhere(record.name), source) if isinstance(each, HubName)]
    repositories = [word for hub in hubs for word in (hub.repository, hub.repo)]
    hashes = tuple(file.sha256 for file in record.files)
    aliases = [record.source, str(source)]
    if isinstance(source, PackageName):
        aliases.append(str(PackageName(source.package)))
    return Kept(
        PREFIX,
        record.name,
        path,
        tuple(aliases) if source else (),
        (*dict.fromkeys(repositories), *file_names(path)),
        hashes if all(hashes) else (),
    )
