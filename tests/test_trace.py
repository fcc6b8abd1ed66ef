"""A recorded run looked at again: what a trace reads anew, and how much of a draw it shows."""

from __future__ import annotations

from contextlib import closing

import pytest
from asked import SHORT, calls, ends, raw, settings

from llmparams_cli.trace import Counterfactual


def silent(_done):
    pass


def test_what_ifs_read_nothing_twice_that_the_context_still_holds(backend, monkeypatch):
    """The latest parting goes on first: an earlier one would overwrite what it stands on."""
    length = {"max_tokens": 24, "ignore_eos": True}
    (finished,) = ends(backend, [raw(SHORT, record=True, **length)])
    others = [
        Counterfactual(settings(temperature=1.0, seed=seed, **length), (), f"seed={seed}")
        for seed in range(5)
    ]
    seen = calls(monkeypatch)
    with closing(finished.trace) as trace:
        found = trace.what_if(others, finished.stop, silent, silent)
    partings = [each.number for each in found]
    assert len(set(partings)) > 1 and partings != sorted(partings, reverse=True)
    assert len(seen) == sum(24 - number for number in partings)


@pytest.mark.parametrize("coverage", [0.3, 0.9])
def test_so_many_candidates_as_cover_a_share_are_shown(coverage, backend):
    (finished,) = ends(backend, [raw(SHORT, record=True)])
    with closing(finished.trace) as trace:
        views = list(trace.views(1, silent, coverage))
    for view in views:
        shares = [view.model.probability(place) for place in range(len(view.candidates))]
        assert sum(shares[:-1]) < coverage <= sum(shares) + 1e-6
    assert max(len(view.candidates) for view in views) > 2


def test_a_text_demands_of_each_stage_what_ranks_before_its_tokens(backend):
    request = raw(SHORT, record=True, temperature=1.0, seed=3, max_tokens=30)
    (finished,) = ends(backend, [request])
    with closing(finished.trace) as trace:
        views = list(trace.views(300, silent))
        fit = trace.fit(silent)
    for view, token in zip(views, fit.tokens, strict=True):
        shares = [view.model.probability(place) for place in range(len(view.candidates))]
        own = view.probability(view.model)
        before = [share for share in shares if share > own]
        assert token.rank == view.model.rank == 1 + len(before)
        assert token.before == pytest.approx(sum(before), abs=1e-5)
        assert token.share == pytest.approx(own / max(shares), abs=1e-5)
    assert any(token.rank > 1 and token.share > 0.1 for token in fit.tokens)
