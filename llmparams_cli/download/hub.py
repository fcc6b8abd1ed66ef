"""The Hugging Face Hub: what a repository holds, and its bytes.

huggingface_hub knows where the Hub is (HF_ENDPOINT), who asks (HF_TOKEN, `hf auth login`), how to
get there (HTTPS_PROXY, SSL_CERT_FILE) and whether to go at all (HF_HUB_OFFLINE). The bytes come
over its HTTP session, not through its `hf_hub_download`: so a transfer shows its progress, is
resumed and is checked in the same way from every server, mirrors and Xet storage included.
"""

from __future__ import annotations

import logging
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from llmparams_cli import APP, __version__
from llmparams_cli.download import MOST_LICENSE, SourceError
from llmparams_cli.download.choice import Choice, RemoteFile, choices, choose, label
from llmparams_cli.download.failures import (
    check_endpoint,
    check_session,
    explained,
    not_the_hub,
    without_password,
)
from llmparams_cli.env import Environment
from llmparams_cli.models.reference import HubName
from llmparams_cli.text.shorten import beginning

HUB = "https://huggingface.co"
_SHA256 = re.compile(r"[0-9a-f]{64}")
LARGEST = 10**13  # bytes of a file: ten times what the largest models have in all
LONGEST_NAME = 240  # bytes of a file's name, of the 255 that most file systems allow


class Hub:
    """One session with the Hub, or with the mirror in HF_ENDPOINT."""

    def __init__(self, env: Environment) -> None:
        library = _library()
        self.endpoint = env.variables.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB
        # Without the variable, the library looks for what `hf auth login` has stored.
        self._token = _token(env)
        about = {"library_name": APP, "library_version": __version__}
        self._api = library.HfApi(endpoint=self.endpoint, token=self._token, **about)
        self._headers = library.utils.build_hf_headers(token=self._token, **about)
        self._library = library
        check_endpoint(self.endpoint)
        self.shown = without_password(self.endpoint)
        check_session(library.get_session)

    def offer(self, name: HubName) -> Offer:
        """What the repository has: one request, no file is read."""
        with self._explained(name.repository):
            try:
                info = self._api.model_info(
                    name.repository,
                    revision=name.revision or None,
                    files_metadata=True,
                    timeout=self._timeout,
                )
                commit = info.sha or name.revision or "main"
                files = [self._file(name.repository, commit, each) for each in info.siblings]
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                if type(error).__module__.startswith("huggingface_hub"):
                    raise
                raise not_the_hub(self.shown) from error
        return Offer(name, commit, _license(info), choices(filter(None, files)))

    @contextmanager
    def open(self, repository: str, url: str, start: int, end: int) -> Iterator[Any]:
        """The answer to a request for the bytes from `start` up to `end`. A server may ignore the
        range: then it answers with status 200 and everything.
        """
        headers = {
            **self._headers,
            "Accept-Encoding": "identity",
            "Range": f"bytes={start}-{end - 1}",
        }
        session = self._library.get_session()
        with (
            self._explained(repository),
            session.stream("GET", url, headers=headers, timeout=self._timeout) as response,
        ):
            self._library.utils.hf_raise_for_status(response)
            yield response

    def known(self, repository: str, file: RemoteFile) -> RemoteFile:
        """The file with its size and checksum, asked of the server if the list had none. Raises
        SourceError for a size that no file has.
        """
        file = file if file.size >= 0 else self._asked(repository, file)
        if file.size > LARGEST:
            raise SourceError(
                f"{self.shown} says that {file.path} has {file.size:.0e} bytes",
                "use another HF_ENDPOINT",
            )
        return file

    def _asked(self, repository: str, file: RemoteFile) -> RemoteFile:
        from huggingface_hub import get_hf_file_metadata

        with self._explained(repository):
            found = get_hf_file_metadata(
                file.url, token=self._token, timeout=self._timeout, endpoint=self.endpoint
            )
        if found.size is None:
            raise SourceError(f"{self.shown} does not say how large {file.path} is", "HF_ENDPOINT")
        sha256 = found.etag if _SHA256.fullmatch(found.etag or "") else ""
        return RemoteFile(file.path, found.size, sha256 or "", file.url)

    def _file(self, repository: str, commit: str, found: Any) -> RemoteFile | None:
        path = str(found.rfilename)
        if not path.lower().endswith(".gguf") or not _is_safe(path):
            return None
        # Without LFS there is no SHA-256, and sizes only where the server fills them in.
        size = found.lfs.size if found.lfs else found.size
        sha256 = str(found.lfs.sha256).lower() if found.lfs else ""
        url = f"{self.endpoint}/{repository}/resolve/{quote(commit, safe='')}/{quote(path)}"
        size = size if isinstance(size, int) and size >= 0 else -1
        return RemoteFile(path, size, sha256 if _SHA256.fullmatch(sha256) else "", url)

    def _explained(self, repository: str) -> Any:
        return explained(repository, self.endpoint, "authorization" in self._headers)

    @property
    def _timeout(self) -> float:
        from huggingface_hub import constants

        return float(constants.HF_HUB_DOWNLOAD_TIMEOUT)


class Offer:
    """What a repository has at one commit."""

    def __init__(self, name: HubName, commit: str, license: str, there: list[Choice]) -> None:
        self.commit = commit
        self.license = license
        self.there = there
        self._name = name

    def chosen(self) -> tuple[HubName, Choice]:
        """The model that is meant, and the name that means it alone. Raises SourceError."""
        name = self._name
        choice = choose(self.there, name.part, name.repository)
        return HubName(name.owner, name.repo, label(choice, self.there), name.revision), choice


def _is_safe(path: str) -> bool:
    """Can the last part of the path be the name of a file here, and all of it a name's part?"""
    *folders, name = path.split("/")
    if ".." in folders or not path.isprintable() or set(path) & set('\\:*?"<>|'):
        return False
    return not name.startswith(".") and len(name.encode()) <= LONGEST_NAME


def _license(info: Any) -> str:
    card = info.card_data
    found = getattr(card, "license", None) if card is not None else None
    if found in (None, "other"):  # then it has a name of its own
        found = getattr(card, "license_name", None) or found
    names = found if isinstance(found, list) else [found or ""]
    return beginning(", ".join(map(str, names)), MOST_LICENSE)


def _token(env: Environment) -> str | None:
    token = env.variables.get("HF_TOKEN", "").strip()
    if not all("!" <= character <= "~" for character in token):
        raise SourceError("HF_TOKEN has characters in it that no token has", "copy it again")
    return token or None


def _library() -> Any:
    """huggingface_hub, without messages, progress bars and telemetry of its own."""
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    os.environ["HF_HUB_DISABLE_UPDATE_CHECK"] = "1"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import huggingface_hub.constants  # first: the package prints what fails in it
            import huggingface_hub.utils
    except ImportError as error:
        raise SourceError(f"huggingface_hub cannot be used: {error}", "install it again") from error
    except ValueError as error:  # it reads its variables when it is imported
        raise SourceError(
            f"a variable HF_… has a wrong value: {error}", "env | grep HF_"
        ) from error
    logging.getLogger("huggingface_hub").setLevel(logging.CRITICAL)
    return huggingface_hub
