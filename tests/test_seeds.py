"""Seeds: 32 bits without the number that means 'draw one'."""

from llmparams_cli.params import seeds
from llmparams_cli.params.table import PARAMS


def test_behind_the_highest_comes_zero() -> None:
    assert seeds.after(7, 3) == 10
    assert seeds.after(4294967294, 0) == 4294967294
    assert seeds.after(4294967294, 1) == 0
    assert seeds.after(4294967293, 4) == 2


def test_every_seed_is_one_that_may_be_set() -> None:
    kind = PARAMS["seed"].kind
    assert kind.check(seeds.MAX_SEED) == 4294967294
    assert all(kind.check(seeds.drawn()) >= 0 for _ in range(100))
