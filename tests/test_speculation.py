"""Speculative decoding: guesses decide how many tokens a call computes, never what is drawn.

On quantised weights and with one thread, where a row has the same bits alone and beside others.
"""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import pytest
import script
from asked import LONG, calls, conversation, ends, ids, raw, sequences
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from models import byte_level, write_llama, write_mamba

from llmparams_cli.backends.llama import drafts
from llmparams_cli.backends.llama.decoding import drafting
from llmparams_cli.backends.llama.decoding.answer import Answer
from llmparams_cli.backends.llama.decoding.draft_model import DraftModel, difference
from llmparams_cli.backends.llama.decoding.drafting import Guess, Lookup, Speculation, best_length
from llmparams_cli.backends.llama.decoding.pieces import shared
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.backends.llama.weights import Recipe, quantise, vocabulary
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.interrupt import Control
from llmparams_cli.models import builtin
from llmparams_cli.protocol import Finished, Piece

COPIED = "The fox saw a bear. The bear saw the fox. The fox saw a bear. The bear"
TOKENS = "tokenizer.ggml.tokens"
DRAFT = 4  # tokens of a forced draft
WAYS = {
    "greedy": {},
    "drawn": {"temperature": 1.0, "seed": 3},
    "penalties": {"temperature": 1.0, "seed": 4, "repeat_penalty": 1.3, "penalize_prompt": True},
    "xtc, which draws twice": {"temperature": 1.0, "xtc_probability": 0.5, "seed": 5},
    "mirostat, which has a memory": {"temperature": 1.0, "mirostat": 2, "seed": 6},
    "a grammar": {"grammar": 'root ::= [a-z ,.]+ "!"', "temperature": 1.0, "seed": 7},
    "a grammar that is complete": {"grammar": 'root ::= " a" [a-z] [a-z] [a-z]'},
    "a regular expression": {"regex": "[a-z ,.]+!", "temperature": 1.0, "seed": 7},
    "one that is complete": {"regex": " a[a-z][a-z][a-z]"},
    "a stop sequence": {"stop": ["ox s", "."], "temperature": 1.0, "seed": 8},
    "the context": {"max_tokens": -1, "ignore_eos": True, "context": 48},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "Q8_0.gguf"
    quantise(builtin.PATH, path, Recipe("Q8_0", 1, pure=True))
    return path


@pytest.fixture
def backend(opener, model):
    return opener(str(model))


class Told:
    """Knows a text, and guesses it: rightly, or as `spoilt` says for each place in it."""

    def __init__(self, text, spoilt=lambda _place: False):
        self._text, self._spoilt = text, spoilt

    price = 0.0

    def guess(self, text, most):
        places = range(len(text), min(len(self._text), len(text) + most))
        return Guess([self._text[at] + self._spoilt(at) for at in places], 2)


@pytest.fixture
def force(monkeypatch):
    """Let this drafter guess from here on, and all that it guesses be checked."""

    def forced(drafter):
        monkeypatch.setattr(drafts, "Lookup", lambda: drafter)
        monkeypatch.setattr(drafting, "best_length", lambda _share, most, *_: most)

    return forced


def told(backend, request):
    """Pieces, text, end and tokens of an answer, and its numbers; and prompt and answer as ids."""
    found = [event for _, event in backend.answer([request])]
    started, finished = found[0], found[-1]
    assert isinstance(finished, Finished), finished
    pieces = [event for event in found if isinstance(event, Piece)]
    text = [*started.tokens, *ids(finished)]
    return [*pieces, finished.text, finished.stop, finished.tokens], finished.usage, text


# The text of the ordinary run


@pytest.mark.parametrize("spoilt", [0, 1, 2, 3, 7], ids="one in {}".format)
@pytest.mark.parametrize("values", WAYS.values(), ids=WAYS)
def test_the_answer_is_that_of_the_ordinary_run(backend, force, values, spoilt):
    """With guesses that are all right (0), all wrong (1), or of which each so manieth is wrong."""
    values = {"max_tokens": 24} | values
    ordinary, plain, text = told(backend, raw(COPIED, logprobs=2, **values))
    force(Told([*text, 5, 5, 5, 5], lambda place: spoilt and place % spoilt == 0))
    drafted, usage, _ = told(backend, raw(COPIED, logprobs=2, prompt_lookup=DRAFT, **values))
    assert drafted == ordinary
    assert usage.completion_tokens == plain.completion_tokens
    assert usage.drafted_tokens > 0
    if spoilt == 1:
        assert usage.accepted_tokens == 0
    elif usage.completion_tokens > DRAFT:
        assert usage.accepted_tokens > 0


FORM = r'\{"first_name": "[a-z]{1,9}", "colour_of_the_fox": "(red|brown)", "is_old": (true|false)\}'


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_what_a_grammar_forces_is_guessed(backend, temperature):
    values = {"regex": FORM, "max_tokens": 80, "temperature": temperature, "seed": 2}
    ordinary, plain, _ = told(backend, raw("Once", logprobs=1, **values))
    guessed, usage, _ = told(backend, raw("Once", logprobs=1, prompt_lookup=DRAFT, **values))
    assert guessed == ordinary
    assert usage.completion_tokens == plain.completion_tokens
    assert usage.accepted_tokens > 4  # this model spells things its own way


@pytest.mark.parametrize("most", range(1, 12))
def test_max_tokens_ends_it_at_every_place_of_a_draft(backend, force, most):
    ordinary, _, _ = told(backend, raw(COPIED, max_tokens=most))
    _, _, text = told(backend, raw(COPIED, max_tokens=20))
    force(Told(text))
    assert told(backend, raw(COPIED, max_tokens=most, prompt_lookup=DRAFT))[0] == ordinary


def test_a_stop_sequence_ends_it_at_every_place_of_a_draft(backend, force):
    _, _, text = told(backend, raw(COPIED, max_tokens=12))
    force(Told(text))
    written = ends(backend, [raw(COPIED, max_tokens=12)])[0].text
    assert len(written) > 20
    for end in range(2, len(written)):
        values = {"max_tokens": 12, "stop": [written[end - 2 : end]]}
        ordinary, _, _ = told(backend, raw(COPIED, **values))
        assert told(backend, raw(COPIED, prompt_lookup=DRAFT, **values))[0] == ordinary


@pytest.mark.parametrize("size", range(24, 36))
def test_a_full_context_ends_it_at_every_place_of_a_draft(backend, force, size):
    values = {"context": size, "max_tokens": -1, "ignore_eos": True}
    ordinary, _, _ = told(backend, raw(COPIED, **values))
    _, _, text = told(backend, raw(COPIED, max_tokens=30, ignore_eos=True))
    force(Told(text))
    drafted, usage, _ = told(backend, raw(COPIED, prompt_lookup=DRAFT, **values))
    assert drafted == ordinary and ordinary[-2].reason is StopReason.CONTEXT_FULL
    assert usage.total_tokens == size + 1  # the last one is drawn, and not decoded


@pytest.mark.parametrize("who", ["Ctrl-C", "whoever asked", "the time limit"])
@pytest.mark.parametrize("count", range(1, 9))
def test_it_is_stopped_at_every_place_of_a_draft(backend, force, monkeypatch, count, who):
    def stopped(**values):
        with Control() as own:
            control = own if who == "whoever asked" else None
            request = raw(COPIED, max_tokens=20, control=control, time_limit=1e6, **values)
            pieces = []
            for _, event in backend.answer([request]):
                pieces += [event] if isinstance(event, Piece) else []
                if len(pieces) == count and who == "the time limit":
                    monkeypatch.setattr(Answer, "deadline", 0.0)
                elif len(pieces) == count:
                    stop = Stop(StopReason.INTERRUPTED, "test")
                    (control or backend.test_control).stop = stop
            monkeypatch.undo()
            backend.test_control.stop = None
            return pieces, event.text, event.stop.reason

    _, _, text = told(backend, raw(COPIED, max_tokens=20))
    ordinary = stopped()
    force(Told(text))
    assert stopped(prompt_lookup=DRAFT) == ordinary


def test_no_bit_moves_with_one_thread(backend, force):
    """Several share the attention of a single row, but not that of several rows."""
    values = {"threads": 1, "max_tokens": 30, "ignore_eos": True, "logprobs": 0}
    ordinary, _, text = told(backend, raw(LONG * 3, **values))
    assert len(text) > 300
    force(Told(text, lambda place: place % 4 == 0))
    assert told(backend, raw(LONG * 3, prompt_lookup=DRAFT, **values))[0] == ordinary


def test_what_was_wrong_is_taken_back(backend, force, monkeypatch):
    _, _, text = told(backend, raw(COPIED, max_tokens=12))
    prompt = len(text) - 12
    force(Told(text, lambda place: place % 3 == 0))
    seen = calls(monkeypatch)
    told(backend, raw(COPIED, max_tokens=12, prompt_lookup=DRAFT))
    at = prompt - 1
    for call in seen[-sum(call[0][1] >= prompt - 1 for call in seen) :]:
        tokens = [token for token, _, _ in call]
        assert [place for _, place, _ in call] == [*range(at, at + len(call))]
        assert tokens[0] == text[at]
        right = shared(tokens[1:], text[at + 1 :])
        at += 1 + right
    assert at == len(text) - 1


def test_a_right_draft_saves_calls(backend, force, monkeypatch):
    _, _, text = told(backend, raw(COPIED, max_tokens=15, ignore_eos=True))
    force(Told(text))
    seen = calls(monkeypatch)
    _, usage, _ = told(backend, raw(COPIED, max_tokens=15, ignore_eos=True, prompt_lookup=DRAFT))
    assert [len(call) for call in seen[-3:]] == [DRAFT + 1] * 3
    assert (usage.drafted_tokens, usage.accepted_tokens) == (12, 12)
    assert usage.tokens_per_call == 5


def test_what_is_recorded_and_measured_is_the_same(backend, force):
    def recorded(**values):
        request = replace(raw(COPIED, record=True, logprobs=1, **values), drawn_entropy=True)
        (finished,) = ends(backend, [request])
        with closing(finished.trace) as trace:
            return finished.tokens, list(trace.views(3, lambda *_: None))

    _, _, text = told(backend, raw(COPIED))
    ordinary = recorded()
    force(Told(text, lambda place: place % 3 == 0))
    assert recorded(prompt_lookup=DRAFT) == ordinary


def test_what_follows_it_is_as_after_an_ordinary_answer(backend, model, opener, force):
    """The cache holds no wrong guess, and what it holds of the prompt is used."""
    turns = ("Hi.", "Hello!", "Tell me of the fox.")
    _, _, text = told(backend, conversation(turns[0]))
    force(Told(text, lambda place: place % 2 == 0))
    told(backend, conversation(LONG, prompt_lookup=DRAFT))
    drafted, usage, _ = told(backend, conversation(LONG, *turns[1:], prompt_lookup=DRAFT))
    assert usage.cached_tokens > 64
    assert drafted == told(opener(str(model)), conversation(LONG, *turns[1:]))[0]


# Where there are no drafts


def test_several_answers_together_have_no_drafts(opener, model, capsys, monkeypatch):
    backend = opener(str(model), slots=2)
    seen = calls(monkeypatch)
    finished = ends(backend, [raw(COPIED, prompt_lookup=DRAFT), raw(LONG, prompt_lookup=DRAFT)])
    assert [each.usage.drafted_tokens for each in finished] == [0, 0]
    assert all(len(sequences(call)) == len(call) for call in seen if len(call) < 6)


def test_a_state_that_cannot_be_taken_back_has_none_and_says_so(program, tmp_path):
    mamba = write_mamba(tmp_path / "mamba.gguf")
    done = program.call(
        "generate", "a a a a a", "-m", str(mamba), "-n", "4", "--prompt-lookup", "4"
    )
    assert "prompt_lookup has no effect: this model keeps a state" in done.stderr


def test_drafts_stop_where_they_fail_and_come_back(backend, monkeypatch):
    values = {"max_tokens": 200, "ignore_eos": True, "context": 256}
    _, _, text = told(backend, raw(COPIED, **values))
    monkeypatch.setattr(drafts, "Lookup", lambda: Told(text, lambda _place: True))
    _, usage, _ = told(backend, raw(COPIED, prompt_lookup=8, **values))
    assert usage.drafted_tokens < 8
    turn = len(text) - 120
    monkeypatch.setattr(drafts, "Lookup", lambda: Told(text, lambda place: place < turn))
    _, usage, _ = told(backend, raw(COPIED, prompt_lookup=8, **values))
    assert usage.accepted_tokens > 20


# A second model


@pytest.fixture
def ask_always(monkeypatch):
    """Let a draft model be asked for as much as may be, whatever it costs."""
    for module in (drafts, drafting):
        monkeypatch.setattr(module, "best_length", lambda _share, most, *_: most)


@pytest.mark.parametrize("values", WAYS.values(), ids=WAYS)
def test_with_a_draft_model_the_answer_is_that_of_the_ordinary_run(
    backend, model, ask_always, values
):
    values = {"max_tokens": 24} | values
    ordinary, _, _ = told(backend, raw(COPIED, logprobs=2, **values))
    helped = values | {"draft_model": str(model), "draft_max": DRAFT}
    drafted, usage, _ = told(backend, raw(COPIED, logprobs=2, **helped))
    assert drafted == ordinary
    assert usage.drafted_tokens > 0


def test_a_model_that_drafts_for_itself_is_right(backend, model, ask_always):
    """But not where it is unsure itself. What it holds of one text is no part of the next."""
    for text in (COPIED, LONG, COPIED, LONG + COPIED):
        values = {"max_tokens": 40, "ignore_eos": True, "draft_model": str(model)}
        _, usage, _ = told(backend, raw(text, **values))
        assert usage.drafted_tokens == usage.accepted_tokens > 10


def test_lookup_comes_first_and_then_the_draft_model(backend, model, ask_always, monkeypatch):
    asked = []
    guess = DraftModel.guess
    monkeypatch.setattr(DraftModel, "guess", lambda *args: asked.append(1) or guess(*args))
    ordinary, _, text = told(backend, raw(COPIED, max_tokens=30, ignore_eos=True))
    known = Told(text[:-15])
    monkeypatch.setattr(drafts, "Lookup", lambda: known)
    values = {"prompt_lookup": DRAFT, "draft_model": str(model)}
    drafted, _, _ = told(backend, raw(COPIED, max_tokens=30, ignore_eos=True, **values))
    assert drafted == ordinary
    assert 0 < len(asked) <= 15


def test_it_ends_where_the_draft_model_was_stopped(backend, model, ask_always, monkeypatch):
    """A call of the draft model that Ctrl-C ends leaves nothing half done."""
    decode, helped = Context.decode, []

    def stopped(context, tokens, outputs):
        if context is not backend._slots.context:
            helped.append(len(tokens))
            if len(helped) in (1, 4):
                return False
        return decode(context, tokens, outputs)

    ordinary, _, _ = told(backend, raw(COPIED, max_tokens=20))
    monkeypatch.setattr(Context, "decode", stopped)
    values = {"max_tokens": 20, "draft_model": str(model)}
    drafted, usage, _ = told(backend, raw(COPIED, **values))
    assert drafted == ordinary
    assert 1 < helped[0] == helped[1] - 1  # the prompt is read again, and what was drawn
    assert usage.drafted_tokens == usage.accepted_tokens > 0


def test_a_draft_model_of_another_vocabulary_is_refused_in_one_line(program, tmp_path):
    other = write_llama(tmp_path / "other.gguf", vocabulary=300)
    flags = ("-m", "builtin", "--draft-model", str(other))
    complaint = program.call("generate", "hi", *flags).complaint(4)
    assert complaint == (
        f"draft_model {other} cannot draft for this model: 2048 tokens and 300 "
        "(a smaller model of the same family, or --draft-model none)"
    )


def test_vocabularies_are_compared_token_by_token(tmp_path):
    one, other, longer = (
        write_llama(tmp_path / f"{name}.gguf", vocabulary=count, metadata=metadata)
        for name, count, metadata in (
            ("one", 300, {}),
            ("other", 300, {TOKENS: [*byte_level(300)[TOKENS][:-1], "zzz"]}),
            ("longer", 310, {}),
        )
    )
    with vocabulary(one) as first, vocabulary(other) as second, vocabulary(longer) as third:
        assert difference(first, first) == "" == difference(first, third)
        assert difference(first, second).startswith("token 299 is ")


@pytest.mark.parametrize("name", ["nowhere.gguf", "scripted:script.yaml"])
def test_a_draft_model_that_is_none_is_an_error_before_anything_is_written(program, name):
    script.write(program.place)
    done = program.call("generate", "hi", "-m", "builtin", "--draft-model", name)
    assert done.code == 4 and done.stdout == b"", done.stderr


def test_a_draft_model_that_cannot_pay_is_not_asked_and_says_so(program, monkeypatch):
    monkeypatch.setattr(DraftModel, "guess", None)
    flags = ("-m", "builtin", "-n", "4", "--draft-model", "builtin")
    done = program.call("generate", "hi", *flags)
    assert done.code == 0
    assert "draft_model has no effect: it takes 100 % of the model's time" in done.stderr


def test_a_draft_model_is_asked_again_from_time_to_time():
    class Wrong:
        price = 0.1
        asked: ClassVar = []

        def guess(self, text, most):
            self.asked.append((len(text), most))
            return Guess([0] * most, drafting.MODEL)

    speculation = Speculation([(Wrong(), 8)], threads=2)
    text = [1] * 10
    for _ in range(500):
        speculation.draft(text, 8)
        text.append(1)
    places, lengths = zip(*Wrong.asked, strict=True)
    assert max(lengths) <= drafting.TRIED
    gaps = [after - before for before, after in pairwise(places) if after > before + 8]
    assert gaps == [drafting.REST * 2**number for number in range(len(gaps))] != []
    assert speculation.accepted == 0


def test_a_path_in_a_preset_is_beside_it(program, model):
    place = program.place / "sub"
    place.mkdir()
    (place / "small.gguf").symlink_to(model)
    (place / "p.yaml").write_text("parameters: {draft_model: small.gguf, draft_max: 4}\n")
    done = program.call("generate", "hi", "-m", str(model), "-n", "3", "-p", "sub/p.yaml", "--json")
    assert done.json["parameters"]["draft_model"]["value"] == str(place / "small.gguf")


# What is guessed, and how much of it


def brute(text, most):
    """As `Lookup.guess`, by looking everywhere."""
    for length in drafting.LENGTHS:
        for end in range(len(text) - 1, length - 1, -1):
            if text[end - length : end] == text[-length:]:
                more = list(text)
                while len(more) < len(text) + most:
                    more.append(more[end + len(more) - len(text)])
                return Guess(more[len(text) :], length)
    return Guess((), 0)


@limits(deadline=None)
@given(st.lists(st.integers(0, 2), max_size=40), st.integers(1, 9), st.data())
def test_the_index_finds_what_a_search_finds(text, most, data):
    lookup = Lookup()
    at = 0
    while at < len(text):
        at = data.draw(st.integers(at + 1, len(text)))
        assert lookup.guess(text[:at], most) == brute(text[:at], most)


COSTS = (drafting.ONE_THREAD, drafting.THREADS)


@limits(deadline=None)
@given(st.floats(0, 1), st.integers(0, 62), st.sampled_from(COSTS), st.sampled_from([0, 0.2, 1]))
def test_a_draft_is_as_long_as_it_pays(share, most, costs, price):
    def gain(length):
        paid = drafting.cost(length + 1, costs) + length * price
        return sum(share**place for place in range(length + 1)) / paid

    best = best_length(share, most, costs, price)
    assert 0 <= best <= most
    assert all(gain(best) >= gain(other) - 1e-9 for other in range(most + 1))


@pytest.mark.parametrize("costs", COSTS)
def test_costs_rise_with_the_tokens_of_a_call(costs):
    found = [drafting.cost(tokens, costs) for tokens in range(1, 63)]
    assert found == sorted(found) and found[0] == 1
    assert best_length(0.3, 8, costs) == 0 < best_length(0.95, 8, costs)
    assert best_length(0.95, 8, costs, price=1) == 0


# What is told


def test_numbers_of_drafts_are_in_json_and_on_the_terminal(program, model):
    common = (
        "generate",
        "a fox a fox " * 8,
        "--raw",
        "-m",
        str(model),
        "-n",
        "40",
        "--temperature",
        "0",
        "--ignore-eos",
    )
    plain = program.call(*common, "--json").json
    assert "accepted_prediction_tokens" not in plain["usage"]
    done = program.call(*common, "--json", "--prompt-lookup", "8").json
    assert done["text"] == plain["text"]
    usage = done["usage"]
    accepted, rejected = (usage[f"{each}_prediction_tokens"] for each in ("accepted", "rejected"))
    assert accepted > 0
    said = program.call(*common, "-v", "--prompt-lookup", "8").stderr
    per_call = 40 / (40 - accepted)
    share = f"{accepted / (accepted + rejected):.0%}".replace("%", " %")
    told = f"drafts {share} of {accepted + rejected} accepted, {per_call:.1f} tokens a call"
    assert told in said


def test_a_replay_drafts_again(program, model):
    flags = ("--raw", "-m", str(model), "-n", "40", "--seed", "1", "--prompt-lookup", "8")
    program.call("generate", COPIED, *flags, "--receipt", "r.json")
    receipt = json.loads((program.place / "r.json").read_text())
    assert receipt["parameters"]["prompt_lookup"]["value"] == 8
    done = program.call("replay", "r.json")
    assert done.code == 0, done.stderr
