"""A context that is kept: later prompts are read only where they differ."""

from contextlib import closing

import pytest

from llmparams_cli.backends.llama.decoding.generate import Engine
from llmparams_cli.env import Environment
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.models.resolve import find_model
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Finished, Message, Request, Started


@pytest.fixture(scope="module")
def engine(cache):
    env = Environment(variables={"LLMPARAMS_CACHE_DIR": str(cache)}, quiet=True)
    model = find_model(None, env)
    with Interrupt(0) as interrupt, Engine(env, model, settings(), interrupt) as engine:
        yield engine


def settings(**values):
    values = {"temperature": 0, "max_tokens": 12, "threads": 1} | values
    origin = Origin(Source.FLAG, "test")
    return resolve(Assignment(name, value, origin) for name, value in values.items())


def ask(conversation, *texts, **values):
    roles = ("user", "assistant")
    messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(texts))
    events = list(conversation.ask(Request(messages, settings(**values))))
    return events[0], events[-1]


def test_a_second_turn_reads_only_what_is_new(engine):
    with closing(engine.conversation()) as conversation:
        first, answer = ask(conversation, "What is top-k?")
        second, other = ask(conversation, "What is top-k?", answer.text, "And top-p?")
    assert answer.usage.cached_tokens == 0
    assert other.usage.cached_tokens >= first.prompt_tokens + answer.usage.completion_tokens - 1
    assert other.usage.cached_tokens < second.prompt_tokens


def test_what_is_kept_changes_no_answer(engine):
    turns = ["What is top-k?", "a number", "And temperature?"]
    with closing(engine.conversation()) as conversation:
        ask(conversation, *turns[:1])
        ask(conversation, "Tell me a story.")
        _, kept = ask(conversation, *turns)
    with closing(engine.conversation()) as conversation:
        _, fresh = ask(conversation, *turns)
    assert kept.usage.cached_tokens > 0
    assert kept.text == fresh.text


def test_the_same_prompt_again_reads_one_token(engine):
    with closing(engine.conversation()) as conversation:
        started, first = ask(conversation, "hi")
        _, again = ask(conversation, "hi")
    assert again.usage.cached_tokens == started.prompt_tokens - 1
    assert again.text == first.text


def test_another_context_size_makes_the_context_again(engine):
    with closing(engine.conversation()) as conversation:
        ask(conversation, "hi", context=512)
        started, finished = ask(conversation, "hi", context=256)
    assert isinstance(started, Started)
    assert started.context == 256
    assert isinstance(finished, Finished)
    assert finished.usage.cached_tokens == 0


def test_expected_tokens_come_with_their_probabilities(engine):
    with closing(engine.conversation()) as conversation:
        _, first = ask(conversation, "hi")
        expected = tuple(token.id for token in first.tokens)
        request = Request((Message("user", "hi"),), settings(), logprobs=0, expected=expected[:2])
        *_, again = conversation.ask(request)
    assert [t.expected_logprob == t.logprob for t in again.tokens[:2]] == [True, True]
    assert all(token.expected_logprob is None for token in again.tokens[2:])
