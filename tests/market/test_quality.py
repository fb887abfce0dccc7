from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.bars import empty_bars

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.quality import Gap, describe, quality_report, require_complete
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
FIRST = 473_352  # 2024-01-01T00:00Z


def filled(hours, *, close=None, volume=None, source="files"):
    """Bars at FIRST + each of `hours`, gaps filled."""
    count = len(hours)
    close = np.full(count, 100.0) if close is None else np.array(close, dtype=float)
    return fill_gaps(
        Bars(
            ticker=BTC,
            source=source,
            opened=FIRST + np.array(hours, dtype=np.int64),
            open=close,
            high=close,
            low=close,
            close=close,
            volume=np.ones(count) if volume is None else np.array(volume, dtype=float),
        )
    )


def without(count, *gaps):
    """Hours 0 … count - 1 but for `gaps`, each (first, length)."""
    gone = {hour for first, length in gaps for hour in range(first, first + length)}
    return [hour for hour in range(count) if hour not in gone]


def test_a_complete_range_has_nothing_to_report():
    report = quality_report(filled(range(24)), FIRST, FIRST + 24)
    assert (report.bars, report.expected, report.absent, report.gaps) == (24, 24, 0, ())
    assert (report.late_hours, report.stale_hours, report.zero_volume) == (0, 0, 0)
    assert (report.first, report.last) == ("2024-01-01T00:00:00Z", "2024-01-01T23:00:00Z")
    assert (report.start, report.end) == ("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")
    require_complete(report, allow_gaps=False)


def test_gaps_are_listed_with_their_start_length_and_treatment():
    bars = filled(without(300, (5, 2), (50, 72), (200, 73)))
    report = quality_report(bars, FIRST, FIRST + 300)
    assert report.gaps == (
        Gap(start="2024-01-01T05:00:00Z", hours=2, filled=True),
        Gap(start="2024-01-03T02:00:00Z", hours=72, filled=True),
        Gap(start="2024-01-09T08:00:00Z", hours=73, filled=False),
    )
    assert (report.synthetic, report.missing, report.bars) == (74, 73, 153)
    assert report.largest_gap == report.gaps[2]


def test_the_json_keeps_its_names():
    document = quality_report(filled(without(300, (5, 2))), FIRST, FIRST + 300).to_dict()
    assert document["holes"] == [{"start": "2024-01-01T05:00:00Z", "hours": 2, "carried": True}]
    assert list(document)[7:11] == ["synthetic", "missing", "holes", "late_hours"]


def test_only_the_requested_range_counts():
    bars = filled(without(300, (5, 2), (90, 20), (200, 90)), volume=np.zeros(188))
    report = quality_report(bars, FIRST + 100, FIRST + 250)
    assert [(gap.hours, gap.filled) for gap in report.gaps] == [(10, True), (50, False)]
    assert (report.synthetic, report.missing, report.bars, report.zero_volume) == (10, 50, 90, 90)
    inside = quality_report(bars, FIRST + 210, FIRST + 220)
    assert (inside.bars, inside.missing, inside.late_hours, inside.stale_hours) == (0, 10, 0, 0)
    assert inside.first is inside.last is inside.largest_move is None


def test_hours_before_the_first_bar_and_after_the_last_are_no_gaps():
    report = quality_report(filled(range(10, 20)), FIRST, FIRST + 23)
    assert (report.late_hours, report.stale_hours, report.absent) == (10, 3, 0)
    require_complete(report, allow_gaps=False)


@pytest.mark.parametrize("where", [(-50, -20), (100, 130)])
def test_a_range_without_any_bar_is_reported_as_such(where):
    for bars in (filled(range(24)), empty_bars(BTC, "files")):
        report = quality_report(bars, FIRST + where[0], FIRST + where[1])
        assert (report.bars, report.absent) == (0, 0)
        assert report.late_hours + report.stale_hours == 30
        assert describe(report)


def test_an_empty_range_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match="no hour"):
        quality_report(filled(range(3)), FIRST, FIRST)


def test_synthetic_bars_do_not_count_as_bars_without_volume():
    report = quality_report(filled([0, 1, 4, 5], volume=[1, 0, 1, 0]), FIRST, FIRST + 6)
    assert (report.zero_volume, report.synthetic) == (2, 2)


def test_the_largest_move_keeps_its_sign_and_time():
    report = quality_report(filled(range(5), close=[100, 110, 55, 60, 61]), FIRST, FIRST + 5)
    assert (report.largest_move, report.largest_move_at) == (-0.5, "2024-01-01T02:00:00Z")


def test_no_move_is_counted_across_a_split():
    report = quality_report(filled([0, 1, 200, 201], close=[100, 101, 300, 300]), FIRST, FIRST + 202)
    assert report.largest_move == pytest.approx(0.01)


def test_five_per_cent_pass_and_more_is_refused_unless_allowed():
    exactly = quality_report(filled(without(101, (40, 5))), FIRST, FIRST + 100)
    assert exactly.absent_share == 0.05
    require_complete(exactly, allow_gaps=False)

    above = quality_report(filled(without(101, (10, 2), (40, 4))), FIRST, FIRST + 100)
    with pytest.raises(DataError) as caught:
        require_complete(above, allow_gaps=False)
    for part in ("6 of 100 hours", "6.0 %", to_iso(FIRST + 40), "4 h", "--allow-gaps"):
        assert part in str(caught.value)
    require_complete(above, allow_gaps=True)


def test_hours_in_long_gaps_count_as_much_as_filled_ones():
    report = quality_report(filled(without(1_000, (500, 73))), FIRST, FIRST + 1_000)
    assert report.synthetic == 0
    with pytest.raises(DataError, match="73 of 1000 hours"):
        require_complete(report, allow_gaps=False)


def test_a_report_reads_as_lines_and_says_simulated():
    bars = filled(without(300, (5, 2), (100, 80)), source="sample", close=100 + np.arange(218))
    text = "\n".join(describe(quality_report(bars, FIRST - 4, FIRST + 301)))
    for part in (
        "SIMULATED",
        "BTC/USD",
        "2 h forward-filled, 80 h missing",
        "splits the series",
        "largest hourly move",
    ):
        assert part in text
    assert "first 4 h" in text
    assert "last 1 h" in text
    honest = describe(quality_report(filled(range(5)), FIRST, FIRST + 5))
    assert "SIMULATED" not in "\n".join(honest)


@given(
    gaps=st.lists(st.sampled_from([1, 1, 1, 2, 5, 73, 74, 100]), max_size=30),
    start=st.integers(min_value=-50, max_value=400),
    length=st.integers(min_value=1, max_value=600),
)
def test_every_hour_of_the_range_is_accounted_for_once(gaps, start, length):
    hours = np.concatenate([[0], np.cumsum(gaps)]).astype(np.int64)
    bars = filled(hours)
    report = quality_report(bars, FIRST + start, FIRST + start + length)
    parts = (report.late_hours, report.bars, report.synthetic, report.missing, report.stale_hours)
    assert min(parts) >= 0
    assert sum(parts) == report.expected == length
    assert sum(gap.hours for gap in report.gaps) == report.absent
    assert report.bars == np.isin(hours, np.arange(start, start + length)).sum()
