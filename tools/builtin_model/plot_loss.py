"""Draw the loss curve of a run as a small SVG picture.

python plot_loss.py --run run/ --to loss.svg
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def draw(rows: list[dict[str, str]], path: Path) -> None:
    """Training loss as a line, held-out loss as points, over the tokens seen."""
    figure, axes = plt.subplots(figsize=(6, 3.2))
    millions = [int(row["tokens"]) / 1e6 for row in rows]
    axes.plot(millions, [float(row["loss"]) for row in rows], linewidth=0.8, label="training")
    held_out = [
        (x, float(row["held_out_loss"]))
        for x, row in zip(millions, rows, strict=True)
        if row["held_out_loss"]
    ]
    axes.plot(*zip(*held_out, strict=True), "o", markersize=3, label="held out")
    axes.set_xlabel("million tokens")
    axes.set_ylabel("loss (nats per token)")
    axes.set_ylim(0, 3)
    axes.legend()
    axes.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


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
