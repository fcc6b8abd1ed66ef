"""What goes wrong on the way to the Hub, in one line each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from llmparams_cli.download import SourceError
from llmparams_cli.text.shorten import brief

AGAIN = "run the same command again: it goes on where it was"
NUMBER = re.compile(r"^\[Errno -?\d+\] ")  # says nothing that the words after it do not say
# Answers after which it is worth trying again.
PASSING = (408, 425, 429, 500, 502, 503, 504)


class Lost(SourceError):
    """What may be gone in a moment: a cut connection, a busy server. `wait`: the server's wish, in
    seconds.
    """

    wait: float = 0.0


@contextmanager
def explained(repository: str, endpoint: str, has_token: bool) -> Iterator[None]:
    """Turns what huggingface_hub and its HTTP library raise into a SourceError."""
    import httpx2
    from huggingface_hub import errors

    host = urlsplit(endpoint).netloc.rpartition("@")[2]
    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise SourceError(
            f"{repository}: HF_HUB_OFFLINE is set, so the Hub is not asked", "unset it"
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refused(error, repository, host, has_token) from error
    except errors.HFValidationError as error:
        raise SourceError(
            f"{repository} cannot be the name of a repository", "it has the form owner/repo"
        ) from error
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise _lost(error, host) from error


def without_password(endpoint: str) -> str:
    """The address as it may be shown."""
    parts = urlsplit(endpoint)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def check_endpoint(endpoint: str) -> None:
    """Raise SourceError if HF_ENDPOINT is no address."""
    try:
        parts = urlsplit(endpoint)
        is_address = parts.scheme in ("http", "https") and bool(parts.netloc)
    except ValueError:
        is_address = False
    if not is_address:
        raise SourceError(
            f"HF_ENDPOINT={endpoint} is not an address", "one looks like https://huggingface.co"
        )


def check_session(session: Callable[[], Any]) -> None:
    """Raise SourceError if the environment names a proxy or a certificate that cannot be used."""
    import httpx2

    try:
        session()
    except (ValueError, ImportError, httpx2.InvalidURL) as error:
        raise SourceError(
            f"the proxy cannot be used: {brief(str(error), 200)}",
            "see HTTPS_PROXY, HTTP_PROXY, ALL_PROXY",
        ) from error
    except OSError as error:
        raise SourceError(f"the certificates cannot be read: {error}", "SSL_CERT_FILE") from error


def not_the_hub(endpoint: str) -> SourceError:
    """The error for an answer that makes no sense: a login page, another program."""
    return SourceError(
        f"{endpoint} does not answer as the Hub does",
        "a proxy or a login page of the network? HF_ENDPOINT names another address",
    )


def _refused(error: Any, repository: str, host: str, has_token: bool) -> SourceError:
    from huggingface_hub import errors

    status = error.response.status_code
    host, hub = _host_of(error) or host, host  # it may come from where the Hub has led to
    page = f"https://huggingface.co/{repository}"
    if isinstance(error, errors.GatedRepoError):
        cure = "" if has_token else ", then give your token in HF_TOKEN"
        return SourceError(
            f"{repository} is gated: its owner wants you to accept conditions first",
            f"accept them at {page}{cure}",
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return SourceError(f"{repository} has no such revision", f"see {page}/commits/main")
    if isinstance(error, errors.EntryNotFoundError):
        return SourceError(f"{repository} does not have this file any more", f"see {page}")
    if isinstance(error, errors.DisabledRepoError):
        return SourceError(f"{repository} has been disabled on the Hub", f"see {page}")
    if isinstance(error, errors.RepositoryNotFoundError) or status == 404:
        cure = "your token may not see it" if has_token else "a private one needs HF_TOKEN"
        return SourceError(f"there is no repository {repository} on {host}", f"{cure}; see {page}")
    if status == 401:
        return SourceError(f"{host} does not accept your token", "see HF_TOKEN, or hf auth login")
    if status == 403 and host == hub:
        reason = brief(error.server_message or "", 120)
        return SourceError(
            f"{host} refuses {repository}" + (f": {reason}" if reason else ""),
            "has your token (HF_TOKEN) the right to read it?",
        )
    return _status(error.response, host)


def _status(response: Any, host: str) -> SourceError:
    status = response.status_code
    if status not in PASSING:
        return SourceError(f"{host} answers {status}", "try later, or another HF_ENDPOINT")
    if status == 429:
        lost = Lost(f"{host} has had too many requests", "wait some minutes; a token helps")
    else:
        lost = Lost(f"{host} answers {status}", AGAIN)
    wait = response.headers.get("Retry-After", "")
    lost.wait = float(wait) if wait.isdecimal() else 0.0
    return lost


def _lost(error: Any, host: str) -> SourceError:
    import httpx2

    reason = brief(NUMBER.sub("", str(error)) or type(error).__name__, 160)
    host = _host_of(error) or host
    if isinstance(error, (httpx2.UnsupportedProtocol, httpx2.InvalidURL)):
        return SourceError(f"{host} leads to a wrong address: {reason}", "another HF_ENDPOINT")
    if isinstance(error, httpx2.ProxyError):
        return SourceError(f"the proxy does not let us through to {host}: {reason}", "HTTPS_PROXY")
    if "CERTIFICATE" in reason or "SSL" in reason:
        return SourceError(
            f"no safe connection to {host}: {reason}",
            "a proxy of your network? SSL_CERT_FILE names its certificate",
        )
    if isinstance(error, httpx2.ConnectError):
        return Lost(
            f"{host} cannot be reached: {reason}", "are you online? HTTPS_PROXY, HF_ENDPOINT"
        )
    if isinstance(error, httpx2.TimeoutException):
        return Lost(f"{host} does not answer", AGAIN)
    if isinstance(error, httpx2.TooManyRedirects):
        return SourceError(f"{host} leads in circles", "another HF_ENDPOINT")
    return Lost(f"the connection to {host} was lost: {reason}", AGAIN)


def _host_of(error: Any) -> str:
    """The server that failed: after a redirection it is not the Hub."""
    try:
        request = error.response.request if hasattr(error, "response") else error.request
        return str(request.url.netloc.decode())
    except (RuntimeError, UnicodeDecodeError):  # the error knows no request
        return ""
