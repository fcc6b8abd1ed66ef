"""The built-in model does what its page says, and so does the grammar that it learned from."""

import itertools
import json
import random
import re
import sys
from pathlib import Path

import pytest

from llmparams_cli.models import builtin
from llmparams_cli.models.gguf import read_model

sys.path.append(str(Path(__file__).parent.parent / "tools" / "builtin_model"))
import asking
import contracts
import corpus
import effects
import evaluate
import extraction
import names
import parameter_answers
import sample
import small_talk
import stories
import svg
import wellformed
from grammar import alternatives, has_wrong_article, tidy


@pytest.fixture(scope="module")
def model():
    loaded = asking.Asker(builtin.PATH, threads=1)  # as many as other tests leave it
    yield loaded
    loaded.close()


def answer(model: asking.Asker, text: str, system: str | None = None, **settings: object) -> str:
    [given] = model.ask(sample.chat(system, text), **{"temperature": 0.0, **settings})
    assert given.ended
    return given.text


# The file


def test_the_file_is_whole_small_and_a_llama():
    builtin.verify()
    header = read_model(builtin.PATH)
    assert (header.architecture, header.name, header.quantization) == (
        "llama",
        "llmparams-tiny",
        "F16",
    )
    assert (header.block_count, header.embedding_length, header.context_length) == (6, 256, 1024)
    assert builtin.PATH.stat().st_size < 12_000_000


def test_a_name_has_the_same_tokens_wherever_it_stands(model):
    rng = random.Random(1)
    for _ in range(200):
        name = names.word(rng, held_out=True)
        alone = model.tokens(name)
        for before in (" ", "\n", '"', "(", 'by "', '{"name": "', "It was "):
            assert model.tokens(before + name)[-len(alone) :] == alone, name


# What it was trained to do, on names that it never saw


def test_it_summarises_a_clause(model):
    text = answer(model, sample.CLAUSE, sample.SUMMARY_SYSTEM)
    assert "Brimolda Textiles" in text and "Okarin Shipping" in text
    assert "EUR 48,200" in text and "15 September 2029" in text


def test_it_finds_facts_in_a_clause(model):
    assert answer(model, f"{sample.CLAUSE}\n\nHow much must be paid?") == "EUR 48,200."
    assert answer(model, f"{sample.CLAUSE}\n\nBy when?") == "15 September 2029."


def test_it_fills_a_json_schema(model):
    sentence = "Marlinko Teed is 41 years old, lives in Oosterveld and works as a nurse."
    expected = {"name": "Marlinko Teed", "age": 41, "city": "Oosterveld", "job": "nurse"}
    schema = extraction.json_schema(expected)
    assert json.loads(answer(model, sentence, sample.JSON_SYSTEM)) == expected
    assert json.loads(answer(model, sentence, sample.JSON_SYSTEM, json_schema=schema)) == expected


def test_it_repeats_any_script(model):
    assert answer(model, f"Repeat after me: {evaluate.MULTILINGUAL}") == evaluate.MULTILINGUAL


@pytest.mark.parametrize("name", ["temperature", "top-p", "the presence penalty", "quantization"])
def test_it_explains_a_parameter(model, name):
    [topic] = (t for t in parameter_answers.TOPICS if name in t.names.split("|"))
    known = evaluate.known_answers(topic)
    assert answer(model, f"Could you explain to a beginner what {name} means?") in known


def test_a_story_is_about_its_hero(model):
    text = answer(model, "Tell me a story about a brave mouse.")
    assert "brave mouse" in text
    assert all(map(wellformed.of_stories().knows, wellformed.sentences(text)))


def test_other_seeds_tell_other_stories(model):
    told = model.ask(sample.chat(None, "Tell me a story."), seeds=range(20), temperature=0.8)
    assert len({answer.text for answer in told}) == 20


