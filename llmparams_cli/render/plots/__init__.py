"""`--png` and `--svg`: plots as files, with matplotlib, which is an optional part.

    sheet.py        what all plots share: the look, places in inches, the bytes of a file
    along.py        explain: entropy and probability along the text
    waterfall.py    explain --at: one draw's candidates after every stage
    metrics.py      compare: which of the two follows from the variants
    lines.py        every metric against a parameter
    bars.py         every metric by variant
    measured.py     what these two share

Nothing here loads matplotlib before a flag asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.presets.files import resolve
from llmparams_cli.storage import write_whole

if TYPE_CHECKING:
    from llmparams_cli.render.plots.sheet import Sheet

STDOUT = "-"


@dataclass(frozen=True)
class Plots:
    """The files that a plot goes to, by format: png, svg."""

    env: Environment
    files: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.files)

    def write(self, draw: Callable[[], Sheet]) -> None:
        """Draw once, and write every file whole or not at all."""
        if not self.files:
            return
        from llmparams_cli.render.plots.sheet import style

        with style():
            sheet = draw()
            images = {format: sheet.image(format) for format in self.files}
        for format, file in self.files.items():
            self._put(format, file, images[format])

    def _put(self, format: str, file: str, image: bytes) -> None:
        if file == STDOUT:
            self.env.stdout.flush()
            self.env.stdout.buffer.write(image)
            return
        try:
            write_whole(resolve(file, self.env.directory), image)
        except OSError as error:
            raise UsageError(f"--{format} {file}: {error.strerror}", "name another file") from error
        self.env.note(f"wrote {file}")


def plot_files(
    env: Environment, png: str | None, svg: str | None, *, stdout_taken: bool = False
) -> Plots:
    """What the flags ask for; UsageError for what cannot be, before any work is done.

    `stdout_taken`: does another output go there already?
    """
    given = {"png": png, "svg": svg}
    files = {format: file for format, file in given.items() if file is not None}
    to_stdout = [format for format, file in files.items() if file == STDOUT]
    if len(to_stdout) + stdout_taken > 1:
        raise UsageError(f"--{to_stdout[0]} -: standard output takes one thing", "name a file")
    if "png" in to_stdout and env.stdout_is_tty:
        raise UsageError("--png -: a terminal shows no PNG", "name a file, or pipe it")
    for format in files:
        _load(format)
    return Plots(env, files)


def _load(format: str) -> None:
    from llmparams_cli.render.plots.sheet import load

    try:
        load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"--{format} needs matplotlib, and there is no module {error.name}",
            "pip install 'llmparams[plot]'",
        ) from error
    except Exception as error:  # a broken installation or configuration raises anything
        raise UsageError(
            f"--{format}: matplotlib does not load: {error}",
            "pip install --force-reinstall matplotlib",
        ) from error
