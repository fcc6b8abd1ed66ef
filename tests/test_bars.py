"""Bars and lines of bars."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rendering import Pipe

from llmparams_cli.render.bars import bar, spark, sparks


@pytest.mark.parametrize(
    ("share", "drawn"), [(0, "    "), (1, "████"), (0.5, "██  "), (1 / 32, "▏   "), (2, "████")]
)
def test_a_bar_fills_its_share(share: float, drawn: str) -> None:
    env = Pipe().env
    assert bar(share, 4, env.stdout) == drawn


def test_a_line_rises_to_the_largest_value() -> None:
    env = Pipe().env
    assert spark([0, 1, 2], 10, env.stdout) == "▁▅█"
    assert spark([0, 0, 4, 4], 2, env.stdout) == "▁█"
    assert spark([], 10, env.stdout) == ""
    assert spark([0, 0], 10, env.stdout) == "▁▁"


def test_noise_does_not_fill_a_scale_that_has_an_end() -> None:
    env = Pipe().env
    assert sparks([[1e-9, 3e-9, 0]], 10, env.stdout, least=1) == ["▁▁▁"]
    assert sparks([[0, 1, 2]], 10, env.stdout, least=1) == ["▁▅█"]


def test_lines_of_one_figure_have_one_scale() -> None:
    env = Pipe().env
    assert sparks([[0, 2], [1, 1], []], 10, env.stdout) == ["▁█", "▅▅", ""]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=300), st.integers(-20, 90))
def test_a_line_never_outgrows_its_width(values: list[float], width: int) -> None:
    env = Pipe().env
    assert len(spark(values, width, env.stdout)) == max(1, min(width, len(values)))
