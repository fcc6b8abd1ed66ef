"""`--png` and `--svg`: the marks in the picture are the numbers, and texts stay texts."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from presets_world import write
from program import COMMAND, Program

from llmparams_cli.analysis.comparison import UNPICTURED, Sample, Variant
from llmparams_cli.protocol import Finished, Stop, StopReason, Timing, Usage
from llmparams_cli.render.plots.metrics import metrics
from llmparams_cli.render.plots.sheet import DPI, Sheet, style
from llmparams_cli.text.safe import one_line

SVG = "{http://www.w3.org/2000/svg}"
STORY = ("explain", "Tell me a story.", "--seed", "5", "-n", "12")
GRID = ("compare", "Tell me a story.", "--seed", "3", "-n", "8")
HOSTILE = r"$\\frac{1}$</svg><script>alert(1)</script>\x1b[31m\u202e\uffff\n你好🦊"


class Picture:
    """An SVG: its groups by id, and the texts in them."""

    def __init__(self, data: bytes) -> None:
        self.root = ElementTree.fromstring(data)
        self.parts = {g.get("id", ""): g for g in self.root.iter(f"{SVG}g")}
        self.texts = ["".join(text.itertext()) for text in self.root.iter(f"{SVG}text")]

    def ids(self, pattern: str) -> list[str]:
        return [id for id in self.parts if re.fullmatch(pattern, id)]

    def text(self, id: str) -> str:
        return "".join(self.parts[id].itertext()).strip()

    def corners(self, id: str) -> list[tuple[float, float]]:
        """The points of a part's path, in points from the upper left corner."""
        path = self.parts[id].find(f"{SVG}path")
        assert path is not None
        numbers = re.findall(r"[ML] (\S+) (\S+)", path.get("d", ""))
        return [(float(x), float(y)) for x, y in numbers]

    def height(self, id: str) -> float:
        ys = [y for _, y in self.corners(id)]
        return max(ys) - min(ys)

    def width(self, id: str) -> float:
        xs = [x for x, _ in self.corners(id)]
        return max(xs) - min(xs)

    def dots(self, id: str) -> list[tuple[float, float]]:
        uses = self.parts[id].iter(f"{SVG}use")
        return [(float(use.get("x", "")), float(use.get("y", ""))) for use in uses]


def drawn(program: Program, *arguments: str) -> Picture:
    done = program.call(*arguments, "--svg", "plot.svg")
    assert (done.code, done.stdout) == (0, b""), done.stderr
    assert done.stderr.splitlines()[-1] == "llmparams: wrote plot.svg"
    return Picture((program.place / "plot.svg").read_bytes())


def both(program: Program, *arguments: str) -> tuple[Picture, Any]:
    """The picture and the JSON of the same run."""
    done = program.call(*arguments, "--svg", "plot.svg", "--json")
    assert done.code == 0, done.stderr
    return Picture((program.place / "plot.svg").read_bytes()), done.json


def proportional(lengths: Sequence[float], numbers: Sequence[float]) -> bool:
    """One scale for all, to the sixth digit of a coordinate."""
    assert max(map(abs, numbers)) > 0
    scale = max(map(abs, lengths)) / max(map(abs, numbers))
    pairs = zip(lengths, numbers, strict=True)
    return all(length == pytest.approx(abs(number) * scale, abs=1e-4) for length, number in pairs)


def test_the_bars_along_the_text_are_the_numbers(program: Program) -> None:
    picture, document = both(program, *STORY)
    tokens = document["tokens"]
    numbers = range(1, len(tokens) + 1)
    for name, at in (("model", 0), ("drawn", -1)):
        bits = [token["stages"][at]["entropy"] for token in tokens]
        heights = [picture.height(f"entropy-{name}-{number}") for number in numbers]
        assert proportional(heights, bits)
        places = [[c["id"] for c in token["candidates"]].index(token["id"]) for token in tokens]
        shares = [
            token["stages"][at]["probabilities"][place]
            for token, place in zip(tokens, places, strict=True)
        ]
        heights = [picture.height(f"probability-{name}-{number}") for number in numbers]
        assert proportional(heights, shares)
    both_ends = len(picture.ids(r"(entropy|probability)-(model|drawn)-\d+"))
    assert both_ends == 4 * len(tokens)


