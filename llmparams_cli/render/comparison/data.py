"""`llmparams compare --json` and `--csv`: every answer and every number."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from llmparams_cli.analysis.comparison import Branch, Fork, Sample, Variant, forks, side_by_side
from llmparams_cli.constraints.checking.validity import verdict
from llmparams_cli.env import Environment
from llmparams_cli.params.settings import Settings
from llmparams_cli.records.document import said, stop_object
from llmparams_cli.render.json_output import parameters_object, write_json
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import encodable, printable, spelled


def show_json(env: Environment, variants: Sequence[Variant], settings: Sequence[Settings]) -> None:
    """Every variant with its settings and means, and every sample with its text and numbers."""
    document = [
        {
            "name": variant.name,
            "values": variant.values,
            "parameters": parameters_object(each),
            "means": {name: rounded(value) for name, value in variant.means().items()},
            "stops": variant.stops(),
            "samples": [_sample_object(sample, each) for sample in variant.samples],
        }
        for variant, each in zip(variants, settings, strict=True)
    ]
    parted = [
        {"prompt": row[0].prompt, "seed": row[0].seed, **_fork_object(fork, variants)}
        for row in side_by_side(variants)
        for fork in forks([sample.finished.tokens for sample in row])
    ]
    written = {"variants": document, "forks": parted}
    write_json(env, written, indent=2 if env.stdout_is_tty else None)


def _fork_object(fork: Fork, variants: Sequence[Variant]) -> dict[str, Any]:
    return {
        "number": fork.number,
        "before": spelled(fork.before),
        "branches": [_branch_object(branch, variants) for branch in fork.branches],
    }


def _branch_object(branch: Branch, variants: Sequence[Variant]) -> dict[str, Any]:
    """The branch of answers that end here has no token."""
    token = branch.token
    return {
        "id": token and token.id,
        "text": token and spelled(token.text),
        "logprob": token and rounded(token.logprob),
        "variants": [variants[place].name for place in branch.answers],
    }


def _sample_object(sample: Sample, settings: Settings) -> dict[str, Any]:
    finished = sample.finished
    return {
        "prompt": sample.prompt,
        "seed": sample.seed,
        **said(finished),
        "stop": stop_object(finished.stop),
        **verdict(finished.text, settings),
        "metrics": {name: rounded(value) for name, value in sample.metrics.items()},
        "token_ids": [token.id for token in finished.tokens],
    }


def show_csv(env: Environment, variants: Sequence[Variant]) -> None:
    """Print CSV with a row for each answer."""
    keys = list(dict.fromkeys(key for variant in variants for key in variant.values))
    metrics = list(variants[0].samples[0].metrics)
    sheet = io.StringIO()
    writer = csv.writer(sheet, lineterminator="\n")
    thinks = any(sample.finished.reasoning for each in variants for sample in each.samples)
    texts = ["reasoning", "text"] if thinks else ["text"]
    writer.writerow(["variant", *keys, "prompt", "seed", "stop", *metrics, *texts])
    for variant in variants:
        own = [variant.values.get(key, "") for key in keys]
        for sample in variant.samples:
            numbers = (rounded(sample.metrics[name]) for name in metrics)
            reason = sample.finished.stop.reason.value
            known = [variant.name, *own, sample.prompt, sample.seed, reason]
            written = {"reasoning": "", **said(sample.finished)}
            writer.writerow([*known, *numbers, *(written[name] for name in texts)])
    text = sheet.getvalue()  # exact in a pipe, harmless on a terminal
    env.stdout.write(encodable(printable(text) if env.stdout_is_tty else text, env.stdout))
    env.stdout.flush()
