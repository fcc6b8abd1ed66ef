"""Try the library in a process of its own; `probe` runs this file as a child.

    python -m llmparams_cli.backends.llama.host.trial [MODEL [TYPE MODE]]

Without arguments it only loads the library. With MODEL it decodes some tokens, too. With TYPE and
MODE it quantises MODEL (F16) to TYPE, in the current directory, and compares the logits of MODE
with those of plain memory. That the child dies is a result as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llmparams_cli.backends.llama.host import buffers, devices, hardware
from llmparams_cli.backends.llama.host.buffers import WeightMode
from llmparams_cli.backends.llama.host.child import BEGUN, WRONG_NUMBERS, ending
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.native.model import Model
from llmparams_cli.backends.llama.native.quantise import Recipe, quantise
from llmparams_cli.errors import BackendError

TOLERANCE = 0.1  # modes round activations differently, by 0.02; wrong numbers are off by 1
PROMPT = 33  # tokens: a full tile of 32 rows and a rest

# The types that AMX, CPU_REPACK or KleidiAI rearrange, and the llama_ftype that yields them.
FILE_TYPES = {
    "Q4_0": "Q4_0",
    "Q4_1": "Q4_1",
    "Q8_0": "Q8_0",
    "Q2_K": "Q2_K",
    "Q4_K": "Q4_K_M",
    "Q5_K": "Q5_K_M",
    "Q6_K": "Q6_K",
    "IQ4_NL": "IQ4_NL",
    "IQ4_XS": "IQ4_XS",
    "MXFP4": "MXFP4_MOE",
}


def main(arguments: Sequence[str]) -> int:
    """Return the exit code: 0 when all is well."""
    llama()
    if len(arguments) == 1:
        if not all(map(math.isfinite, logits(Path(arguments[0]), WeightMode.PLAIN))):
            raise BackendError("its logits are not finite")
    elif arguments:
        source, type, mode = arguments
        return _compare(Path(source), type, WeightMode(mode))
    return 0


def _compare(source: Path, type: str, mode: WeightMode) -> int:
    path = Path("quantised.gguf")
    quantise(source, path, Recipe(FILE_TYPES[type], hardware.usable_cpus(), pure=True))
    expected = logits(path, WeightMode.PLAIN)
    print(BEGUN, flush=True)
    error = distance(expected, logits(path, mode))
    return 0 if error <= TOLERANCE else WRONG_NUMBERS


def logits(path: Path, mode: WeightMode) -> list[float]:
    """The logits after a prompt (matrix by matrix) and after one more token (matrix by vector)."""
    model = Model(path, model_params(mode))
    context = Context(model, _context_params(), PROMPT + 1)
    tokens = [place % model.n_vocab for place in range(PROMPT + 1)]
    context.decode([(token, place, 0) for place, token in enumerate(tokens[:PROMPT])], [PROMPT - 1])
    after_prompt = context.logits(PROMPT - 1)[: model.n_vocab]
    context.decode([(tokens[PROMPT], PROMPT, 0)], [0])
    after_token = context.logits(0)[: model.n_vocab]
    context.close()
    model.close()
    return [*after_prompt, *after_token]


def distance(expected: Sequence[float], got: Sequence[float]) -> float:
    """Root mean square of the difference, in standard deviations of `expected`."""
    mean = sum(expected) / len(expected)
    spread = sum((value - mean) ** 2 for value in expected)
    difference = sum((a - b) ** 2 for a, b in zip(expected, got, strict=True))
    return math.sqrt(difference / spread) if math.isfinite(difference) else math.inf


def model_params(mode: WeightMode) -> Any:
    """For a model on the CPU, with its weights in this mode."""
    params = llama().llama_model_default_params()
    params.n_gpu_layers = 0
    devices.use_none(params)
    buffers.apply(mode, params)
    return params


def _context_params() -> Any:
    params = llama().llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 2 * PROMPT  # one call takes the whole prompt
    params.n_threads = params.n_threads_batch = 1  # others would only spin
    return params


if __name__ == "__main__":
    ending(main)
