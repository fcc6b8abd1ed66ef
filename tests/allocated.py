"""What the library allocates for a model and a context, against an estimate of it."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.host.shares import PROCESS, Estimate
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.native.library import log
from llmparams_cli.backends.llama.native.model import Model

MEGABYTE = 1 << 20
SIZE = re.compile(r": +(\S+) +(model|KV|RS|compute) buffer size = +([\d.]+) MiB")


def _sizes(found: Estimate) -> dict[tuple[str, str], int]:
    """By buffer and use, without what is no buffer of the library's."""
    return {
        (share.buffer, use): amount
        for share in found.shares
        if share.buffer != PROCESS
        for use in ("weights", "cache", "compute")
        if (amount := getattr(share, use)) >= 0.005 * MEGABYTE  # else the log says 0.00 MiB
    }


def allocated(
    env, model, given, size, sequences=1, *, shared=True, layers=0
) -> dict[tuple[str, str], float]:
    """Bytes of a real load by buffer and use, from the lines that the library logs."""
    lines: list[str] = []
    log.sink = lines.append
    try:
        loaded = Model(
            model.path, placement.model_params(env, given, model.header, layers, lambda _: True)
        )
        params = placement.context_params(given, size, sequences, shared=shared)
        Context(loaded, params, size).close()
        loaded.close()
    finally:
        log.sink = None
    use = {"model": "weights", "KV": "cache", "RS": "cache", "compute": "compute"}
    found: Counter[tuple[str, str]] = Counter()
    for buffer, what, amount in SIZE.findall("".join(lines)):
        found[buffer, use[what]] += float(amount) * MEGABYTE
    return {kind: amount for kind, amount in found.items() if amount}


def assert_foretold(
    foretold: Estimate, real: dict[tuple[str, str], float], *, more: int = 0
) -> None:
    """Every buffer within 5 %, but intermediate results may take so many bytes less."""
    found = _sizes(foretold)
    assert found.keys() == real.keys()
    for (buffer, use), amount in real.items():
        above = more if use == "compute" and found[buffer, use] > amount else 0
        close = pytest.approx(amount, rel=0.05, abs=above + 0.01 * MEGABYTE)
        assert found[buffer, use] == close, (buffer, use)
