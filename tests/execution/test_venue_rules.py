from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crypto_refactor.errors import UsageError
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.fills import fill_at_open, split_fill
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.execution.sub_account import SubAccount, close_position, open_position
from crypto_refactor.execution.venues import VenueRules, alpaca_rules, require_alpaca_rules
from crypto_refactor.market.ticker import Ticker, read_tickers

INCREMENTS = (1e-9, 1e-8, 1e-4, 0.001, 0.005, 0.01, 0.1, 0.25, 1.0, 3.0, 100.0)


def lots_of(increment, **minimum):
    return VenueRules(
        **{
            "name": "test",
            "increment": increment,
            "min_quantity": 0.0,
            "min_notional": 0.0,
            "as_of": "2024-01",
            **minimum,
        }
    )


@given(
    quantity=st.floats(0, 1e15, allow_nan=False, allow_subnormal=False),
    increment=st.sampled_from(INCREMENTS),
)
def test_rounding_down_gives_the_largest_multiple_that_is_not_more(quantity, increment):
    rounded = lots_of(increment).round_down(quantity)
    step = Decimal(repr(increment))
    assert rounded <= quantity
    assert float(round(Decimal(rounded) / step) * step) == rounded
    assert Decimal(repr(quantity)) - Decimal(repr(rounded)) < step


@given(steps=st.integers(0, 10**15), increment=st.sampled_from(INCREMENTS))
def test_a_multiple_of_the_increment_is_left_alone(steps, increment):
    quantity = float(steps * Decimal(repr(increment)))
    assert lots_of(increment).round_down(quantity) == quantity


@pytest.mark.parametrize(
    ("quantity", "increment", "expected"),
    [
        (0.3, 0.1, 0.3),  # 0.3 / 0.1 is 2.9999999999999996 in binary
        (0.7, 0.1, 0.7),
        (0.1 + 0.2, 0.1, 0.3),
        (2.9999999999999996, 1.0, 2.0),
        (0.0000000019, 1e-9, 1e-9),
        (0.0000000009, 1e-9, 0.0),
        (123456789.1234567, 1e-9, 123456789.1234567),
        (1e15 + 0.125, 1e-9, 1e15 + 0.125),
        (0.0, 0.1, 0.0),
    ],
)
def test_rounding_down_by_hand(quantity, increment, expected):
    assert lots_of(increment).round_down(quantity) == expected


def test_a_numpy_quantity_rounds_like_a_float():
    rounded = lots_of(np.float64(0.1)).round_down(np.float64(0.37))
    assert rounded == 0.3
    assert type(rounded) is float


@pytest.mark.parametrize(
    ("quantity", "price", "accepted"),
    [
        (2.0, 5.0, True),  # both minimums exactly
        (1.9, 50.0, False),
        (2.0, 4.9, False),
        (0.0, 50.0, False),
    ],
)
def test_an_order_must_reach_both_minimums(quantity, price, accepted):
    assert lots_of(0.1, min_quantity=2.0, min_notional=10.0).accepts(quantity, price) is accepted


def test_an_order_of_nothing_is_never_accepted():
    assert not lots_of(0.1).accepts(0.0, 100.0)


def test_the_rules_of_a_supported_ticker_are_dated():
    rules = alpaca_rules(Ticker("BTC", "USD"))
    assert rules == VenueRules(
        name="alpaca",
        increment=1e-9,
        min_quantity=1e-9,
        min_notional=1.0,
        min_buy=10.0,
        max_notional=200_000.0,
        as_of=rules.as_of,
    )
    assert rules.as_of[:2] == "20"


@pytest.mark.parametrize("text", ["MATIC/USD", "BTC/EUR"])
def test_a_ticker_without_venue_rules_is_refused_by_name(text):
    ticker = Ticker.parse(text)
    assert alpaca_rules(ticker) is None
    with pytest.raises(UsageError, match=text) as caught:
        require_alpaca_rules(ticker)
    assert "--venue" in caught.value.remedy


def test_most_tickers_of_the_list_can_be_traded_at_alpaca():
    tickers = read_tickers(Path(__file__).parents[2] / "tickers.txt")
    assert sum(alpaca_rules(ticker) is not None for ticker in tickers) > len(tickers) / 2


# The smallest purchase, and the largest order

ALPACA = ExecutionOptions(venue="alpaca").resolve(Ticker("BTC", "USD"))


@pytest.mark.parametrize(("money", "bought"), [(9.99, False), (10.0, True), (10.01, True)])
def test_a_purchase_reaches_its_own_minimum_and_a_sale_a_lower_one(money, bought):
    account, fill = open_position(SubAccount.open(money), 1, 1.0, 100.0, 5, ALPACA)
    assert (fill is not None) == bought
    if bought:
        _, sold, trade = close_position(account, 20.0, 6, "neutral", ALPACA)  # worth 2 USD now
        assert sold is not None
        assert trade is not None


@pytest.mark.parametrize(
    ("balance", "entries", "exits"),
    [(189_000, 1, 1), (195_000, 1, 2), (200_000, 1, 2), (200_001, 2, 2), (1_000_000, 5, 6)],
)
def test_orders_above_the_maximum_are_split_and_the_account_adds_up(balance, entries, exits):
    start = SubAccount.open(float(balance))
    entered = fill_at_open(start, (Enter(1, 1.0),), 100.0, 5, adjacent=True, rules=ALPACA)
    left = fill_at_open(entered.account, (Exit("neutral"),), 100.0, 6, adjacent=True, rules=ALPACA)
    assert (len(entered.fills), len(left.fills), len(left.trades)) == (entries, exits, 1)
    assert max(fill.notional for fill in entered.fills + left.fills) <= 200_000 * (1 + 1e-9)
    assert max(fill.notional for fill in left.fills) <= 190_000 * (1 + 1e-9)
    (whole,) = left.trades
    assert sum(fill.quantity for fill in left.fills) == pytest.approx(whole.quantity, abs=1e-8)
    fees = sum(fill.fee for fill in entered.fills + left.fills)
    assert fees == pytest.approx(whole.fees, rel=1e-9)
    assert left.account.cash == pytest.approx(balance + whole.net_pnl, abs=1e-3)


@pytest.mark.parametrize(("balance", "orders"), [(1e5, 1), (4.5e5, 3), (1e8, 500), (1e12, 1), (1e300, 1)])
def test_an_order_is_recorded_in_parts_but_a_fortune_is_not_in_millions(balance, orders):
    _, fill = open_position(SubAccount.open(balance), 1, 1.0, 50_000.0, 5, ALPACA)
    parts = split_fill(fill, ALPACA)
    assert len(parts) == orders
    assert sum(part.quantity for part in parts) == pytest.approx(fill.quantity)
    assert sum(part.fee for part in parts) == pytest.approx(fill.fee)
