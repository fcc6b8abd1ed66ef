"""Thoughts and answers in one stream of tokens: whose settings draw, what the grammar rules, when
thoughts are closed. The model draws what its weights say, see `speaker`.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import pytest
from asked import conversation, ends
from models import USER_DEFINED, byte_level, sentencepiece
from speaker import write_speaker

from llmparams_cli.backends.llama.sampling.chain import Chain
from llmparams_cli.backends.llama.tracing import fit
from llmparams_cli.ending import StopReason
from llmparams_cli.params.settings import Assignment, Origin, Source
from llmparams_cli.protocol import Piece, Request, Started
from llmparams_cli.text.speech import Phase
from llmparams_cli.trace import Counterfactual

pytestmark = pytest.mark.real_model
FLAG = Origin(Source.FLAG, "test")
TEMPLATE = (
    "{% for m in messages %}<|user|>{{ m['content'] }}<|end|>{% endfor %}"
    "<|assistant|>{{ '<think>' if thinking is defined else '' }}{# </think> #}"
)
WORDS = ("yes", "no", "I", "add", "four")
NEW = ("<think>", "</think>")


def metadata() -> dict[str, object]:
    made = sentencepiece(WORDS)
    made["tokenizer.ggml.tokens"] = [*made["tokenizer.ggml.tokens"], *NEW]
    made["tokenizer.ggml.scores"] = [*made["tokenizer.ggml.scores"], *[0.0] * len(NEW)]
    kinds = made["tokenizer.ggml.token_type"]
    made["tokenizer.ggml.token_type"] = [*kinds, *[USER_DEFINED] * len(NEW)]
    return made


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("speakers")
    texts = {
        "sums": ["<think>I add</think>four</s>"],
        "dwells": ["<think>I add I", "</think>four</s>"],
        "ends": ["<think>I</s>"],
        "letters": ["<think>é", "</think>four</s>"],
        "blank": ["<think>I</think>\n</s>"],
        "spelled": ["<think>I"],
    }
    return {
        name: str(
            write_speaker(
                folder / f"{name}.gguf",
                byte_level(300) if name == "spelled" else metadata(),
                TEMPLATE,
                *each,
            )
        )
        for name, each in texts.items()
    }


def thinking(request: Request, **values: object) -> Request:
    """The request with these values while the model thinks."""
    chosen = request.settings
    for name, value in values.items():
        chosen = chosen.but(Assignment(name, value, FLAG, when_thinking=True))
    return replace(request, settings=chosen)


def reply(backend, request: Request) -> tuple[str, str, StopReason]:
    [finished] = ends(backend, [request])
    return finished.reasoning, finished.text, finished.stop.reason


DONE = StopReason.END_OF_GENERATION


def test_thoughts_are_apart_from_the_answer(opener, models):
    backend = opener(models["sums"])
    events = [event for _, event in backend.answer([conversation("Hi")])]
    pieces = [(event.text, event.is_thought) for event in events if isinstance(event, Piece)]
    assert pieces == [("I", True), (" add", True), ("four", False)]
    assert (events[-1].reasoning, events[-1].text) == ("I add", "four")
    assert (events[-1].usage.completion_tokens, events[-1].usage.reasoning_tokens) == (5, 4)


def test_a_raw_text_is_not_divided(opener, models):
    request = replace(conversation("Hi", logit_bias={"<think>": 100.0}, max_tokens=2), raw=True)
    assert reply(opener(models["sums"]), request)[:2] == ("", "<think>" * 2)


@pytest.mark.parametrize(("limit", "thought"), [(0, ""), (1, "I"), (5, "I add I add I")])
def test_enough_thoughts_are_closed_by_the_models_own_mark(opener, models, limit, thought):
    request = conversation("Hi", max_thinking_tokens=limit, max_tokens=40)
    assert reply(opener(models["dwells"]), request) == (thought, "four", DONE)


def test_without_a_limit_it_dwells(opener, models):
    request = conversation("Hi", max_tokens=9)
    thought, said, stop = reply(opener(models["dwells"]), request)
    assert (thought, said, stop) == ("I add I add I add I add", "", StopReason.MAX_TOKENS)


def test_no_character_is_cut_by_the_closing_mark(opener, models):
    """é is two tokens of a byte here, behind one for the space: the limit falls between the two."""
    request = conversation("Hi", max_thinking_tokens=2)
    assert reply(opener(models["letters"]), request) == ("é", "four", DONE)


def test_values_for_thinking_draw_the_thoughts_alone(opener, models):
    backend = opener(models["sums"])
    request = conversation("Hi", logit_bias={" four": -100.0})
    assert reply(backend, request)[:2] != ("I add", "four")
    spared = thinking(conversation("Hi"), logit_bias={" four": -100.0})
    assert reply(backend, spared) == ("I add", "four", DONE)
    changed = thinking(conversation("Hi"), logit_bias={" no": 100.0})
    assert reply(backend, changed)[0].startswith("no no")


@pytest.fixture(params=["grammar", "regex"])
def held(request):
    """Settings that admit these texts alone, as llama.cpp follows them, and as llguidance does."""
    if request.param == "regex":
        return lambda *texts: {"regex": "|".join(texts)}
    return lambda *texts: {"grammar": "root ::= " + " | ".join(f'"{text}"' for text in texts)}


def test_a_grammar_rules_the_answer_and_not_the_thoughts(opener, models, held):
    backend = opener(models["sums"])
    request = conversation("Hi", **held("yes", "no"))
    thought, said, stop = reply(backend, request)
    assert thought == "I add" and said in ("yes", "no") and stop is DONE


def test_a_grammar_that_begins_at_once_rules_everything(opener, models, held):
    backend = opener(models["sums"])
    request = conversation("Hi", **held("<think>no</think>yes"), max_tokens=40)
    assert reply(backend, request) == ("no", "yes", DONE)


def test_thoughts_do_not_end_an_answer_that_a_grammar_demands(opener, models, held):
    request = conversation("Hi", **held("yes", "no"), max_thinking_tokens=6)
    thought, said, stop = reply(opener(models["ends"], max_tokens=40), request)
    assert thought.startswith("I") and said in ("yes", "no") and stop is DONE


def test_a_blank_behind_the_thoughts_is_no_business_of_the_grammar(opener, models, held):
    request = conversation("Hi", **held("yes", "no"))
    [finished] = ends(opener(models["blank"]), [request])
    assert [token.text for token in finished.tokens][:4] == ["<think>", " I", "</think>", " "]
    assert finished.text in ("yes", "no")


def test_an_answer_may_begin_like_a_mark_where_the_template_has_none(opener, tmp_path, held):
    """An ordinary model that draws < is held to the grammar, and not made to think."""
    template = TEMPLATE.replace("{# </think> #}", "").replace("'<think>'", "''")
    path = write_speaker(tmp_path / "m.gguf", byte_level(300), template, "<I")
    request = conversation("Hi", **held("the", "and"))
    assert reply(opener(str(path)), request)[0] == ""
    assert reply(opener(str(path)), request)[1] in ("the", "and")


def test_a_token_that_begins_the_answer_at_once_is_for_the_grammar(opener, tmp_path, held):
    """It closes the thoughts and goes on with what the grammar does not allow."""
    words = byte_level(300)
    words["tokenizer.ggml.tokens"][-1] = "k>{"
    words["tokenizer.ggml.token_type"][-1] = USER_DEFINED
    template = TEMPLATE + "<think>"
    path = write_speaker(tmp_path / "m.gguf", words, template, "I</think>{")
    request = conversation("Hi", **held("the"), max_tokens=40, max_thinking_tokens=20)
    thought, said, _ = reply(opener(str(path)), request)
    assert said == "the" and thought.startswith("I")


def test_a_message_that_ends_in_a_mark_opens_no_thoughts(opener, models):
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}{# </think> #}"
    request = conversation("What is <think>", chat_template=template)
    for name in ("sums", "spelled"):  # with a token of that name, and without
        events = opener(models[name]).answer([request])
        started = next(event for _, event in events if isinstance(event, Started))
        assert started.prompt.endswith("<think>") and started.phase is Phase.START


def test_a_mark_of_several_tokens_is_free_to_its_end(opener, models, held):
    """The vocabulary has no token <think>, and the grammar allows a middle part of it, too: it must
    not take that for the answer.
    """
    request = conversation("Hi", **held("th"), max_thinking_tokens=1, max_tokens=40)
    assert reply(opener(models["spelled"]), request)[:2] == ("I", "th")


def test_explaining_draws_the_same_in_both_phases(opener, models, held):
    backend = opener(models["dwells"])
    request = conversation(
        "Hi", **held("yes", "no"), max_thinking_tokens=3, temperature=1.0, seed=3
    )
    request = replace(thinking(request, temperature=0.3, top_k=5), record=True)
    [finished] = ends(backend, [request])
    with closing(finished.trace) as trace:
        views = list(trace.views(4, lambda _done: None))
    assert [view.id for view in views][: len(finished.tokens)] == [t.id for t in finished.tokens]
    stages = [[stage.name for stage in view.stages] for view in views]
    assert ["model", "max_thinking_tokens"] in stages
    assert any("grammar" in each for each in stages)


def test_what_was_drawn_is_possible_in_both_phases(opener, models, held):
    backend = opener(models["sums"])
    request = conversation("Hi", **held("yes", "no"), temperature=1.0, seed=5)
    request = replace(thinking(request, temperature=0.2, top_k=3), record=True)
    [finished] = ends(backend, [request])
    with closing(finished.trace) as trace:
        assert {token.removed_by for token in trace.fit(lambda _done: None).tokens} == {""}


def test_a_thought_is_judged_by_the_values_of_thoughts(opener, models):
    request = thinking(conversation("Hi", max_tokens=4), logit_bias={" no": 100.0})
    [finished] = ends(opener(models["sums"]), [replace(request, record=True)])
    with closing(finished.trace) as trace:
        assert {token.removed_by for token in trace.fit(lambda _done: None).tokens} == {""}


@pytest.mark.parametrize(("in_thoughts", "sets"), [({}, 1), ({"top_k": 3}, 2)])
def test_chains_for_thoughts_are_made_only_where_values_differ_there(
    opener, models, monkeypatch, in_thoughts, sets, held
):
    """One chain follows thoughts and answer, as it does in a run: what it learns holds in both."""
    made = []

    class Counted(Chain):
        def __init__(self, *arguments):
            made.append(self)
            super().__init__(*arguments)

    request = conversation("Hi", **held("yes", "no"), temperature=1.0)
    request = replace(thinking(request, **in_thoughts), record=True)
    [finished] = ends(opener(models["sums"]), [request])
    monkeypatch.setattr(fit, "Chain", Counted)
    with closing(finished.trace) as trace:
        trace.fit(lambda _done: None)
    assert len(made) == sets


def test_each_setting_of_a_phase_has_its_own_effect(opener, models):
    """A bias that counts in the thoughts alone changes a draw there; one of the answer does not."""
    backend = opener(models["sums"])
    request = conversation("Hi", logit_bias={" no": 3.0})
    request = replace(thinking(request, logit_bias={" no": 100.0}, max_tokens=3), record=True)
    [finished] = ends(backend, [request])
    with closing(finished.trace) as trace:
        effects = {each.setting.name: each.changed for each in trace.effects(lambda _done: None)}
    assert effects["thinking.logit_bias"] and not effects["logit_bias"]


def test_a_what_if_draws_each_phase_with_its_own_values(opener, models):
    backend = opener(models["dwells"])
    request = thinking(conversation("Hi", max_thinking_tokens=3), logit_bias={"I": -1.0})
    [finished] = ends(backend, [replace(request, record=True)])
    other = request.settings.but(Assignment("max_thinking_tokens", 1, FLAG))
    with closing(finished.trace) as trace:
        asked = [Counterfactual(other, ("max_thinking_tokens 1",), "shorter")]
        [found] = trace.what_if(asked, finished.stop, lambda _d: None, lambda _d: None)
    assert (found.number, found.text) == (3, "four")
