"""The llama.cpp backend through its protocol: many answers in one context, each as if alone."""

import time
from contextlib import closing
from itertools import pairwise

import pytest
from asked import LONG, SHORT, calls, conversation, ends, ids, raw, settings
from models import write_llama, write_mamba

from llmparams_cli.backends.llama.decoding import room
from llmparams_cli.backends.llama.host.memory import Left
from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.ending import Stop, StopReason
from llmparams_cli.errors import ContextOverflow, ModelError, UsageError
from llmparams_cli.interrupt import Control
from llmparams_cli.protocol import Failed, Finished, Message, Passage, Piece, Request, Started


def test_each_answer_is_a_started_its_pieces_and_a_finished(backend):
    events = list(backend.answer([raw(SHORT), raw(SHORT, seed=2)]))
    for number in (0, 1):
        first, *pieces, last = [event for of, event in events if of == number]
        assert isinstance(first, Started) and first.prompt == SHORT
        assert isinstance(last, Finished)
        assert "".join(piece.text for piece in pieces if isinstance(piece, Piece)) == last.text


def test_equal_seeds_are_equal_and_other_seeds_differ(backend):
    first, same, other = ends(
        backend, [raw(SHORT, temperature=1.5, max_tokens=30, seed=seed) for seed in (7, 7, 8)]
    )
    assert ids(first) == ids(same) != ids(other)


def test_an_answer_among_others_is_the_one_that_it_is_alone(backend):
    texts = [SHORT, LONG, LONG + SHORT, "hi", SHORT]
    together = ends(backend, [raw(text) for text in texts])
    for text, finished in zip(texts, together, strict=True):
        assert ids(ends(backend, [raw(text)])[0]) == ids(finished)


@pytest.mark.parametrize("size", ["batch_size", "ubatch_size"])
def test_small_batches_cut_a_prompt_alike_for_one_and_for_many(opener, size, monkeypatch):
    backend = opener(**{size: 4})
    seen = calls(monkeypatch)
    lengths = []
    for requests in ([raw(LONG, **{size: 4})], [raw(LONG, **{size: 4})] * 9):
        seen.clear()
        ends(backend, requests)
        lengths.append([len(call) for call in seen if call[0][1] < 160])
    assert lengths[0] == lengths[1]


def test_an_answer_ends_when_the_context_is_full(opener):
    backend = opener()
    request = raw(SHORT, max_tokens=-1, ignore_eos=True, context=64)
    started, *_, finished = [event for _, event in backend.answer([request])]
    assert finished.stop == Stop(StopReason.CONTEXT_FULL, "64 tokens")
    # The last token drawn needs no room of its own.
    assert started.prompt_tokens + len(finished.tokens) == 65


def test_those_that_wait_for_a_slot_go_on_as_the_first(backend, monkeypatch):
    monkeypatch.setattr(room, "AT_ONCE", 2)
    requests = [raw(SHORT, temperature=1.5, seed=seed) for seed in (5, 6, 5, 6, 5)]
    seen = calls(monkeypatch)
    done = [ids(each) for each in ends(backend, requests)]
    assert {sequence for call in seen for _, _, sequence in call} == {0, 1}
    assert done[0] == done[2] == done[4] != done[1] == done[3]


def test_answers_of_all_lengths_close_the_gaps_between_them(backend, monkeypatch):
    """The text of each is the one that it has alone, whatever slot it was moved to."""
    lengths = [3, 9, 5, 14, 2, 7, 11]
    alone = ids(ends(backend, [raw(SHORT, max_tokens=14)])[0])
    seen = calls(monkeypatch)
    monkeypatch.setattr(room, "AT_ONCE", 4)
    done = ends(backend, [raw(SHORT, max_tokens=length) for length in lengths])
    assert [ids(each) for each in done] == [alone[:length] for length in lengths]
    rows = [[sequence for _, _, sequence in call] for call in seen if len(call) <= 4]
    assert all(row == list(range(len(row))) for row in rows)


def test_a_shared_prompt_is_read_once(backend, monkeypatch):
    seen = calls(monkeypatch)
    ends(backend, [raw(LONG, seed=seed) for seed in range(4)])
    longest = max(call[-1][1] for call in seen if len(call) > 4)
    assert sum(len(call) for call in seen if len(call) > 4) == longest + 1