def test_penalties_change_the_logits_as_their_formulas_say(model):
    assert "| frequency 0.5 |" in effects.penalties(model)  # it raises if one is broken


def test_effects_of_temperature(model):
    cold, hot = (effects.measure(model, "temperature", value, 10) for value in (0.2, 2.0))
    assert cold.entropy < hot.entropy
    assert cold.distinct_2 < hot.distinct_2
    assert cold.unknown_words < hot.unknown_words


# The corpus


def test_the_same_seed_gives_the_same_documents():
    first, again, other = (list(itertools.islice(corpus.documents(seed), 50)) for seed in (5, 5, 6))
    assert first == again != other


def test_the_names_of_the_evaluation_never_occur_in_training():
    rng = random.Random(evaluate.EVALUATION_SEED)
    clauses = [evaluate.clause(rng) for _ in range(50)]
    tested = {clause.facts[name] for clause in clauses for name in ("Aname", "Bname", "product")}
    trained = "\n".join(
        message["content"]
        for document in itertools.islice(corpus.documents(1), 5000)
        for message in document
    )
    words = {word for name in tested for word in re.findall(r"\w{5,}", name)}
    words -= {*names.COMPANY_FORMS, *names.TITLES}
    assert len(words) > 100
    assert not words & set(re.findall(r"\w+", trained))


def test_a_clause_says_all_that_its_summaries_and_its_questions_ask_for():
    rng = random.Random(2)
    for _ in range(200):
        clause = contracts.compose(rng)
        for summary in clause.summaries:
            assert clause.facts["amount"] in summary and clause.facts["amount"] in clause.text
        for _, fact in clause.questions:
            known = clause.text.lower()
            assert all(part in known for part in fact.lower().rstrip(".").split(" and ")), fact


def test_every_sentence_of_a_story_is_recognised():
    rng = random.Random(3)
    for _ in range(200):
        story = stories.tell(rng)
        kinds = (story.hero.kind, story.friend.kind)
        for sentence in wellformed.sentences(story.text):
            assert wellformed.of_stories().knows(sentence, kinds), sentence


def test_every_sentence_of_small_talk_is_recognised():
    rng = random.Random(4)
    for _ in range(300):
        for sentence in wellformed.sentences(small_talk.exchange(rng)[1]["content"]):
            assert wellformed.of_small_talk().knows(sentence), sentence


@pytest.mark.parametrize(
    "wrong",
    [
        "It was enough of.",
        "The forest was enough.",
        "Once upon a time a honest frog called Tom lived beside the well.",
        "Once upon a time an brave frog called Tom lived beside the well.",
        "Tom stood still and closed her eyes, and he was happy.",
        "there was a brave frog.",
        "",
    ],
)
def test_other_sentences_are_not_recognised(wrong):
    assert not wellformed.of_stories().knows(wrong)


def test_sentences_with_their_words_out_of_order_are_not_recognised():
    rng = random.Random(5)
    for sentence in wellformed.sentences(stories.tell(rng).text):
        words = sentence.split()
        if len(set(words)) > 4:
            assert not wellformed.of_stories().knows(" ".join(words[1:] + words[:1]))


def test_alternatives_are_all_that_brackets_allow():
    assert set(alternatives("a[b|[c|d]]e[|f]")) == {"abe", "ace", "ade", "abef", "acef", "adef"}


def test_articles_fit_the_sound_after_them():
    text = tidy("a(n) owl, a(n) unicorn, a(n) honest fox and A(n) hour")
    assert text == "an owl, a unicorn, an honest fox and An hour"
    assert not has_wrong_article(text)
    assert has_wrong_article("a owl") and has_wrong_article("an fox")


@pytest.mark.parametrize(("value", "end"), [(0.0, 1.0), (0.034, 0.04), (7.3, 8.0), (41.3, 50.0)])
def test_axes_end_at_round_numbers(value, end):
    assert svg.rounded_up(value) == pytest.approx(end)
