"""Numbers for people."""

import pytest

from llmparams_cli.text.units import count_text, size_text


@pytest.mark.parametrize(
    ("count", "size", "things"),
    [
        (0, "0 bytes", "0"),
        (999, "999 bytes", "999"),
        (1000, "1.0 kB", "1.0K"),
        (999_949, "999.9 kB", "999.9K"),
        (999_950, "1.0 MB", "1.0M"),
        (999_960_000, "1.0 GB", "1.0B"),
        (999_960_000_000, "1.0 TB", "1.0T"),
        (4_611_686_000_000_000_000, "4611686 TB", "4611686.0T"),
    ],
)
def test_sizes_and_counts_have_one_decimal_and_at_most_three_digits_before(count, size, things):
    assert (size_text(count), count_text(count)) == (size, things)