def test_a_shared_beginning_is_read_once(backend, monkeypatch):
    seen = calls(monkeypatch)
    ends(backend, [raw(LONG + end) for end in ("One.", "Two and three.", "Four?")])
    first_blocks = [call for call in seen if any(place == 0 for _, place, _ in call)]
    assert len(first_blocks) == 1


def test_a_long_prompt_that_joins_lets_the_others_go_on(opener, monkeypatch):
    """Between two tokens of a running answer no more than a block of it is read."""
    backend = opener(slots=2)
    seen = calls(monkeypatch)

    def arriving():
        yield raw(SHORT, max_tokens=40, ignore_eos=True)
        for _ in range(5):
            yield None
        yield raw(LONG, max_tokens=3)

    assert len(ends(backend, arriving())) == 2
    joined = next(place for place, call in enumerate(seen) if call[0][2] == 1)
    while_reading = [len(call) for call in seen[joined:] if call[0][2] == 1 and len(call) > 1]
    assert len(while_reading) > 2
    assert max(while_reading) <= 64
    both = seen[joined : joined + 2 * len(while_reading) - 1]
    assert all(1 in (len(call), len(after)) for call, after in pairwise(both))


def test_short_prompts_of_one_length_are_read_in_one_call(backend, monkeypatch):
    seen = calls(monkeypatch)
    ends(backend, [raw(text) for text in ("a fox saw", "a cat saw", "a dog saw")])
    assert len({sequence for _, _, sequence in seen[0]}) == 3


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (raw("word " * 3000), ContextOverflow),
        (raw(SHORT, grammar="root ::= ("), UsageError),
        (raw(SHORT, grammar='root ::= "x"', logit_bias={"x": float("-inf")}), UsageError),
    ],
    ids=["too long", "no grammar", "no token left"],
)
def test_a_request_that_fails_ends_alone(backend, broken, error):
    good = [raw(SHORT), raw(LONG)]
    alone = [ids(each) for each in ends(backend, good)]
    first, failed, last = ends(backend, [good[0], broken, good[1]])
    assert isinstance(failed, Failed) and isinstance(failed.error, error)
    assert [ids(first), ids(last)] == alone


def test_a_request_is_ended_by_whoever_asked(backend):
    control = Control()
    control.set(Stop(StopReason.INTERRUPTED, "the client left"))
    left, other = ends(backend, [raw(SHORT, control=control), raw(SHORT)])
    assert left.stop.detail == "the client left" and not left.tokens
    assert other.stop.reason is StopReason.MAX_TOKENS


def test_the_time_limit_is_each_answers_own(backend):
    slow = raw(LONG, max_tokens=-1, ignore_eos=True, time_limit=0.0001)
    late, other = ends(backend, [slow, raw(SHORT)])
    assert late.stop.reason is StopReason.TIME_LIMIT
    assert other.stop.reason is StopReason.MAX_TOKENS


def test_ctrl_c_ends_all(backend):
    events = backend.answer([raw(SHORT, max_tokens=-1), raw(LONG, max_tokens=-1)])
    stops = []
    for _, event in events:
        if isinstance(event, Piece):
            backend.test_control.set(Stop(StopReason.INTERRUPTED, "Ctrl-C"))
        if isinstance(event, Finished):
            stops.append(event.stop.reason)
    assert stops == [StopReason.INTERRUPTED] * 2


def test_a_second_turn_reads_only_what_is_new(backend):
    system = "Answer in one short sentence. " * 8
    (_, first), *_, (_, answer) = backend.answer([conversation(system + "What is top-k?")])
    turns = (system + "What is top-k?", answer.text, "And top-p?")
    (_, second), *_, (_, other) = backend.answer([conversation(*turns)])
    assert answer.usage.cached_tokens == 0
    assert other.usage.cached_tokens == (first.prompt_tokens - 1) // 64 * 64 > 0
    assert other.usage.cached_tokens < second.prompt_tokens


