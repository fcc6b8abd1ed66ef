"""Choices: how probable each is after the prompt, and which of them is the answer."""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
from asked import SHORT, calls, conversation, ends, raw
from models import sentencepiece, write_llama
from speaker import write_speaker
from test_thinking import TEMPLATE, metadata

from llmparams_cli.analysis.choices import Tree, apart, drawn, shares
from llmparams_cli.backends.llama.decoding.choosing import _chance
from llmparams_cli.backends.llama.sampling.choices import ChoiceSampler
from llmparams_cli.ending import StopReason
from llmparams_cli.errors import ContextOverflow
from llmparams_cli.protocol import Chunk, Endings, Finished, Piece, Started

pytestmark = pytest.mark.real_model
ANIMALS = [" bear", " rabbit", " and a bear", " bear and a fox"]  # the first begins the last one
PROMPT = "Once upon a time there was a fox. The fox saw a"


def begun(backend, prompt, text, **values):
    """The log probability of an answer that begins with the text, each token by itself."""
    before, ending = backend.split(prompt).ids, backend.encode(text)
    whole = (*before, *ending)
    (logits,) = backend.logits([Chunk(whole, len(before))], raw(prompt, **values).settings)
    rows = logits[: len(ending)].astype(np.float64)
    rows -= np.log(np.exp(rows - rows.max(1, keepdims=True)).sum(1, keepdims=True)) + rows.max(
        1, keepdims=True
    )
    return float(sum(row[token] for row, token in zip(rows, ending, strict=True)))


def one(backend, request) -> Finished:
    [finished] = ends(backend, [request])
    assert isinstance(finished, Finished), finished.error
    return finished


def test_each_has_the_probability_of_an_answer_that_begins_with_it(backend):
    found = one(backend, raw(PROMPT, choices=ANIMALS)).choices
    alone = [begun(backend, PROMPT, text) for text in ANIMALS]
    # What begins with the fourth begins with the first, too, and counts for the fourth only.
    expected = [math.exp(each) for each in alone]
    expected[0] -= expected[3]
    assert [each.text for each in found] == ANIMALS
    assert [math.exp(each.logprob) for each in found] == pytest.approx(expected, rel=2e-3)
    total = sum(expected)
    assert [each.probability for each in found] == pytest.approx(
        [each / total for each in expected], abs=1e-3
    )
    assert sum(each.probability for each in found) == pytest.approx(1)
    for choice in found:
        assert tuple(token.id for token in choice.tokens) == backend.encode(choice.text)
        assert "".join(token.text for token in choice.tokens) == choice.text


def test_more_choices_than_are_read_at_once(backend):
    texts = [f" {number} foxes" for number in range(70)]
    found = one(backend, raw(PROMPT, choices=texts)).choices
    assert [each.text for each in found] == texts
    alone = [sum(token.logprob for token in each.tokens) for each in found]
    for place in (0, 31, 69):
        assert alone[place] == pytest.approx(begun(backend, PROMPT, texts[place]), abs=0.02)


def test_the_prompt_is_read_once_for_all_and_what_is_drawn_is_not_decoded(backend, monkeypatch):
    before = backend.split(SHORT).ids
    texts = [" and", " who", " that saw a bear"]
    endings = [backend.encode(text) for text in texts]
    seen = calls(monkeypatch)
    one(backend, raw(SHORT, choices=texts))
    tokens = [token for call in seen for token, _, _ in call]
    # Nothing follows the last token of a choice: one of a single token is read with the prompt.
    assert tokens == [*before, *(token for each in endings for token in each[:-1])]
    seen.clear()
    again = one(backend, raw(SHORT, choices=texts))
    assert seen[0] == [(before[-1], len(before) - 1, 0)]
    assert again.usage.cached_tokens == len(before) - 1


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_they_are_drawn_by_their_probabilities_and_the_temperature(backend, temperature):
    count, texts = 400, [" small", "w", " c"]
    requests = [
        raw(PROMPT, choices=texts, seed=seed, temperature=temperature) for seed in range(count)
    ]
    finished = ends(backend, requests)
    weights = [each.probability ** (1 / temperature) for each in finished[0].choices]
    expected = [weight / sum(weights) for weight in weights]
    found = Counter(each.text for each in finished)
    assert min(expected) > 0.005  # so that all are looked at
    for text, share in zip(texts, expected, strict=True):
        spread = math.sqrt(count * share * (1 - share))
        assert abs(found[text] - count * share) < 4 * spread
    assert one(backend, requests[7]).text == finished[7].text


