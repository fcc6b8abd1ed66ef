"""Training runs as JSON: the plan, every step and check, what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llmparams_cli.analysis.held_out import Estimate, HeldOut
from llmparams_cli.analysis.tuning import (
    Check,
    Course,
    Plan,
    Rung,
    Stride,
    Sweep,
    Tuned,
    best_rung,
    overfit,
    verdicts,
)
from llmparams_cli.env import Environment
from llmparams_cli.render.json_output import write_json
from llmparams_cli.text.numbers import finite, rounded
from llmparams_cli.text.safe import spelled

PAIRS = ("documents", "rows", "tokens")


def show_plan(env: Environment, plan: Plan) -> None:
    """Print what a run would do."""
    _write(env, plan_object(plan))


def show(env: Environment, tuned: Tuned) -> None:
    """Print everything about a run."""
    _write(env, tuned_object(tuned))


def show_sweep(env: Environment, sweep: Sweep) -> None:
    """Print the losses at every learning rate, and the range in which they fall."""
    _write(env, sweep_object(sweep))


def show_ladder(env: Environment, rungs: Sequence[Rung]) -> None:
    """Print every variant with its course."""
    _write(env, ladder_object(rungs))


def plan_object(plan: Plan) -> dict[str, Any]:
    """The plan, with objects in place of pairs."""
    pairs = {
        name: dict(zip(("train", "held_out"), getattr(plan, name), strict=True)) for name in PAIRS
    }
    return asdict(plan) | pairs


def tuned_object(tuned: Tuned) -> dict[str, Any]:
    """A finished run; what was not measured is null."""
    return {
        "plan": plan_object(tuned.plan),
        "course": course_object(tuned.course),
        "result": {"path": spelled(tuned.target), "type": tuned.type, "size": tuned.bytes},
        "measured": _measured(tuned.held_out),
        "prompts": [
            {"prompt": spelled(prompt), "before": spelled(before), "after": spelled(after)}
            for prompt, before, after in zip(tuned.prompts, tuned.before, tuned.after, strict=False)
        ],
        "changed": [
            {
                "name": each.name,
                "kind": each.kind,
                "layer": each.layer,
                "relative": significant(each.relative),
            }
            for each in tuned.changed
        ],
        "untouched": tuned.untouched,
    }


def course_object(course: Course) -> dict[str, Any]:
    """A run's steps and checks, why it ended, which weights were kept."""
    best = course.best
    return {
        "end": course.end.name.lower() if course.end else None,
        "word": course.word or None,
        "best_step": best.step if best else None,
        "best_loss": rounded(best.loss) if best else None,
        "overfits_from": overfit(course),
        "steps": [_stride(each) for each in course.strides],
        "checks": [_check(each) for each in course.checks],
    }


def sweep_object(sweep: Sweep) -> dict[str, Any]:
    """The suggestion, and all that it was found by."""
    return {
        "suggested": significant(sweep.suggested),
        "low": significant(sweep.low),
        "high": significant(sweep.high),
        "steps": [
            {"rate": significant(rate), "loss": rounded(loss), "smoothed": rounded(mean)}
            for rate, loss, mean in zip(sweep.rates, sweep.losses, sweep.smoothed, strict=True)
        ],
    }


def ladder_object(rungs: Sequence[Rung]) -> dict[str, Any]:
    """The variants in their order, and the best of them."""
    best = best_rung(rungs)
    return {
        "best": dict(best.values) if best else None,
        "ladder": [
            {
                "values": dict(rung.values),
                "parameters": rung.parameters,
                "train_loss": rounded(rung.train),
                "loss": rounded(rung.loss),
                "seconds": rounded(rung.seconds),
                "verdict": word.name.lower(),
                "course": course_object(rung.course),
            }
            for rung, word in zip(rungs, verdicts(rungs), strict=True)
        ],
    }


def significant(value: float | None) -> float | None:
    """The number to six digits, wherever they begin: a learning rate may be tiny."""
    value = finite(value)
    return None if value is None else float(f"{value:.6g}")


def _stride(stride: Stride) -> dict[str, Any]:
    return {
        "step": stride.step,
        "epoch": rounded(stride.epoch),
        "loss": rounded(stride.loss),
        "rate": significant(stride.rate),
        "gradient_norm": significant(stride.norm),
        "tokens": stride.tokens,
        "seconds": rounded(stride.seconds),
    }


def _check(check: Check) -> dict[str, Any]:
    return {
        "step": check.step,
        "loss": rounded(check.loss),
        "improved": check.improved,
        "answers": list(map(spelled, check.answers)),
    }


def _measured(found: HeldOut | None) -> dict[str, Any] | None:
    if found is None:
        return None
    before, after = found.perplexities
    return {
        "tokens": sum(found.tokens),
        "rows": len(found.tokens),
        "before": _estimate(before),
        "after": _estimate(after),
        "factor": _estimate(found.factor),
    }


def _estimate(found: Estimate) -> dict[str, float | None]:
    return {"perplexity": rounded(found.value), "error": rounded(finite(found.error))}


def _write(env: Environment, document: dict[str, Any]) -> None:
    write_json(env, document, indent=2 if env.stdout_is_tty else None)