@pytest.mark.parametrize(
    "flags", [(), ("-n", "80", "--grammar", "root ::= [xyz]{70} .*")], ids=["short", "folded"]
)
def test_the_tokens_stand_below_and_the_deciding_settings_are_marked(
    flags: tuple[str, ...], program: Program
) -> None:
    picture, document = both(program, *STORY, *flags)
    for token in document["tokens"]:
        assert picture.text(f"token-{token['number']}") == f'"{one_line(token["text"])}"'
    deciding = {e["parameter"]: e["changed"] for e in document["effects"] if e["changed"]}
    assert deciding.get("grammar", [1])[0] == 1
    for name, changed in deciding.items():
        assert name in picture.texts
        lanes = picture.ids(rf"decided-{name}-\d+")
        across = [x for lane in lanes for x, _ in picture.dots(lane)]
        bars = [picture.corners(f"entropy-model-{number}") for number in changed]
        middles = [sum({x for x, _ in bar}) / 2 for bar in bars]
        assert across == pytest.approx(middles)


@pytest.mark.parametrize(("count", "lines"), [(12, 1), (60, 1), (61, 2), (130, 3)])
def test_a_long_text_is_folded(count: int, lines: int, program: Program) -> None:
    grammar = ("--grammar", f"root ::= [a-z ]{{{count}}} .*", "--logit-bias", "<|im_end|>=false")
    picture = drawn(program, *STORY[:4], "-n", str(count), *grammar)
    labels = picture.ids(r"token-\d+")
    assert len(labels) == count
    tops = {picture.corners(id)[0][1] for id in picture.ids(r"entropy-model-\d+")}
    assert len(tops) == lines


def test_the_waterfall_has_every_candidate_at_every_stage(program: Program) -> None:
    picture, document = both(program, *STORY, "--at", "8", "--top", "6")
    token = document["tokens"][7]
    ids = [candidate["id"] for candidate in token["candidates"]]
    widths, shares = [], []
    for at, stage in enumerate(token["stages"]):
        for id, probability in zip(ids, stage["probabilities"], strict=True):
            if probability is None:
                assert f"bar-{at}-{id}" not in picture.parts
                assert picture.text(f"value-{at}-{id}") == "removed"
            else:
                widths.append(picture.width(f"bar-{at}-{id}"))
                shares.append(probability)
        assert stage["name"] in picture.texts
        assert any(f"{stage['kept']} left, {stage['entropy']:.2f} bits" == t for t in picture.texts)
    assert proportional(widths, shares)
    assert picture.text("drawn") == f'"{token["text"]}"'
    assert len(picture.ids(r"bar-\d+-\d+")) == len(widths)


def test_what_a_stage_removes_leaves_an_outline(program: Program) -> None:
    picture, document = both(program, *STORY, "--at", "1", "--top-k", "2", "--temperature", "1.9")
    stages = document["tokens"][0]["stages"]
    at = [stage["name"] for stage in stages].index("top_k")
    ids = [candidate["id"] for candidate in document["tokens"][0]["candidates"]]
    before = dict(zip(ids, stages[at - 1]["probabilities"], strict=True))
    gone = [
        id
        for id, probability in zip(ids, stages[at]["probabilities"], strict=True)
        if probability is None and before[id] > 0.02
    ]
    assert gone
    for id in gone:
        outline = picture.width(f"before-{at}-{id}")
        assert outline == pytest.approx(picture.width(f"bar-{at - 1}-{id}"), abs=1e-4)
        assert f"before-{at + 1}-{id}" not in picture.parts


def test_the_page_does_not_change_which_candidates_are_drawn(program: Program) -> None:
    """For its sliders a page asks for hundreds of candidates."""
    alone = drawn(program, *STORY, "--at", "8")
    beside = program.call(*STORY, "--at", "8", "--html", "page.html", "--svg", "plot.svg")
    assert (beside.code, beside.stdout) == (0, b"")
    picture = Picture((program.place / "plot.svg").read_bytes())
    assert picture.ids(r"bar-.*") == alone.ids(r"bar-.*")


def pictured(variants: list[dict[str, Any]]) -> list[str]:
    """The metrics that a plot shows."""
    means = variants[0]["means"].items()
    return [name for name, mean in means if name not in UNPICTURED and mean is not None]


