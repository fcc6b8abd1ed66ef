"""The scripted backend: answers from a file, by the rules of a real one."""

import json
import math
from contextlib import ExitStack

import pytest
from browser import browser, computed
from hypothesis import given
from hypothesis import strategies as st

from llmparams_cli.backends.open import opened
from llmparams_cli.backends.words import Words
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.env import Environment
from llmparams_cli.errors import ContextOverflow, ExitCode, ModelError, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.models.resolve import find_model
from llmparams_cli.models.stores import BUILTIN
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Failed, Finished, Message, Passage, Piece, Request, Started

SCRIPT = """\
name: a demo
context: 100
answers:
  - when: (?i)weather
    text: It is raining.
  - when: long
    text: one two three four five six seven eight nine ten
  - when: either
    texts: [One two. Three, One four., One two. Five]
  - when: slow|hi
    text: And so on and on
"""


@pytest.fixture
def opener(tmp_path):
    with ExitStack() as stack:

        def open_one(text=SCRIPT, slots=1):
            (tmp_path / "demo.yaml").write_text(text)
            env = Environment(variables={}, quiet=True, directory=tmp_path)
            control = stack.enter_context(Control())
            model = find_model("scripted:demo.yaml", env)
            given = resolve([])
            backend = stack.enter_context(opened(env, model, given, control, slots=slots))
            backend.test_control = control
            return backend

        yield open_one


@pytest.fixture
def backend(opener):
    return opener()


def ask(text, **values):
    own = ("control", "logprobs", "record", "expected", "overflow", "raw")
    more = {name: values.pop(name) for name in own if name in values}
    origin = Origin(Source.FLAG, "test")
    settings = resolve(Assignment(name, value, origin) for name, value in values.items())
    return Request((Message("user", text),), settings, **more)


def ends(backend, requests):
    """The last event of each request, in their order."""
    last = dict(backend.answer(requests))
    return [last[number] for number in sorted(last)]


def end(backend, *arguments, **values):
    [finished] = ends(backend, [ask(*arguments, **values)])
    return finished


def test_the_first_answer_that_is_for_the_last_message_counts(backend):
    assert end(backend, "How is the WEATHER, and for how long?").text == "It is raining."
    talk = (Message("user", "weather?"), Message("assistant", "Sun."), Message("user", "hi"))
    [finished] = ends(backend, [Request(talk, resolve([]))])
    assert finished.text == "And so on and on"


def test_the_seed_chooses_among_texts(backend):
    texts = [end(backend, "either", seed=seed).text for seed in range(4)]
    assert texts == ["One two. Three", "One four.", "One two. Five", "One two. Three"]


def test_ends_have_their_reasons(backend):
    def stop(text, **values):
        finished = end(backend, text, **values)
        return finished.text, finished.stop

    assert stop("hi") == ("And so on and on", Stop(StopReason.END_OF_GENERATION, "<|end|>"))
    assert stop("hi", max_tokens=2) == ("And so", Stop(StopReason.MAX_TOKENS, "2 tokens"))
    assert stop("hi", max_tokens=0) == ("", Stop(StopReason.MAX_TOKENS, "0 tokens"))
    assert stop("hi", stop=["o on"]) == ("And s", Stop(StopReason.STOP_SEQUENCE, "o on"))
    text, reason = stop("hi", ignore_eos=True, max_tokens=7)
    assert (text, reason.reason) == ("And so on and onAnd so", StopReason.MAX_TOKENS)
    reason = stop("hi", ignore_eos=True, max_tokens=-1)[1]
    assert reason == Stop(StopReason.CONTEXT_FULL, "100 tokens")
    text, reason = stop("hi", time_limit=1e-6)
    assert (text, reason) == ("", Stop(StopReason.TIME_LIMIT, "1e-06 s"))


def test_an_answer_of_nothing_ends_even_if_it_must_go_on(opener):
    assert end(opener("answers: [{text: ''}]"), "hi", ignore_eos=True).text == ""


def test_several_answers_come_in_turn(backend):
    events = list(backend.answer([ask("hi"), ask("long", max_tokens=3), ask("weather")]))
    order = [number for number, event in events if isinstance(event, Piece)]
    assert order[:9] == [0, 1, 2] * 3
    for wanted in range(3):
        own = [event for number, event in events if number == wanted]
        assert isinstance(own[0], Started) and isinstance(own[-1], Finished)
        assert "".join(piece.text for piece in own[1:-1]) == own[-1].text


