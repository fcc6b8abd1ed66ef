"""The page of `compare --html` in a real browser: its numbers are the program's own."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from browser import browser, computed, opened
from presets_world import write
from program import Program

from llmparams_cli.protocol import Request

STORY = ("compare", "Tell me a story.", "--seed", "5", "-n", "12")
HOSTILE = "</script><img src=x onerror=document.title='broken'>"
READ = """
const data = llmparams.elements.data();
const texts = (nodes) => [...nodes].map((node) => node.textContent);
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const columns = () => all(".column");
const tokens = (column) => all(".token", columns()[column]);
const title = () => document.getElementById("draw-title").textContent;
const put = (input, value, event) => {
  input.value = value;
  input.dispatchEvent(new Event(event, { bubbles: true }));
};
const choose = (id, value) => put(document.getElementById(id), value, "change");
"""


def page(program: Program, *flags: str, arguments: tuple[str, ...] = STORY) -> str:
    done = program.call(*arguments, *flags, "--html", "page.html")
    assert (done.code, done.stdout) == (0, b""), done.stderr
    return (program.place / "page.html").read_text()


@browser
@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("temperature", 0.3, 0.7),
        ("temperature", 0.3, 0),
        ("top_k", 40, 3),
        ("min_p", 0.05, 0.3),
        ("frequency_penalty", 0, 0.4),
    ],
)
def test_a_variant_with_anothers_value_has_the_others_distribution(
    name: str, one: float, other: float, program: Program
) -> None:
    """Up to where they part both have the same logits; the other's numbers are the engine's."""
    html = page(program, "--temperature", "0.3", "--grid", f"{name}={one},{other}")
    function = """
    const [mine, theirs] = data.rounds[0].answers;
    const parts = (data.rounds[0].forks[0] || {number: mine.tokens.length}).number;
    return Array.from({length: parts}, (_, i) => {
      const as = (place, settings) => {
        const {rows, draw} = llmparams.distribution(0, place, i, settings);
        return draw.ids.map((id, at) => [id, rows.at(-1).probabilities[at]]);
      };
      return [as(0, args[0]), as(1, {})];
    });
    """
    compared = 0
    for mine, theirs in computed(html, program.place, READ + function, {name: other}):
        intervals = dict(mine)
        for id, exact in theirs:
            if id in intervals:
                low, high = intervals[id] or (0.0, 0.0)
                own = exact[0] if exact else 0.0
                assert low - 1e-3 <= own <= high + 1e-3, (id, low, own, high)
                assert high - low < 0.02
                compared += own > 0.001
    assert compared >= 3


@browser
def test_moving_a_slider_shows_what_the_other_variant_shows(program: Program) -> None:
    html = page(program, "--grid", "temperature=0.3,1.5")
    function = """
    const cells = (column) => Object.fromEntries(all("#candidates tbody tr:not(.others)")
      .map((row) => [row.querySelector("bdi").textContent, row.cells[column].textContent]));
    tokens(1)[0].click();
    const theirs = cells(2);
    tokens(0)[0].click();
    const own = cells(2);
    put(document.querySelector("#sliders input[type=number]"), "1.5", "input");
    return [own, cells(3), theirs, document.getElementById("flags").textContent];
    """
    own, moved, theirs, flags = computed(html, program.place, READ + function)
    assert flags == "--temperature 1.5"
    assert own != theirs
    assert {text: moved[text] for text in theirs if text in moved} == theirs


@browser
def test_every_column_is_there_and_every_token_selects_its_draw(program: Program) -> None:
    flags = ("--grid", "temperature=0.2,1.5", "--grid", "top_k=5,40")
    html = page(program, *flags)
    function = """
    return columns().map((column, place) => ({
      name: column.querySelector("h3 bdi").textContent,
      text: data.rounds[0].answers[place].tokens.map(([id]) => data.pieces[id]).join(""),
      titles: tokens(place).map((token) => {
        token.click();
        return [title(), location.hash, document.querySelectorAll("[aria-current]").length,
          token.getAttribute("aria-current"), document.activeElement === token];
      }),
    }));
    """
    found = computed(html, program.place, READ + function)
    variants = program.call(*STORY, *flags, "--json").json["variants"]
    assert [column["name"] for column in found] == [variant["name"] for variant in variants]
    for place, (column, variant) in enumerate(zip(found, variants, strict=True), 1):
        sample = variant["samples"][0]
        assert column["text"].startswith(sample["text"])
        assert len(column["titles"]) >= len(sample["token_ids"]) > 0
        for i, (title, address, currents, current, focused) in enumerate(column["titles"], 1):
            assert title.startswith(f"Draw {i} of {len(column['titles'])}: ")
            assert title.endswith(f" \u00b7 {column['name']}")
            assert address == f"#answer-1-{place}-{i}"
            assert (currents, current, focused) == (1, "true", True)


@browser
def test_arrow_keys_step_and_an_address_opens_its_draw(program: Program) -> None:
    html = page(program, "--grid", "temperature=0.2,1.5", "--samples", "2")
    function = """
    const before = title();
    tokens(1)[3].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
    return [before, title(), columns()[1].textContent.includes("seed 6")];
    """
    before, after, is_second = computed(
        html, program.place, READ + function, address="answer-2-2-4"
    )
    assert re.fullmatch("Draw 4 of 12: .* \u00b7 temperature=1.5", before)
    assert re.fullmatch("Draw 5 of 12: .* \u00b7 temperature=1.5", after)
    assert is_second


@browser
def test_words_that_differ_are_marked_and_the_tree_leads_to_the_draws(program: Program) -> None:
    html = page(program, "--grid", "temperature=0.2,1.5", "--samples", "3")
    function = """
    return data.rounds.map((round, i) => {
      choose("choose-sample", i);
      const label = (token) => token.getAttribute("aria-label");
      const parts = tokens(1).findIndex((token) => label(token).includes("parts from"));
      const links = all("#tree a").map((link) => link.getAttribute("href"));
      return {parts, links, number: round.forks[0]?.number ?? null,
        marked: all("ins .token", columns()[1]).length, plain: all("ins", columns()[0]).length};
    });
    """
    found = computed(html, program.place, READ + function)
    assert any(each["number"] for each in found)
    for i, each in enumerate(found, 1):
        assert each["plain"] == 0
        if each["number"] is None:
            assert (each["parts"], each["links"], each["marked"]) == (-1, [], 0)
            continue
        assert each["parts"] == each["number"] - 1
        assert each["marked"] > 0
        assert each["links"][:2] == [f"#answer-{i}-{v}-{each['number']}" for v in (1, 2)]


@browser
def test_words_of_tokens_that_are_parts_of_characters_are_whole(program: Program) -> None:
    grammar = 'root ::= "狐狸 <e3 81> " ("こん" | "あい")'
    flags = ("--grammar", grammar, "--grid", "seed=1,2,3,4,5,6", "--temperature", "2")
    html = page(program, *flags, arguments=("compare", "x", "--raw", "-q"))
    found = computed(html, program.place, READ + "return texts(all('del'));")
    words = {
        text.split(": ")[1].removesuffix(", end of what is missing ").strip() for text in found
    }
    assert words and words <= {"こん", "あい"}


@browser
def test_the_words_in_common_are_the_longest_sequence(program: Program) -> None:
    source = random.Random(4)
    pieces = [" a", " b", "a", " c", ". ", "\n", ""]
    pairs = [
        [source.choices(pieces, k=source.randint(0, 14)) for _ in range(2)] for _ in range(200)
    ]
    html = page(program, "--grid", "temperature=0,1")
    function = """
    return args[0].map(([one, other]) => {
      const {added, missing} = llmparams.diff.compare(one, other);
      return [added, [...missing]];
    });
    """
    for (one, other), (added, missing) in zip(
        pairs, computed(html, program.place, function, pairs), strict=True
    ):
        words = [re.findall(r"\S+", "".join(each)) for each in (one, other)]
        gone = sum(len(texts) for _, texts in missing)
        assert len(words[0]) - gone == longest_common(*words), (one, other)
        assert len(added) == len(other)
        assert (words[0] == words[1]) == (not any(added) and not gone)
        assert all(0 <= place <= len(other) for place, _ in missing)


def longest_common(one: list[str], other: list[str]) -> int:
    row = [0] * (len(other) + 1)
    for word in one:
        before = row
        row = [0]
        for j, candidate in enumerate(other):
            row.append(before[j] + 1 if word == candidate else max(row[j], before[j + 1]))
    return row[-1]


@browser
def test_several_prompts_and_seeds_can_be_chosen(program: Program) -> None:
    write(program.place, {"p.txt": "hi\nTell me a story.\nWhat is top-k?\n"})
    arguments = ("compare", "--prompts", "p.txt", "--seed", "3", "-n", "8")
    flags = ("--grid", "temperature=0.2,1.2", "--samples", "2")
    html = page(program, *flags, arguments=arguments)
    function = """
    return data.prompts.flatMap((prompt, i) => {
      choose("choose-prompt", i);
      return all("#choose-sample option").map((option) => {
        choose("choose-sample", option.value);
        const ids = columns().map((_, place) => tokens(place).map(({title}) => title));
        return [document.querySelector("#prompt .answer").textContent, option.textContent, ids];
      });
    });
    """
    found = computed(html, program.place, READ + function)
    assert [each[:2] for each in found] == [
        [prompt, f"seed {seed}"]
        for prompt in ("hi", "Tell me a story.", "What is top-k?")
        for seed in (3, 4)
    ]
    variants = program.call(*arguments, *flags, "--json").json["variants"]
    for number, (_, _, columns) in enumerate(found):
        for variant, titles in zip(variants, columns, strict=True):
            text = "".join(re.sub(r'^"|" [\d.e-]+%.*$', "", title) for title in titles)
            assert text.startswith(variant["samples"][number]["text"].replace("\n", "\\n"))


@browser
def test_hostile_texts_neither_run_nor_break_the_page(program: Program) -> None:
    preset = "<img src=x onerror=document.title='broken'>"
    write(
        program.place,
        {
            f"presets/{preset}.yaml": "parameters: {temperature: 0}",
            "p.jsonl": json.dumps({"prompt": f"{HOSTILE}\x1b[31m\u202e"}),
        },
    )
    grammar = f'root ::= "{HOSTILE}\\x1b[31m\\u202e"'
    arguments = ("compare", "--prompts", "p.jsonl", "--grammar", grammar, "-n", "80")
    flags = ("--preset", preset, "--preset", "precise", "--grid", "top_k=1,2")
    html = page(program, *flags, arguments=arguments)
    assert "<img" not in html and "\x1b" not in html and "\u202e" not in html
    for dom in (opened(html, program.place), opened(html, program.place, "0")):
        assert "<img" not in dom and "\x1b" not in dom and "\u202e" not in dom
        assert "<title>llmparams compare" in dom
        assert dom.count("&lt;1b&gt;") > 4 and "&lt;img src=x" in dom
        assert len(re.findall('class="column"', dom)) == 4


@browser
def test_answers_beyond_the_bound_show_their_text_only(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmparams_cli.jobs.compare.DETAILED", 30)
    html = page(program, "--grid", "temperature=0.2,1.5", "--samples", "2")
    function = """
    choose("choose-sample", 1);
    tokens(1)[2].click();
    return [document.getElementById("bound").textContent, title(), tokens(1).length,
      document.getElementById("status").textContent, document.getElementById("recorded").hidden,
      data.rounds.map(({answers}) => answers.map((answer) => Boolean(answer.data)))];
    """
    bound, title, count, status, hidden, full = computed(html, program.place, READ + function)
    assert "2 of the 4 answers" in bound
    assert full == [[True, True], [False, False]], "first seeds come first"
    assert re.fullmatch(f"Draw 3 of {count}: .* \u00b7 temperature=1.5", title)
    assert "The model gave it" in status and "not in the page" in status
    assert hidden


def test_only_for_a_page_is_anything_recorded(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    make = Request.__init__

    def watched(request: Request, *values: Any, **named: Any) -> None:
        make(request, *values, **named)
        asked.append(request.record)

    monkeypatch.setattr(Request, "__init__", watched)
    assert program.call(*STORY, "--grid", "temperature=0.2,1").code == 0
    assert len(asked) >= 2 and not any(asked)
    page(program, "--grid", "temperature=0.2,1")
    assert any(asked)


def test_the_page_asks_for_nothing_outside_itself(program: Program) -> None:
    html = page(program, "--grid", "temperature=0.2,1")
    assert not re.search(r'(src|href)\s*=\s*"(?!#)', html)
    assert set(re.findall(r"https?://[^\s\"]+", html)) == {"http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in html


def test_what_is_printed_beside_the_page(program: Program) -> None:
    flags = ("--grid", "temperature=0.2,1", "--html")
    both = program.call(*STORY, *flags, "page.html", "--json")
    assert len(both.json["variants"]) == 2
    assert (program.place / "page.html").read_text().endswith("</html>\n")
    assert program.call(*STORY, *flags, "-").text.startswith("<!DOCTYPE html>")
    refused = program.call(*STORY, *flags, "/dev/null/page.html").complaint(2)
    assert "--html /dev/null/page.html" in refused


@browser
def test_the_plots_leave_out_timings_and_the_models_own_entropy(program: Program) -> None:
    html = page(program, "--grid", "temperature=0.2,1.5")
    function = """
    return [texts(all("#pictures figcaption")), texts(all("#means thead th"))];
    """
    drawn, table = computed(html, program.place, READ + function)
    assert "drawn_entropy" in drawn
    assert not {"entropy", "first_token_s", "tokens_per_s"} & {*drawn}
    assert {"entropy", "first_token_s", "tokens_per_s"} <= {*table}
