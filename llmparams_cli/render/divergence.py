"""How far a model departs from another on a text, in lines and as JSON."""

from __future__ import annotations

from typing import Any

from llmparams_cli.analysis.divergence import Beside, Estimate, Fork, percentiles
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line, spelled

LABEL = 16  # columns


def show_divergence(view: View, found: Beside, base: str, other: str) -> None:
    """Print a line for each statistic of what became of `other`, beside `base`."""
    view.line(one_line(f"{other} beside {base}"))
    for label, text in _lines(found):
        view.line(f"{label:<{LABEL}}{text}")


def _lines(found: Beside) -> list[tuple[str, str]]:
    divergence = found.divergence
    kl, change = percentiles(divergence.at.divergence), percentiles(divergence.change)
    ratio, share, most = divergence.ratio, divergence.same, divergence.at.divergence.max()
    return [
        ("perplexity", f"× {ratio.value:.5f} ± {ratio.error:.5f}"),
        ("KL divergence", f"mean {divergence.mean.value:.6f} ± {divergence.mean.error:.6f}"),
        ("", f"median {kl[50.0]:.6f}, 99% {kl[99.0]:.6f}, 99.9% {kl[99.9]:.6f}, max {most:.6f}"),
        (
            "Δp",
            f"mean {_percent(divergence.mean_change)}, RMS {_percent(divergence.rms_change)}",
        ),
        ("", ", ".join(f"{at:g}% {change[at]:+.2%}" for at in (0.1, 5.0, 50.0, 95.0, 99.9))),
        (
            "same top token",
            f"{_percent(share)}: {divergence.flips:,} of {divergence.tokens:,} greedy tokens flip",
        ),
        ("greedy text", _parting(found)),
    ]


def divergence_object(found: Beside) -> dict[str, Any]:
    """All statistics for JSON; shares and probabilities are from 0 to 1."""
    divergence = found.divergence
    return {
        "tokens": divergence.tokens,
        "perplexity_ratio": _estimate(divergence.ratio),
        "kl_divergence": {
            **_estimate(divergence.mean),
            **_spread(divergence.at.divergence),
        },
        "probability_change": {
            **_estimate(divergence.mean_change),
            **_spread(divergence.change),
            "rms": _estimate(divergence.rms_change),
        },
        "same_top": _estimate(divergence.same),
        "flips": divergence.flips,
        "greedy": _greedy(found.fork, found.answered),
    }


def _percent(found: Estimate) -> str:
    return f"{found.value:.3%} ± {found.error:.3%}"


def _parting(found: Beside) -> str:
    fork = found.fork
    if fork is None:
        return f"the same {found.answered} tokens"
    here, there = (_quoted(text) for text in (fork.base, fork.other))
    return f"the same for {fork.same} tokens, then {here} becomes {there}"


def _quoted(text: str) -> str:
    return f'"{one_line(text)}"' if text else "the end"


def _greedy(fork: Fork | None, answered: int) -> dict[str, Any]:
    if fork is None:
        return {"same": answered, "differs": None}
    return {
        "same": fork.same,
        "differs": {"base": spelled(fork.base), "other": spelled(fork.other)},
    }


def _estimate(found: Estimate) -> dict[str, Any]:
    return {"mean": rounded(found.value), "error": rounded(found.error)}


def _spread(values: Any) -> dict[str, Any]:
    found = {f"{at:g}": rounded(value) for at, value in percentiles(values).items()}
    return {
        "min": rounded(float(values.min())),
        "max": rounded(float(values.max())),
        "percentiles": found,
    }