def test_at_temperature_0_it_is_the_most_probable_and_not_what_begins_best(backend):
    texts = [" small zzz", " warm"]
    first = [begun(backend, PROMPT, text) for text in (" small", " warm")]
    assert first[0] > first[1]
    finished = one(backend, raw(PROMPT, choices=texts))
    assert finished.text == " warm"
    assert max(finished.choices, key=lambda each: each.probability).text == " warm"


def test_a_blank_before_them_is_read_where_the_model_would_write_one(backend):
    finished = one(backend, raw(PROMPT, choices=["small", "warm"]))
    spelled = one(backend, raw(PROMPT, choices=[" small", " warm"]))
    assert [each.text for each in finished.choices] == ["small", "warm"]
    assert [each.logprob for each in finished.choices] == [e.logprob for e in spelled.choices]
    assert (finished.text, spelled.text) == ("small", " small")
    pieces = [
        e for _, e in backend.answer([raw(PROMPT, choices=["small"])]) if isinstance(e, Piece)
    ]
    assert "".join(piece.text for piece in pieces) == "small"
    # Behind a blank no second one comes; and one that begins with white space is what it is.
    behind = one(backend, raw(PROMPT + " ", choices=["small", "warm"])).choices
    assert [each.tokens[0].text[0] for each in behind] == ["s", "w"]
    mixed = one(backend, raw(PROMPT, choices=[" small", "warm"])).choices
    assert [each.tokens[0].text[0] for each in mixed] == [" ", "w"]


def test_the_events_of_an_answer(backend):
    request = raw(PROMPT, choices=[" bear", " rabbit!"], logprobs=2)
    (started, *pieces, finished) = [event for _, event in backend.answer([request])]
    assert isinstance(started, Started)
    assert all(isinstance(piece, Piece) for piece in pieces)
    assert "".join(piece.text for piece in pieces) == finished.text
    assert finished.stop.reason is StopReason.END_OF_GENERATION
    assert finished.usage.completion_tokens == len(finished.tokens)
    chosen = next(each for each in finished.choices if each.text == finished.text)
    for shown, measured in zip(finished.tokens, chosen.tokens, strict=True):
        assert shown.logprob == pytest.approx(measured.logprob, abs=1e-4)
        assert len(shown.top) == 2
    assert all(token.logprob is None for token in one(backend, raw(PROMPT, choices=["a"])).tokens)


def test_other_requests_in_the_same_list_are_answered_as_ever(backend):
    plain = raw(SHORT)
    [alone] = ends(backend, [plain])
    chosen = raw(SHORT, choices=[" and", " who"])
    first, second, third = ends(backend, [chosen, plain, chosen])
    assert second.text == alone.text
    assert not second.choices
    assert first.choices == third.choices


def test_limits_end_it_as_ever(backend):
    assert one(backend, raw(PROMPT, choices=[" bear and"], stop=[" and"])).text == " bear"
    cut = one(backend, raw(PROMPT, choices=[" bear and a fox"], max_tokens=1))
    assert cut.stop.reason is StopReason.MAX_TOKENS
    assert " bear and a fox".startswith(cut.text)
    whole = one(backend, raw(PROMPT, choices=[" bear"], max_tokens=1))
    assert (whole.text, whole.stop.reason) == (" bear", StopReason.END_OF_GENERATION)


def test_the_context_has_to_hold_prompt_and_choice(opener):
    small = opener(context=20)
    [failed] = ends(small, [raw(SHORT, choices=[" and" * 30], context=20)])
    assert isinstance(failed.error, ContextOverflow)


def test_a_choice_that_just_fits_is_taken(opener):
    small = opener(context=20)
    room = 20 - len(small.split(SHORT).ids)
    for count, fits in ((room, True), (room + 1, False)):
        text = " a" * count
        assert len(small.encode(text)) == count
        [finished] = ends(small, [raw(SHORT, choices=[text], context=20, max_tokens=-1)])
        assert isinstance(finished, Finished) is fits
        assert not fits or finished.text == text


