"""The loop on the real model: several branches of one prompt."""

import pytest

from llmparams_cli.backends.llama.decoding.decode import Branch, Group, decode
from llmparams_cli.backends.llama.host import placement
from llmparams_cli.backends.llama.native.handles import Context, Model
from llmparams_cli.backends.llama.native.library import llama
from llmparams_cli.backends.llama.sampling.chain import Sampler
from llmparams_cli.interrupt import Interrupt
from llmparams_cli.models import builtin
from llmparams_cli.params.settings import Assignment, Origin, Source, resolve
from llmparams_cli.protocol import Stop, StopReason


@pytest.fixture(scope="module")
def model():
    loaded = Model(builtin.PATH, llama().llama_model_default_params())
    yield loaded
    loaded.close()


def continuations(
    model: Model,
    seeds: list[int],
    length: int,
    size: int,
    places: int = 0,
    shared: bool = True,
    **values: object,
):
    """Decode one branch for each seed, `places` at a time; `length` tokens at most."""
    settings = resolve(Assignment(k, v, Origin(Source.FLAG)) for k, v in values.items())
    prompt = model.tokenize("Once upon a time there was a fox", begin=True)
    with Interrupt() as interrupt:
        several = len(seeds) > 1
        params = placement.context_params(
            settings, size, interrupt, (places or len(seeds)) + several, shared=shared
        )
        context = Context(model, params, size)
        branches = [Branch(Sampler(model, settings, seed, size)) for seed in seeds]
        for column in decode(context, [Group(prompt, branches, several=several)]):
            for branch, row in column:
                token = branch.sampler.sample(context, row)
                assert token is not None
                branch.tokens.append(token)
                if len(branch.tokens) == length:
                    branch.stop = Stop(StopReason.MAX_TOKENS, "")
        for branch in branches:
            branch.sampler.close()
        context.close()
    return branches


def test_greedy_branches_of_one_prompt_are_all_equal(model):
    branches = continuations(model, [1, 2, 3], 12, 256, temperature=0.0)
    assert branches[0].tokens == branches[1].tokens == branches[2].tokens


def test_branches_with_equal_seeds_are_equal_and_with_other_seeds_differ(model):
    first, same, other = continuations(model, [7, 7, 8], 30, 256, temperature=1.5)
    assert first.tokens == same.tokens != other.tokens


def test_a_branch_goes_on_as_it_would_alone(model):
    together = continuations(model, [1, 2], 8, 256, temperature=0.0)
    alone = continuations(model, [1], 8, 256, temperature=0.0)
    assert together[0].tokens == alone[0].tokens


@pytest.mark.parametrize("branches", [1, 3])
def test_branches_share_the_context_and_end_when_it_is_full(model, branches):
    size = 64
    done = continuations(model, [1] * branches, 1000, size, ignore_eos=True)
    prompt = len(model.tokenize("Once upon a time there was a fox", begin=True))
    assert all(b.stop and b.stop.reason is StopReason.CONTEXT_FULL for b in done)
    # The last token drawn needs no room of its own.
    assert len(done[0].tokens) == (size - prompt) // branches + 1


def test_a_prompt_in_several_batches_gives_the_same_logits(model):
    whole = continuations(model, [1], 8, 256, temperature=0.0)
    parts = continuations(model, [1], 8, 256, temperature=0.0, batch_size=4, ubatch_size=4)
    assert whole[0].tokens == parts[0].tokens


def test_branches_that_wait_for_a_place_go_on_as_the_first(model):
    done = continuations(model, [5, 6, 5, 6, 5], 8, 256, places=2, temperature=1.5)
    assert all(branch.stop and len(branch.tokens) == 8 for branch in done)
    assert {branch.sequence for branch in done} == {0, 1}
    assert done[0].tokens == done[2].tokens == done[4].tokens
    assert done[1].tokens == done[3].tokens != done[0].tokens


def test_the_cells_of_those_that_ended_are_free_again(model):
    """Five branches of 20 tokens, one after the other, where only one has room."""
    done = continuations(model, [1] * 5, 20, 40, places=1, ignore_eos=True)
    assert [len(branch.tokens) for branch in done] == [20] * 5


def test_each_branch_began_before_it_drew(model):
    first, second, third = continuations(model, [1, 2, 3], 8, 256, places=2)
    assert 0 < first.started <= second.started < third.started


@pytest.mark.parametrize("shared", [True, False])
def test_branches_of_all_lengths_close_the_gaps_between_them(model, shared):
    """The text of each is the one that it has alone, whatever place it was moved to."""
    lengths = [3, 9, 5, 14, 2, 7, 11]
    alone = continuations(model, [1], max(lengths), 256, temperature=0.0)[0].tokens
    settings = resolve([Assignment("temperature", 0.0, Origin(Source.FLAG))])
    prompt = model.tokenize("Once upon a time there was a fox", begin=True)
    with Interrupt() as interrupt:
        params = placement.context_params(settings, 1280, interrupt, 5, shared=shared)
        context = Context(model, params, 1280)
        branches = [Branch(Sampler(model, settings, 1, 256)) for _ in lengths]
        wanted = dict(zip(branches, lengths, strict=True))
        for column in decode(context, [Group(prompt, branches, several=True)]):
            sequences = [branch.sequence for branch, _ in column]
            assert sequences == list(range(len(column)))
            for branch, row in column:
                branch.tokens.append(branch.sampler.sample(context, row))
                if len(branch.tokens) == wanted[branch]:
                    branch.stop = Stop(StopReason.MAX_TOKENS, "")
        for branch in branches:
            branch.sampler.close()
        context.close()
    assert [branch.tokens for branch in branches] == [alone[:length] for length in lengths]


def test_branches_with_cells_of_their_own_end_when_those_are_full(model):
    done = continuations(model, [1, 2], 1000, 3 * 256, shared=False, ignore_eos=True)
    prompt = len(model.tokenize("Once upon a time there was a fox", begin=True))
    assert [len(branch.tokens) for branch in done] == [256 - prompt + 1] * 2
