"""OpenAI's batch files: lines as they are written for the hosted API and for vLLM's run-batch."""

from __future__ import annotations

import json

import pytest

from llmparams_cli.openai import batch_file, body
from llmparams_cli.presets import json_nodes
from llmparams_cli.presets.nodes import Unreadable
from llmparams_cli.rows.row import Row

BACKENDS = ("llama", "scripted")
CHAT = {
    "model": "gpt-4o-mini",
    "messages": [
        {"role": "system", "content": "You are a helpful assistant."},
        {
            "role": "user",
            "content": [{"type": "text", "text": "Hello "}, {"type": "text", "text": "world!"}],
        },
    ],
    "max_tokens": 8,
}


def line(id, wanted, url=body.CHAT):
    return {"custom_id": id, "method": "POST", "url": url, "body": wanted}


def run(program, *rows, code=0):
    (program.place / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    done = program.call("batch", "in.jsonl", "-o", "out.jsonl", "--seed", "3")
    assert done.code == code, done.stderr
    lines = (program.place / "out.jsonl").read_text().splitlines()
    return done, [json.loads(each) for each in lines]


def asked(wanted, url=body.CHAT):
    fields = json_nodes.compose(json.dumps(line("r1", wanted, url))).value
    return batch_file.asked(Row(1, 1, fields), "in.jsonl")


def test_a_chat_is_answered_in_the_apis_form(program):
    done, (found,) = run(program, line("request-1", {**CHAT, "max_tokens": 2}))
    answer = found["response"]["body"]
    assert found["custom_id"] == "request-1" and found["error"] is None
    assert found["id"].startswith("batch_req_") and found["response"]["status_code"] == 200
    assert answer["object"] == "chat.completion" and answer["id"].startswith("chatcmpl-")
    (choice,) = answer["choices"]
    assert choice["message"]["role"] == "assistant" and choice["message"]["content"]
    assert choice["finish_reason"] == "length" and choice["stop"]["reason"] == "max-tokens"
    usage = answer["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert "rows name the model gpt-4o-mini; all of them go to" in done.stderr


def test_what_cannot_be_answered_has_a_status_and_an_error(program):
    rows = [
        line("r1", {"input": "Hi"}, "/v1/embeddings"),
        line("r2", {**CHAT, "tools": [{"type": "function"}]}),
        line("r3", {**CHAT, "n": 2}),
        line("r4", {**CHAT, "temperature": "hot"}),
        line("r5", CHAT),
    ]
    _, found = run(program, *rows, code=13)
    assert [each["custom_id"] for each in found] == ["r1", "r2", "r3", "r4", "r5"]
    assert [each["response"]["status_code"] for each in found] == [400] * 4 + [200]
    messages = [each["response"]["body"]["error"]["message"] for each in found[:4]]
    for message, told in zip(messages, ("url", "tools", "n:", "temperature"), strict=True):
        assert told in message and message.startswith("in.jsonl:")
    assert all(
        each["error"]["message"] == told for each, told in zip(found, messages, strict=False)
    )


def test_a_finished_file_is_the_memory_of_what_was_answered(program):
    _, before = run(program, line("r1", CHAT))
    (program.place / "in.jsonl").write_text(
        "".join(
            json.dumps(each) + "\n"
            for each in (line("r0", {**CHAT, "top_p": 0.5}), line("r1", CHAT))
        )
    )
    done = program.call("batch", "in.jsonl", "-o", "out.jsonl", "--seed", "3", "--resume", "--json")
    assert done.json["kept"] == 1
    assert json.loads((program.place / "out.jsonl").read_text().splitlines()[1]) == before[0]


def test_probabilities_have_the_apis_form(program):
    rows = [
        line("r1", {**CHAT, "logprobs": True, "top_logprobs": 2}),
        line("r2", {"prompt": "Once upon", "max_tokens": 3, "logprobs": 1}, body.COMPLETION),
    ]
    _, (chat, completion) = run(program, *rows)
    first = chat["response"]["body"]["choices"][0]["logprobs"]["content"][0]
    assert first["logprob"] <= 0 and len(first["top_logprobs"]) == 2
    assert bytes(first["bytes"]).decode() == first["token"]
    found = completion["response"]["body"]["choices"][0]
    assert len(found["logprobs"]["tokens"]) == len(found["logprobs"]["token_logprobs"]) == 3
    assert completion["response"]["body"]["object"] == "text_completion"


def test_the_values_of_a_request_are_those_of_a_row():
    found = asked(
        {
            **CHAT,
            "temperature": 0.5,
            "top_k": 3,
            "min_p": 0.1,
            "stop": ["\n", "END"],
            "seed": 4,
            "logit_bias": {"5": -100},
            "max_completion_tokens": 9,
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
            },
            "extra_body": {"repetition_penalty": 1.1},
            "user": "me",
        }
    )
    values = {each.name: each.value for each in found.assignments}
    assert values == {
        "temperature": 0.5,
        "top_k": 3,
        "min_p": 0.1,
        "stop": ["\n", "END"],
        "seed": 4,
        "logit_bias": {"5": -100.0},
        "max_tokens": 8,
        "json_schema": {"type": "object"},
        "repeat_penalty": 1.1,
    }
    assert [m.role for m in found.messages] == ["system", "user"]
    assert found.messages[1].content == "Hello world!" and found.model == "gpt-4o-mini"
    assert any("user" in note for note in found.notes)


@pytest.mark.parametrize(
    ("wanted", "url"),
    [
        ([], body.CHAT),
        ({"model": "x"}, body.CHAT),
        ({"prompt": [1, 2]}, body.COMPLETION),
        ({"prompt": ["a", "b"]}, body.COMPLETION),
        ({**CHAT, "logprobs": True, "top_logprobs": 1000}, body.CHAT),
        (
            {**CHAT, "messages": [{"role": "assistant", "content": "", "tool_calls": [1]}]},
            body.CHAT,
        ),
        (CHAT, "/v1/moderations"),
        (CHAT, 5),
    ],
)
def test_what_is_no_request_is_refused(wanted, url):
    with pytest.raises(Unreadable):
        asked(wanted, url)
