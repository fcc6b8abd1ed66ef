"""The page of `explain --html` in a real browser: its numbers are the program's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from browser import browser, computed, opened
from program import Program

STORY = ("explain", "Tell me a story.", "--seed", "5", "-n", "12", "--frequency-penalty", "0.3")


def page(program: Program, *flags: str, arguments: tuple[str, ...] = STORY) -> str:
    done = program.call(*arguments, *flags, "--html", "page.html")
    assert (done.code, done.stdout) == (0, b""), done.stderr
    return (program.place / "page.html").read_text()


def final_distributions(html: str, place: Path, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Every draw's last stage as the page computes it: intervals by token id."""
    function = """
    const data = llmparams.prepare(llmparams.elements.data());
    return data.draws.map((draw, i) => {
      const row = llmparams.explain(data, i, {...data.own, ...args[0]}).rows.at(-1);
      return {ids: draw.ids, probabilities: row.probabilities};
    });
    """
    result: list[dict[str, Any]] = computed(html, place, function, settings)
    return result


def own_distributions(program: Program, flags: tuple[str, ...]) -> list[dict[int, float]]:
    done = program.call(*STORY, *flags, "--top", "40", "--json")
    tables = []
    for token in done.json["tokens"]:
        ids = [candidate["id"] for candidate in token["candidates"]]
        last = token["stages"][-1]["probabilities"]
        tables.append(dict(zip(ids, (p or 0.0 for p in last), strict=True)))
    texts = [token["id"] for token in done.json["tokens"]]
    return [{**table, -1: texts[i]} for i, table in enumerate(tables)]


@browser
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.4},
        {"temperature": 1.6, "top_k": 10},
        {"top_p": 0.5},
        {"min_p": 0.3, "top_p": 1},
        {"frequency_penalty": 1.2, "presence_penalty": 0.5},
        {"repeat_penalty": 1.5, "repeat_penalty_growth": "exponential"},
        {"temperature": 0},
    ],
    ids=str,
)
def test_the_sliders_numbers_are_the_programs_own(
    settings: dict[str, Any], program: Program
) -> None:
    html = page(program)
    computed = final_distributions(html, program.place, settings)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    own = own_distributions(program, tuple(flags))
    original = own_distributions(program, ())
    compared = 0
    for theirs, ours, first in zip(computed, own, original, strict=False):
        for id, interval in zip(theirs["ids"], theirs["probabilities"], strict=True):
            if id in ours:
                low, high = interval or (0.0, 0.0)
                assert low - 1e-4 <= ours[id] <= high + 1e-4, (settings, id)
                assert high - low < 0.02
                compared += 1
        if ours[-1] != first[-1]:
            break  # from here on the other run's text is another one
    assert compared >= 10


@browser
def test_a_hostile_answer_neither_runs_nor_breaks_the_page(program: Program) -> None:
    text = "</script><img src=x onerror=document.title='broken'>\\x1b[31m\\u202e"
    grammar = f'root ::= "{text}"'
    html = page(program, arguments=("explain", "x", "--grammar", grammar, "-n", "80"))
    assert "<img" not in html and "\x1b" not in html and "\u202e" not in html
    dom = opened(html, program.place)
    assert "<img" not in dom
    assert "<title>broken" not in dom
    assert "&lt;1b&gt;" in dom


@browser
def test_every_draw_is_in_the_page_and_can_be_selected(program: Program) -> None:
    html = page(program, "--what-if", "temperature=0.2", "--continue")
    script = "document.querySelectorAll('#tokens [role=button]')[4].click();"
    dom = opened(html, program.place, script)
    assert re.search(r'id="draw-title".{0,60}Draw 5 of', dom)
    assert "temperature" in dom.split('id="what-if"')[1]


@browser
def test_the_page_tells_how_other_texts_end(program: Program) -> None:
    others = ("max_tokens=3", "max_tokens=40", "top_k=1")
    flags = [word for text in others for word in ("--what-if", text)]
    html = page(program, *flags, "--continue", "--stop", "Xy", "--stop", "once")
    dom = opened(html, program.place)
    assert "Every draw is the same, but the text ends after 3: max-tokens (3 tokens)." in dom
    assert "Every draw is the same, but the text goes on." in dom
    assert re.search(r"Stopped: [a-z-]+ \(", dom.split('id="what-if"')[1])
    assert "Stop sequence" in dom and "by draw" in dom


def test_the_page_asks_for_nothing_outside_itself(program: Program) -> None:
    html = page(program)
    assert not re.search(r'(src|href)\s*=\s*"(?!#)', html)
    assert "default-src 'none'" in html


def test_a_page_can_go_to_stdout_and_errors_are_told(program: Program) -> None:
    done = program.call(*STORY, "--html", "-")
    assert done.text.startswith("<!DOCTYPE html>")
    refused = program.call(*STORY, "--html", "/dev/null/page.html").complaint(2)
    assert "--html /dev/null/page.html" in refused
