"""The same defective bar in one answer for several tickers, in the loop, at `close` and at `status`."""

from __future__ import annotations

import pytest
from support.fake_clock_loop import ACCOUNT, PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.account_status import account_status
from crypto_refactor.trading.ledger import AccountRow
from crypto_refactor.trading.manual.close import close_all, close_immediately

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")
TICKERS = (BTC, ETH, SOL)
FIRST = int(alpaca_bars(BTC).closed[1533])
OPTIONS = ExecutionOptions(exit=ExitRule.OPPOSITE, long_only=True)
DEFECTS = {
    "low above close": {"l": 1e9},
    "no high": {"h": None},
    "price 0": {"o": 0, "c": 0, "h": 0, "l": 0},
    "off the hour": {"t": "2024-01-01T00:30:00Z"},
    "repeated": {"t": None},
}


@pytest.fixture
def world(tmp_path, fits):
    with PassingHours({ticker: alpaca_bars(ticker) for ticker in TICKERS}, tmp_path) as running:
        running.start(FIRST, seconds=30.0)
        yield running


def spoil(world, hour, defect):
    """Give the bar of `hour` the same defect in every ticker."""
    for ticker in TICKERS:
        rows = world._all[ticker]
        place = next(number for number, (close, _) in enumerate(rows) if close == hour)
        before = rows[place - 1][1]
        world.revise(ticker, hour, **(dict(before) if defect == {"t": None} else defect))


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
def test_every_ticker_loses_that_hour_and_no_more_and_is_closed(world, name):
    world.loop(options=OPTIONS).run(1)
    last = FIRST
    while len(world.ledger.positions(ACCOUNT)) < 2 and last < FIRST + 40:
        world.sleep(3600)
        world.loop(options=OPTIONS).run(1)
        last += 1
    held = set(world.ledger.positions(ACCOUNT))
    assert len(held) > 1
    spoil(world, last + 1, DEFECTS[name])
    world.sleep(3600 - (world.now.minute * 60 + world.now.second) + 30)
    world.loop(options=OPTIONS).run(1)
    assert all(world.ledger.decisions(ACCOUNT, ticker)[-1]["bar"] == last for ticker in TICKERS), (
        "no bar, no decision"
    )
    about = world.session(options=OPTIONS).snapshot()
    row = AccountRow(name=ACCOUNT, opened_at="", traded_at="", about=about)
    status = account_status(world.ledger, world.folder / "state", row, [row])
    assert {part.ticker for part in status.tickers if part.account.side} == held
    world.sleep(3600)
    world.loop(options=OPTIONS).run(1)
    assert all(world.ledger.decisions(ACCOUNT, ticker)[-1]["bar"] == last + 2 for ticker in TICKERS)
    spoil(world, last + 2, DEFECTS[name])
    open_now = tuple(world.ledger.positions(ACCOUNT))
    closed = close_all(
        world.folder / "state", ACCOUNT, open_now, close_immediately(world.ledger, row, world.source())
    )
    assert [result.error for result in closed] == [None] * len(open_now)
    assert world.ledger.positions(ACCOUNT) == {}