def test_choices_that_a_vocabulary_cannot_tell_apart_are_refused(opener, tmp_path):
    tokens = sentencepiece()["tokenizer.ggml.tokens"]
    model = write_llama(tmp_path / "m.gguf", vocabulary=len(tokens), metadata=sentencepiece())
    [failed] = ends(opener(str(model)), [raw("x", choices=[" the", "\u2581the"])])
    assert "has the same tokens as another in this model's vocabulary" in str(failed.error)


def test_all_the_chance_is_in_the_first_token(backend):
    request = replace(raw(PROMPT, choices=[" a bear", " a fox"], temperature=1.0))
    finished = one(backend, replace(request, drawn_entropy=True))
    weights = [each.probability for each in finished.choices]
    bits = -sum(weight * math.log2(weight) for weight in weights)
    assert [token.drawn_entropy for token in finished.tokens] == pytest.approx(
        [bits, 0.0], abs=1e-4
    )


def test_a_blank_is_weighed_by_all_the_choices_together():
    logits = np.log([0.4, 0.3, 0.2, 0.1])
    assert _chance(logits, Endings((), ((1, 5), (2,), (2, 6)))) == pytest.approx(0.5)


def test_the_tokens_of_choices_are_drawn_one_by_one_as_the_whole():
    tree = Tree(((1, 2), (1, 3), (4,)), tuple(map(math.log, (0.1, 0.3, 0.6))))
    for seed in range(8):
        sampler = ChoiceSampler(tree, 1.0, seed, 6)
        assert sampler.allowed(None, 0).nonzero()[0].tolist() == [1, 4]
        assert sampler.distribution(None) == pytest.approx([0, 0.4, 0, 0, 0.6, 0])
        sampler.accept(1)  # whatever was planned
        assert sampler.distribution(None) == pytest.approx([0, 0, 0.25, 0.75, 0, 0])
        token = sampler.draw(None)
        assert token in (2, 3) and not sampler.is_complete()
        sampler.accept(token)
        assert sampler.draw(None) is None and sampler.is_complete()


def test_a_vocabulary_with_a_space_before_every_text(opener, tmp_path):
    tokens = sentencepiece()["tokenizer.ggml.tokens"]
    model = write_llama(tmp_path / "m.gguf", vocabulary=len(tokens), metadata=sentencepiece())
    finished = one(opener(str(model)), raw("the fox", choices=["the fox", " the", ".\nä"]))
    assert {each.text for each in finished.choices} == {"the fox", " the", ".\nä"}
    assert [len(each.tokens) for each in finished.choices] == [2, 1, 4]
    assert finished.text in ("the fox", " the", ".\nä")


def test_a_model_thinks_before_it_chooses(opener, tmp_path):
    path = write_speaker(tmp_path / "m.gguf", metadata(), TEMPLATE, "<think>I add</think>four</s>")
    backend = opener(str(path))
    request = conversation("add", choices=["no", "four"], max_tokens=20)
    (_, *pieces, finished) = [event for _, event in backend.answer([request])]
    assert (finished.reasoning, finished.text) == ("I add", "four")
    assert [piece.text for piece in pieces if not piece.is_thought] == ["four"]
    assert finished.usage.reasoning_tokens == 4
    assert finished.choices[1].probability > 0.99
    # Recorded, its answer is drawn token by token behind the thoughts: one sampler for both.
    recorded = one(backend, replace(request, record=True))
    assert (recorded.reasoning, recorded.text, recorded.choices) == ("I add", "four", ())
    recorded.trace.close()
    # Without thoughts the same model would say neither.
    short = one(backend, conversation("add", choices=["no", "four"], max_tokens=2))
    assert (short.text, short.choices) == ("", ())
    assert short.stop.reason is StopReason.MAX_TOKENS


# The program

FLAGS = ("generate", "--raw", "--no-log", "--temperature", "0", PROMPT)


def chosen_from(*texts):
    return [flag for text in texts for flag in ("--choice", text)]


def test_json_tells_every_choice(program):
    done = program.pipe(*FLAGS, *chosen_from(" bear", " rabbit"), "--json").json
    assert done["parameters"]["choices"]["value"] == [" bear", " rabbit"]
    assert [each["text"] for each in done["choices"]] == [" bear", " rabbit"]
    best = max(done["choices"], key=lambda each: each["probability"])
    assert done["text"] == best["text"]
    assert sum(each["probability"] for each in done["choices"]) == pytest.approx(1, abs=2e-6)
    for each in done["choices"]:
        assert each["logprob"] == pytest.approx(sum(t["logprob"] for t in each["tokens"]), abs=1e-5)


