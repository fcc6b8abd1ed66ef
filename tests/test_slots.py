"""Sequences and their cells: what is kept, shared, given up; and how prompts are cut into calls."""

from __future__ import annotations

import time
from contextlib import closing
from types import SimpleNamespace

import pytest
from asked import LONG, SHORT, calls, conversation, ends, ids, raw, sequences

from llmparams_cli.backends.llama.decoding.slots import Slots
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.env import Environment
from llmparams_cli.protocol import Failed, Passage, Piece, Started

BLOCK = 64  # tokens; llama.cpp's kernels differ below it
ENDLESS = {"max_tokens": -1, "ignore_eos": True}


@pytest.fixture
def little_memory(monkeypatch):
    """Let the cache have room for so many tokens."""

    def fits(tokens):
        place = "llmparams_cli.backends.llama.host.memory.Left.lack"
        monkeypatch.setattr(
            place, lambda _self, size, *_, **_shared: "" if size <= tokens else "too much"
        )

    return fits


# How prompts are cut


def test_a_prompt_is_whole_blocks_then_the_rest_then_a_row(backend, monkeypatch):
    seen = calls(monkeypatch)
    ends(backend, [raw(LONG)])
    body = len(backend.encode(LONG)) - 1
    whole = body // BLOCK * BLOCK
    assert whole > 0 and body > whole + 1
    assert [len(call) for call in seen[:3]] == [whole, body - whole, 1]


def test_a_call_has_no_more_tokens_than_the_context_computes_at_once(backend, monkeypatch):
    seen = calls(monkeypatch)
    texts = [f"a {name} saw " * 8 for name in ("fox", "cat", "dog")]
    lengths = {len(backend.encode(text)) for text in texts}
    small = {"batch_size": BLOCK, "ubatch_size": BLOCK}
    assert len(lengths) == 1 and BLOCK / 3 < min(lengths) < BLOCK / 2
    ends(backend, [raw(text, **small) for text in texts])
    assert max(map(len, seen)) <= BLOCK


