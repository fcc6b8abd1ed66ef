"""`llmparams bench`: rates with their spread, beside what the machine could do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llmparams_cli.analysis.benchmark import (
    ARITHMETIC,
    MEMORY,
    Bound,
    Limit,
    Measured,
    Subject,
    test_name,
)
from llmparams_cli.env import Environment
from llmparams_cli.protocol import Work
from llmparams_cli.render.json_output import write_json
from llmparams_cli.render.styles import DIM
from llmparams_cli.render.view import View
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import one_line
from llmparams_cli.text.units import count_text, percent, size_text

MOST_SENTENCES = 8  # of more tests, only the fastest ones are explained
MEBI, GIBI = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Report:
    """All that there is to be shown. `machine` are facts for people and for JSON; the `warning`
    says what made rates too low, if anything did; with `is_cut`, the tests ended early.
    """

    subjects: Sequence[Subject]
    machine: Mapping[str, Any]
    results: Sequence[Measured]
    repeat: int
    warning: str = ""
    is_cut: bool = False

    @property
    def varying(self) -> list[str]:
        """The parameters that have several values, by name; threads are in every table."""
        names = dict.fromkeys(name for each in self.results for name in each.values)
        return [name for name in names if name != "threads"]


def show(env: Environment, report: Report, *, color: str) -> None:
    """Print what was tested, a line for each test, and what bounds the model."""
    view = View(env, color)
    for subject in report.subjects:
        view.line(described(subject))
    view.line(machine_line(report.machine), DIM)
    view.line()
    view.table(head(report), [row(report, each) for each in report.results])
    view.line()
    for each in _explained(report.results):
        view.line(f"{one_line(label(report, each))}: {sentence(each)}")


def show_json(env: Environment, report: Report) -> None:
    """Print everything in numbers."""
    document = {
        "machine": dict(report.machine),
        "models": [asdict(each) for each in report.subjects],
        "repeat": report.repeat,
        "tests": [_object(each) for each in report.results],
        "interrupted": report.is_cut,
    }
    write_json(env, document, indent=2 if env.stdout_is_tty else None)


def markdown(report: Report) -> str:
    """A table as llama-bench prints it, with the limit beside each rate; for bug reports."""
    head = ["model", "size", "params", "backend", "threads", *report.varying]
    head += ["test", "t/s", "limit"]
    subjects = {each.name: each for each in report.subjects}
    rows = [_markdown_row(report, subjects[each.model], each) for each in report.results]
    lines = [head, ["---", "---:", "---:", "---", *["---:"] * (len(head) - 4)], *rows]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines)
    lines_below = [machine_line(report.machine), *filter(None, [report.warning])]
    return "\n".join([table, *lines_below, ""])


def described(subject: Subject) -> str:
    """A model in one line."""
    count = count_text(subject.parameters)
    return one_line(
        f"{subject.name}: {subject.type}, {count} parameters, {size_text(subject.size)}"
    )


def machine_line(machine: Mapping[str, Any]) -> str:
    """The machine and the library in one line."""
    parts = (
        machine["processor"] or "unknown processor",
        f"{machine['cpus']} CPUs" if machine["cpus"] != 1 else "1 CPU",
        *machine["gpus"],
        f"llama.cpp {machine['llama.cpp']} ({machine['backend']})",
    )
    return one_line(", ".join(parts))


def label(report: Report, each: Measured) -> str:
    """The test, with what tells it from the others."""
    threads = len({other.threads for other in report.results}) > 1
    shown = [each.model] if len(report.subjects) > 1 else []
    shown.append(test_name(each.work))
    if threads:
        shown.append(f"{each.threads} threads" if each.threads > 1 else "1 thread")
    shown += [f"{name} {each.values[name]}" for name in report.varying if name in each.values]
    return ", ".join(shown)


def head(report: Report) -> list[str]:
    """The heading of `row`."""
    several = ["model"] if len(report.subjects) > 1 else []
    names = [*several, "test", "threads", *report.varying]
    return [*names, "tokens/s", "", "limit", "reached", "bound by"]


def row(report: Report, each: Measured) -> list[str]:
    """A test in the table."""
    several = [one_line(each.model)] if len(report.subjects) > 1 else []
    limit = each.limit.rate
    return [
        *several,
        test_name(each.work),
        str(each.threads),
        *(each.values.get(name, "") for name in report.varying),
        f"{each.mean:.2f}",
        "" if math.isnan(each.spread) else f"± {each.spread:.2f}",
        "unknown" if limit is None else _number(limit),
        "" if each.share is None else percent(each.share),
        _by(each),
    ]


def sentence(each: Measured) -> str:
    """What the rate is beside the limit, and what bounds it, in plain words."""
    rate, limit = _number(each.mean), each.limit
    if limit.rate is None:
        return f"{rate} tokens a second; what the machine could do is unknown"
    return f"{rate} of the {_number(limit.rate)} tokens a second that {_cause(limit)}: " + (
        _verdict(each)
    )


def _by(each: Measured) -> str:
    if each.bound is Bound.BOTH:
        return "both"
    return each.limit.by if each.bound in (Bound.LIMIT, Bound.MOSTLY) else ""


def _cause(limit: Limit) -> str:
    if limit.by == MEMORY:
        speed = size_text(limit.bandwidth or 0)
        return f"reading {size_text(limit.bytes)} for each at {speed} a second allows"
    speed = count_text(limit.arithmetic or 0)
    return f"{count_text(limit.products)} products for each at {speed} a second allow"


def _verdict(each: Measured) -> str:
    if each.bound is Bound.ABOVE:
        return "the limit was measured too low, as happens on a busy machine"
    if each.bound is Bound.LIMIT:
        return f"bound by {each.limit.by}"
    if each.bound is Bound.BOTH:
        return f"bound by both: {_shares(each)}"
    causes = ["attention", "small steps"]
    if each.threads > 1:
        causes.append("threads that wait for each other")
    if each.is_disturbed:
        causes.append("other processes")
    how = f"mostly bound by {each.limit.by}" if each.bound is Bound.MOSTLY else "far below it"
    return f"{how}. {_shares(each).capitalize()}; the rest is {', '.join(causes)}"


def _shares(each: Measured) -> str:
    """The shares of the time that reading and products would take by themselves."""
    takes = {"reading": each.limit.by_memory, "products": each.limit.by_arithmetic}
    shares = [f"{what} alone {each.mean / rate:.0%}" for what, rate in takes.items() if rate]
    return f"{' and '.join(shares)} of the time"


def _explained(results: Sequence[Measured]) -> Iterator[Measured]:
    """All tests, if they are few; else the fastest of reading and of writing of each model."""
    if len(results) <= MOST_SENTENCES:
        yield from results
        return
    best: dict[tuple[str, bool], Measured] = {}
    for each in results:
        key = each.model, bool(each.work.read)
        if key not in best or each.mean > best[key].mean:
            best[key] = each
    yield from best.values()


def _markdown_row(report: Report, subject: Subject, each: Measured) -> list[str]:
    limit = each.limit.rate
    spread = "" if math.isnan(each.spread) else f" ± {each.spread:.2f}"
    return [
        one_line(f"{subject.architecture} {subject.name} {subject.type}").replace("|", "\\|"),
        _binary(subject.size),
        _short(subject.parameters),
        str(report.machine["backend"]),
        str(each.threads),
        *(each.values.get(name, "") for name in report.varying),
        test_name(each.work),
        f"{each.mean:.2f}{spread}",
        "" if limit is None else f"{_number(limit)} ({each.limit.by})",
    ]


def _object(each: Measured) -> dict[str, Any]:
    limit = each.limit
    return {
        "model": each.model,
        "test": test_name(each.work),
        **_amounts(each.work),
        "threads": each.threads,
        "parameters": dict(each.values),
        "seconds": [rounded(took) for took in each.seconds],
        "tokens_per_s": rounded(each.mean),
        "spread": rounded(each.spread),
        "limit": {
            "tokens_per_s": rounded(limit.rate),
            "by": limit.by or None,
            MEMORY: {
                "tokens_per_s": rounded(limit.by_memory),
                "bytes_per_token": rounded(limit.bytes),
                "bytes_per_s": rounded(limit.bandwidth),
            },
            ARITHMETIC: {
                "tokens_per_s": rounded(limit.by_arithmetic),
                "products_per_token": rounded(limit.products),
                "products_per_s": rounded(limit.arithmetic),
            },
        },
        "reached": rounded(each.share),
        "bound": each.bound.value,
        "says": sentence(each),
        "cpus_of_others": rounded(each.others),
    }


def _amounts(work: Work) -> dict[str, int]:
    return {
        "prompt_tokens": work.read,
        "decode_tokens": work.written,
        "depth": work.depth,
        "batch": work.width,
    }


def _number(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def _binary(size: int) -> str:
    return f"{size / MEBI:.2f} MiB" if size < GIBI else f"{size / GIBI:.2f} GiB"


def _short(parameters: int) -> str:
    return f"{parameters / 1e6:.2f} M" if parameters < 1e9 else f"{parameters / 1e9:.2f} B"