def test_standard_output_is_the_choice_alone(program):
    assert program.pipe(*FLAGS, *chosen_from(" bear", " rabbit")).text.strip() in ("bear", "rabbit")


def test_a_terminal_shows_them_as_bars(program):
    shown = program.terminal(*FLAGS, *chosen_from("small", "warm", "cat")).end()
    [title, *bars] = [line for line in shown.lines if "%" in line]
    assert title.endswith("of the model's answers begin with one of 3 choices:")
    assert [line.split()[0] for line in bars] == ["small", "warm", "cat"]
    assert bars[0].split()[1].startswith("█" * 20)


def test_in_a_narrow_terminal_every_choice_has_one_line(program):
    texts = "small", "warm and rather long for such a terminal"
    shown = program.terminal(*FLAGS, *chosen_from(*texts), width=32).end()
    bars = [line for line in shown.lines if "small" in line or "warm" in line][-2:]
    assert all(line.rstrip().endswith("%") for line in bars), shown.lines
    assert [line.split()[0] for line in bars] == ["small", "warm"] and "█" in bars[0]


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--choice", "a", "--choice", "a"], "'a' is named twice"),
        (["--choice", ""], "an empty text is not allowed here"),
        (["--choice", "a", "--regex", "b"], "both rule the form of the output; take one back"),
        (["--choice", "a", "-j", "{}"], "both rule the form of the output; take one back"),
        (["--choice", "a", "--grammar", "root ::= [a]"], "both rule the form of the output"),
    ],
)
def test_mistakes_are_told_in_a_line(program, flags, told):
    assert told in program.call(*FLAGS, *flags).complaint(2)


def test_a_preset_has_choices_and_the_command_line_takes_them_back(program):
    preset = program.place / "label.yaml"
    preset.write_text("parameters: {choices: [' bear', none]}\n")
    flags = (*FLAGS, "-p", "./label.yaml", "--json")
    given = program.call(*flags).json
    assert [each["text"] for each in given["choices"]] == [" bear", "none"]
    assert "choices" not in program.call(*flags, "--choice", "none", "-n", "2").json
    # Beside another one, it is a text like any other.
    both = program.call(*flags, *chosen_from("none", "all")).json["choices"]
    assert [each["text"] for each in both] == ["none", "all"]
    by_variable = program.call(*FLAGS, "--json", LLMPARAMS_CHOICES='["a", "b"]').json["choices"]
    assert [each["text"] for each in by_variable] == ["a", "b"]


def test_choices_that_max_tokens_cuts_are_told_before(program):
    done = program.call(*FLAGS, *chosen_from(" bear and a fox", " two of the rabbits"), "-n", "1")
    assert "the shortest answer that choices admit has at least" in done.stderr
    assert "shortest" not in program.call(*FLAGS, *chosen_from(" bear"), "-n", "9").stderr


def test_settings_that_shape_no_choice_are_told(program):
    done = program.call(*FLAGS, *chosen_from("a", "b"), "--top-k", "5")
    assert "top_k 5 (flag --top-k) has no effect: of choices one is drawn" in done.stderr


