"""Measure llmparams against the programs that it wants to be as fast as.

    python tools/bench/bench.py --llama-bin DIR --llm PROGRAM

Prints the table of docs/speed.md. Every round runs both sides one after the other, so that a
machine that slows down slows both; the ratio is the median of the rounds' own ratios.
README.md, beside this file, has the recipe.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from llmparams_cli.backends.llama.host import hardware
from llmparams_cli.backends.llama.native import library
from llmparams_cli.models import builtin

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
from models import write_llama

TOKENS = 128  # decoded one by one, after the first, which comes with the prompt
VARIANTS = 16
PROMPT = "Once upon a time"
CHUNKS = 16  # of 512 tokens, of a text to be read
DEFAULTS = ["--temp", "0.8", "--top-k", "40", "--top-p", "0.95", "--min-p", "0.05"]
GREEDY = [*DEFAULTS, "--temp", "0"]
PENALTIES = [
    *DEFAULTS,
    *["--repeat-penalty", "1.1", "--frequency-penalty", "0.2", "--presence-penalty", "0.2"],
    *["--repeat-last-n", "64"],
]
NUCLEUS = ["--temp", "0.8", "--top-k", "0", "--top-p", "0.95", "--min-p", "0"]
BARE = f"""
from llama_cpp import Llama
llm = Llama({str(builtin.PATH)!r}, verbose=False)
print(llm("hi", max_tokens=1, temperature=0)["choices"][0]["text"])
"""
# What llmparams does by itself where the library's fast path for quantised weights crashes.
FALLBACK = """
from llmparams_cli.backends.llama.host import buffers, probe
probe.choose = lambda *_: buffers.WeightMode.PLAIN
from llmparams_cli.cli import main
main()
"""
# The program, and at its end the line that llama-completion writes about its own sampler.
SAMPLING = """
import atexit, sys, time
from llmparams_cli.backends.llama.sampling.sampler import Sampler
from llmparams_cli.cli import main
spent, sample = [], Sampler.sample
def timed(*given):
    began = time.perf_counter()
    token = sample(*given)
    spent.append(time.perf_counter() - began)
    return token