def test_of_a_longer_prompt_whole_blocks_are_kept(backend):
    """Its block at the end of the shorter one was computed otherwise than that one's rest."""
    longer, shorter = LONG, LONG[: len(LONG) * 2 // 3].rpartition(".")[0] + "."
    ends(backend, [raw(longer)])
    (finished,) = ends(backend, [raw(shorter)])
    assert 0 < finished.usage.cached_tokens < finished.usage.prompt_tokens - 1
    assert finished.usage.cached_tokens % BLOCK == 0


def test_what_another_sequence_holds_is_copied_and_nobody_waits(opener, monkeypatch):
    backend = opener(slots=3)
    ends(backend, iter([raw(LONG)]))
    seen = calls(monkeypatch)
    ends(backend, iter([raw(LONG + "A cat sat."), raw(LONG + "A dog sat.")]))
    assert sequences(seen[0]) == {0, 1}
    assert all(place >= BLOCK for _, place, _ in seen[0])


def test_a_text_goes_on_behind_one_that_was_scored(backend, monkeypatch):
    """Whole blocks of it are there already, and the next piece begins at a block."""
    target = " " + LONG.strip()
    tokens = len(backend.encode(SHORT + target))
    assert tokens == len(backend.encode(SHORT)) + len(backend.encode(target))
    seen = calls(monkeypatch)
    for passage in (Passage(raw(SHORT), target), Passage(raw(SHORT + target), " She saw it.")):
        first = len(seen)
        ((_, scored),) = backend.score([passage])
        scored.trace.close()
    assert seen[first][0][1] == (tokens - 1) // BLOCK * BLOCK


def test_passages_are_read_one_behind_the_other(backend):
    passages = [Passage(raw(SHORT), text) for text in (LONG, " She saw it.")]
    for (number, scored), passage in zip(backend.score(passages), passages, strict=True):
        assert len(scored.trace) == len(backend.encode(passage.text)), number
        scored.trace.close()


# What is given up


def give_up_once(monkeypatch):
    """Let the next call compute a half of its tokens, and end as one that was interrupted."""
    decode, given_up = Context.decode, []

    def half(context, tokens, outputs):
        if given_up:
            return decode(context, tokens, outputs)
        given_up.append(len(tokens))
        assert decode(context, tokens[: len(tokens) // 2], [])
        return False

    monkeypatch.setattr(Context, "decode", half)


def test_a_call_that_was_given_up_half_way_leaves_nothing_of_a_prompt(backend, opener, monkeypatch):
    (alone,) = ends(opener(), [raw(LONG)])
    give_up_once(monkeypatch)
    (again,) = ends(backend, [raw(LONG)])
    assert ids(again) == ids(alone)


def test_a_call_that_was_given_up_half_way_leaves_nothing_of_a_passage(
    backend, opener, monkeypatch
):
    def fit(reader):
        ((_, scored),) = reader.score([Passage(raw(SHORT), LONG)])
        with closing(scored.trace) as trace:
            return trace.fit(lambda _done: None)

    alone = fit(opener())
    give_up_once(monkeypatch)
    assert fit(backend) == alone


def test_a_call_that_was_given_up_half_way_leaves_nothing_of_what_was_read_ahead(
    backend, opener, monkeypatch
):
    (alone,) = ends(opener(), [conversation(LONG)])
    give_up_once(monkeypatch)
    backend.read_ahead(conversation(LONG))
    (again,) = ends(backend, [conversation(LONG)])
    assert ids(again) == ids(alone)


@pytest.mark.parametrize("end", ["left", "failed"])
def test_a_slot_is_free_again_however_its_answer_ended(end, opener, monkeypatch):
    backend = opener(slots=2)
    if end == "left":
        events = backend.answer(iter([raw(SHORT, record=True)]))
        assert isinstance(next(events)[1], Started) and isinstance(next(events)[1], Piece)
        events.close()
    else:
        impossible = raw(SHORT, grammar='root ::= "x"', logit_bias={"x": float("-inf")})
        assert [type(each) for each in ends(backend, iter([impossible]))] == [Failed]
    seen = calls(monkeypatch)
    ends(backend, iter([raw(SHORT), raw("a fox saw")]))
    assert set().union(*map(sequences, seen)) == {0, 1}


def test_after_ctrl_c_nobody_who_waits_begins(backend):
    def arriving():
        for seed in range(5):
            asked.append(seed)
            yield raw(SHORT, seed=seed)

    asked = []
    numbers = set()
    for number, event in backend.answer(arriving()):
        numbers.add(number)
        if isinstance(event, Piece):
            backend.test_control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
    assert numbers == {0} and len(asked) == 1


# Cells


def test_each_of_many_answers_fills_the_context_to_the_last_token(backend):
    events = list(backend.answer([raw(SHORT, context=64, **ENDLESS) for _ in range(2)]))
    for number in (0, 1):
        started, *_, finished = [event for of, event in events if of == number]
        assert finished.stop == Stop(StopReason.CONTEXT_FULL, "64 tokens")
        assert started.prompt_tokens + len(finished.tokens) == 65


def test_where_memory_is_short_a_prompt_takes_its_cells_once(backend, little_memory, monkeypatch):
    requests = [raw(LONG, temperature=1.5, seed=seed) for seed in range(4)]
    alone = [ids(ends(backend, [request])[0]) for request in requests]
    prompt = len(backend.encode(LONG))
    little_memory(prompt + 4 * 14)
    seen, notes = calls(monkeypatch), []
    monkeypatch.setattr(Environment, "note", lambda _self, message: notes.append(message))
    together = ends(backend, requests)
    assert [note for note in notes if "share the cells" in note], "which is said"
    assert [each.stop.reason for each in together] == [StopReason.MAX_TOKENS] * 4
    assert [ids(each) for each in together] == alone
    assert max(map(len, map(sequences, seen))) == 4


def test_where_memory_is_short_prompts_have_room_and_are_read_one_by_one(
    backend, little_memory, monkeypatch
):
    texts = [LONG.replace("fox", name) for name in ("fox", "cat", "dog", "bear", "hen", "pig")]
    texts += ["a fox saw", "a cat saw", "a dog saw"]
    little_memory(3 * len(backend.encode(texts[-4])) + 100)
    seen = calls(monkeypatch)
    done = ends(backend, [raw(text) for text in texts])
    assert [each.stop.reason for each in done] == [StopReason.MAX_TOKENS] * len(texts)
    assert max(map(len, map(sequences, seen))) > 1
    for call in seen:
        assert len(sequences(call)) in (1, len(call))  # a prompt, or a row each


def test_cells_that_an_earlier_call_filled_make_room_for_a_prompt(backend, little_memory):
    texts = [LONG.replace("fox", name) for name in ("fox", "cat")]
    assert len({len(backend.encode(text)) for text in texts}) == 1
    alone = [ids(ends(backend, [raw(text)])[0]) for text in texts]
    little_memory(len(backend.encode(LONG)) + 4 * 14)
    for text, own in zip(texts, alone, strict=True):
        together = ends(backend, [raw(text, seed=seed) for seed in range(4)])
        assert [ids(each) for each in together] == [own] * 4


def test_when_shared_cells_run_out_the_latest_answers_end_first(
    backend, little_memory, monkeypatch
):
    """And what they held is there for the others, who go on."""
    monkeypatch.setattr("llmparams_cli.protocol.AS_ENDLESS", 30)
    prompt = len(backend.encode(SHORT))
    size = prompt + 3 * 31
    little_memory(size)
    events = list(backend.answer([raw(SHORT, **ENDLESS) for _ in range(3)]))
    lasts = [[event for of, event in events if of == number][-1] for number in range(3)]
    assert {last.stop.reason for last in lasts} == {StopReason.CONTEXT_FULL}
    for count, last in zip((3, 2, 1), reversed(lasts), strict=True):
        held = prompt - 1 + count * len(last.tokens)  # the last token drawn needs no cell
        assert size - count < held <= size


# Time


def test_reading_and_writing_take_no_more_than_all_the_time_together(backend):
    began = time.perf_counter()
    (finished,) = ends(backend, [raw(LONG)])
    timing = finished.timing
    assert timing.prompt_s + timing.generation_s <= time.perf_counter() - began


def test_loading_is_counted_once(opener):
    began = time.perf_counter()
    backend = opener()
    timings = [ends(backend, [raw(SHORT)])[0].timing for _ in range(3)]
    parts = (each.load_s + each.prompt_s + each.generation_s for each in timings)
    assert sum(parts) <= time.perf_counter() - began


def slots(held):
    """Four slots without a library, of 300 tokens each; those in `held` have so many."""
    model = SimpleNamespace(keeps_states=False)
    trims = []
    context = SimpleNamespace(
        model=model,
        sequences=4,
        sequence_size=300,
        piece_size=64,
        shared_cells=False,
        trim=lambda *told: trims.append(told) or True,
    )
    found = Slots(context)
    for sequence, count in held.items():
        found._slots[sequence].push([0] * count)
        found._slots[sequence].busy = True
    return found, trims


@pytest.mark.parametrize(
    ("held", "going", "computed"),
    [
        ({0: 280}, [0], [0, 1]),
        ({3: 280}, [3], [2, 3]),
        ({0: 280, 1: 280}, [0, 1], [0, 1]),
        ({0: 10}, [0], [0]),  # short: nothing to fear
        ({0: 280, 1: 64, 2: 280}, [0, 2], [0, 1, 2]),  # 1 is reading its prompt
        ({0: 280, 1: 64, 2: 10, 3: 280}, [0, 2, 3], [0, 1, 2, 3]),
        ({0: 10, 1: 64, 2: 280, 3: 64}, [0, 2], [0, 2, 3]),
        ({0: 280, 1: 300}, [0], [0]),  # there is no room beside it
    ],
)
def test_no_long_row_is_computed_alone_beside_other_sequences(held, going, computed):
    found, trims = slots(held)
    rows = [(7, held[sequence], sequence) for sequence in going]
    with found.company(rows, always=False) as all_rows:
        assert [sequence for _, _, sequence in all_rows] == computed
        assert [row for row in all_rows if row[2] in going] == rows
    others = set(computed) - set(going)
    assert sorted(trims) == sorted((other, held.get(other, 0)) for other in others)
