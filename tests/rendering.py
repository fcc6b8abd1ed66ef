"""A real pseudo-terminal, a pipe, and a scripted generation for the tests of renderers."""

from __future__ import annotations

import fcntl
import io
import math
import os
import struct
import termios
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Assignment, Origin, Settings, Source, resolve
from llmparams_cli.protocol import (
    Candidate,
    Finished,
    ModelInfo,
    Piece,
    Started,
    Stop,
    StopReason,
    Timing,
    Token,
    Usage,
)
from llmparams_cli.render.choose import Renderer

UTF_8_TERMINAL = {"TERM": "xterm-256color"}
TIMING = Timing(load_s=0.25, prompt_s=0.5, generation_s=2.0, first_token_s=0.75)
END = Stop(StopReason.END_OF_GENERATION, "</s>")


def settings(*assignments: Assignment) -> Settings:
    return resolve(assignments)


def by_flag(name: str, value: object) -> Assignment:
    return Assignment(name, value, Origin(Source.FLAG, "--" + name.replace("_", "-")))


def by_preset(name: str, value: object, place: str) -> Assignment:
    file, _, line = place.rpartition(":")
    return Assignment(name, value, Origin(Source.PRESET, Path(file).stem, file, int(line)))


def token(text: str, probability: float, entropy: float = 1.0) -> Token:
    logprob = math.log(probability) if probability else -math.inf
    return Token(7, text, logprob, entropy, (Candidate(7, text, logprob),))


def play(
    renderer: Renderer,
    tokens: Sequence[Token],
    *,
    stop: Stop = END,
    prompt: str = "<s>hello",
    name: str = "fox",
    timing: Timing = TIMING,
) -> None:
    """Send one generation, in which every token is a piece, through a renderer."""
    model = ModelInfo("/models/fox.gguf", name, 3_000_000, "F16")
    renderer.started(Started(prompt, (1, 2, 3, 4, 5), 42, model, 2048))
    for item in tokens:
        renderer.piece(Piece(item.text, item))
    text = "".join(item.text for item in tokens)
    renderer.finished(Finished(text, stop, Usage(5, len(tokens)), timing, tuple(tokens)))


class Pipe:
    """An environment whose stdout and stderr are no terminal; what they received."""

    def __init__(
        self,
        encoding: str = "utf-8",
        variables: Mapping[str, str] | None = None,
        verbose: bool = False,
        quiet: bool = False,
    ) -> None:
        self._bytes = io.BytesIO(), io.BytesIO()
        stdout, stderr = (io.TextIOWrapper(b, encoding, newline="") for b in self._bytes)
        stderr.reconfigure(errors="backslashreplace")
        self.env = Environment(
            stdin=io.StringIO(),
            stdout=stdout,
            stderr=stderr,
            variables=variables or {},
            directory=Path("."),
            verbose=verbose,
            quiet=quiet,
        )

    @property
    def stdout(self) -> bytes:
        return self._bytes[0].getvalue()

    @property
    def stderr(self) -> str:
        return self._bytes[1].getvalue().decode()


class Terminal:
    """An environment on a pseudo-terminal of the given size, and what is on its screen."""

    def __init__(
        self,
        width: int = 80,
        height: int = 24,
        encoding: str = "utf-8",
        variables: Mapping[str, str] | None = None,
        verbose: bool = False,
        quiet: bool = False,
        stdout: io.TextIOWrapper | None = None,
        stderr: io.TextIOWrapper | None = None,
    ) -> None:
        self._master, self._slave = os.openpty()
        fcntl.ioctl(self._slave, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
        self._received = bytearray()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._screen = pyte.Screen(width, height)
        self._encoding = encoding
        tty = io.TextIOWrapper(io.FileIO(self._slave, "w", closefd=False), encoding)
        self.env = Environment(
            stdin=io.StringIO(),
            stdout=stdout or tty,
            stderr=stderr or tty,
            variables=UTF_8_TERMINAL if variables is None else variables,
            directory=Path("."),
            verbose=verbose,
            quiet=quiet,
        )

    def bytes(self) -> bytes:
        """All that the terminal received; ends the session."""
        if self._slave >= 0:
            os.close(self._slave)
            self._slave = -1
            self._reader.join()
            os.close(self._master)
        return bytes(self._received)

    def received(self) -> str:
        """What the terminal has received so far."""
        return bytes(self._received).decode(self._encoding, "replace")

    def screen(self) -> pyte.Screen:
        """What a person sees in the end."""
        pyte.Stream(self._screen).feed(self.bytes().decode(self._encoding))
        return self._screen

    def lines(self) -> list[str]:
        """The lines of the screen without the blanks at their ends and below them."""
        return "\n".join(line.rstrip() for line in self.screen().display).rstrip().split("\n")

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self._master, 4096)
            except OSError:  # Linux: the other end was closed
                return
            if not data:
                return
            self._received += data
