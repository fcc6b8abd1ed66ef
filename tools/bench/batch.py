"""Measure `llmparams batch` against llama-server, and against prompts one after the other.

    python tools/bench/batch.py --llama-bin DIR MODEL...

Prints the table of docs/batch.md. The prompts have 20 to 1,000 tokens and the answers 20 to 200,
which no end shortens; all sides get the same ones, the same threads and the same slots. What is
measured is the time from the first request to the last answer, without loading, and every round
runs all sides one after the other, so that a machine that slows down slows all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

TEXT = """the fox saw a bear near an old mill and asked why no ship had come from the sea since
winter began but it only said that rain would fall on all hills before night was over"""
PATIENCE = 600  # seconds until a server answers
PORT = 18_573
LOOP = """
import json, sys, time
from llama_cpp import Llama
llm = Llama(sys.argv[1], n_ctx=2048, n_threads=int(sys.argv[3]), n_threads_batch=int(sys.argv[3]),
            verbose=False, logits_all=False)
llm._token_eos = -1
rows = [json.loads(line) for line in open(sys.argv[2])]
began = time.perf_counter()
for row in rows:
    llm.reset()
    drawn = 0
    for token in llm.generate(llm.tokenize(row["prompt"].encode()), temp=0.8):
        drawn += 1
        if drawn == row["parameters"]["max_tokens"]:
            break
print(time.perf_counter() - began)
"""


@dataclass(frozen=True)
class Sides:
    """How each side is run over the rows of a file; each returns seconds."""

    binaries: Path
    rows: Path
    count: int
    slots: int
    threads: int

    def batch(self, model: str, slots: int | None = None, *more: str) -> float:
        """`llmparams batch`, by its own summary."""
        with tempfile.TemporaryDirectory() as place:
            command = [sys.executable, "-m", "llmparams_cli", "batch", str(self.rows), "-m", model]
            command += ["-o", f"{place}/out.jsonl", "--json", "--raw", "--ignore-eos", "--quiet"]
            command += ["--parallel", str(slots or self.slots), "--threads", str(self.threads)]
            done = subprocess.run([*command, *more], capture_output=True, check=True)
        return float(json.loads(done.stdout)["seconds"])

    def server(self, model: str, *, cache: bool) -> float:
        """llama-server, all requests at once, with its prompt cache or without."""
        with self._running(model) as url, ThreadPoolExecutor(self.count) as clients:
            bodies = [
                {
                    "prompt": row["prompt"],
                    "n_predict": row["parameters"]["max_tokens"],
                    "ignore_eos": True,
                    "cache_prompt": cache,
                    "temperature": 0.8,
                }
                for row in map(json.loads, self.rows.read_text().splitlines())
            ]
            began = time.perf_counter()
            for answer, body in zip(
                clients.map(lambda body: post(f"{url}/completion", body), bodies),
                bodies,
                strict=True,
            ):
                assert answer["tokens_predicted"] == body["n_predict"]
            return time.perf_counter() - began

    def loop(self, model: str) -> float:
        """llama-cpp-python's Llama, one prompt after the other."""
        command = [sys.executable, "-c", LOOP, model, str(self.rows), str(self.threads)]
        return float(subprocess.run(command, capture_output=True, check=True).stdout.split()[-1])

    @contextmanager
    def _running(self, model: str) -> Iterator[str]:
        command = [str(self.binaries / "llama-server"), "-m", model, "--port", str(PORT)]
        command += ["-np", str(self.slots), "-c", str(self.slots * 2048), "-t", str(self.threads)]
        libraries = {**os.environ, "LD_LIBRARY_PATH": str(self.binaries)}
        process = subprocess.Popen(
            command, env=libraries, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{PORT}"
        try:
            end = time.monotonic() + PATIENCE
            while not answers(f"{url}/health"):
                assert time.monotonic() < end and process.poll() is None, "the server does not run"
                time.sleep(0.1)
            yield url
        finally:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    """Is the server there, and ready?"""
    try:
        with urllib.request.urlopen(url) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def post(url: str, body: dict[str, Any]) -> Any:
    """Send JSON and wait for the answer."""
    request = urllib.request.Request(url, json.dumps(body).encode())
    with urllib.request.urlopen(request, timeout=PATIENCE) as response:
        return json.load(response)


def rows(count: int, longest: int = 1000) -> Iterator[dict[str, Any]]:
    """Prompts of up to so many words, and lengths of answers; the same in every run."""
    chance = random.Random(1)
    for number in range(count):
        words = chance.choices(TEXT.split(), k=chance.randint(min(20, longest), longest))
        length = chance.randint(20, 200)
        parameters = {"max_tokens": length, "temperature": 0.8, "seed": number}
        yield {"prompt": f"{number} " + " ".join(words), "parameters": parameters}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--llama-bin", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--words", type=int, default=1000, help="of the longest prompt")
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], help="rivals to leave out")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "rows.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows(given.rows, given.words)))
        sides = Sides(given.llama_bin, path, given.rows, given.slots, given.threads)
        rivals: dict[str, Callable[[str], float]] = {
            "llama-server": lambda model: sides.server(model, cache=False),
            "llama-server, prompt cache": lambda model: sides.server(model, cache=True),
            "one after the other": lambda model: sides.batch(model, 1),
            "llama_cpp.Llama": sides.loop,
        }
        print(f"| {given.rows} prompts, {given.slots} slots | against | ratio (all rounds) | s |")
        print("|---|---|---|---|")
        for model in given.models:
            for name, rival in rivals.items():
                if name not in given.without:
                    compare(
                        model, name, lambda model=model: sides.batch(model), rival, given.rounds
                    )


def compare(
    model: str,
    name: str,
    ours: Callable[[str], float],
    rival: Callable[[str], float],
    rounds: int,
) -> None:
    """Print one row: above 1 is faster than the rival."""
    pairs = [(ours(model), rival(model)) for _ in range(rounds)]
    ratios = sorted(theirs / own for own, theirs in pairs)
    took = f"{median(own for own, _ in pairs):.1f} / {median(other for _, other in pairs):.1f}"
    spread = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    print(
        f"| {Path(model).stem} | `{name}` | **{median(ratios):.2f}** ({spread}) | {took} |",
        flush=True,
    )


if __name__ == "__main__":
    main()
