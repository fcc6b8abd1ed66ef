"""`evaluate --tasks`: scores by the harness's rules, written again with llama_cpp alone."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import pytest
from program import Program

from llmparams_cli.errors import ExitCode
from llmparams_cli.models import builtin
from llmparams_cli.tasks.document import read_task
from llmparams_cli.tasks.metrics import Likelihood, mark_choices
from llmparams_cli.tasks.prompts import Document

CHOICES = """
task: animals
dataset_path: json
dataset_kwargs: {data_files: {test: test.jsonl, train: train.jsonl}}
output_type: multiple_choice
training_split: train
test_split: test
num_fewshot: 2
description: "Answer.\\n\\n"
doc_to_text: "Question: {{question}}\\nAnswer:"
doc_to_target: "{{choices.label.index(key)}}"
doc_to_choice: "{{choices.text}}"
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - metric: acc_norm
  - metric: acc_bytes
  - metric: exact_match
metadata: {version: 1.0}
"""
WRITTEN = """
dataset_path: json
dataset_kwargs: {data_files: {test: test.jsonl}}
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{[key, question|upper]}}"
generation_kwargs: {until: ["!"], max_gen_toks: 8}
filter_list:
  - {name: strict, filter: [{function: take_first}]}
  - {name: loose, filter: [{function: regex, regex_pattern: "#(\\\\w)"}, {function: lowercase}]}
metric_list:
  - {metric: exact_match, ignore_case: true, ignore_punctuation: true, regexes_to_ignore: [xx]}
"""
WORDS = ["fox", "bear", "a café", "the old, old owl", "my dog"]
QUESTIONS = ["Who lives in a den?", "Who saw it?", "Who went home?"]


def rows(count: int, seed: int) -> list[dict[str, Any]]:
    made = random.Random(seed)
    found = []
    for number in range(count):
        texts = made.sample(WORDS, 3 + number % 2)
        labels = ["A", "B", "C", "D"][: len(texts)]
        question = f"{made.choice(QUESTIONS)} {number}"
        choices = {"text": texts, "label": labels}
        found.append({"question": question, "choices": choices, "key": made.choice(labels)})
    return found


def lines(items: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


@pytest.fixture
def task(program: Program) -> Path:
    (program.place / "test.jsonl").write_text(lines(rows(12, 1)))
    (program.place / "train.jsonl").write_text(lines(rows(5, 2)))
    path = program.place / "task.yaml"
    path.write_text(CHOICES)
    return path


def harness(documents: list[dict[str, Any]], pool: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The harness's scores: every choice is read by itself, after its whole prompt."""
    model = llama_cpp.Llama(str(builtin.PATH), n_ctx=512, logits_all=True, verbose=False)
    drawn = random.Random(1234)

    def turn(row: dict[str, Any]) -> str:
        return f"Question: {row['question']}\nAnswer:"

    def tokens(text: str) -> list[int]:
        return model.tokenize(text.encode(), add_bos=True)

    found = []
    for row in documents:
        prompt = "Answer.\n\n"
        for shot in drawn.sample(pool, 2):
            right = shot["choices"]["text"][shot["choices"]["label"].index(shot["key"])]
            prompt += f"{turn(shot)} {right}\n\n"
        prompt += turn(row)
        logprobs, greedy = [], []
        for choice in row["choices"]["text"]:
            before, whole = tokens(prompt), tokens(f"{prompt} {choice}")
            model.reset()
            model.eval(whole)
            logits = model.scores[len(before) - 1 : len(whole) - 1].astype(np.float64)
            logits -= np.log(np.exp(logits).sum(axis=1, keepdims=True))
            wanted = whole[len(before) :]
            logprobs.append(sum(row[token] for row, token in zip(logits, wanted, strict=True)))
            greedy.append(list(logits.argmax(axis=1)) == wanted)
        right = row["choices"]["label"].index(row["key"])
        texts = row["choices"]["text"]
        by_length = [one / len(text) for one, text in zip(logprobs, texts, strict=True)]
        by_bytes = [one / len(text.encode()) for one, text in zip(logprobs, texts, strict=True)]
        scores = [int(np.argmax(each)) == right for each in (logprobs, by_length, by_bytes)]
        found.append({"prompt": prompt, "logprobs": logprobs, "scores": [*scores, greedy[right]]})
    model.close()
    return found


