from __future__ import annotations

import pytest
from support.stub_models import HeldBars, without

from crypto_refactor.market.self_checks import history_checks, mountain_time_checks


def failed(bars, hours, end):
    return [
        check.what for check in history_checks(HeldBars(bars), bars.ticker, hours, end) if not check.holds
    ]


@pytest.fixture
def bars(random_bars):
    return random_bars(300)


def test_complete_bars_pass_every_check(bars):
    assert failed(bars, 240, int(bars.closed[-1])) == []


def test_bars_that_end_too_early_fail(bars):
    assert failed(bars, 240, int(bars.closed[-1]) + 24) == ["enough bars", "closed bars, up to the end"]


def test_bars_that_begin_too_late_fail(bars):
    assert failed(bars, 330, int(bars.closed[-1])) == ["enough bars"]


def test_a_gap_of_more_than_five_per_cent_fails_and_its_hours_are_counted(bars):
    first = int(bars.opened[200])
    with_gap = without(bars, (first, first + 13))
    checks = history_checks(HeldBars(with_gap), bars.ticker, 240, int(bars.closed[-1]))
    assert [check.what for check in checks if not check.holds] == ["enough bars"]
    assert "227 of 240 hours have a bar" in checks[0].found
    assert "13 in 1 gaps" in checks[0].found


def test_bars_that_change_between_two_requests_fail(bars, random_bars):
    class Restless(HeldBars):
        def bars(self, ticker, start, end):
            self.held = random_bars(300, seed=id(start) % 1000 + self.asked)
            self.asked += 1
            return super().bars(ticker, start, end)

    source = Restless(bars)
    source.asked = 0
    checks = history_checks(source, bars.ticker, 240, int(bars.closed[-1]))
    assert "the same bars when asked again" in [check.what for check in checks if not check.holds]


def test_mountain_time_is_right():
    assert all(check.holds for check in mountain_time_checks())
