"""Draw the loss curve of a run, and how well it copies, as a small SVG picture.

python plot_loss.py --run run/ --to loss.svg
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import svg


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Both over the tokens seen."""

    def column(name: str) -> list[tuple[float, float]]:
        return [(int(row["tokens"]) / 1e6, float(row[name])) for row in rows if row[name]]

    last = int(int(rows[-1]["tokens"]) / 1e6)
    step = max(1, round(last / 5, -1 if last > 50 else None))
    ticks = [(millions, f"{millions} M") for millions in range(0, int(last) + 1, int(step))]
    losses = {"training": column("loss"), "held out": column("held_out_loss")}
    copied = {"exercises in copying": column("copied"), "JSON": column("extracted")}
    panels = [
        svg.Panel("loss, nats a token", losses, ticks, top=2.0),
        svg.Panel("answers right letter by letter", copied, ticks, top=1.0),
    ]
    svg.write(panels, 2, path, width=360, height=200)


def main() -> None:
    """Read loss.csv of a run and write the picture."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--to", type=Path, required=True)
    arguments = parser.parse_args()
    with (arguments.run / "loss.csv").open(newline="") as stream:
        draw(list(csv.DictReader(stream)), arguments.to)


if __name__ == "__main__":
    main()