@pytest.mark.real_model
def test_choices_score_as_in_the_harness(task: Path, program: Program) -> None:
    done = program.call("evaluate", "--tasks", str(task), "--threads", "1", "--json")
    assert done.code == 0, done.stderr
    expected = harness(rows(12, 1), rows(5, 2))
    (model,) = done.json["models"]
    assert [each["prompt"] for each in model["documents"]] == [e["prompt"] for e in expected]
    for found, wanted in zip(model["documents"], expected, strict=True):
        logprobs = [choice["logprob"] for choice in found["choices"]]
        assert logprobs == pytest.approx(wanted["logprobs"], abs=0.02)
        assert [score["score"] for score in found["scores"]] == wanted["scores"]
    scores = np.array([each["scores"] for each in expected], float)
    means = [each["score"] for each in model["scores"]]
    assert means == pytest.approx(list(scores.mean(axis=0)), abs=1e-4)
    errors = [each["error"] for each in model["scores"]]
    assert errors == pytest.approx(list(scores.std(axis=0, ddof=1) / 12**0.5), abs=1e-4)
    assert [each["metric"] for each in model["scores"]] == [
        *("acc", "acc_norm", "acc_bytes", "exact_match")
    ]


@pytest.mark.real_model
def test_documents_score_alike_whatever_was_read_before(task: Path, program: Program) -> None:
    """The kept beginning of an earlier document changes nothing."""
    long = "The fox saw a bear. The bear saw the fox. They went home together. " * 8
    task.write_text(CHOICES.replace("Answer.", long))

    def first(name: str) -> list[float]:
        done = program.call("evaluate", "--tasks", str(task), "--threads", "1", "--json")
        documents = done.json["models"][0]["documents"]
        (found,) = (each for each in documents if name in each["prompt"].split("Question")[-1])
        return [choice["logprob"] for choice in found["choices"]]

    task.write_text(task.read_text().replace("num_fewshot: 2", "num_fewshot: 0"))
    items = rows(12, 1)
    name = items[-1]["question"]
    last = first(name)
    (program.place / "test.jsonl").write_text(lines([items[-1]]))
    assert first(name) == last


@pytest.mark.real_model
def test_more_choices_than_sequences_take_turns(task: Path, program: Program) -> None:
    words = [f"word {number}" for number in range(40)]
    row = {"question": "?", "choices": {"text": words, "label": words}, "key": words[0]}
    (program.place / "test.jsonl").write_text(lines([row]))
    done = program.call("evaluate", "--tasks", str(task), "--threads", "1", "--json")
    (document,) = done.json["models"][0]["documents"]
    row["choices"] = {"text": words[::-1], "label": words}
    (program.place / "test.jsonl").write_text(lines([row]))
    done = program.call("evaluate", "--tasks", str(task), "--threads", "1", "--json")
    (turned,) = done.json["models"][0]["documents"]
    straight = [choice["logprob"] for choice in document["choices"]]
    assert len(straight) == 40 and len(set(straight)) > 30
    back = [choice["logprob"] for choice in turned["choices"]][::-1]
    assert straight == pytest.approx(back, abs=0.02)


