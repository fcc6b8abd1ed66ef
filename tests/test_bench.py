"""`bench`: the tests of llama-bench, numbers checked by hand, and how it ends."""

from __future__ import annotations

import json
import math
from functools import partial
from itertools import islice
from pathlib import Path

import pytest
from browser import browser, computed
from models import write_llama
from program import Program, Session

from llmparams_cli.analysis.benchmark import (
    Bound,
    Limit,
    Measured,
    Subject,
    disturbs,
    products_per_second,
)
from llmparams_cli.analysis.benchmark import test_name as name_of
from llmparams_cli.backends.llama.host import bandwidth, busy
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.open import opened
from llmparams_cli.env import Environment
from llmparams_cli.errors import ExitCode
from llmparams_cli.interrupt import Control
from llmparams_cli.jobs.benchmark import busy as told
from llmparams_cli.jobs.benchmark.wanted import numbers
from llmparams_cli.jobs.prepare import prepare
from llmparams_cli.models import builtin
from llmparams_cli.models.demand import columns, demand, matrix, weight_bytes
from llmparams_cli.models.ggml_types import TENSOR_TYPES_BY_NAME
from llmparams_cli.models.gguf import Header, Tensor, read_header
from llmparams_cli.protocol import Work
from llmparams_cli.render.benchmark import Report, markdown, sentence
from llmparams_cli.render.html import bench_page

SMALL = ("-p", "32", "-n", "8", "--repeat", "2")
READ, WRITE = Work(512, 0), Work(0, 128)
LIMIT = Limit(bytes=10, products=8, bandwidth=1000, arithmetic=400)  # 100 and 50 a second


def measured(*seconds: float, work: Work = Work(10, 0), limit: Limit = LIMIT, **more) -> Measured:
    return Measured("tiny", work, {}, 1, seconds, limit, **more)


# -- numbers by hand -------------------------------------------------------------------------


def test_the_mean_is_that_of_the_rates_with_their_standard_deviation() -> None:
    found = measured(0.5, 0.25, 0.2)
    assert found.rates == pytest.approx([20, 40, 50])
    assert found.mean == pytest.approx(110 / 3)
    squares = sum((rate - 110 / 3) ** 2 for rate in (20, 40, 50))
    assert found.spread == pytest.approx(math.sqrt(squares / 2))
    assert math.isnan(measured(0.5).spread)


def test_tokens_of_all_sequences_count() -> None:
    assert measured(2.0, work=Work(0, 10, 100, 4)).mean == 20


def test_the_limit_is_the_lower_of_two() -> None:
    assert (LIMIT.by_memory, LIMIT.by_arithmetic) == (100, 50)
    assert (LIMIT.rate, LIMIT.by) == (50, "arithmetic")
    assert Limit(10, 8, 300, 400).by == "memory"
    assert (Limit(10, 8, None, 400).rate, Limit(10, 8, 1000, None).rate) == (50, 100)
    unknown = Limit(10, 8, None, None)
    assert (unknown.rate, unknown.by) == (None, "")
    assert measured(1.0, limit=unknown).bound is Bound.UNKNOWN


@pytest.mark.parametrize(
    ("rate", "bound"),
    [(60, Bound.ABOVE), (52, Bound.LIMIT), (40, Bound.LIMIT), (39, Bound.BOTH),
     (27, Bound.BOTH), (26, Bound.MOSTLY), (25, Bound.MOSTLY), (24, Bound.OTHER)],
)  # fmt: skip
def test_what_bounds_it(rate, bound) -> None:
    assert measured(10 / rate).bound is bound


def test_sentences() -> None:
    memory = Limit(bytes=92e6, products=1e6, bandwidth=4.324e9, arithmetic=1e12)
    assert sentence(measured(10 / 44, limit=memory)) == (
        "44 of the 47 tokens a second that reading 92.0 MB for each at 4.3 GB a second allows: "
        "bound by memory"
    )
    far = sentence(measured(1.0, others=0.9, cpus=1))
    assert "far below it. Reading alone 10% and products alone 20% of the time; the rest is" in far
    assert far.endswith("other processes")
    both = sentence(measured(10 / 30))
    assert both.endswith("reading alone 30% and products alone 60% of the time")
    assert "Products alone 20% of the time" in sentence(
        measured(1.0, limit=Limit(10, 8, None, 400))
    )
    assert "other processes" not in sentence(measured(1.0, others=0.9, cpus=2))
    assert "unknown" in sentence(measured(1.0, limit=Limit(1, 1, None, None)))


