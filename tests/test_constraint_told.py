"""What a constraint did, and what it cannot do, is told."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest
from asked import ends, raw
from browser import browser, opened
from program import Program

from llmparams_cli.backends.llama.sampling.phases import Phases

BEGINNING = "Once upon a time"


def explained(program: Program, *flags: str) -> dict[str, Any]:
    document: dict[str, Any] = program.call(
        "explain", BEGINNING, "--seed", "3", "--json", *flags
    ).json
    return document


# -- the grammar's part in every draw ----------------------------------------------------------


def test_explain_tells_what_the_grammar_removed_and_what_it_had(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" | "n"', "-n", "1", "--top", "1000")
    token = explained(program, *flags)["tokens"][0]
    ruling, model = token["grammar"], token["stages"][0]
    own = {
        candidate["text"]: p
        for candidate, p in zip(token["candidates"], model["probabilities"], strict=True)
    }
    assert ruling["left"] == 2 and ruling["removed"] == model["kept"] - 2
    assert ruling["probability"] == pytest.approx(1 - own["a"] - own["n"], abs=1e-9)
    kept = [c["id"] for c in token["candidates"] if c["text"] in ("a", "n")]
    assert set(ruling["removes"]) == {c["id"] for c in token["candidates"]} - set(kept)


def test_a_draw_that_the_grammar_allows_has_its_part_beside_it(program: Program) -> None:
    free = explained(program, "-n", "6")
    ruled = explained(program, "-n", "6", "--grammar", "root ::= [A-Za-z ,.]*")
    assert ruled["text"] == free["text"]
    for token, other in zip(ruled["tokens"], free["tokens"], strict=True):
        assert token["stages"] == other["stages"]
        assert "grammar" not in other
        assert not token["grammar"]["decided"] and token["grammar"]["removed"] > 100
    assert "grammar" not in free
    assert ruled["grammar"]["draws"] == 6 and ruled["grammar"]["decided"] == []


def test_draws_that_the_grammar_decided_and_forced_are_counted(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" "Q" [0-9]', "-n", "8")
    document = explained(program, *flags)
    first, second, *_, end = document["tokens"]
    assert first["grammar"]["decided"] and first["stages"][1]["name"] == "grammar"
    assert document["grammar"]["decided"][0] == 1
    assert second["grammar"]["left"] == 1 and end["is_end"]
    assert document["grammar"]["forced"] == [1, 2, end["number"]]
    decided, forced = (len(document["grammar"][name]) for name in ("decided", "forced"))
    told = program.call("explain", BEGINNING, "--seed", "3", *flags).text
    counted = (
        f"the grammar decided {decided} of {len(document['tokens'])} draws and forced {forced};"
    )
    assert counted in told
    assert "forbidden" in told.splitlines()[0] and "forced" in told.splitlines()[2]
    assert "grammar" in told.splitlines()[1].split()


def test_one_draw_names_what_the_grammar_forbade(program: Program) -> None:
    flags = ("--grammar", 'root ::= "a" "b"', "--at", "1", "--seed", "3")
    told = program.call("explain", BEGINNING, *flags).text
    size = explained(program, "-n", "1")["tokens"][0]["stages"][0]["kept"]
    assert re.search(rf"forbade \d+ of {size} tokens, which had [\d.]+% together; ", told)
    assert '"!' in told and "! the grammar forbade" in told


def test_thoughts_are_not_the_grammars_business(backend) -> None:
    """Where it has no say, nothing is told; and without a grammar neither."""
    (finished,) = ends(backend, [raw("x", record=True, max_tokens=3)])
    with closing(finished.trace) as trace:
        assert [view.grammar for view in trace.views(1, lambda _: None)] == [None] * 3


def test_generate_computes_no_mask_for_it(backend, monkeypatch) -> None:
    masks = []
    whole = Phases.left
    monkeypatch.setattr(Phases, "left", lambda self, row: masks.append(1) or whole(self, row))
    grammar = "root ::= [A-Za-z ,.]*"
    (finished,) = ends(
        backend, [raw(BEGINNING, record=True, max_tokens=6, grammar=grammar, seed=3)]
    )
    drawn = len(masks)
    with closing(finished.trace) as trace:
        views = list(trace.views(1, lambda _: None))
    assert drawn == sum(view.grammar.decided for view in views) < 6
    assert len(masks) >= drawn + 6


@browser
def test_the_page_tells_the_grammars_part(program: Program) -> None:
    place = program.place / "page.html"
    flags = ("--grammar", 'root ::= "a" "Q" [0-9]', "-n", "8", "--seed", "3")
    assert program.call("explain", BEGINNING, *flags, "--html", str(place)).code == 0
    dom = opened(place.read_text(encoding="utf-8"), program.place)
    assert re.search(r'id="ruled">The grammar decided \d of \d draws', dom)
    assert re.search(r"The grammar forbade \d+ of \d+ tokens, which had [\d.]+% together", dom)
    assert "</bdi> forbidden" in dom