def test_lines_run_through_the_means_and_the_answers_are_dots(program: Program) -> None:
    grid = ("--grid", "temperature=0.2,0.8,1.4", "--grid", "top_k=5,500")
    picture, document = both(program, *GRID, *grid, "--samples", "2", "--metric", "length:1-8")
    found = document["variants"]
    names = pictured(found)
    assert {"top_k=5", "top_k=500", "temperature"} <= set(picture.texts)
    assert len(picture.ids(r"line-\d+-\d+")) == 2 * len(names)
    for number, name in enumerate(names):
        points, expected = [], []
        for at, top_k in enumerate(("5", "500")):
            ours = [variant for variant in found if variant["values"]["top_k"] == top_k]
            points += picture.corners(f"line-{number}-{at}")
            expected += [variant["means"][name] for variant in ours]
            if name != "agreement":
                points += picture.dots(f"samples-{number}-{at}")
                expected += [s["metrics"][name] for v in ours for s in v["samples"]]
        assert on_one_scale([y for _, y in points], expected), name
    xs = [x for x, _ in picture.corners("line-0-0")]
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])  # as 0.8 from 0.2 and 1.4


def on_one_scale(coordinates: Sequence[float], numbers: Sequence[float]) -> bool:
    """Is one a linear function of the other, falling (y counts from above)?"""
    low, high = min(numbers), max(numbers)
    top, bottom = min(coordinates), max(coordinates)
    if high - low <= 1e-4 * abs(high):
        return bottom - top < 1
    scale = (bottom - top) / (high - low)
    pairs = zip(coordinates, numbers, strict=True)
    exact = 0.1 + 1e-6 * scale  # the JSON has six digits
    return all(y == pytest.approx(bottom - (n - low) * scale, abs=exact) for y, n in pairs)


def test_presets_are_bars(program: Program) -> None:
    presets = ("--preset", "precise", "--preset", "creative-chat", "--samples", "2")
    picture, document = both(program, *GRID, *presets)
    found = document["variants"]
    assert {"precise", "creative-chat"} <= set(picture.texts)
    for number, name in enumerate(pictured(found)):
        means = [variant["means"][name] for variant in found]
        widths = [picture.width(f"bar-{number}-{row}") for row in range(2)]
        if any(means):
            assert max(widths) / max(map(abs, means)) * abs(means[0]) == pytest.approx(
                widths[0], rel=1e-3, abs=0.01
            )


def test_a_comparison_draws_what_was_drawn_from_and_no_timings(program: Program) -> None:
    for grid in (("--grid", "temperature=0.2,1.4"), ("-p", "precise", "-p", "creative-chat")):
        texts = drawn(program, *GRID, *grid).texts
        assert "drawn_entropy, bits" in texts
        assert not [text for text in texts if re.match(r"entropy|first_token_s|tokens_per_s", text)]


def test_a_metric_without_any_number_is_left_out(program: Program) -> None:
    picture = drawn(program, *GRID, "--grid", "temperature=0.2,1")
    assert "tokens" in picture.texts
    assert "agreement" not in picture.texts  # there is one answer each


def variant(values: dict[str, str], **numbers: float | None) -> Variant:
    finished = Finished(
        "", Stop(StopReason.MAX_TOKENS, ""), Usage(1, 1), Timing(0.0, 0.0, 0.0, 0.0)
    )
    name = " ".join(f"{key}={text}" for key, text in values.items())
    return Variant(name, values, [Sample("hi", 1, finished, dict(numbers))])