@pytest.mark.parametrize(
    ("work", "name"),
    [(READ, "pp512"), (Work(0, 128, 1024), "tg128 @ d1024"), (Work(0, 8, 0, 4), "tg8 × 4")],
)
def test_names_are_those_of_llama_bench(work, name) -> None:
    assert name_of(work) == name


def test_others_disturb_where_they_leave_less_than_a_processor_for_each_thread() -> None:
    assert not disturbs(0.1, 2, 2)
    assert disturbs(0.5, 2, 2)
    assert not disturbs(0.9, 1, 2)
    assert disturbs(1.5, 1, 2)


def test_products_of_several_types_take_their_times_together() -> None:
    weights = {"Q4_K": 600.0, "Q6_K": 300.0, "F32": 100.0}
    rates = {"Q4_K": 100.0, "Q6_K": 50.0}
    # 6 s and 6 s; what is not known is as fast as the most common type: 1 s and 2 s.
    assert products_per_second(weights, 200.0, rates) == pytest.approx(1200 / 15)
    assert products_per_second(weights, 200.0, {"Q4_K": None}) is None


# -- what a model needs ----------------------------------------------------------------------


def header(*tensors: tuple[str, tuple[int, ...], str], **numbers: int) -> Header:
    made = [Tensor(name, shape, TENSOR_TYPES_BY_NAME[type], 0) for name, shape, type in tensors]
    keys = {f"llama.{key.replace('__', '.')}": value for key, value in numbers.items()}
    metadata = {"general.architecture": "llama", **keys}
    return Header((Path("x"),), 3, metadata, tuple(made), 32, 0, 0, 0)


EMBEDDINGS = ("token_embd.weight", (10, 100), "F16")
NORM = ("blk.0.attn_norm.weight", (10,), "F32")
UP = ("blk.0.ffn_up.weight", (10, 30), "F16")


def test_a_table_is_not_read_and_the_embeddings_are_where_they_give_the_logits() -> None:
    output = ("output.weight", (10, 100), "F32")
    assert weight_bytes(header(EMBEDDINGS, NORM, UP)) == 2000 + 40 + 600
    assert weight_bytes(header(EMBEDDINGS, NORM, UP, output)) == 4000 + 40 + 600


def test_a_prompt_shares_its_reading_and_has_one_row_of_logits() -> None:
    model = header(EMBEDDINGS, NORM, UP)
    read, write = (demand(model, work, 50, "f16", "f16") for work in (Work(100, 0), WRITE))
    assert (read.bytes, read.products) == ((40 + 600) / 50, 300)
    assert (write.bytes, write.products) == (2640, 1300)
    together = demand(model, Work(0, 128, 0, 4), 50, "f16", "f16")
    assert (together.bytes, together.products) == (660, 1300)


def test_the_cache_is_read_up_to_where_a_token_stands() -> None:
    more = {"block_count": 2, "embedding_length": 12, "attention__head_count": 3,
            "attention__head_count_kv": 1}  # fmt: skip
    model, behind = header(UP, **more), 100 + 8 / 2
    found = demand(model, Work(0, 8, 100), 512, "f16", "f32")
    # Two layers, a head of four numbers: two bytes each for a key, four for a value.
    assert found.bytes == 600 + behind * 2 * (4 * 2 + 4 * 4)
    assert found.products == 300 + behind * 2 * 3 * (4 + 4)
    windowed = header(UP, **more, attention__sliding_window=50)
    assert demand(windowed, Work(0, 8, 100), 512, "f16", "f32").products == 300 + 50 * 48


