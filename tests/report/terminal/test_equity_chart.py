"""A series as block characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_refactor.report.terminal.equity_chart import chart, small_chart


def drawn(values, **options):
    given_options = {"label": "{:.0f}".format, "first": "a", "last": "b"} | options
    return chart(values, **given_options)


def test_a_rising_series_is_drawn_by_hand():
    # Three rows of eight eighths: 1 is the least that is drawn, 13 of 24 halfway, 24 full.
    assert drawn([100, 110, 120], width=3, height=3) == [
        "120 ┤  █",
        "110 ┤ ▅█",
        "100 ┤▁██",
        "    └───",
        "     a b",
    ]


def test_a_small_chart_has_two_lines_and_the_range_of_all_values():
    values = [5.0] * 500 + [6.0, *[5.0] * 500, 7.0]
    first, second = small_chart(values, label="{:.0f}".format, title="Equity", width=30)
    assert (first[:11], second[:11]) == ("Equity  7 ┤", "        5 ┤")
    assert first.endswith("█")
    assert {len(first), len(second)} == {30}


def test_the_first_and_the_last_value_stand_at_the_ends():
    lines = drawn([9, *[1] * 500, 9], width=40, height=3)
    assert lines[0] == "9 ┤█" + " " * 38 + "█"
    assert len(lines[2]) == len("1 ┤") + 40


def test_few_values_are_drawn_wide():
    assert drawn([1, 2], width=6, height=3)[0] == "2 ┤   ███"


def test_negative_values_lie_below_zero():
    lines = drawn([-10, 0, 10], width=3, height=3)
    assert lines[0] == " 10 ┤  █"
    assert lines[2] == "-10 ┤▁██"


@pytest.mark.parametrize("value", [100.0, 0.0, -5.0, 1e15])
def test_a_flat_series_lies_in_the_middle(value):
    lines = drawn([value] * 5, width=5, height=4)
    blocks = [line.split("┤")[-1].split("│")[-1] for line in lines[:4]]
    assert blocks[0].strip() == ""
    assert blocks[3] == "█████"
    assert blocks[2] == "█████"


def test_a_single_value_is_a_flat_series():
    assert drawn([7.0], width=4, height=3) == drawn([7.0] * 9, width=4, height=3)


def test_one_column_shows_the_last_value():
    assert drawn([1, 2, 3], width=1, height=3)[:3] == drawn([3], width=1, height=3)[:3]


def test_the_ends_are_named_below_the_axis():
    last = drawn([1, 2], width=20, height=3, first="Monday", last="Friday")[-1]
    assert last == "   Monday        Friday"


@given(
    st.lists(st.floats(-1e12, 1e12), min_size=1, max_size=300),
    st.integers(1, 80),
    st.integers(3, 12),
)
def test_every_column_of_every_series_is_seen(values, width, height):
    lines = drawn(values, width=width, height=height)
    assert len(lines) == height + 2
    margin = lines[height].index("└") + 1
    assert len(lines[height - 1]) == margin + width
    assert " " not in lines[height - 1][margin:]
    assert max(map(len, lines[:height])) == margin + width
