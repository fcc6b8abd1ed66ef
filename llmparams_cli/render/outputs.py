"""Writes pages and plots to files; '-' is standard output."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.files import resolve_path, write_whole
from llmparams_cli.text.safe import encodable

STDOUT = "-"
NAMES_OF_STDOUT = (STDOUT, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
IN_A_BROWSER = ": open it in a browser"


def check_outputs(env: Environment, files: Mapping[str, str | None], *, taken: bool) -> None:
    """Refuse two outputs on stdout and missing directories, before any work is done.

    `files` maps flags to their files; `taken`: does another output go to stdout already?
    """
    there = [flag for flag, file in files.items() if file in NAMES_OF_STDOUT]
    if len(there) + taken > 1:
        raise UsageError(f"{there[0]} -: standard output takes one thing", "name a file")
    for flag, file in files.items():
        if (
            file not in (None, *NAMES_OF_STDOUT)
            and not resolve_path(file, env.directory).parent.is_dir()
        ):
            raise UsageError(f"{flag} {file}: there is no such folder", "make it first")


def on_stdout(files: Mapping[str, str | None]) -> bool:
    """Does one of these files go to stdout, in place of what a person reads there?"""
    return any(file in NAMES_OF_STDOUT for file in files.values())


def put_reports(
    env: Environment,
    files: Mapping[str, str | None],
    junit: Callable[[], str],
    page: Callable[[], str],
) -> None:
    """Write those of the reports `--junit` and `--html` that have a file; only they are made."""
    if file := files["--junit"]:
        put(env, "--junit", file, junit())
    if file := files["--html"]:
        put(env, "--html", file, page(), IN_A_BROWSER)


def put(env: Environment, flag: str, file: str, content: str | bytes, tip: str = "") -> None:
    """Write the output of `flag` (completely or not at all), and print a note with the tip."""
    if file in NAMES_OF_STDOUT:
        if isinstance(content, str):
            env.stdout.write(encodable(content, env.stdout))
        else:
            env.stdout.flush()  # what was written as text comes before these bytes
            env.stdout.buffer.write(content)
        return
    try:
        write_whole(resolve_path(file, env.directory), content)
    except OSError as error:
        raise UsageError(f"{flag} {file}: {error.strerror}", "name another file") from error
    env.note(f"wrote {file}{tip}")
