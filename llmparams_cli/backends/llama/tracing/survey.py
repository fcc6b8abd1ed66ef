"""A chain against another over recorded logits: how much is left to chance, what changes."""

from __future__ import annotations

from contextlib import closing

from llmparams_cli.backends.llama.decoding.recording import Recording, pointer
from llmparams_cli.backends.llama.sampling.chain import Sampler


def survey(recording: Recording, sampler: Sampler, other: Sampler) -> tuple[float, float]:
    """Mean entropy in bits of what `sampler` draws from, and its mean total variation
    distance (0 to 1) from what `other` draws from. Closes both.
    """
    import numpy as np

    entropies, variations = [], []
    with closing(sampler), closing(other):
        for logits, drawn in recording.rows():
            one, two = (each.distribution(pointer(logits)) for each in (sampler, other))
            seen = one[one > 0]
            entropies.append(float(-(seen * np.log2(seen)).sum()))
            variations.append(float(np.abs(one - two).sum() / 2))
            for each in (sampler, other):
                each.accept(drawn)
    return max(0.0, float(np.mean(entropies))), float(np.mean(variations))
