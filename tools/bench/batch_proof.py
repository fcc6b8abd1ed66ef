"""Is every row of a batch there once, whatever ends the program, and the same beside any others?

    python tools/bench/batch_proof.py kills [--rows 10000] [--kills 50]
    python tools/bench/batch_proof.py bits MODEL... [--rows 1000] [--widths 16 4 32] [-- OPTION...]

`kills` answers rows with the built-in model and kills the program again and again, at moments that
chance chooses, before it lets it end. `bits` answers the same rows of different length, settings
and seed in three orders and widths, and compares texts and log probabilities with `==`; what is
behind `--` goes to `llmparams batch`, such as --deterministic. Both exit with 1 if a proof fails.
They take minutes; the tests do the same in small.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

TEXT = "the fox saw a bear near an old mill and asked why no ship had come from the sea"
LONG_EACH = 200  # of so many rows one is longer than the 256 cells below which kernels are simple
BATCH = (sys.executable, "-m", "llmparams_cli", "batch")


def kills(place: Path, rows: int, most: int) -> bool:
    """Kill a batch `most` times; are all rows in its output afterwards, in order, each once?"""
    (place / "in").write_text("".join(f"{number}\n" for number in range(1, rows + 1)))
    output, journal = place / "out.jsonl", place / "out.jsonl.batch"
    command = [*BATCH, "in", "-o", output.name, "--resume", "-n", "4", "--quiet", "-m", "builtin"]
    chance, left = random.Random(7), [0]
    while len(left) <= most and not output.exists():
        process = subprocess.Popen(
            command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(0.4 + 2.2 * chance.random())
        process.send_signal(signal.SIGKILL)
        process.wait()
        left.append(lines(journal))
    earlier = left[-1]
    subprocess.run(command, cwd=place, check=True)
    ids = [json.loads(line)["id"] for line in output.read_text().splitlines()]
    is_whole = ids == list(range(1, rows + 1)) and not journal.exists()
    print(
        f"{len(left) - 1} kills, {earlier:,} rows there after the last one; in the end "
        f"{len(ids):,} rows, {'each once, in order' if is_whole else 'NOT what went in'}"
    )
    return is_whole and left == sorted(left)


def lines(path: Path) -> int:
    """The whole lines of a file, but for its first; 0 if there is none."""
    return max(0, path.read_bytes().count(b"\n") - 1) if path.exists() else 0


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows of different length, each with a seed of its own; the same in every run."""
    chance = random.Random(3)
    for number in range(count):
        words = 400 if number % LONG_EACH == 7 else chance.randint(4, 14)
        yield {
            "id": number,
            "prompt": f"{number} " + " ".join(chance.choices(TEXT.split(), k=words)),
            "seed": number,
            "parameters": {"max_tokens": chance.randint(3, 8), "temperature": 0.8},
        }


def bits(place: Path, model: str, asked: int, widths: Sequence[int], more: Sequence[str]) -> bool:
    """Answer the rows in an order for each width; are all answers equal to the last bit?"""
    first: dict[int, Any] = {}
    is_same = True
    for number, width in enumerate(widths):
        ordered = list(rows(asked))
        if number:
            random.Random(number).shuffle(ordered)
        found = answered(place, ordered, model, width, more)
        first = first or found
        texts = sum(first[id][0] != found[id][0] for id in first)
        logprobs = sum(first[id][1] != found[id][1] for id in first)
        is_same &= found.keys() == first.keys() and not texts and not logprobs
        order = "shuffled" if number else "as is"
        print(
            f"{Path(model).stem} {' '.join(more)} {width} wide, {order}: "
            f"{len(found):,} rows, {texts} texts and {logprobs} log probabilities differ",
            flush=True,
        )
    return is_same


def answered(
    place: Path, ordered: Sequence[Any], model: str, width: int, more: Sequence[str]
) -> dict[int, Any]:
    """The text and the log probability of each row, by its id."""
    (place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ordered))
    command = [*BATCH, str(place / "in.jsonl"), "-m", model, "--parallel", str(width)]
    command += ["--raw", "--ignore-eos", "--quiet", "--metric", "logprob", *more]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
    records = map(json.loads, done.stdout.splitlines())
    return {each["id"]: (each["text"], each["metrics"]["logprob"]) for each in records}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a proof, and exit with 1 if it fails."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    cut = given.index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    proofs = parser.add_subparsers(dest="proof", required=True)
    one = proofs.add_parser("kills")
    one.add_argument("--rows", type=int, default=10_000)
    one.add_argument("--kills", type=int, default=50)
    other = proofs.add_parser("bits")
    other.add_argument("models", nargs="+")
    other.add_argument("--rows", type=int, default=1000)
    other.add_argument("--widths", type=int, nargs="+", default=[16, 4, 32])
    wanted = parser.parse_args(given[:cut])
    with tempfile.TemporaryDirectory() as place:
        if wanted.proof == "kills":
            holds = kills(Path(place), wanted.rows, wanted.kills)
        else:
            rest = given[cut + 1 :]
            each = [bits(Path(place), m, wanted.rows, wanted.widths, rest) for m in wanted.models]
            holds = all(each)
    sys.exit(not holds)


if __name__ == "__main__":
    main()