def picture_of(variants: Sequence[Variant]) -> Picture:
    with style():
        return Picture(metrics(variants).image("svg"))


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([{"top_k": "1"}, {"top_k": "2"}], "line"),
        ([{"top_k": "40"}, {"top_k": "40"}], "bar"),
        ([{"preset": "1"}, {"preset": "2"}], "bar"),
        ([{"stop": "1"}, {"stop": "2"}], "bar"),
        ([{"top_k": "1", "seed": str(n)} for n in range(64)], "line"),
        ([{"top_k": f"{n % 2}", "stop": str(n // 2)} for n in range(64)], "bar"),
    ],
    ids=["numbers", "one number", "presets", "texts", "two numbers", "too many lines"],
)
def test_lines_need_a_numeric_axis_and_few_combinations(
    values: list[dict[str, str]], kind: str
) -> None:
    picture = picture_of([variant(each, length=float(n)) for n, each in enumerate(values)])
    assert bool(picture.ids(r"line-\d+-\d+")) == (kind == "line")
    assert bool(picture.ids(r"bar-\d+-\d+")) == (kind == "bar")


def test_numbers_beyond_every_scale_are_no_numbers() -> None:
    wild = [float("inf"), float("nan"), -1e308, 2.0]
    grid = [variant({"top_k": str(n)}, wild=value, none=None) for n, value in enumerate(wild, 1)]
    assert len(picture_of(grid).dots("line-0-0")) == 1
    presets = [variant({"preset": str(n)}, wild=value) for n, value in enumerate(wild)]
    assert picture_of(presets).ids(r"bar-0-\d+") == ["bar-0-3"]


def test_values_far_apart_are_on_a_logarithmic_axis() -> None:
    picture = picture_of([variant({"top_k": k}, n=1.0) for k in ("1", "10", "100", "1000")])
    xs = [x for x, _ in picture.corners("line-0-0")]
    assert xs[1] - xs[0] == pytest.approx(xs[3] - xs[2])
    assert {"1", "10", "100", "1000"} <= set(picture.texts)


def test_a_hostile_answer_is_text(program: Program) -> None:
    grammar = ("--grammar", f'root ::= "{HOSTILE}"', "-n", "120")
    for at in ((), ("--at", "2")):
        picture = drawn(program, "explain", "x", *grammar, *at)
        tags = {element.tag.removeprefix(SVG) for element in picture.root.iter()}
        assert "script" not in tags
    assert picture.text("title").startswith("draw 2 of")
    picture = drawn(program, "explain", "x", *grammar)
    text = "".join(picture.text(id)[1:-1] for id in picture.ids(r"token-\d+"))
    assert text.startswith(r"$\frac{1}$</svg><script>alert(1)</script><1b>[31m")
    assert r"\n" in text
    assert not re.search("[\x00-\x08\x0b-\x1f\u202e\uffff]", "".join(picture.texts))


def test_hostile_names_and_prompts_are_text_in_both_formats(program: Program) -> None:
    name, prompt = "_$x^2$ & <b> 你好 🦊", "\u202e\ufffe</text> 你好 🦊 \\frac $\\frac$"
    write(program.place, {f"presets/{name}.yaml": "parameters: {temperature: 0}"})
    presets = ("--preset", name, "--preset", "precise", "-n", "2", "--seed", "1")
    for grid in ((), ("--grid", "top_k=1,2")):
        done = program.pipe("compare", prompt, *presets, *grid, "--svg", "a.svg", "--png", "a.png")
        assert done.code == 0
        notes = done.stderr.splitlines()
        assert all(line.startswith("llmparams: ") for line in notes), done.stderr
        picture = Picture((program.place / "a.svg").read_bytes())
        assert name in picture.texts
        subtitle = "<202e><fffe></text> 你好 🦊 \\frac $\\frac$"
        assert picture.text("subtitle") == f'seed 1, "{subtitle}"'


def test_an_svg_refers_to_nothing_outside_itself(program: Program) -> None:
    drawn(program, *STORY)
    data = (program.place / "plot.svg").read_text()
    assert "DOCTYPE" not in data
    assert not re.search(r'(href|src)="(?!#)', data)
    assert not re.search(r"url\((?!#)|@import|<script|<image", data)


def test_the_same_input_gives_the_same_bytes(program: Program) -> None:
    images = []
    for _ in range(2):
        done = program.call(*STORY, "--svg", "a.svg", "--png", "a.png")
        assert done.code == 0
        images.append([(program.place / f"a.{end}").read_bytes() for end in ("svg", "png")])
    assert images[0] == images[1]
    assert re.search(rb"\b20\d\d-\d\d", images[0][0]) is None


def test_a_png_has_the_size_of_the_drawing(program: Program) -> None:
    done = program.call(*STORY, "--svg", "a.svg", "--png", "a.png")
    assert done.stderr.splitlines()[-2:] == ["llmparams: wrote a.png", "llmparams: wrote a.svg"]
    png = (program.place / "a.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    size = struct.unpack(">II", png[16:24])
    root = Picture((program.place / "a.svg").read_bytes()).root
    points = [float(root.get(side, "").removesuffix("pt")) for side in ("width", "height")]
    assert size == pytest.approx([side / 72 * DPI for side in points], abs=1)


def test_a_very_long_text_is_cut_to_the_sheet() -> None:
    with style():
        sheet = Sheet(5, 2, "x" * 10**6, "字" * 10**6)
        texts = Picture(sheet.image("svg")).texts
    assert all(text.endswith("…") and len(text) < 200 for text in texts)


def test_a_plot_can_go_to_a_pipe(program: Program) -> None:
    done = program.pipe(*STORY, "--png", "-")
    assert done.code == 0
    assert done.stdout.startswith(b"\x89PNG")
    done = program.call(*STORY, "--svg", "-")
    assert Picture(done.stdout).ids("entropy-model-12")
    assert "wrote" not in done.stderr


def test_a_terminal_is_no_place_for_a_png(program: Program) -> None:
    shown = program.terminal(*STORY, "--png", "-").end()
    assert shown.code == 2
    assert "--png -: a terminal shows no PNG" in "".join(shown.lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*STORY, "--png", "-", "--svg", "-"), "--png -: standard output takes one thing"),
        ((*STORY, "--svg", "-", "--json"), "--svg -: standard output takes one thing"),
        ((*STORY, "--svg", "-", "--html", "-"), "--svg -: standard output takes one thing"),
        ((*GRID, "--grid", "top_k=1,2", "--png", "-", "--csv"), "--png -: standard output takes"),
        ((*STORY, "--svg", "/dev/null/a.svg"), "--svg /dev/null/a.svg: "),
        ((*STORY, "--svg", "a.svg", "--at", "99"), "--at 99: there are 12 draws"),
        ((*STORY, "--svg", "a.svg", "--target", "a.txt"), "not --target"),
        ((*GRID, "--grid", "top_k=1,2", "--png", "/dev/null/a.png"), "--png /dev/null/a.png"),
    ],
)
def test_slips_are_told(arguments: tuple[str, ...], message: str, program: Program) -> None:
    assert message in program.call(*arguments).complaint(2)
    assert not (program.place / "a.svg").exists()