def test_of_experts_only_those_that_are_used_count() -> None:
    experts = ("blk.0.ffn_up_exps.weight", (10, 30, 8), "F16")
    model = header(experts, expert_count=8, expert_used_count=2)
    assert demand(model, Work(0, 8), 512, "f16", "f16").products == 300 * 2
    assert weight_bytes(model) == 4800 / 4
    two = demand(model, Work(0, 8, 0, 2), 512, "f16", "f16")
    assert two.bytes == pytest.approx(4800 * (1 - 0.75**2) / 2)


def test_arithmetic_is_measured_by_every_type_that_matters() -> None:
    sizes = {"small": 100, "right": 512, "large": 1000}
    matrices = [(f"blk.{each}.up.weight", (512, rows), "F16") for each, rows in sizes.items()]
    other = ("blk.0.down.weight", (256, 512), "F32")
    model = header(EMBEDDINGS, NORM, *matrices, other)
    assert [matrix(model, type) for type in ("F16", "F32", "Q8_0")] == [
        "blk.right.up.weight", other[0], None,
    ]  # fmt: skip
    assert matrix(header(EMBEDDINGS, NORM, matrices[0]), "F16") == matrices[0][0]
    assert demand(model, WRITE, 512, "f16", "f16").types == ["F16", "F32"]
    rare = header(matrices[2], ("blk.0.gate.weight", (10, 10), "F32"))
    assert demand(rare, WRITE, 512, "f16", "f16").types == ["F16"]
    work = (READ, Work(16, 0, 0, 2), Work(0, 8, 0, 3))
    assert [columns(each, 64) for each in work] == [64, 32, 3]


# -- the machine -----------------------------------------------------------------------------


def test_bandwidth_is_bytes_by_the_best_round() -> None:
    times = int(bandwidth.PATIENCE / 0.001)
    rounds = iter([9.0, 0.001, 0.5, 0.25, 1.0, 1.0])
    assert bandwidth._best(lambda times: next(rounds), 1000) == 1000 * times / 0.25
    assert bandwidth.bandwidth(100_000, 2, None) > 1e6
    assert bandwidth.bandwidth(100_000, 2, builtin.PATH) > 1e6


def test_what_others_take_is_what_is_busy_beside_this_process(tmp_path, monkeypatch) -> None:
    stat = tmp_path / "stat"
    monkeypatch.setattr(busy, "STAT", stat)
    times = iter([(100.0, 5.0), (102.0, 6.0)])
    now = lambda: (*next(times), busy._busy_seconds())  # noqa: E731
    monkeypatch.setattr(busy.Watch, "_now", lambda self: now())
    # User, nice, system, idle, waiting, interrupts, stolen, guests that are counted twice.
    stat.write_text("cpu 1000 200 300 9999 50 5 5 40 700 0\ncpu0 1\n")
    watch = busy.Watch()
    stat.write_text("cpu 1200 250 350 9999 99 5 5 40 900 0\ncpu0 1\n")
    taken = watch.taken()
    assert taken is not None
    assert (taken.own, taken.others) == (0.5, pytest.approx(3.0 / 2 - 0.5))


