"""Requests to a backend, what comes back, and what it decodes for them."""

from __future__ import annotations

from llmparams_cli.backends.llama.native.context import Context
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Message, Request

SHORT = "Once upon a time there was a fox"
LONG = "The fox saw a bear. The bear saw the fox. " * 12


def settings(**values):
    values = {"temperature": 0.0, "max_tokens": 12, "threads": 1} | values
    return resolve(Assignment(name, v, Origin(Source.FLAG, "test")) for name, v in values.items())


def raw(text, **values):
    more = {k: values.pop(k) for k in ("control", "logprobs", "record", "overflow") if k in values}
    return Request((Message("user", text),), settings(**values), raw=True, **more)


def ends(backend, requests):
    """The last event of each request, in their order."""
    last = {}
    for number, event in backend.answer(requests):
        last[number] = event
    return [last[number] for number in sorted(last)]


def ids(finished):
    return [token.id for token in finished.tokens]


def calls(monkeypatch):
    """What every call decodes from here on: a list of (token, position, sequence)."""
    seen = []
    decode = Context.decode

    def watched(context, tokens, outputs):
        seen.append(list(tokens))
        return decode(context, tokens, outputs)

    monkeypatch.setattr(Context, "decode", watched)
    return seen


def sequences(call):
    return {sequence for _, _, sequence in call}


def conversation(*texts, **values):
    roles = ("user", "assistant")
    messages = tuple(Message(roles[i % 2], text) for i, text in enumerate(texts))
    return Request(messages, settings(**values))