def test_answers_are_cut_filtered_and_compared(program: Program) -> None:
    texts = ["xxA.", "is #B!", "WHO?", "#"]
    script = "".join(f"  - {{when: q{n}, text: {json.dumps(t)}}}\n" for n, t in enumerate(texts))
    (program.place / "s.yaml").write_text(f"answers:\n{script}")
    items = [{"question": f"q{n}", "key": key} for n, key in enumerate("abcd")]
    items[2]["question"] = "who q2"
    (program.place / "test.jsonl").write_text(json.dumps(items))  # an array does, too
    (program.place / "task.yaml").write_text(WRITTEN)
    model = f"scripted:{program.place / 's.yaml'}"
    done = program.call("evaluate", model, "--tasks", "task.yaml", "--json")
    assert done.code == 0, done.stderr
    documents = done.json["models"][0]["documents"]
    assert [each["right"] for each in documents[:2]] == [["a", "Q0"], ["b", "Q1"]]
    assert [each["answer"] for each in documents] == ["xxA.", "is #B", "WHO?", "#"]
    filtered = [each["filtered"]["loose"] for each in documents]
    assert filtered == ["[invalid]", "b", "[invalid]", "[invalid]"]
    scores = {each["filter"]: each["score"] for each in done.json["models"][0]["scores"]}
    assert scores == {"strict": 0.25, "loose": 0.25}


def test_examples_come_from_the_same_split_without_the_document(program: Program) -> None:
    own = "dataset_kwargs: {data_files: {test: test.jsonl}}\nfewshot_split: test\nnum_fewshot: 1\n"
    text = WRITTEN.replace("dataset_kwargs: {data_files: {test: test.jsonl}}\n", own)
    (program.place / "task.yaml").write_text(text)
    items = [{"question": f"q{n}", "key": f"k{n}"} for n in range(3)]
    (program.place / "test.jsonl").write_text(lines(items))
    (program.place / "s.yaml").write_text("answers: [{text: x}]")
    done = program.call("evaluate", "scripted:s.yaml", "--tasks", "task.yaml", "--json")
    assert done.code == 0, done.stderr
    drawn = random.Random(1234)
    for item, found in zip(items, done.json["models"][0]["documents"], strict=True):
        shot = next(each for each in drawn.sample(items, 2) if each != item)
        assert found["prompt"] == f"{shot['question']} {shot['key']}\n\n{item['question']}"

    (program.place / "task.yaml").write_text(text.replace("num_fewshot: 1", "num_fewshot: 3"))
    done = program.call("evaluate", "scripted:s.yaml", "--tasks", "task.yaml", "--json")
    assert "num_fewshot: 3, but there are 3" in done.complaint(ExitCode.USAGE)


def test_norms_divide_by_characters_and_by_bytes(task: Path) -> None:
    """-4 in 4 characters of 8 bytes, and -3 in 3 of 3: equal by character, the first by byte."""
    document = Document(0, "?", " ", ("éééé", "abc"), (0,), ())
    likely = [Likelihood(-4.0, False), Likelihood(-3.0, False)]
    marked = mark_choices(read_task(task, "task.yaml"), document, likely)
    assert list(marked.scores.values()) == [0.0, 1.0, 1.0, 0.0]
    wrong = replace(document, right=(1,))
    marked = mark_choices(read_task(task, "task.yaml"), wrong, likely)
    assert list(marked.scores.values()) == [1.0, 0.0, 0.0, 0.0]


