"""How well JSON Schemas are followed: on MaskBench, or on the official JSON-Schema-Test-Suite.

    python tools/bench/schemas.py maskbench CHECKOUT/maskbench/data [--list] [--every 10]
    python tools/bench/schemas.py suite JSON-Schema-Test-Suite/tests/draft2020-12 [--list]

The files come from a checkout of the public repository. Every instance is written as JSON and
followed byte by byte.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llmparams_cli.constraints.difference import NotFollowed
from llmparams_cli.constraints.matching import matcher
from llmparams_cli.constraints.schema import followed


@dataclass
class Outcome:
    """What became of one schema and its instances."""

    name: str
    seconds: float = 0.0
    refusal: str = ""
    problems: list[tuple[str, str]] = field(default_factory=list)
    instances: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)


def tried(name: str, schema: Any, tests: list[dict[str, Any]]) -> Outcome:
    """Follows one schema and tries its instances."""
    outcome = Outcome(name)
    start = time.perf_counter()
    try:
        grammar, differences = followed(schema)
    except NotFollowed as error:
        outcome.refusal, grammar, differences = str(error), "", []
    except Exception as error:  # a fault of ours: shown among the reasons
        outcome.refusal, grammar, differences = f"FAULT {error!r}", "", []
    outcome.notes = [f"{'wider' if d.is_wider else 'narrower'} {d}" for d in differences]
    is_wider = any(difference.is_wider for difference in differences)
    follower = matcher(grammar) if grammar else None
    if follower is not None and follower.is_error():
        outcome.refusal, follower = f"FAULT {follower.get_error()[:200]}", None
    for test in tests:
        text = json.dumps(test["data"], ensure_ascii=False)
        is_in = follower is not None and _admits(follower, text)
        outcome.instances["valid" if test["valid"] else "invalid"] += 1
        if is_in == test["valid"]:
            continue
        if test["valid"]:
            kind = "refused schema" if follower is None else "valid refused"
            if follower is not None and all(difference.is_wider for difference in differences):
                outcome.instances["valid refused, without a note"] += 1
        else:
            kind = "invalid with a note" if is_wider else "invalid WITHOUT A NOTE"
        outcome.instances[kind] += 1
        outcome.problems.append((kind, f"{test.get('description', '')}: {text}"))
    outcome.seconds = time.perf_counter() - start
    return outcome


def _admits(follower: Any, text: str) -> bool:
    follower.reset()
    tokens = list(text.encode(errors="replace"))
    return follower.try_consume_tokens(tokens) == len(tokens) and bool(follower.is_accepting())


def of_maskbench(folder: Path, every: int) -> list[tuple[str, Any, list[dict[str, Any]]]]:
    """Every so many files of MaskBench: a name, a schema and its tests."""
    found = []
    for path in sorted(folder.glob("*.json"))[::every]:
        data = json.loads(path.read_text())
        found.append((path.name, data["schema"], data["tests"]))
    return found


def of_suite(folder: Path) -> list[tuple[str, Any, list[dict[str, Any]]]]:
    """The cases of a draft of the official suite."""
    found = []
    for path in sorted(folder.glob("*.json")):
        for case in json.loads(path.read_text()):
            schema = case["schema"]
            if isinstance(schema, dict) and folder.name in ("draft3", "draft4", "draft6", "draft7"):
                number = folder.name.removeprefix("draft")
                schema = {"$schema": f"http://json-schema.org/draft-0{number}/schema#", **schema}
            found.append((f"{path.stem}: {case['description']}", schema, case["tests"]))
    return found


def main() -> None:
    """Reads the arguments, tries the schemas and prints what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("what", choices=("maskbench", "suite"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=10, help="of MaskBench's files, by name")
    parser.add_argument("--list", action="store_true", help="the reasons, schema by schema")
    parser.add_argument("--only", default="", help="schemas whose name holds this")
    asked = parser.parse_args()
    if not any(asked.folder.glob("*.json")):
        wanted = {"maskbench": "maskbench/data", "suite": "tests/draft2020-12"}[asked.what]
        parser.error(f"{asked.folder} has no .json files: of a checkout, {wanted} is meant")
    if asked.what == "maskbench":
        cases = of_maskbench(asked.folder, asked.every)
    else:
        cases = of_suite(asked.folder)
    outcomes = [tried(*case) for case in cases if asked.only in case[0]]
    if asked.list:
        for outcome in outcomes:
            show(outcome)
    summary(outcomes)


def show(outcome: Outcome) -> None:
    """What is wrong with one schema."""
    if not outcome.problems and not outcome.refusal and outcome.seconds < 1:
        return
    print(f"{outcome.name} {outcome.seconds:.2f}s {outcome.refusal}")
    for kind, text in outcome.problems:
        print(f"    {kind}: {text[:200]}")
    for note in outcome.notes[:6]:
        print(f"    ({note})")


def summary(outcomes: list[Outcome]) -> None:
    """The figures."""
    instances: Counter[str] = Counter()
    for outcome in outcomes:
        instances.update(outcome.instances)
    right = sum(not o.problems and not o.refusal for o in outcomes)
    print(f"{len(outcomes)} schemas, {sum(not o.refusal for o in outcomes)} followed")
    print(f"{right} with all instances right ({right / len(outcomes):.1%})")
    for kind, count in sorted(instances.items()):
        print(f"    {count} {kind}")
    if instances["valid"]:
        refused = instances["valid refused"] + instances["refused schema"]
        print(f"    {refused / instances['valid']:.1%} of the valid ones refused")
    for slow in sorted(outcomes, key=lambda o: -o.seconds)[:5]:
        print(f"    {slow.seconds:.2f}s {slow.name}")


if __name__ == "__main__":
    main()
