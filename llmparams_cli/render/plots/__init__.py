"""`--png` and `--svg`: plots as files, made with matplotlib, an optional dependency.

    sheet.py        what all plots share: the look, places in inches, the bytes of a file
    along.py        explain: entropy and probability along the text
    waterfall.py    explain --at: one draw's candidates after every stage
    metrics.py      compare: chooses lines or bars, depending on the variants
    lines.py        every metric against a parameter
    bars.py         every metric by variant
    inside.py       inspect: histograms, norms by layer, two models
    ladder.py       quantize --ladder: size against quality
    optimization.py optimize: the search, what decided, the response to two parameters
    tuning.py       tune: the losses over the steps; the sweep of learning rates
    variants.py     tune --grid: losses against what varies, size and time
    measured.py     shared by lines and bars

Nothing here loads matplotlib before a flag asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llmparams_cli.env import Environment
from llmparams_cli.errors import UsageError
from llmparams_cli.render.outputs import STDOUT, put

if TYPE_CHECKING:
    from llmparams_cli.render.plots.sheet import Sheet


@dataclass(frozen=True)
class Plots:
    """The files that a plot goes to, by format: png, svg."""

    env: Environment
    files: dict[str, str]

    def __bool__(self) -> bool:
        return bool(self.files)

    def write(self, draw: Callable[[], Sheet]) -> None:
        """Draw once, and write every file completely or not at all."""
        if not self.files:
            return
        from llmparams_cli.render.plots.sheet import style

        with style():
            sheet = draw()
            images = {format: sheet.image(format) for format in self.files}
        for format, file in self.files.items():
            put(self.env, f"--{format}", file, images[format])


def plot_files(env: Environment, png: str | None, svg: str | None) -> Plots:
    """The files that the flags ask for; raises UsageError before any work is done."""
    given = {"png": png, "svg": svg}
    files = {format: file for format, file in given.items() if file is not None}
    if png == STDOUT and env.stdout_is_tty:
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