def test_an_unwritable_directory_keeps_the_old_file(program: Program) -> None:
    (program.place / "plot.svg").mkdir()
    assert "--svg plot.svg: Is a directory" in program.call(*STORY, "--svg", "plot.svg").complaint(
        2
    )
    assert [path.name for path in program.place.glob(".plot*")] == []


@pytest.mark.parametrize("arguments", [STORY, (*GRID, "--grid", "top_k=1,2")])
def test_without_matplotlib_the_cure_is_told_before_a_model_is_loaded(
    arguments: tuple[str, ...], program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    message = program.call(*arguments, "--model", "none.gguf", "--png", "a.png").complaint(2)
    assert message.startswith("--png needs matplotlib")
    assert message.endswith("(pip install 'llmparams[plot]')")
    assert program.call(*arguments).code == 0


def test_a_broken_matplotlib_is_told(program: Program, tmp_path: Path) -> None:
    (tmp_path / "matplotlib.py").write_text("raise OSError('libz.so is missing')")
    path = f"{tmp_path}:{program.variables['PYTHONPATH']}"
    done = program.pipe(*STORY, "--svg", "a.svg", PYTHONPATH=path)
    assert "--svg: matplotlib does not load: libz.so is missing" in done.complaint(2)


def test_the_users_matplotlib_settings_change_nothing(program: Program, tmp_path: Path) -> None:
    plain = program.pipe(*STORY, "--svg", "-").stdout
    rc = tmp_path / "elsewhere" / "matplotlibrc"
    rc.parent.mkdir()
    rc.write_text("text.usetex: True\naxes.facecolor: red\nsvg.fonttype: path\nfont.size: 20\n")
    styled = program.pipe(*STORY, "--svg", "-", MATPLOTLIBRC=str(rc), MPLBACKEND="nonsense")
    assert styled.stdout == plain != b""


def test_without_the_flags_matplotlib_is_not_loaded(program: Program) -> None:
    for arguments in (STORY, (*GRID, "--grid", "top_k=1,2")):
        done = subprocess.run(
            [COMMAND[0], "-X", "importtime", *COMMAND[1:], *arguments, "--json"],
            capture_output=True,
            env=program.variables,
            cwd=program.place,
            check=True,
        )
        assert b"llama_cpp" in done.stderr
        assert b"matplotlib" not in done.stderr
        json.loads(done.stdout)