Sampler.sample = timed
atexit.register(lambda: print(f"sampling time = {1e3 * sum(spent)} ms", file=sys.stderr))
main()
"""


@dataclass(frozen=True)
class Case:
    """One row: two measurements in the same unit, and what their ratio should be."""

    name: str
    unit: str
    ours: Callable[[], float]
    rival: str
    theirs: Callable[[], float]
    rounds: int
    target: float

    @property
    def more_is_better(self) -> bool:
        return self.unit == "token/s"


class Bench:
    """Where everything is, and how each side is run."""

    def __init__(
        self,
        llama_bin: Path,
        llm: str,
        cache: Path,
        threads: int,
        rounds: int,
        gemma: Path | None,
    ) -> None:
        self._completion = llama_bin / "llama-completion"
        self._batched = llama_bin / "llama-batched-bench"
        self._perplexity = llama_bin / "llama-perplexity"
        self._llm = llm
        self._cache = cache
        self._threads = str(threads)
        self._rounds = rounds
        self._gemma = gemma
        self._environment = {
            **os.environ,
            "LLMPARAMS_CONFIG_DIR": str(cache / "config"),
            "LLMPARAMS_CACHE_DIR": str(cache / "llmparams"),
            # Installed programs have their bytecode; a checkout gets its own here.
            "PYTHONPYCACHEPREFIX": str(cache / "bytecode"),
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def cases(self) -> list[Case]:
        program = Path(sys.executable).with_name("llmparams")
        ours = [str(program)]
        fallback = [sys.executable, "-c", FALLBACK]
        small = self._model(
            "135M-Q8_0.gguf",
            type="Q8_0",
            layers=30,
            width=576,
            heads=9,
            kv_heads=3,
            feed_forward=1536,
            vocabulary=49_152,
        )
        wide = self._model("wide-Q8_0.gguf", type="Q8_0", vocabulary=151_936)
        large = self._model(
            "1.1B-Q4_0.gguf",
            type="Q4_0",
            layers=22,
            width=2048,
            heads=32,
            kv_heads=4,
            feed_forward=5632,
            vocabulary=32_000,
        )
        one_token = ["generate", "hi", "-n", "1", "--temperature", "0", "-q"]
        return [
            self._decoding("decode, 135 M Q8_0, default sampling", ours, small, DEFAULTS, 0.97),
            self._decoding("decode, 135 M Q8_0, temperature 0", ours, small, GREEDY, 0.97),
            self._decoding(
                "decode, 135 M Q8_0, plain weights", fallback, small, DEFAULTS, 1.0, "--no-repack"
            ),
            self._decoding("penalties, vocabulary of 151,936", ours, wide, PENALTIES, 1.2),
            *self._sampling_rows(),
            self._variants("16 variants, 135 M Q8_0", ours, small, 3.0),
            self._variants("16 variants, 1.1 B Q4_0", ours, large, 3.5),
            self._batches("16 variants, 135 M Q8_0, batch", ours, small, 1.0),
            self._batches("16 variants, 1.1 B Q4_0, batch", ours, large, 1.0),
            self._rows("16 rows of a batch, 135 M Q8_0", ours, small, 1.0),
            self._rows("16 rows of a batch, 1.1 B Q4_0", ours, large, 1.0),
            self._reading("perplexity of a text, 135 M Q8_0", ours, small, 1.0),
            self._process(
                "one token from the built-in model",
                [*ours, *one_token],
                "bare llama_cpp.Llama",
                [sys.executable, "-c", BARE],
                1.0,
            ),
            self._process(
                "`llmparams --help`",
                [*ours, "--help"],
                "`llm --help`",
                [self._llm, "--help"],
                1 / 3,
            ),
        ]

    def _decoding(
        self,
        name: str,
        ours: Sequence[str],
        model: Path,
        sampling: Sequence[str],
        target: float,
        *flags: str,
    ) -> Case:
        own, rival = self._commands(ours, model, sampling)
        rival += flags
        return Case(
            name,
            "token/s",
            lambda: our_rate(self._run(own).stdout),
            " ".join(["`llama-completion", *flags]) + "`",
            lambda: their_rate(self._run(rival).stderr),
            self._rounds,
            target,
        )

    def _sampling_rows(self) -> list[Case]:
        """Where the values of the logits matter: with a real model, if there is one."""
        if not self._gemma:
            return []
        return [
            self._sampling("the sampler, nucleus alone, 262,144 tokens", self._gemma, NUCLEUS, 4.0),
            self._sampling("the sampler, penalties, 262,144 tokens", self._gemma, PENALTIES, 1.2),
            self._sampling("the sampler, temperature 0, 262,144 tokens", self._gemma, GREEDY, 1.0),
        ]

    def _sampling(self, name: str, model: Path, sampling: Sequence[str], target: float) -> Case:
        """What the samplers alone would draw in a second."""
        own, rival = self._commands([sys.executable, "-c", SAMPLING], model, sampling)
        return Case(
            name,
            "token/s",
            lambda: sampling_rate(self._run(own).stderr),
            "`llama-completion`",
            lambda: sampling_rate(self._run(rival).stderr),
            self._rounds,
            target,
        )

    def _commands(
        self, ours: Sequence[str], model: Path, sampling: Sequence[str]
    ) -> tuple[list[str], list[str]]:
        """The same text from both programs."""
        common = f"-n {TOKENS + 1} --ignore-eos --seed 1 -c 1024 --threads {self._threads}".split()
        common += sampling
        return (
            [*ours, "generate", PROMPT, "--model", str(model), "--raw", "--json", "-q", *common],
            [str(self._completion), "-m", str(model), "-p", PROMPT, "-no-cnv", *common],
        )

    def _variants(self, name: str, ours: Sequence[str], model: Path, target: float) -> Case:
        """All decoded together, against one alone."""
        alone = [*ours, "generate", PROMPT, *self._flags(model)]
        return Case(
            name,
            "token/s",
            self._together(ours, model),
            "one after the other",
            lambda: our_rate(self._run(alone).stdout),
            self._rounds,
            target,
        )

    def _batches(self, name: str, ours: Sequence[str], model: Path, target: float) -> Case:
        """The same against llama.cpp's own loop, which draws nothing and measures nothing."""
        rival = self._loop(model)
        return Case(
            name,
            "token/s",
            self._together(ours, model),
            "`llama-batched-bench -pps`",
            lambda: batch_rate(self._run(rival).stdout),
            self._rounds,
            target,
        )

    def _rows(self, name: str, ours: Sequence[str], model: Path, target: float) -> Case:
        """Answers without statistics, in the time from the first to the last; with the prompt."""
        rows = self._cache / "rows.jsonl"
        lines = (json.dumps({"prompt": PROMPT, "seed": number}) for number in range(VARIANTS))
        rows.write_text("".join(f"{line}\n" for line in lines))
        output = ["-o", str(self._cache / "answers.jsonl"), "--force"]
        own = [*ours, "batch", str(rows), *output, "--parallel", str(VARIANTS)]
        own += self._flags(model)
        rival = self._loop(model)
        return Case(
            name,
            "token/s",
            lambda: VARIANTS * TOKENS / float(json.loads(self._run(own).stdout)["seconds"]),
            "`llama-batched-bench -pps`",
            lambda: VARIANTS * TOKENS / batch_seconds(self._run(rival).stdout),
            self._rounds,
            target,
        )

    def _loop(self, model: Path) -> list[str]:
        """llama.cpp's own: as many sequences from one prompt."""
        shape = f"-npp {len(PROMPT)} -ntg {TOKENS} -npl {VARIANTS} -pps -c 8192"
        command = [str(self._batched), "-m", str(model), *shape.split(), "-t", self._threads]
        return [*command, "--output-format", "jsonl"]

    def _reading(self, name: str, ours: Sequence[str], model: Path, target: float) -> Case:
        """The same chunks, as whole processes."""
        text = self._cache / "text.txt"
        text.write_text(f"{PROMPT} " * ((CHUNKS + 1) * 512 // len(PROMPT)))
        same = ["--chunks", str(CHUNKS)]
        own = [*ours, "evaluate", str(model), "--text", str(text), *same]
        rival = [str(self._perplexity), "-m", str(model), "-f", str(text), "-c", "512", *same]
        return self._process(
            name,
            [*own, "--threads", self._threads],
            "`llama-perplexity`",
            [*rival, "-t", self._threads],
            target,
        )

    def _together(self, ours: Sequence[str], model: Path) -> Callable[[], float]:
        grid = "temperature=" + ",".join(f"{0.5 + number / 10:g}" for number in range(VARIANTS))
        command = [*ours, "compare", PROMPT, "--grid", grid, *self._flags(model)]
        return lambda: variants_rate(self._run(command).stdout)

    def _flags(self, model: Path) -> list[str]:
        flags = f"-n {TOKENS + 1} --ignore-eos --seed 1 -c 1024 --threads {self._threads}"
        return ["--model", str(model), "--raw", "--json", "-q", *flags.split()]

    def _process(
        self, name: str, ours: Sequence[str], rival: str, theirs: Sequence[str], target: float
    ) -> Case:
        return Case(
            name,
            "ms",
            lambda: self._milliseconds(ours),
            rival,
            lambda: self._milliseconds(theirs),
            self._rounds,
            target,
        )

    def _milliseconds(self, command: Sequence[str]) -> float:
        started = time.perf_counter()
        self._run(command)
        return (time.perf_counter() - started) * 1e3

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command,
            cwd=self._cache,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
        if done.returncode != 0:
            sys.exit(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")
        return done

    def _model(self, name: str, **shape: Any) -> Path:
        """A llama model with random weights and tied embeddings, made once."""
        path = self._cache / name
        if not path.exists():
            say(f"making {path}")
            partial = path.with_suffix(".partial")
            write_llama(
                partial,
                context=2048,
                chat_template=None,
                tensors={"output.weight": None},
                **shape,
            )
            partial.rename(path)
        return path


def our_rate(document: str) -> float:
    """Decoded tokens a second, sampling and printing included."""
    result = json.loads(document)
    assert result["usage"]["completion_tokens"] == TOKENS + 1, result["stop"]
    return TOKENS / float(result["timing"]["generation_s"])


def their_rate(log: str) -> float:
    """The same from llama-completion's own clock, which runs from prompt to end."""
    total = re.search(r"total time = +([\d.]+) ms", log)
    prompt = re.search(r"prompt eval time = +([\d.]+) ms", log)
    decoding = re.search(r" eval time = .* (\d+) runs", log)
    assert total and prompt and decoding, log[-2000:]
    assert int(decoding[1]) == TOKENS, decoding[0]
    return 1e3 * TOKENS / (float(total[1]) - float(prompt[1]))


def sampling_rate(log: str) -> float:
    """Draws a second, by the line of a log that says how long all of them took."""
    taken = re.search(r"sampling time = +([\d.]+) ms", log)
    assert taken, log[-2000:]
    return 1e3 * (TOKENS + 1) / float(taken[1])


def variants_rate(document: str) -> float:
    """Decoded tokens a second of all variants together, as they decode side by side."""
    variants = json.loads(document)["variants"]
    metrics = [sample["metrics"] for variant in variants for sample in variant["samples"]]
    assert all(each["tokens"] == TOKENS + 1 for each in metrics)
    return sum(float(each["tokens_per_s"]) for each in metrics)


def batch_rate(output: str) -> float:
    """llama-batched-bench's rate of text generation."""
    return float(json.loads(output.strip().splitlines()[-1])["speed_tg"])


def batch_seconds(output: str) -> float:
    """How long llama-batched-bench took for the prompt and the texts."""
    return float(json.loads(output.strip().splitlines()[-1])["t"])


def measure(case: Case) -> str:
    """Run a case; return its row."""
    case.ours(), case.theirs()  # files into the page cache, bytecode and the probe's answer to disk
    pairs = []
    for number in range(case.rounds):
        say(f"\r{case.name}: round {number + 1} of {case.rounds} ", end="")
        if number % 2:
            theirs, ours = case.theirs(), case.ours()
        else:
            ours, theirs = case.ours(), case.theirs()
        pairs.append((ours, theirs))
    say()
    ratios = sorted(ours / theirs for ours, theirs in pairs)
    quarter = len(ratios) // 4
    ratio = median(ratios)
    reached = ratio >= case.target if case.more_is_better else ratio <= case.target
    return (
        f"| {case.name} | {figure(median(ours for ours, _ in pairs), case.unit)} | {case.rival} | "
        f"{figure(median(theirs for _, theirs in pairs), case.unit)} | **{ratio:.3f}** "
        f"({ratios[quarter]:.2f} to {ratios[-1 - quarter]:.2f}) | "
        f"{'≥' if case.more_is_better else '≤'} {case.target:.2f}{'' if reached else ', missed'} |"
    )


def figure(value: float, unit: str) -> str:
    """A number for the table."""
    return f"{value:,.0f} {unit}"


def say(text: str = "", end: str = "\n") -> None:
    """Tell on stderr how far it is."""
    print(text, end=end, file=sys.stderr, flush=True)


def main() -> None:
    """Measure the cases whose names contain --only; print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--llama-bin", type=Path, required=True, help="llama.cpp's programs")
    parser.add_argument("--llm", default="llm", help="the program llm")
    parser.add_argument("--cache", type=Path, default=Path("build/bench"), help="for models")
    parser.add_argument("--gemma", type=Path, help="gemma-3-270m as GGUF, for the sampler's rows")
    parser.add_argument("--threads", type=int, default=hardware.usable_cpus())
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="part of a row's name")
    given = parser.parse_args()
    cache = given.cache.resolve()
    cache.mkdir(parents=True, exist_ok=True)
    llm = shutil.which(given.llm)
    if llm is None:
        parser.error(f"--llm {given.llm}: not found; pip install llm")
    bench = Bench(
        given.llama_bin.resolve(),
        os.path.abspath(llm),
        cache,
        given.threads,
        given.rounds,
        given.gemma and given.gemma.resolve(),
    )
    print("| | llmparams | against | | ratio (middle half of the rounds) | target |")
    print("|---|---:|---|---:|---|---|")
    for case in bench.cases():
        if given.only in case.name:
            print(measure(case), flush=True)
    print(
        f"\n{hardware.processor().model}, {given.threads} threads, "
        f"Python {sys.version.split()[0]}, "
        f"llama-cpp-python {library.version()}; load average {os.getloadavg()[0]:.1f}."
    )


if __name__ == "__main__":
    main()