def test_rows_of_a_batch_have_choices_of_their_own(program):
    rows = [
        {"id": 1, "prompt": "I like it.", "parameters": {"choices": ["good", "bad"]}},
        {"id": 2, "prompt": "A story?", "parameters": {"max_tokens": 3}},
        {"id": 3, "prompt": "I like it. " * 30, "parameters": {"choices": ["yes", "no", "so so"]}},
        {"id": 4, "prompt": "x", "parameters": {"choices": ["a"], "regex": "b"}},
    ]
    given = "".join(json.dumps(row) + "\n" for row in rows)
    (program.place / "rows.jsonl").write_text(given)
    done = program.call("batch", "rows.jsonl", "-m", "builtin")
    assert done.stdout, done.stderr
    found = {row["id"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert [each["text"] for each in found[1]["choices"]] == ["good", "bad"]
    assert found[1]["text"] in ("good", "bad")
    assert "choices" not in found[2]
    assert len(found[3]["choices"]) == 3
    assert "both rule the form" in found[4]["error"]["hint"]


def test_requests_to_openai_have_them_by_the_names_of_vllm(program):
    body = {"messages": [{"role": "user", "content": "Good?"}], "temperature": 0}
    forms = [
        {"structured_outputs": {"choice": ["yes", "no"]}},
        {"guided_choice": ["yes", "no"]},
        {"extra_body": {"guided_regex": "(yes|no)"}},
    ]
    rows = [
        {"custom_id": str(n), "method": "POST", "url": "/v1/chat/completions", "body": body | form}
        for n, form in enumerate(forms)
    ]
    (program.place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = program.call("batch", "rows.jsonl", "-m", "builtin")
    lines = {row["custom_id"]: row for row in map(json.loads, done.stdout.splitlines())}
    for line in lines.values():
        assert line["response"]["body"]["choices"][0]["message"]["content"] in ("yes", "no")
    assert [each["text"] for each in lines["0"]["choices"]] == ["yes", "no"]
    assert lines["0"]["choices"] == lines["1"]["choices"]
    assert "choices" not in lines["2"]


def test_compare_draws_from_the_same_probabilities(program):
    grid = ("--grid", "temperature=0,3", "--samples", "2")
    done = program.call(
        "compare", "--raw", "--json", PROMPT, *chosen_from(" bear", " rabbit"), *grid
    )
    assert done.code == 0, done.stderr
    samples = [sample for each in done.json["variants"] for sample in each["samples"]]
    assert len(samples) == 4
    assert all(sample["choices"] == samples[0]["choices"] for sample in samples)
    assert all(sample["text"] in (" bear", " rabbit") for sample in samples)


def test_explain_draws_what_generate_draws(backend):
    texts = [" small", "w", " c"]
    for seed in range(12):
        request = raw(PROMPT, choices=texts, seed=seed, temperature=2.0)
        plain, recorded = one(backend, request), one(backend, replace(request, record=True))
        assert recorded.text == plain.text
        assert recorded.choices == plain.choices
        with closing(recorded.trace) as trace:
            [view] = list(trace.views(5, lambda _: None))
        assert view.text == plain.text
        share = next(each.probability for each in plain.choices if each.text == plain.text)
        names = [stage.name for stage in view.stages]
        assert names == ["model", "grammar", "temperature"]
        assert view.stages[1].kept == 3
        place = [token for token, _ in view.candidates].index(view.id)
        assert view.stages[1].probability(place) == pytest.approx(share, abs=1e-4)


def test_what_if_there_were_no_choices_or_another_temperature(program):
    flags = ("explain", "--raw", PROMPT, *chosen_from(" small", "w", " c"), "--json", "-n", "6")
    changes = ("--what-if", "choices=none", "--what-if", "temperature=10", "--continue")
    texts = set()
    for seed in map(str, range(8)):
        done = program.call(*flags, *changes, "--seed", seed).json
        free, hot = done["what_if"]
        assert free["text"].startswith(done["text"]) == (free["number"] == len(done["tokens"]) + 1)
        texts.add(hot["text"] or done["text"])
    assert texts == {" small", "w", " c"}


# The arithmetic


def test_what_begins_with_a_longer_one_counts_there():
    texts = [(1,), (1, 2), (1, 2, 3), (4,), (1, 9)]
    chances = [0.5, 0.3, 0.1, 0.2, 0.05]
    found = apart(texts, [math.log(each) for each in chances])
    expected = [0.5 - 0.3 - 0.05, 0.3 - 0.1, 0.1, 0.2, 0.05]
    assert [math.exp(each) for each in found] == pytest.approx(expected)


def test_shares_of_impossible_texts():
    assert shares([-math.inf, 0.0]) == [0.0, 1.0]
    assert shares([-math.inf, -math.inf]) == [0.5, 0.5]
    assert shares([-2000.0, -2001.0], 0) == [1.0, 0.0]
    assert sum(shares([-2000.0, -2001.0, -5.0], 0.01)) == pytest.approx(1)
    assert apart([(1,), (1, 2)], [0.0, 0.0]) == [-math.inf, 0.0]


def test_every_seed_draws_one():
    assert {drawn([0.5, 0.0, 0.5], seed) for seed in range(100)} == {0, 2}
    assert drawn([0.0, 0.0, 1.0], 1) == 2
    assert drawn([1e-9, 0.0], 1) == 0  # as rounding might leave it
