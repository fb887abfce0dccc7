"""The summary of a UTC day: once, whatever restarts, from the ledger alone."""

from __future__ import annotations

import pytest
from support.alpaca_data_server import status
from support.fake_clock_loop import ACCOUNT, BALANCE, PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.kill_switch import halt
from crypto_refactor.trading.ledger import LedgerUnavailableError
from crypto_refactor.trading.realtime.daily_summary import SummaryDays, summarise

ETH = Ticker("ETH", "USD")
MIDNIGHT = int(alpaca_bars(BTC).closed[1547]) // 24 * 24


@pytest.fixture
def make_world(tmp_path, fits):
    made = []

    def make(*tickers, first):
        world = PassingHours({ticker: alpaca_bars(ticker) for ticker in tickers or (BTC,)}, tmp_path)
        made.append(world.__enter__())
        world.start(first, seconds=30)
        return world

    yield make
    for world in made:
        world.__exit__(None, None, None)


def day_of(hour):
    return to_datetime(hour).date().isoformat()


@pytest.mark.slow
def test_a_day_is_told_in_the_first_hour_after_it_and_says_what_the_ledger_holds(make_world):
    world = make_world(BTC, ETH, first=MIDNIGHT - 30)
    world.loop().run(32)
    first, second = world.summaries
    assert [each["day"] for each in world.summaries] == [day_of(MIDNIGHT - 48), day_of(MIDNIGHT - 24)]
    assert first["at"] < to_datetime(MIDNIGHT - 23)
    assert (first["hours"], first["decided"]) == (2 * 7, 2 * 7), "since its first decision, at MIDNIGHT - 30"
    assert (second["hours"], second["decided"]) == (2 * 24, 2 * 24)
    assert first["equity_before"] == pytest.approx(BALANCE)
    assert second["equity_before"] == first["equity"]
    ledger = world.ledger
    marks = [dict(ledger.equity(ACCOUNT, ticker)) for ticker in (BTC, ETH)]
    assert second["equity"] == sum(of_ticker[MIDNIGHT] for of_ticker in marks)
    assert second["change"] == second["equity"] / second["equity_before"] - 1
    trades = [
        trade
        for ticker in (BTC, ETH)
        for trade in ledger.trades(ACCOUNT, ticker)
        if MIDNIGHT - 24 < trade.exit_hour <= MIDNIGHT
    ]
    assert len(trades) > 2, "else this shows little"
    assert second["trades"] == len(trades)
    assert second["trades_won"] == sum(trade.net_pnl > 0 for trade in trades)
    assert second["profit"] == pytest.approx(sum(trade.net_pnl for trade in trades))
    fills = [fill for ticker in (BTC, ETH) for fill in ledger.fills(ACCOUNT, ticker)]
    assert second["fills"] == sum(MIDNIGHT - 24 < fill.at <= MIDNIGHT for fill in fills)


@pytest.mark.slow
def test_forecasts_are_scored_by_the_closes_that_came(make_world):
    world = make_world(first=MIDNIGHT - 30)
    world.loop().run(31)
    second, bars = world.summaries[1], world.bars[BTC]
    closes = dict(zip(bars.closed.tolist(), bars.close.tolist(), strict=True))
    right = []
    for row in world.ledger.decisions(ACCOUNT, BTC):
        hour = row["bar"]
        if MIDNIGHT - 24 <= hour < MIDNIGHT:
            right.append((row["predicted"] - closes[hour]) * (closes[hour + 1] - closes[hour]) > 0)
    assert (second["forecasts"], second["forecasts_right"]) == (24, sum(right))
    assert f"{sum(right)} of 24 forecasts right" in second["text"]


def test_restarts_neither_repeat_a_day_nor_lose_the_one_whose_end_nothing_saw(make_world):
    world = make_world(first=MIDNIGHT - 6)
    world.loop().run(3)
    world.sleep(7 * 3600)  # nothing runs over midnight
    world.loop().run(2)
    assert [each["day"] for each in world.summaries] == [day_of(MIDNIGHT - 24)]
    assert (world.summaries[0]["decided"], world.summaries[0]["hours"]) == (3, 7)
    assert "3 of 7 bars decided" in world.summaries[0]["text"]
    world.sleep(3600)
    world.loop().run(2)
    assert len(world.summaries) == 1


def test_a_new_account_has_no_day_to_tell_of(make_world):
    world = make_world(first=MIDNIGHT + 3)
    world.loop().run(3)
    assert world.summaries == []


def test_it_comes_although_nothing_is_traded_and_says_why(make_world):
    world = make_world(first=MIDNIGHT - 5)
    world.fault(MIDNIGHT, -60, 7000, status(500))
    why = {"at": "2024-03-04T22:30:00+00:00", "why": "lunch"}
    world.at(MIDNIGHT - 2, 1800, lambda: halt(world.folder / "state", **why))
    world.loop().run(7)
    (summary,) = world.summaries
    assert summary["not_traded"] == ["BTC/USD"]
    assert "Not traded now: BTC/USD." in summary["text"]
    assert "lunch" in summary["blocked"]


def test_a_ledger_that_cannot_be_read_delays_it_by_an_hour(make_world, monkeypatch):
    world = make_world(first=MIDNIGHT - 2)
    failures = [LedgerUnavailableError("It is locked.", expected="x.", remedy="y.")]

    def once(ledger, account, day):
        if failures:
            raise failures.pop()
        return summarise(ledger, account, day)

    monkeypatch.setattr("crypto_refactor.trading.realtime.loop.summarise", once)
    world.loop().run(5)
    assert [each["at"].hour for each in world.summaries] == [1]
    assert [each["day"] for each in world.summaries] == [day_of(MIDNIGHT - 24)]


@pytest.mark.parametrize(
    ("through", "hour", "due"),
    [
        (None, 2390, None),
        (None, 2400, None),
        (2399, 2400, 99),
        (2390, 2401, 99),
        (2400, 2401, None),
        (2340, 2401, 99),  # of several days only the last one
        (2500, 2401, None),  # the clock went back
    ],
)
def test_which_day_is_due_after_a_start(through, hour, due):
    days = SummaryDays()
    days.begin(through, hour)
    assert days.due(hour) == due
    days.done(hour)
    assert days.due(hour) is None
    assert days.due(2424 + 24) == 101