def test_what_is_kept_changes_no_answer(backend, opener):
    turns = [LONG + "What is top-k?", "a number", "And temperature?"]
    ends(backend, [conversation(turns[0])])
    ends(backend, [conversation(LONG + "Tell me a story.")])
    (kept,) = ends(backend, [conversation(*turns)])
    (fresh,) = ends(opener(), [conversation(*turns)])
    assert kept.usage.cached_tokens > 0
    assert ids(kept) == ids(fresh)


def test_the_same_prompt_again_reads_one_token(backend):
    (_, started), *_, (_, first) = backend.answer([conversation("hi")])
    (again,) = ends(backend, [conversation("hi")])
    assert again.usage.cached_tokens == started.prompt_tokens - 1
    assert ids(again) == ids(first)


def test_another_context_size_makes_the_context_again(backend):
    ends(backend, [conversation("hi", context=512)])
    (_, started), *_, (_, finished) = backend.answer([conversation("hi", context=256)])
    assert started.context == 256
    assert finished.usage.cached_tokens == 0


def test_expected_tokens_come_with_their_probabilities(backend):
    (first,) = ends(backend, [conversation("hi")])
    expected = tuple(ids(first))[:2]
    request = Request((Message("user", "hi"),), settings(), logprobs=0, expected=expected)
    (again,) = ends(backend, [request])
    assert [t.expected_logprob == t.logprob for t in again.tokens[:2]] == [True, True]
    assert all(token.expected_logprob is None for token in again.tokens[2:])


def test_a_passage_is_read_in_blocks_with_a_row_for_each_token(backend, monkeypatch):
    seen = calls(monkeypatch)
    ((_, scored),) = backend.score([Passage(raw(SHORT), LONG)])
    wanted = backend.encode(LONG)
    with closing(scored.trace) as trace:
        assert len(trace) == len(wanted)
        fit = trace.fit(lambda _done: None)
    assert [token.id for token in fit.tokens] == list(wanted)
    assert len(seen) < len(wanted) / 20


def test_a_passage_fits_its_own_greedy_answer(backend):
    (answer,) = ends(backend, [raw(SHORT, max_tokens=20)])
    ((_, scored),) = backend.score([Passage(raw(SHORT), answer.text)])
    with closing(scored.trace) as trace:
        fit = trace.fit(lambda _done: None)
    assert [token.rank for token in fit.tokens] == [1] * len(fit.tokens)


def test_an_adapter_is_part_of_the_context(backend):
    assert "lora" in backend.capabilities.parameters


