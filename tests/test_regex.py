"""--regex: the whole answer matches a regular expression of ECMAScript."""

from __future__ import annotations

import re

import pytest
from asked import SHORT, ends, raw

from llmparams_cli.ending import StopReason
from llmparams_cli.errors import UsageError

pytestmark = pytest.mark.real_model
FLAGS = ("generate", "--raw", "--no-log", "--seed", "1", SHORT)


@pytest.mark.parametrize(
    ("regex", "python"),
    [
        ("[a-z]{3}-[0-9]{2}", "[a-z]{3}-[0-9]{2}"),
        ("^(yes|no)$", "yes|no"),  # the anchors change nothing
        ("yes|no", "yes|no"),  # of an alternative, too, all must match
        (r"\d{4}-\d\d", r"[0-9]{4}-[0-9]{2}"),
        (r"(?<word>[a-z]+) \w", "[a-z]+ [A-Za-z0-9_]"),
        (r"\p{L}{3}\.", r"[^\W\d_]{3}\."),
        ('"[^"/]*/"', '"[^"/]*/"'),
        ("é{2}", "éé"),
        (" ", " "),
    ],
)
def test_the_whole_answer_matches(backend, regex, python):
    requests = [raw(SHORT, regex=regex, temperature=1.5, seed=seed) for seed in range(3)]
    for finished in ends(backend, requests):
        if finished.stop.reason is StopReason.END_OF_GENERATION:
            assert re.fullmatch(python, finished.text)
        else:  # cut off within a word that can be longer
            assert finished.stop.reason is StopReason.MAX_TOKENS
            assert "+" in python or "*" in python


def test_what_is_drawn_is_what_the_model_would_write_if_that_matches(backend):
    [free] = ends(backend, [raw(SHORT, max_tokens=6)])
    [held] = ends(backend, [raw(SHORT, max_tokens=6, regex="[^0-9]*")])
    assert held.text == free.text


@pytest.mark.parametrize(
    ("regex", "told"),
    [
        ("(", "flag --regex: not a regular expression: '(' at character 1 is not closed"),
        ("a{2,1}", "flag --regex: not a regular expression: "),
        ("(?=a)b", "flag --regex: this regular expression cannot be followed: lookahead"),
        (r"(a|b)\1", "flag --regex: this regular expression cannot be followed: a reference"),
        ("a^b", "flag --regex: no text matches this regular expression (^ belongs to the begin"),
        ("", "--regex: it is empty; `none` switches it off"),
    ],
)
def test_what_cannot_be_followed_is_told_in_a_line_with_the_cure(program, regex, told):
    complaint = program.call(*FLAGS, "--regex", regex).complaint(2)
    assert complaint.startswith(told)
    assert complaint.endswith(")")  # a hint


def test_it_is_refused_before_the_model_is_loaded(opener):
    with pytest.raises(UsageError, match="not a regular expression"):
        opener(regex="(")


def test_in_a_pipe_and_as_json(program):
    assert re.fullmatch("[0-9]{5}\n", program.pipe(*FLAGS, "--regex", "[0-9]{5}").text)
    done = program.call(*FLAGS, "--regex", "[0-9]{5}", "--json").json
    assert re.fullmatch("[0-9]{5}", done["text"])
    assert done["stop"]["reason"] == "end-of-generation"
    assert done["parameters"]["regex"]["origin"] == "flag --regex"


def test_a_preset_has_one_and_the_command_line_takes_it_back(program):
    (program.place / "code.yaml").write_text("parameters: {regex: '[0-9]{3}', max_tokens: 4}\n")
    flags = (*FLAGS, "-p", "./code.yaml", "--json")
    assert re.fullmatch("[0-9]{3}", program.call(*flags).json["text"])
    assert not re.fullmatch("[0-9]{3}", program.call(*flags, "--regex", "none").json["text"])
    both = program.call(*flags, "-j", "{}").complaint(2)
    assert both.startswith("json_schema {} (flag --json-schema) excludes regex [0-9]{3} (preset ")
    assert both.endswith("take one back, as in --regex none)")
    (program.place / "form.yaml").write_text("parameters: {json_schema: {type: integer}}\n")
    other = program.call(*FLAGS, "-p", "./form.yaml", "--regex", "a").complaint(2)
    assert other.endswith("take one back, as in --json-schema none)")


@pytest.mark.parametrize(("text", "fits"), [("fox", True), ("fox 7", False)])
def test_explain_tells_whether_a_text_matches(program, text, fits):
    (program.place / "text.txt").write_text(text)
    flags = ("explain", "--raw", SHORT, "--json", "--regex", "[a-z]+( [a-z])?", "--top-k", "0")
    done = program.call(*flags, "--target", "text.txt").json
    removed = [each["removed_by"] == "grammar" for each in done["tokens"]]
    assert any(removed) != fits