def test_a_file_may_include_another_and_the_first_examples(program: Program, task: Path) -> None:
    (program.place / "own.yaml").write_text(
        "include: task.yaml\ntask: own\nfewshot_config: {sampler: first_n}\n"
        "gen_prefix: 'It is'\noutput_type: generate_until\nmetric_list: null\n"
    )
    (program.place / "s.yaml").write_text("answers: [{text: x}]")
    flags = ("--tasks", "own.yaml", "--limit", "3", "--json")
    done = program.call("evaluate", "scripted:s.yaml", *flags)
    assert done.code == 0, done.stderr
    documents = done.json["models"][0]["documents"]
    assert done.json["task"] == "own" and len(documents) == 3
    shots = [
        f"Question: {row['question']}\nAnswer: It is "
        f"{row['choices']['text'][row['choices']['label'].index(row['key'])]}\n\n"
        for row in rows(5, 2)[:2]
    ]
    question = rows(12, 1)[0]["question"]
    end = f"Question: {question}\nAnswer: It is"
    assert documents[0]["prompt"] == f"Answer.\n\n{''.join(shots)}{end}"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("task: animals", "process_docs: !function utils.f", "task.yaml:2: !function runs a"),
        ("task: animals", "dok_to_text: x", "task.yaml:2: dok_to_text: not known here"),
        ("task: animals", "repeats: 5", "task.yaml:2: repeats: not known here"),
        ("task: animals", "include: none.yaml", "none.yaml: no such file"),
        ("dataset_path: json", "dataset_path: allenai/ai2_arc", "is not read from the Hub"),
        ("test: test.jsonl", "test: gone.jsonl", "gone.jsonl: no such file"),
        ("test: test.jsonl", "test: task.yaml", "task.yaml:2: not JSON"),
        ("test: test.jsonl", "other: test.jsonl", "data_files has no split 'test'"),
        ("multiple_choice", "loglikelihood", "'loglikelihood' is not known (known: multiple"),
        ("metric: acc_norm", "metric: f1", "'f1' is not known"),
        ("num_fewshot: 2", "num_fewshot: 9", "num_fewshot: 9, but there are 5 examples"),
        ("{{question}}", "{{questoin}}", "document 0: 'questoin' is undefined"),
        ("{{question}}", "{{ 9**(9**9) }}", "document 0: a power of more than"),
        ("{{choices.text}}", "{{question}}", "document 0: it gives no list of choices"),
        ("test_split: test\n", "", "neither test_split nor validation_split"),
        ("doc_to_target", "#", "doc_to_target is missing"),
        ("metric: acc_norm", "metric: acc_norm, ignore: 1", "task.yaml:"),
    ],
)
def test_what_is_not_known_is_told_in_a_line(
    old: str, new: str, words: str, task: Path, program: Program
) -> None:
    task.write_text(CHOICES.replace(old, new))
    done = program.call("evaluate", "--tasks", "task.yaml")
    assert words in done.complaint(ExitCode.USAGE)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("max_gen_toks: 8", "top_k: 5", "generation_kwargs: top_k is not known"),
        ("max_gen_toks: 8", "do_sample: true", "do_sample is false here"),
        ("max_gen_toks: 8", "max_gen_toks: x", "max_gen_toks a number"),
        ("function: take_first", "function: vote", "filter strict: 'vote' is not known"),
        ('"#(\\\\w)"', '"("', "is no regular expression"),
        ("ignore_case", "ignore_all", "exact_match: ignore_all is not known"),
    ],
)
def test_an_unknown_term_of_generation_is_told_in_a_line(
    old: str, new: str, words: str, task: Path, program: Program
) -> None:
    task.write_text(WRITTEN.replace(old, new))
    done = program.call("evaluate", "--tasks", "task.yaml")
    assert words in done.complaint(ExitCode.USAGE)


@pytest.mark.parametrize("flag", [("--seeds", "2"), ("--strided",), ("--text", "t.txt")])
def test_flags_of_others_have_no_meaning_beside_tasks(
    flag: tuple[str, ...], task: Path, program: Program
) -> None:
    program.call("evaluate", "--tasks", "task.yaml", *flag).complaint(ExitCode.USAGE)


def test_parquet_needs_an_extra_or_is_read(task: Path, program: Program) -> None:
    task.write_text(WRITTEN.replace("test.jsonl", "test.parquet"))
    (program.place / "s.yaml").write_text("answers: [{text: a}]")
    call = ("evaluate", "scripted:s.yaml", "--tasks", "task.yaml", "--json")
    items = [{"question": "q", "key": "a"}]
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        (program.place / "test.parquet").write_bytes(b"")
        assert "pip install 'llmparams[parquet]'" in program.call(*call).complaint(ExitCode.USAGE)
        return
    parquet.write_table(arrow.Table.from_pylist(items), program.place / "test.parquet")
    done = program.call(*call)
    assert done.code == 0, done.stderr
    (program.place / "test.parquet").write_text("no")
    assert "test.parquet: " in program.call(*call).complaint(ExitCode.USAGE)
