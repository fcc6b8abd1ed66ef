"""A line of OpenAI's batch files: a request with an id of its own.

    {"custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": {…}}

and of the file that answers them:

    {"id": "batch_req_…", "custom_id": "r1", "response": {"status_code": 200, …}, "error": null}
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llmparams_cli.openai import body
from llmparams_cli.presets.nodes import Node, Unreadable
from llmparams_cli.protocol import Finished, Started, StopReason, Token
from llmparams_cli.records.document import stop_object
from llmparams_cli.rows.asked import Asked
from llmparams_cli.rows.row import Row
from llmparams_cli.text.numbers import rounded
from llmparams_cli.text.safe import spelled

ID = "batch_req_"  # before the key of a row
OK, BAD_REQUEST = 200, 400
LENGTH = (StopReason.MAX_TOKENS, StopReason.CONTEXT_FULL, StopReason.TIME_LIMIT)


def is_request(row: Row) -> bool:
    """Is it a line of a batch file?"""
    return "custom_id" in row.fields and "body" in row.fields


def custom_id(fields: Mapping[str, Node]) -> str:
    """Its own id; raises Unreadable."""
    node = fields["custom_id"]
    if not isinstance(node.value, str):
        raise Unreadable(node.mark, "custom_id: not text")
    return node.value


def url(fields: Mapping[str, Node]) -> str:
    """What is asked; raises Unreadable for what is no text to be written."""
    node = fields.get("url")
    if node is None or node.value is None:
        return body.CHAT
    if node.value not in (body.CHAT, body.COMPLETION):
        raise Unreadable(node.mark, f"url: {node.value!r} is neither {body.CHAT} nor completions")
    return str(node.value)


def asked(row: Row, place: str) -> Asked:
    """What a line asks for; raises Unreadable."""
    return replace(body.read(row.fields["body"], url(row.fields), place), id=custom_id(row.fields))


def answered(asked: Asked, key: str, started: Started, finished: Finished) -> dict[str, Any]:
    """The line that answers."""
    usage = finished.usage
    details = {"reasoning_tokens": usage.reasoning_tokens}
    kind = "text_completion" if asked.raw else "chat.completion"
    answer = {
        "id": f"{'cmpl' if asked.raw else 'chatcmpl'}-{key}",
        "object": kind,
        "created": int(time.time()),
        "model": started.model.known_as or started.model.name,
        "choices": [_choice(asked, finished)],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
            "prompt_tokens_details": {"cached_tokens": usage.cached_tokens},
            "completion_tokens_details": details,
        },
        "seed": started.seed,
    }
    return _line(asked.id, key, OK, answer)


def failed(id: str | int | None, key: str, message: str) -> dict[str, Any]:
    """The line for a request that has no answer."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    line = _line(id, key, BAD_REQUEST, {"error": error})
    return {**line, "error": {"code": "invalid_request", "message": message}}


def _line(id: str | int | None, key: str, status: int, answer: Any) -> dict[str, Any]:
    response = {"status_code": status, "request_id": key, "body": answer}
    return {"id": ID + key, "custom_id": id, "response": response, "error": None}


def _choice(asked: Asked, finished: Finished) -> dict[str, Any]:
    reason = "length" if finished.stop.reason in LENGTH else "stop"
    end = {"finish_reason": reason, "stop": stop_object(finished.stop)}
    tokens = finished.answer_tokens if asked.logprobs is not None else ()
    if asked.raw:
        logprobs = _completion_logprobs(tokens) if tokens else None
        return {"index": 0, "text": finished.text, "logprobs": logprobs, **end}
    message: dict[str, Any] = {"role": "assistant", "content": finished.text}
    if finished.reasoning:
        message["reasoning_content"] = finished.reasoning
    content = {"content": [_token(token) for token in tokens]} if tokens else None
    return {"index": 0, "message": message, "logprobs": content, **end}


def _token(token: Token) -> dict[str, Any]:
    top = [_alternative(each.text, each.logprob) for each in token.top]
    return {**_alternative(spelled(token.text), token.logprob), "top_logprobs": top}


def _alternative(text: str, logprob: float | None) -> dict[str, Any]:
    return {"token": text, "logprob": rounded(logprob), "bytes": list(text.encode())}


def _completion_logprobs(tokens: tuple[Token, ...]) -> dict[str, Any]:
    return {
        "tokens": [spelled(token.text) for token in tokens],
        "token_logprobs": [rounded(token.logprob) for token in tokens],
        "top_logprobs": [{e.text: rounded(e.logprob) for e in token.top} for token in tokens],
    }