def test_a_broken_adapter_is_refused_every_time(opener, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_text("no adapter")
    backend = opener(lora=[str(broken)])
    for _ in range(2):
        with pytest.raises(ModelError, match="not an adapter"):
            ends(backend, [raw(SHORT, lora=[str(broken)])])


def test_facts_tell_the_library_and_the_device(backend):
    facts = backend.facts()
    assert facts["library"]["llama-cpp-python"]
    assert facts["device"]["threads"] == 1


def test_pauses_in_a_list_of_requests_change_nothing(backend):
    requests = [raw(SHORT), raw(LONG)]
    without = [ids(each) for each in ends(backend, requests)]
    assert [ids(each) for each in ends(backend, [None, *requests])] == without


def test_waiting_for_a_request_is_no_loading(opener):
    backend = opener(slots=2)

    def arriving():
        yield raw(SHORT, max_tokens=2)
        for _ in range(200):
            yield None
        yield raw(SHORT, max_tokens=2)

    began = time.perf_counter()
    last = ends(backend, arriving())[1]
    assert last.timing.load_s < (time.perf_counter() - began) / 2


def test_a_shortened_prompt_has_room_beside_a_short_one(opener):
    backend = opener(context=512)
    long = raw("word " * 1000, context=512, overflow="truncate-start")
    short, shortened = ends(backend, [raw("hi", context=512), long])
    assert len(short.tokens) == len(shortened.tokens) == 12
    assert shortened.usage.prompt_tokens > 256 + 12


def test_a_state_that_cannot_go_back_is_read_again(opener, tmp_path):
    """And what is read is not reported as kept."""
    model = str(write_mamba(tmp_path / "mamba.gguf"))
    backend, fresh = opener(model), opener(model)
    turns = (LONG, "a number", "And temperature?")
    ends(backend, [conversation(LONG)])
    (again,) = ends(backend, [conversation(*turns)])
    (alone,) = ends(fresh, [conversation(*turns)])
    assert again.usage == alone.usage
    assert ids(again) == ids(alone)


def test_progress_is_done_before_anything_is_shown(opener):
    seen = []
    backend = opener(progress=lambda what, done, *_: seen.append((what, done)))
    for request in (raw(LONG), raw(LONG + "x", time_limit=0.0001)):
        seen.clear()
        seen.extend(type(event) for _, event in backend.answer([request]))
        first = next(place for place, each in enumerate(seen) if each in (Piece, Finished))
        told = [each[1] for each in seen[:first] if each is not Started]
        assert not told or told[-1] == 1.0
    assert sorted(told) == told


@pytest.fixture
def memory(monkeypatch):
    """Says for how many tokens memory is left."""

    def left(tokens):
        monkeypatch.setattr(
            Left, "lack", lambda _self, size, *_, **_shared: "" if size <= tokens else "too much"
        )

    return left


def test_shared_cells_forget_another_prompt(backend, memory):
    """What free slots and waiting ones still hold must not take the room of a new prompt."""
    memory(1000)
    one, other = ([raw(first + LONG * 2, max_tokens=10)] * 8 for first in ("The ", "And "))
    ends(backend, one)
    assert {len(each.tokens) for each in ends(backend, other)} == {10}


def test_a_prompt_waits_for_room_in_shared_cells(opener, memory, tmp_path):
    """One that grows without a limit has taken more than its share when another one joins."""
    backend = opener(str(write_llama(tmp_path / "a.gguf", context=8192)))
    memory(2400)
    endless = raw(SHORT, max_tokens=-1, ignore_eos=True)
    short = [raw("x", max_tokens=20, ignore_eos=True)] * 95
    joins = raw("x " * 212, max_tokens=5, ignore_eos=True)
    first, *_, last = ends(backend, [endless, *short, joins])
    assert first.stop.reason is StopReason.CONTEXT_FULL
    assert last.stop.reason is StopReason.MAX_TOKENS


def test_what_is_read_ahead_need_not_be_read_again_and_changes_no_answer(backend, opener):
    turns = [LONG + "What is top-k?", LONG, "And temperature?"]
    ends(backend, [conversation(turns[0])])
    backend.read_ahead(conversation(*turns[:2]))
    (_, started), *_, (_, after) = backend.answer([conversation(*turns)])
    (fresh,) = ends(opener(), [conversation(*turns)])
    assert ids(after) == ids(fresh)
    assert started.prompt_tokens - 128 < after.usage.cached_tokens < started.prompt_tokens


def test_reading_ahead_ends_when_the_next_message_is_there(backend, monkeypatch):
    enough = Control()
    seen = calls(monkeypatch)
    decode = Context.decode

    def then_the_message_comes(context, *call):
        done = decode(context, *call)
        enough.set(Stop(StopReason.INTERRUPTED, "the next message is there"))
        return done

    monkeypatch.setattr(Context, "decode", then_the_message_comes)
    request = Request((Message("user", LONG * 2),), settings(), control=enough)
    backend.read_ahead(request)
    assert [len(call) for call in seen] == [64]
    (after,) = ends(backend, [Request((Message("user", LONG * 2 + "So?"),), settings())])
    assert after.usage.cached_tokens == 64


def test_a_deadline_can_end_the_reading_of_a_prompt_in_the_middle_of_a_call(backend, monkeypatch):
    alarms = []
    alarm = Control.alarm

    def watched(control, seconds):
        alarms.append(seconds)
        return alarm(control, seconds)

    monkeypatch.setattr(Control, "alarm", watched)
    seen = calls(monkeypatch)
    (finished,) = ends(backend, [raw(LONG, time_limit=1000.0)])
    assert finished.stop.reason is not StopReason.TIME_LIMIT
    for call, seconds in zip(seen, alarms, strict=True):  # rows are too short for a timer
        assert (seconds is not None) == (len(call) > 1)