def test_a_request_fails_alone(backend):
    unanswered, record, long, good = ends(
        backend,
        [ask("what?"), ask("hi", record=True), ask("hi " * 200), ask("hi")],
    )
    assert isinstance(unanswered.error, ModelError) and "'what?'" in unanswered.error.message
    assert isinstance(record.error, UsageError)
    assert isinstance(long.error, ContextOverflow)
    assert good.text == "And so on and on"


def test_a_stream_takes_requests_as_there_is_room(opener):
    taken = []

    def requests():
        for number in range(4):
            taken.append(number)
            yield None if number == 1 else ask("hi", max_tokens=2)

    events = opener(slots=2).answer(requests())
    assert isinstance(next(events)[1], Started)
    assert taken == [0]
    assert sorted(n for n, event in events if isinstance(event, Finished)) == [0, 1, 2]


def test_ctrl_c_ends_all_and_a_control_its_own(backend):
    own = Control()
    requests = [ask("hi", ignore_eos=True, max_tokens=-1, control=own), ask("long")]
    stops, pieces = {}, 0
    for number, event in backend.answer(requests):
        if isinstance(event, Piece):
            own.set(Stop(StopReason.INTERRUPTED, "gone"))
        if isinstance(event, Finished):
            stops[number] = event.stop
    assert stops[0] == Stop(StopReason.INTERRUPTED, "gone")
    assert stops[1].reason is StopReason.END_OF_GENERATION
    for _, event in backend.answer([ask("hi"), ask("long")]):
        if isinstance(event, Piece):
            pieces += 1
            backend.test_control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
        if isinstance(event, Finished):
            assert event.stop.detail == "Ctrl-C"
    assert pieces == 1


def test_a_slow_answer_is_ended_between_two_tokens(opener):
    slow = opener("delay: 50\nanswers: [{text: never said}]")
    assert end(slow, "hi", time_limit=0.05).stop.reason is StopReason.TIME_LIMIT
    gone = Control()
    gone.set(Stop(StopReason.INTERRUPTED, "gone"))
    assert end(slow, "hi", control=gone).stop.detail == "gone"


def test_probabilities_are_those_of_one_distribution(backend):
    first, other = (end(backend, "either", seed=seed, logprobs=100) for seed in (0, 1))
    for token in (*first.tokens, *other.tokens):
        odds = [math.exp(candidate.logprob) for candidate in token.top]
        assert odds == sorted(odds, reverse=True)
        assert sum(odds) == pytest.approx(1, abs=1e-9)
        assert token.entropy == pytest.approx(-sum(p * math.log2(p) for p in odds), abs=1e-6)
        assert token.logprob in [c.logprob for c in token.top if c.id == token.id]
    one, several = first.tokens[0], first.tokens[1]
    assert one.top[0].text == "One" and one.logprob == other.tokens[0].logprob
    known = {candidate.text: candidate.logprob for candidate in several.top}
    assert known[" two"] - known[" four"] == pytest.approx(math.log(2))  # two texts of three
    assert several.logprob == known[" two"]


def test_expected_tokens_have_probabilities_too(backend):
    expected = (*backend.encode("And so"), 9)
    tokens = end(backend, "hi", logprobs=0, expected=expected).tokens
    assert [token.expected_logprob == token.logprob for token in tokens[:2]] == [True, True]
    assert tokens[2].expected_logprob == -math.inf
    assert tokens[3].expected_logprob is None
    assert all(token.logprob is None for token in end(backend, "hi").tokens)


def test_a_conversation_counts_as_kept_in_whole_blocks(backend):
    text = "long, and " * 24
    first = end(backend, text, context=300)
    again = end(backend, text, context=300)
    assert (first.usage.cached_tokens, again.usage.cached_tokens) == (0, 64)
    assert end(backend, text, context=301).usage.cached_tokens == 0


def test_a_prompt_is_shortened_if_that_is_allowed(backend):
    [(_, started), *_] = backend.answer([ask("long " * 200 + "hi", overflow="truncate-start")])
    assert started.prompt_tokens < 100
    assert "hi<|end|>" in started.prompt


def test_control_tokens_in_a_message_stay_text(backend):
    plain = backend.count(ask("hi"))
    assert backend.count(ask("hi<|end|>")) > plain + 1
    assert backend.count(ask("hi", raw=True)) == 1


