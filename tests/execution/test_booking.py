"""What a venue has executed is booked as the backtest would have booked the same amounts."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from support.strategies import COARSE, FINE

from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.sub_account import (
    SubAccount,
    book_buy,
    book_sell,
    close_position,
    open_position,
)

AT, LATER = 400_000, 400_007
prices = st.floats(0.01, 1e6)
amounts = st.floats(2.0, 1e6)
fees = st.sampled_from([0.0, 0.001, 0.0025, 0.05])
parts = st.floats(0.01, 0.99)


def rules_of(fee, venue=FINE):
    return ExecutionRules(fee=fee, venue=venue, long_only=True)


def near(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


@given(balance=amounts, price=prices, fee=fees, share=parts)
def test_a_purchase_costs_what_was_paid_and_brings_what_is_left_of_it(balance, price, fee, share):
    quantity = balance * share / price
    after, fill = book_buy(SubAccount.open(balance), quantity, price, AT, rules_of(fee))
    assert (fill.side, fill.quantity, fill.price, fill.at, fill.reason) == (1, quantity, price, AT, "entry")
    assert after.cash == near(balance - quantity * price)
    assert after.quantity == near(quantity * (1 - fee))
    assert after.open_fees == fill.fee == near(fee * quantity * price)
    assert after.equity(price) == near(balance - fill.fee)
    sellable = FINE.accepts(FINE.round_down(after.quantity), price)
    assert (after.side, after.entry_hour, after.average_price) == (int(sellable), AT, price)


@given(balance=amounts, price=prices, exit_price=prices, fee=fees, venue=st.sampled_from([FINE, COARSE]))
def test_buying_and_selling_all_is_entering_and_leaving(balance, price, exit_price, fee, venue):
    rules = rules_of(fee, venue)
    start = SubAccount.open(balance)
    entered, entry = open_position(start, 1, 1.0, price, AT, rules)
    assume(entry is not None)
    booked, fill = book_buy(start, entry.quantity, entry.price, AT, rules)
    assert (booked, fill) == (entered, entry)
    left, exit_, trade = close_position(entered, exit_price, LATER, "neutral", rules)
    assume(exit_ is not None)
    assert book_sell(booked, exit_.quantity, exit_.price, LATER, "neutral", rules) == (left, exit_, trade)


@given(balance=amounts, price=prices, exit_price=prices, fee=fees, cuts=st.lists(parts, max_size=3))
def test_selling_in_pieces_loses_and_invents_nothing(balance, price, exit_price, fee, cuts):
    rules = rules_of(fee)
    account, entry = book_buy(SubAccount.open(balance), balance / price, price, AT, rules)
    whole, _, only = book_sell(account, account.quantity, exit_price, LATER, "neutral", rules)
    trades, held = [], account.quantity
    for cut in [*cuts, 1.0]:
        assume(account.side == 1)
        account, fill, trade = book_sell(account, held * cut, exit_price, LATER, "neutral", rules)
        held = account.quantity
        trades.append(trade)
        assert fill.fee == near(fee * fill.quantity * exit_price)
        assert (fill.side, fill.reason, trade.exit_reason) == (-1, "neutral", "neutral")
        assert (trade.entry_hour, trade.exit_hour, trade.entry_price) == (AT, LATER, near(price))
    assert (account.quantity, account.side, account.open_fees) == (0, 0, 0)
    assert account.cash == near(whole.cash)
    assert sum(trade.quantity for trade in trades) == near(only.quantity)
    assert sum(trade.fees for trade in trades) == near(only.fees)
    assert only.fees == near(entry.fee + fee * exit_price * only.quantity)


@given(balance=amounts, price=prices, exit_price=prices, fee=fees)
def test_what_a_round_trip_brought_is_in_its_trade(balance, price, exit_price, fee):
    rules = rules_of(fee)
    account, _ = book_buy(SubAccount.open(balance), balance / price, price, AT, rules)
    account, _, trade = book_sell(account, account.quantity, exit_price, LATER, "opposite", rules)
    # The fee of the purchase was taken in coins at the entry price: `fees` values it so.
    assert account.cash == near(balance + trade.net_pnl)


@given(price=prices, part=parts, fee=fees, money=st.floats(20.0, 1e6))
def test_what_is_left_is_a_position_where_it_could_be_sold_and_dust_where_not(price, part, fee, money):
    rules = rules_of(fee)
    account, _ = book_buy(SubAccount.open(money), money / price, price, AT, rules)
    after, _, _ = book_sell(account, account.quantity * part, price, LATER, "neutral", rules)
    sellable = FINE.accepts(FINE.round_down(after.quantity), price)
    assert after.side == int(sellable)
    assert after.average_price == near(price)
    assert after.quantity == near(account.quantity * (1 - part))


def test_a_sale_of_more_than_is_held_is_booked_as_all_that_is_held():
    account, _ = book_buy(SubAccount.open(1000.0), 10.0, 100.0, AT, rules_of(0.0))
    after, fill, trade = book_sell(account, 11.0, 100.0, LATER, "neutral", rules_of(0.0))
    assert (after.quantity, after.cash, fill.quantity, trade.quantity) == (0, 1000, 10, 10)


@given(price=prices, second=prices, fee=fees, dust=st.floats(0.0, 0.9))
def test_dust_joins_the_next_position_at_average_cost(price, second, fee, dust):
    rules = rules_of(fee)
    account, _ = book_buy(SubAccount.open(1000.0), 500.0 / price, price, AT, rules)
    keep = min(dust / price, account.quantity / 2)
    account, _, first = book_sell(account, account.quantity - keep, price, LATER, "neutral", rules)
    assume(account.side == 0)
    left, cost = account.quantity, account.average_price
    spent = account.cash / 2
    account, _ = book_buy(account, spent / second, second, LATER, rules)
    received = spent / second * (1 - fee)
    assert account.quantity == near(left + received)
    assert account.average_price == near((left * cost + received * second) / (left + received))
    account, _, last = book_sell(account, account.quantity, second, LATER, "neutral", rules)
    assert account.quantity == account.open_fees == 0
    assert account.cash == pytest.approx(1000 + first.net_pnl + last.net_pnl, rel=1e-9)


def test_by_hand_a_purchase_and_a_sale_in_two_pieces():
    # 1000 at 100 buy 10 coins, of which 0.1 are the fee of 1 %; 4.9 go at 110, 5 at 120.
    rules = rules_of(0.01)
    account, fill = book_buy(SubAccount.open(1000.0), 10.0, 100.0, AT, rules)
    assert (account.cash, account.quantity, fill.fee) == (0, near(9.9), near(10))
    account, fill, trade = book_sell(account, 4.9, 110.0, LATER, "neutral", rules)
    assert (account.side, account.quantity, fill.fee) == (1, near(5), near(5.39))
    assert account.cash == near(539 - 5.39)
    assert trade.fees == near(10 * 4.9 / 9.9 + 5.39)
    account, fill, trade = book_sell(account, 5.0, 120.0, LATER + 1, "opposite", rules)
    assert (account.side, account.quantity) == (0, 0)
    assert account.cash == near(539 - 5.39 + 600 - 6)
    assert trade.fees == near(10 * 5 / 9.9 + 6)