def test_nothing_is_said_where_the_system_says_nothing(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(busy, "STAT", tmp_path / "none")
    assert busy.Watch().taken() is None
    assert told.disturbed([measured(1.0)]) == ""


def test_a_busy_machine_is_told_of() -> None:
    quiet, loud = measured(1.0, others=0.0), measured(1.0, others=0.8)
    assert told.disturbed([quiet]) == ""
    words = told.disturbed([quiet, loud])
    assert "other processes took 0.8 of" in words and "during 1 of 2 tests: its rate is" in words


# -- what is timed ---------------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch) -> list[tuple[int, int, int, int]]:
    """Every call: how many tokens it has, the first and the last place, rows of logits."""
    calls, decode = [], Context.decode

    def watched(self, tokens, outputs):
        wanted = list(outputs)
        calls.append((len(tokens), tokens[0][1], tokens[-1][1], len(wanted)))
        return decode(self, tokens, wanted)

    monkeypatch.setattr(Context, "decode", watched)
    return calls


@pytest.fixture
def timed(program: Program):
    env = Environment(variables=program.variables, directory=program.place)
    return partial(runs_of, env)


def runs_of(env: Environment, work: Work, runs: int, **flags: str) -> list[float]:
    ready = prepare(env, [], {"model": "builtin", **flags})
    with Control() as control, opened(env, ready.model, ready.settings, control) as backend:
        return list(islice(backend.seconds(work, ready.settings), runs))


def test_a_prompt_is_read_in_whole_calls(timed, decoded) -> None:
    assert all(took > 0 for took in timed(Work(20, 0), 2))
    assert decoded == [(20, 0, 19, 1)] * 3  # once to warm up
    decoded.clear()
    timed(Work(20, 0), 1, batch_size="8")
    assert decoded[:3] == [(8, 0, 7, 0), (8, 8, 15, 0), (4, 16, 19, 1)]


def test_writing_is_a_token_a_call_behind_the_depth_that_is_read_once(timed, decoded) -> None:
    timed(Work(0, 3, 10), 2)
    steps = [(1, place, place, 1) for place in (10, 11, 12)]
    assert decoded == [(1, 0, 0, 1), (10, 0, 9, 1), *steps, *steps]


def test_without_memory_for_a_copy_the_depth_is_read_before_every_run(
    timed, decoded, monkeypatch
) -> None:
    monkeypatch.setattr(Context, "state_size", lambda self, sequence: 1 << 60)
    timed(Work(0, 1, 10), 2)
    assert decoded == [(1, 0, 0, 1), *[(10, 0, 9, 1), (1, 10, 10, 1)] * 2]


def test_sequences_are_written_together(timed, decoded) -> None:
    timed(Work(0, 2, 4, 3), 2)
    together = [(3, place, place, 3) for place in (4, 5)]
    assert decoded == [(3, 0, 0, 3), (12, 0, 3, 3), *together, *together]


@pytest.mark.parametrize("type", ["F16", "Q4_0"])
def test_products_are_measured_with_the_weights_as_they_lie(type, program: Program) -> None:
    """In the mapped file, and rearranged where the library does that."""
    name = "builtin"
    if type != "F16":
        name = "small.gguf"
        assert program.call("quantize", "builtin", name, "--type", type).code == 0
    env = Environment(variables=program.variables, directory=program.place)
    ready = prepare(env, [], {"model": name})
    with Control() as control, opened(env, ready.model, ready.settings, control) as backend:
        for columns in (1, 64):
            assert backend.products(type, columns, 1) > 1e6
        assert backend.products("Q8_0", 1, 1) is None
        assert backend.bandwidth(1) > 1e6


# -- the command -----------------------------------------------------------------------------


def test_json_has_all_numbers(program: Program) -> None:
    done = program.call("bench", "builtin", *SMALL, "--depth", "0,16", "--json")
    assert done.code == 0, done.stderr
    found = done.json
    assert [each["test"] for each in found["tests"]] == [
        "pp32", "tg8", "pp32 @ d16", "tg8 @ d16",
    ]  # fmt: skip
    read, write = found["tests"][:2]
    assert (read["prompt_tokens"], read["decode_tokens"], read["batch"]) == (32, 0, 1)
    assert read["threads"] == 1
    for each, tokens in ((read, 32), (write, 8)):
        assert len(each["seconds"]) == found["repeat"] == 2
        rates = [tokens / took for took in each["seconds"]]
        assert each["tokens_per_s"] == pytest.approx(sum(rates) / 2, rel=1e-2)
        limit = each["limit"]
        both = [limit["memory"]["tokens_per_s"], limit["arithmetic"]["tokens_per_s"]]
        assert limit["tokens_per_s"] == min(both) > 0
        assert each["says"] and each["bound"]
    known = read_header(builtin.PATH)
    assert write["limit"]["memory"]["bytes_per_token"] > weight_bytes(known)
    assert found["models"][0]["parameters"] == known.parameters
    assert found["machine"]["backend"] == "CPU" and not found["interrupted"]


def test_all_combinations_in_order(program: Program) -> None:
    flags = ("-p", "8", "-n", "0", "-r", "1", "--threads", "1,2", "--batch", "1,2")
    done = program.call("bench", "builtin", *flags, "--cache-type-k", "f16,q8_0", "--json")
    found = [
        (each["threads"], each["parameters"]["cache_type_k"], each["batch"])
        for each in done.json["tests"]
    ]
    assert sorted(found) == sorted(
        (threads, type, width) for threads in (1, 2) for type in ("f16", "q8_0") for width in (1, 2)
    )
    assert len({*found}) == 8
    assert all(each["spread"] is None for each in done.json["tests"])


def test_the_table_names_what_varies_and_says_what_bounds_it(program: Program) -> None:
    done = program.call("bench", "builtin", *SMALL, "--ubatch-size", "16,32")
    assert done.code == 0, done.stderr
    lines = done.text.splitlines()
    assert lines[0].startswith("llmparams-tiny: F16, 5.6M parameters, 11.3 MB")
    assert lines[3].split()[:4] == ["test", "threads", "ubatch_size", "tokens/s"]
    assert [line.split()[:3] for line in lines[4:8]] == [
        ["pp32", "1", "16"], ["tg8", "1", "16"], ["pp32", "1", "32"], ["tg8", "1", "32"],
    ]  # fmt: skip
    assert sum(" tokens a second that " in line for line in lines) == 4
    assert lines[9].startswith("pp32, ubatch_size 16: ")


def test_two_models_of_one_name_are_told_apart(program: Program) -> None:
    for name in ("one", "two"):
        write_llama(program.place / f"{name}.gguf", metadata={"general.name": "same"})
    flags = ("-p", "8", "-n", "0", "-r", "1")
    done = program.call("bench", "one.gguf", "two.gguf", "one.gguf", *flags, "--json")
    assert done.code == 0, done.stderr
    assert [each["model"] for each in done.json["tests"]] == ["one.gguf", "two.gguf"]
    assert [each["name"] for each in done.json["models"]] == ["one.gguf", "two.gguf"]


def test_markdown_is_a_table_for_a_bug_report(program: Program) -> None:
    done = program.call("bench", "builtin", *SMALL, "--markdown", "-")
    head, rule, read, write, empty, machine, *_ = done.text.splitlines()
    names = [cell.strip() for cell in head.strip("|").split("|")]
    assert names == ["model", "size", "params", "backend", "threads", "test", "t/s", "limit"]
    assert rule.count("---") == len(names) == read.strip("|").count("|") + 1
    cells = [cell.strip() for cell in write.strip("|").split("|")]
    assert cells[:6] == ["llama llmparams-tiny F16", "10.76 MiB", "5.64 M", "CPU", "1", "tg8"]
    assert " ± " in cells[6] and "(" in cells[7]
    assert empty == "" and "llama.cpp" in machine


def test_a_name_cannot_break_the_table() -> None:
    subject = Subject("a|b", "x", "llama", "F16", 1, 1)
    machine = {"processor": "", "cpus": 1, "gpus": [], "backend": "CPU", "llama.cpp": "1"}
    result = Measured("a|b", READ, {}, 1, (1.0,), LIMIT)
    report = Report([subject], machine, [result], 1, "others were busy")
    assert "a\\|b" in markdown(report) and markdown(report).endswith("others were busy\n")


@browser
def test_the_page_shows_bars_sentences_and_runs(tmp_path: Path, program: Program) -> None:
    done = program.call("bench", "builtin", *SMALL, "--html", "page.html")
    assert done.code == 0 and "wrote page.html" in done.stderr
    shown = computed(
        (program.place / "page.html").read_text(),
        tmp_path,
        """
        const all = (selector) => [...document.querySelectorAll(selector)];
        const texts = (selector) => all(selector).map((node) => node.textContent);
        return {rates: texts("#rates tbody th"), says: texts("#says li"), runs: texts("#runs td"),
          bars: all("#reached rect").map((node) => Number(node.getAttribute("width"))),
          facts: texts("#facts")[0]};
        """,
    )
    assert shown["rates"] == ["pp32", "tg8"]
    assert [text.split(":")[0] for text in shown["says"]] == ["pp32", "tg8"]
    assert len(shown["runs"]) == 4 and all(width > 0 for width in shown["bars"])
    assert len(shown["bars"]) == 2 and "llmparams-tiny" in shown["facts"]


@browser
def test_a_page_without_a_limit_draws_no_bar(tmp_path: Path) -> None:
    machine = {"processor": "", "cpus": 1, "gpus": ["<b>"], "backend": "CPU", "llama.cpp": "1"}
    subject = Subject("</script>", "x", "llama", "F16", 1, 1)
    result = Measured("</script>", READ, {}, 1, (1.0,), Limit(1, 1, None, None))
    page = bench_page(Report([subject], machine, [result], 1))
    function = """
    const text = (id) => document.getElementById(id).textContent;
    return [document.querySelectorAll("#reached rect").length, text("reached"), text("facts")];
    """
    bars, words, facts = computed(page, tmp_path, function)
    assert (bars, words) == (0, "No limit is known here.")
    assert "</script>" in facts and "<b>" in facts


def test_ctrl_c_prints_what_is_done(program: Program) -> None:
    session: Session = program.terminal("bench", "builtin", "-p", "8", "-n", "64", "-r", "400")
    session.wait_for("tg64, 2 of 2")
    session.press_ctrl_c()
    shown = session.end()
    assert shown.code == ExitCode.INTERRUPTED
    text = "\n".join(shown.lines)
    assert "pp8 " in text and "tg64 " not in text
    assert "interrupted: 1 of 2 tests are done" in text


def test_a_failure_keeps_what_was_measured(program: Program) -> None:
    flags = ("-p", "8", "-n", "0", "-r", "1", "--depth", "0,9000000", "--json")
    done = program.call("bench", "builtin", *flags)
    assert done.code == ExitCode.BACKEND
    assert [each["test"] for each in done.json["tests"]] == ["pp8"] and done.json["interrupted"]
    assert "9,000,008 tokens of context need" in done.stderr
    piped = program.pipe("bench", "builtin", *flags[:-1])
    assert piped.code == ExitCode.BACKEND and "\npp8 " in piped.text


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("-p 3x", "--prompt-tokens 3x: '3x' is no number"),
        ("-n 8,", "--decode-tokens 8,: '' is no number"),
        ("--batch 0", "--batch 0: '0' is no number from 1"),
        ("--depth -1", "--depth -1: '-1' is no number from 0"),
        ("-p 0 -n 0", "nothing is read"),
        ("--threads 1,x", "--threads: 'x' is not a whole number"),
        ("--cache-type-k f16,q9", "--cache-type-k: 'q9' is not one of"),
        ("--flash-attention off --cache-type-v f16,q8_0", "--cache-type-v"),
        ("--context 100", "--context has no effect here"),
        ("--repeat 0", "--repeat"),
        ("--json --markdown -", "--markdown -"),
        ("--html none/page.html", "--html none/page.html: there is no such folder"),
    ],
)
def test_a_bad_value_is_named_with_its_flag(flags, words, program: Program) -> None:
    assert words in program.call("bench", "builtin", *flags.split()).complaint(ExitCode.USAGE)


def test_a_script_has_no_speed(program: Program) -> None:
    (program.place / "script.yaml").write_text("answers: [{text: hello}]")
    done = program.call("bench", "scripted:script.yaml")
    assert "is a script" in done.complaint(ExitCode.USAGE)


def test_numbers_are_taken_once_and_in_their_order() -> None:
    assert numbers("--depth", "8, 0,8", 0) == [8, 0]


def test_json_is_whole_for_machines(program: Program) -> None:
    done = program.call("bench", "builtin", "-p", "8", "-n", "0", "-r", "1", "--json", "-q")
    assert json.loads(done.stdout)["tests"][0]["reached"] > 0
    assert done.stderr == ""
