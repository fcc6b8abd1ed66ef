"""A Hub for tests: a local HTTP server that speaks its protocol, and behaves badly when told to.

What it knows of the protocol is what huggingface_hub asks for: `/api/models/…?blobs=True` with
sizes and SHA-256s, `/resolve/…` with X-Repo-Commit, X-Linked-Size and X-Linked-ETag, which leads
to another address (the content network, here a second server) that serves ranges.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
TOKEN = "hf_right"
API = re.compile(r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?")
RESOLVE = re.compile(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)")
BLOCK = 1 << 14  # bytes that are sent at once


@dataclass
class Repository:
    """`gated` and `private` want `TOKEN`; `lists` False: sizes and checksums are not in the list,
    as with some mirrors.
    """

    files: dict[str, bytes]
    license: str = "apache-2.0"
    gated: bool = False
    private: bool = False
    lists: bool = True
    revisions: tuple[str, ...] = ("main", COMMIT)


@dataclass
class Request:
    """One that was made: the server ('hub' or 'cdn'), and what was sent there; headers in lower
    case.
    """

    server: str
    method: str
    path: str
    headers: dict[str, str]


Fault = Callable[["_Handler", bytes, int, int], None]


@dataclass
class HubServer:
    """A context manager; `url` is for HF_ENDPOINT.

    `faults` are taken one by one by the requests for bytes, before these are served right;
    `api_faults` by the requests to the API. `pause` is the time between two blocks, in seconds.
    """

    repositories: dict[str, Repository] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    api_faults: list[Callable[[_Handler], None]] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    redirects: bool = True
    pause: float = 0.0
    sent: int = 0

    def add(self, name: str, files: dict[str, bytes], **how: Any) -> None:
        self.repositories[name] = Repository(files, **how)

    def variables(self, **more: str) -> dict[str, str]:
        return {"HF_ENDPOINT": self.url, **more}

    def asked(self, server: str = "cdn", method: str = "GET") -> list[Request]:
        return [r for r in self.requests if r.server == server and r.method == method]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def cdn(self) -> str:
        return f"http://127.0.0.1:{self._cdn.server_port}"

    def __enter__(self) -> HubServer:
        self._hub, self._cdn = (self._start(name) for name in ("hub", "cdn"))
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    def _start(self, name: str) -> ThreadingHTTPServer:
        handler = type("Handler", (_Handler,), {"hub": self, "name": name})
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        return server


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: HubServer
    name: str

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append(Request(self.name, self.command, path, headers))
        if self.name == "cdn":
            repository, file = path[1:].split("//")
            self.serve(self.hub.repositories[repository].files[file])
        elif found := API.fullmatch(path):
            if self.hub.api_faults:
                self.hub.api_faults.pop(0)(self)
            elif repository := self.allowed(found[1], found[2] or "main", listing=True):
                self.list(found[1], repository)
        elif found := RESOLVE.fullmatch(path):
            if repository := self.allowed(found[1], found[2]):
                self.resolve(found[1], repository, found[3])
        else:
            self.refuse(404)

    def allowed(self, name: str, revision: str, listing: bool = False) -> Repository | None:
        """The repository, or a refusal such as the real server gives."""
        repository = self.hub.repositories.get(name)
        kind, _, token = self.headers.get("Authorization", "").partition(" ")
        token = token if kind == "Bearer" else ""
        if token and not token.startswith("hf_"):
            message = "Invalid credentials in Authorization header"
            self.refuse(401, **{"X-Error-Message": message})
        elif repository is None or (repository.private and token != TOKEN):
            self.refuse(404 if token else 401, **{"X-Error-Code": "RepoNotFound"})
        elif revision not in repository.revisions:
            self.refuse(404, **{"X-Error-Code": "RevisionNotFound"})
        elif repository.gated and not listing and token != TOKEN:
            self.refuse(403 if token else 401, **{"X-Error-Code": "GatedRepo"})
        else:
            return repository
        return None

    def list(self, name: str, repository: Repository) -> None:
        siblings = []
        for path, data in repository.files.items():
            sibling: dict[str, Any] = {"rfilename": path}
            if repository.lists:
                sibling["size"] = len(data)
                sibling["lfs"] = {"size": len(data), "sha256": sha256(data), "pointerSize": 135}
            siblings.append(sibling)
        card = {"license": repository.license}
        info = {"id": name, "sha": COMMIT, "siblings": siblings, "cardData": card}
        self.answer(200, json.dumps(info).encode(), **{"Content-Type": "application/json"})

    def resolve(self, name: str, repository: Repository, path: str) -> None:
        data = repository.files.get(path)
        if data is None:
            self.refuse(404, **{"X-Error-Code": "EntryNotFound"})
            return
        linked = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-ETag": f'"{sha256(data)}"',
        }
        if self.hub.redirects:
            self.answer(302, b"", Location=f"{self.hub.cdn}/{name}//{path}?signature=x", **linked)
        else:
            self.serve(data, **linked)

    def serve(self, data: bytes, **headers: str) -> None:
        """Bytes, all or a range; or the next fault in place of them."""
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        start = int(asked[1]) if asked else 0
        end = min(int(asked[2]) + 1 if asked and asked[2] else len(data), len(data))
        if self.hub.faults and self.command == "GET":
            self.hub.faults.pop(0)(self, data, start, end)
            return
        if asked:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(data)}"
        self.begin(206 if asked else 200, end - start, **headers)
        if self.command == "GET":
            self.send(data[start:end])

    def send(self, data: bytes) -> None:
        try:
            for position in range(0, len(data), BLOCK):
                self.wfile.write(data[position : position + BLOCK])
                self.hub.sent += min(BLOCK, len(data) - position)
                time.sleep(self.hub.pause)
        except OSError:  # the client has left
            self.close_connection = True

    def begin(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for key, value in headers.items():
            self.send_header(key, value)
        self.end_headers()

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.begin(status, len(body), **headers)
        if self.command == "GET":
            self.wfile.write(body)

    def refuse(self, status: int, **headers: str) -> None:
        self.answer(status, b"", **headers)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cut(after: int) -> Fault:
    """Break the connection after so many bytes of what was asked for."""

    def fault(handler: _Handler, data: bytes, start: int, end: int) -> None:
        handler.begin(206, end - start, **{"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})
        handler.send(data[start : min(start + after, end)])
        handler.close_connection = True

    return fault


def status(code: int, **headers: str) -> Fault:
    """Answer with a status alone."""
    return lambda handler, *_: handler.refuse(code, **headers)


def everything(length: bool = True) -> Fault:
    """Ignore the range: all bytes, status 200; without `length`, up to the connection's end."""

    def fault(handler: _Handler, data: bytes, start: int, end: int) -> None:
        handler.close_connection = not length
        handler.begin(200, len(data) if length else None)
        handler.send(data)

    return fault


def instead(other: bytes) -> Fault:
    """Serve other bytes than the list promised."""

    def fault(handler: _Handler, data: bytes, start: int, end: int) -> None:
        end = min(end, len(other))
        handler.begin(
            206, end - start, **{"Content-Range": f"bytes {start}-{end - 1}/{len(other)}"}
        )
        handler.send(other[start:end])

    return fault


def page(handler: _Handler, *_: object) -> None:
    """Answer with a web page, as a network does that wants a login."""
    handler.answer(200, b"<!DOCTYPE html><html>Log in</html>", **{"Content-Type": "text/html"})


def stall(seconds: float) -> Fault:
    """Send the half, then nothing for a while."""

    def fault(handler: _Handler, data: bytes, start: int, end: int) -> None:
        handler.begin(206, end - start, **{"Content-Range": f"bytes {start}-{end - 1}/{len(data)}"})
        handler.send(data[start : start + (end - start) // 2])
        time.sleep(seconds)
        handler.close_connection = True

    return fault