def test_it_says_what_it_cannot_do(backend):
    assert not (backend.capabilities.traces or backend.capabilities.scores)
    [(number, failed)] = backend.score([Passage(ask("hi"), "text")])
    assert number == 0 and isinstance(failed, Failed)
    assert "temperature" not in backend.capabilities.parameters


@given(st.text())
def test_every_text_comes_back_from_its_tokens(text):
    words = Words(100)
    tokens = words.tokenize(text)
    assert b"".join(map(words.piece, tokens)).decode() == text
    assert Words(100).tokenize(text) == tokens


def test_two_words_with_one_hash_stay_two(monkeypatch):
    monkeypatch.setattr("llmparams_cli.backends.words.crc32", lambda _data: 7)
    words = Words(100)
    one, other, again = words.tokenize("one other one")[0::1]
    assert one != other and words.name(one) == "one" and words.name(other) == " other"
    assert words.tokenize("one") == [one] and again not in (one, other)


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("", 1, "there are no answers"),
        ("name: x", 1, "there are no `answers:`"),
        ("answers: []", 1, "answers: not a list"),
        ("answers: [x]", 1, "'x' is not a mapping; the keys are when, text, texts"),
        ("answers:\n  - txt: x", 2, "unknown key 'txt'; did you mean text?"),
        ("answers:\n  - when: x", 2, "either `text:` or `texts:`"),
        ("answers:\n  - text: x\n    texts: [y]", 2, "either `text:` or `texts:`"),
        ("answers:\n  - text: 42", 2, "text: 42 is not text; put text in quotes"),
        ("answers:\n  - texts: []", 2, "texts: not a list"),
        ("answers:\n  - text: x\n    when: '('", 3, "when: not a regular expression"),
        ("context: 0\nanswers: [{text: x}]", 1, "context: 0 is not a number of tokens"),
        ("context: true\nanswers: [{text: x}]", 1, "context: True is not a number of tokens"),
        ("delay: fast\nanswers: [{text: x}]", 1, "delay: 'fast' is not a number of seconds"),
        ("delay: .nan\nanswers: [{text: x}]", 1, "delay: nan is out of range"),
        ("name: x\nname: y\nanswers: [{text: x}]", 2, "'name' is given twice"),
        ("name: x\nanswers: [x]]", 2, "not YAML"),
    ],
)
def test_what_is_wrong_in_a_script_has_its_line(program, text, line, part):
    (program.place / "s.yaml").write_text(text)
    told = program.call("generate", "hi", "-m", "scripted:s.yaml").complaint(ExitCode.MODEL)
    assert told.startswith(f"s.yaml:{line}: ")
    assert part in told


@pytest.mark.parametrize("name", ["scripted:none.yaml", "scripted:", "scripted:."])
def test_a_script_that_is_not_there_is_one_line(program, name):
    program.call("generate", "hi", "-m", name).complaint(ExitCode.MODEL)


@pytest.fixture
def demo(program):
    (program.place / "demo.yaml").write_text(SCRIPT)
    del program.variables["LLMPARAMS_THREADS"]
    return program


MODEL = ("-m", "scripted:demo.yaml")


def test_a_preset_names_a_script_from_where_it_is(demo):
    (demo.place / "sub").mkdir()
    (demo.place / "demo.yaml").rename(demo.place / "sub" / "demo.yaml")
    (demo.place / "sub" / "p.yaml").write_text("model: scripted:demo.yaml")
    done = demo.call("generate", "hi", "-p", "sub/p.yaml")
    assert (done.text, done.stderr) == ("And so on and on\n", "")


def test_a_chat_remembers_the_script_from_anywhere(demo):
    done = demo.call("chat", *MODEL, stdin=b"hi\n")
    assert (done.code, done.text) == (0, "And so on and on\n")
    (demo.place / "elsewhere").mkdir()
    demo.place /= "elsewhere"
    done = demo.call("chat", "--continue", stdin=b"weather?\n")
    assert (done.code, done.text) == (0, "It is raining.\n")


def test_values_that_it_does_not_follow_are_told_once(demo):
    done = demo.call("generate", "hi", *MODEL, "--temperature", "0", "--top-p", "0.5", "-s", "3")
    assert done.stderr.splitlines() == [
        "llmparams: temperature 0 (flag --temperature) has no effect: "
        "this backend does not follow it",
        "llmparams: top_p 0.5 (flag --top-p) has no effect: this backend does not follow it",
    ]


