"""Which hours are worth a line, and what an account comes to over all its tickers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.ledgers import entry_order
from support.stub_models import BTC

from crypto_refactor.errors import DataError
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.terminal.accounts.events import AccountTotals, HourEvents, Worth
from crypto_refactor.trading.ledger import OrderStatus
from crypto_refactor.trading.outcomes import Failure, Unavailable

ETH = Ticker("ETH", "USD")


@pytest.fixture
def quiet(outcomes):
    """An hour in which a flat account stays flat."""
    return replace(
        next(each for each in outcomes if each.decision is not None and len(each.decision.signals)),
        sub_account=SubAccount.open(1000.0),
        target=0,
        **dict.fromkeys(("fills", "trades", "orders", "pending", "notes"), ()),
    )


def test_an_hour_in_which_nothing_happens_is_none(quiet):
    events = HourEvents()
    assert [events.is_event(quiet) for _ in range(3)] == [False] * 3


def test_fills_and_decisions_are_events(outcomes):
    events = HourEvents()
    told = [each for each in outcomes if events.is_event(each)]
    assert [each for each in outcomes if each.fills or each.pending] == [
        each for each in told if each.fills or each.pending
    ]
    assert any(each.fills for each in told)
    assert len(told) < len(outcomes)


@pytest.mark.parametrize(
    "more",
    [
        {"notes": ("jump in the bar",)},
        {"late": True},
        {"newly_halted": True},
        {"orders": (entry_order(OrderStatus.UNFILLED, "no price"),)},
    ],
)
def test_warnings_and_orders_are_events_each_time(quiet, more):
    events = HourEvents()
    assert [events.is_event(replace(quiet, **more)) for _ in range(2)] == [True, True]


def test_what_lasts_is_an_event_when_it_begins(quiet):
    """An entry that is refused hour after hour, then a gap."""
    events, refused, gap = HourEvents(), replace(quiet, target=1), replace(quiet, decision=None)
    hours = [refused, refused, quiet, refused, gap, gap, quiet]
    assert [events.is_event(each) for each in hours] == [True, False, False, True, True, False, False]


def test_one_ticker_says_nothing_of_another(quiet):
    events, refused = HourEvents(), replace(quiet, target=1)
    assert events.is_event(refused)
    assert events.is_event(replace(refused, ticker=ETH))


def test_failures_and_missing_tickers_are_events():
    error = DataError("The file is damaged.", expected="bars.", remedy="download it again.")
    events = HourEvents()
    assert events.is_event(Failure(ticker=BTC, error=error))
    assert events.is_event(Unavailable(ticker=BTC, why="There are no bars."))


def test_totals_are_of_all_tickers_those_without_a_row_as_they_began(outcomes):
    totals, held = AccountTotals(), next(each for each in outcomes if each.sub_account.side)
    totals.begin({BTC: Worth(10_000.0, 0), ETH: Worth(5_000.0, -1)})
    assert (totals.equity_text, totals.positions_text) == ("equity 15,000.00", "1 open position")
    totals.take(held)
    assert totals.equity_text == f"equity {held.equity + 5_000:,.2f}"
    assert totals.positions_text == "2 open positions"
    totals.begin({BTC: Worth(1.0, 0)})
    assert totals.positions_text == "no open position"