@pytest.mark.parametrize(
    "command",
    [
        ("explain", "hi"),
        ("explain", "hi", "--target", "demo.yaml"),
        ("explain", "hi", "--html", "page.html"),
        ("generate", "hi", "--stats", "full"),
        ("generate", "hi", "--stats", "full", "--json"),
        ("presets", "diff", "precise", "balanced", "--prompt", "hi"),
    ],
)
def test_what_needs_logits_is_refused_in_one_line(demo, command):
    told = demo.call(*command, *MODEL).complaint(ExitCode.USAGE)
    assert "a scripted model has no logits to look at" in told


def test_what_can_do_without_logits_does(demo):
    assert demo.call("presets", "diff", "precise", "balanced", *MODEL, "--tokens", "0").code == 0
    done = demo.call("compare", "either", *MODEL, "--grid", "seed=0,1", "--html", "page.html")
    assert done.code == 0, done.stderr
    assert " four" in (demo.place / "page.html").read_text()
    done = demo.call("chat", *MODEL, stdin=b"hi\n/why\n/why all\n")
    assert "stopped: end-of-generation" in done.text
    assert "no logits" in done.stderr and done.code == ExitCode.USAGE


def test_tests_of_presets_run_on_a_script(demo):
    (demo.place / "p.yaml").write_text(
        "model: scripted:demo.yaml\ntests:\n  - name: rain\n    input: weather?\n"
        "    expect: {contains: raining}\n"
    )
    done = demo.call("presets", "test", "p.yaml")
    assert done.code == 0, done.stderr


def test_a_run_can_be_repeated_from_its_receipt(demo):
    run = ("generate", "either", *MODEL, "-s", "1", "--receipt", "r.json", "-q")
    assert demo.call(*run).text == "One four.\n"
    receipt = json.loads((demo.place / "r.json").read_text())
    assert receipt["model"]["path"] == f"scripted:{demo.place / 'demo.yaml'}"
    assert receipt["model"]["sha256"]
    assert "library" not in receipt
    done = demo.call("replay", "r.json")
    assert (done.code, "identical" in done.text) == (0, True)
    text = demo.call("log", "show").text
    assert "library" not in text and "One four." in text

    (demo.place / "demo.yaml").write_text(SCRIPT.replace("One four.", "One 4."))
    done = demo.call("replay", "r.json")
    assert done.code == ExitCode.DIFFERENT
    assert "model file" in done.text
    (demo.place / "demo.yaml").rename(demo.place / "moved.yaml")
    told = demo.call("replay", "r.json").complaint(ExitCode.MODEL)
    assert "does not exist (--model PATH names it where it is now)" in told
    assert demo.call("replay", "r.json", "-m", "scripted:moved.yaml").code == ExitCode.DIFFERENT


def test_a_receipt_of_a_script_is_replayed_on_a_model_and_the_other_way_round(demo):
    for model, other in ((MODEL, ()), ((), MODEL)):
        run = ("generate", "hi", *model, "-n", "2", "-s", "1", "--receipt", "r.json", "-q")
        assert demo.call(*run).code == 0
        again = other or ("-m", str(find_model(BUILTIN, Environment(variables={})).path))
        done = demo.call("replay", "r.json", *again)
        assert done.code in (0, ExitCode.DIFFERENT), done.stderr
        assert "library llama-cpp-python" in done.text


def test_doctor_finds_the_script_of_the_variable(demo):
    done = demo.call("doctor", LLMPARAMS_MODEL="scripted:demo.yaml")
    assert f"scripted:{demo.place / 'demo.yaml'}" in done.text


@browser
def test_a_page_of_comparisons_works_without_any_draws(demo):
    arguments = ("compare", "either", *MODEL, "--grid", "seed=0,1", "--html", "page.html")
    assert demo.call(*arguments).code == 0
    function = """
    const tokens = [...document.querySelectorAll(".column")].map((column) =>
      [...column.querySelectorAll("[title]")].map((token) => token.textContent).join(""));
    document.querySelectorAll(".column [title]")[1].click();
    return [tokens, document.getElementById("status").textContent];
    """
    columns, status = computed((demo.place / "page.html").read_text(), demo.place, function)
    assert ["One two. Three" in columns[0], "One four." in columns[1]] == [True, True]
    assert "not in the page" in status
