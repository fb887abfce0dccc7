"""What must hold for every backtest, on random bars, plans and rules."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from itertools import pairwise
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import assume, event
from hypothesis import strategies as st
from support.closed_form import closed_form
from support.strategies import PLAIN, Case, cases, holds_for

from crypto_refactor.backtest.engine import _Simulator, simulate
from crypto_refactor.execution.decisions import (
    Exit,
    SignalPlan,
    close_without_data,
    decide,
    protective_exit,
    target_by_side,
    update_drawdown,
)
from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules, ExitRule
from crypto_refactor.execution.sub_account import (
    SubAccount,
    charge_borrow,
    close_position,
    mark_open,
    open_position,
    ruin_if_spent,
)
from crypto_refactor.market.bars import PRICES

NO_STOPS = {"stop_loss": None, "take_profit": None, "max_drawdown": None}
REAL_AND_ADJACENT = {"gaps": False, "blind": False}


def close_to(expected, *, scale):
    return pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


def largest(result):
    return float(np.abs(result.equity).max() + np.abs(result.cash).max())


def filled_rows(case, result):
    """Return the row at whose open, or for ruin possibly at whose close, each fill happened."""
    hours = case.bars.opened.tolist()
    for fill in result.fills:
        row = hours.index(fill.at) if fill.at in hours else None
        if fill.reason == "ruin" and (row is None or result.sides[row - 1] == 0):
            row = hours.index(fill.at - 1)
        yield row, fill


# --- the ledger ----------------------------------------------------------------------------------------


@holds_for(cases())
def test_equity_is_cash_plus_the_value_of_the_position(case):
    result = case.run()
    assert result.equity.tolist() == (result.cash + result.quantity * case.bars.close).tolist()
    assert result.equity[0] == result.cash[0] == case.balance
    assert len(result.equity) == len(case.bars)


@holds_for(cases())
def test_the_initial_balance_plus_all_net_pnl_is_the_final_balance(case):
    result = case.run()
    total = case.balance + sum(trade.net_pnl for trade in result.trades)
    assert total == close_to(float(result.equity[-1]), scale=largest(result))
    event(f"ends {result.trades[-1].exit_reason if result.trades else 'without trade'}")


@holds_for(cases(borrow=0.0))
def test_fees_of_the_trades_are_the_fees_of_the_fills_and_the_rate_on_the_notional(case):
    result = case.run()
    scale = largest(result)
    for fill in result.fills:
        assert fill.fee == close_to(case.rules.fee * fill.notional, scale=scale)
        assert fill.quantity > 0
    assert sum(trade.fees for trade in result.trades) == close_to(
        sum(fill.fee for fill in result.fills), scale=scale
    )


@holds_for(cases(venue=None))
def test_the_trades_alone_give_gross_less_fees(case):
    """Gross profit seen from the fills: sold less bought, plus what is left at the last close."""
    result = case.run()
    flows = sum(-fill.side * fill.notional for fill in result.fills)
    gross = flows + float(result.quantity[-1] * case.bars.close[-1])
    fees = sum(trade.fees for trade in result.trades)
    assert sum(trade.gross_pnl for trade in result.trades) == close_to(gross, scale=largest(result))
    assert float(result.equity[-1]) - case.balance == close_to(gross - fees, scale=largest(result))


@holds_for(cases(borrow=0.0))
def test_between_fills_equity_moves_with_the_price_alone(case):
    result = case.run()
    quiet = np.ones(len(case.bars), dtype=bool)
    quiet[[row for row, _ in filled_rows(case, result)]] = False
    moved = np.diff(result.equity)[quiet[1:]]
    explained = (result.quantity[:-1] * np.diff(case.bars.close))[quiet[1:]]
    assert moved.tolist() == pytest.approx(explained.tolist(), rel=1e-9, abs=1e-9 * largest(result))
    assert (np.diff(result.cash)[quiet[1:]] == 0).all()


@holds_for(cases())
def test_borrow_and_fees_are_never_negative_and_only_shorts_pay_borrow(case):
    result = case.run()
    assert all(fill.fee >= -1e-9 * largest(result) for fill in result.fills)
    borrowed = sum(trade.fees for trade in result.trades) - sum(fill.fee for fill in result.fills)
    if case.rules.borrow == 0 or all(trade.direction == 1 for trade in result.trades):
        assert borrowed == close_to(0.0, scale=largest(result))
    else:
        assert borrowed >= -1e-9 * largest(result)


@holds_for(cases(jumps=True))
def test_nothing_is_lent(case):
    result = case.run()
    assert (result.cash >= -1e-9 * largest(result)).all()


@holds_for(cases(jumps=True))
def test_equity_is_never_negative_and_nothing_follows_ruin(case):
    result = case.run()
    assert (result.equity >= -1e-9 * case.balance).all()
    if not result.account.ruined:
        assert all(trade.exit_reason != "ruin" for trade in result.trades)
        return
    event("ruined")
    assert result.trades[-1].exit_reason == "ruin"
    assert result.fills[-1].reason == "ruin"
    last = max(row for row, _ in filled_rows(case, result))
    assert (result.equity[last:] == 0.0).all()
    assert (result.quantity[last:] == 0.0).all()


# --- bars that are passed over -------------------------------------------------------------------------


@holds_for(cases(jumps=True), examples=400)
def test_visiting_every_bar_gives_the_same_result(case):
    passed_over = case.run()
    with patch.object(_Simulator, "next_bar", lambda _run, i: i + 1):
        every_bar = case.run()
    assert pickle.dumps(passed_over.account) == pickle.dumps(every_bar.account)
    for name in ("trades", "fills", "pending", "halted_at"):
        assert getattr(passed_over, name) == getattr(every_bar, name)
    for name in ("equity", "cash", "quantity", "target", "sides"):
        assert getattr(passed_over, name).tobytes() == getattr(every_bar, name).tobytes()
    event(
        f"halted {passed_over.account.halted}, dust {passed_over.account.side == 0 < passed_over.account.quantity}"
    )


# --- orders and time -----------------------------------------------------------------------------------


@holds_for(cases(jumps=True))
def test_fills_happen_at_real_opens_moved_against_the_trader(case):
    result = case.run()
    for row, fill in filled_rows(case, result):
        if fill.reason != "ruin":
            assert fill.at == case.bars.opened[row]
            assert not case.bars.synthetic[row]
            assert fill.price == case.bars.open[row] * (1 + fill.side * case.rules.slippage)


@holds_for(cases())
def test_an_entry_fills_one_hour_after_a_real_decision_for_its_side(case):
    result = case.run()
    for row, fill in filled_rows(case, result):
        if fill.reason == "entry":
            assert not case.bars.synthetic[row - 1]
            assert case.plan.decidable[row - 1]
            assert case.bars.opened[row] - case.bars.opened[row - 1] == 1
            assert case.plan.signal[row - 1] == fill.side
            assert case.plan.exceeds_cost[row - 1] or not case.rules.strict
            assert result.halted_at is None or fill.at < result.halted_at


@holds_for(cases(**PLAIN, **REAL_AND_ADJACENT))
def test_without_stops_the_side_held_is_the_target_and_a_flip_pays_two_legs(case):
    result = case.run()
    assume(not result.account.ruined)
    assert result.sides[1:].tolist() == result.target[:-1].tolist()
    assert np.sign(result.quantity).tolist() == result.sides.tolist()
    legs = np.abs(np.diff(result.target[:-1], prepend=0)).sum()
    assert len(result.fills) == legs


@holds_for(cases())
def test_trades_are_ordered_and_disjoint_and_span_the_exposure(case):
    result = case.run()
    closed = np.zeros(len(case.bars), dtype=bool)
    before = 0
    for trade in result.trades:
        assert trade.quantity > 0
        assert trade.exit_hour >= trade.entry_hour
        if trade.exit_reason != "dust":
            assert trade.entry_hour >= before
            before = trade.exit_hour
            held = (case.bars.opened >= trade.entry_hour) & (case.bars.closed <= trade.exit_hour)
            if trade.exit_reason == "ruin":
                held &= result.sides != 0  # its last close already finds nothing
            assert not closed[held].any()
            closed |= held
            assert (result.sides[held] == trade.direction).all()
    assert closed.tolist() == (result.sides != 0).tolist()


@holds_for(cases(jumps=True), st.data())
def test_a_prefix_of_the_bars_gives_the_prefix_of_the_result(case, data):
    whole = case.run()
    count = data.draw(st.integers(1, len(case.bars)))
    part = case.rows(0, count).run()
    for name in ("equity", "cash", "quantity", "target", "sides"):
        assert getattr(part, name).tolist() == getattr(whole, name)[:count].tolist()
    assert part.fills == whole.fills[: len(part.fills)]
    closed = tuple(trade for trade in part.trades if trade.closed)
    assert closed == tuple(trade for trade in whole.trades if trade.closed)[: len(closed)]


@holds_for(cases(), st.data())
def test_the_bar_after_a_decision_cannot_change_it(case, data):
    row = data.draw(st.integers(0, len(case.bars) - 1))
    factor = np.where(np.arange(len(case.bars)) > row, 1.5, 1.0)
    prices = {name: getattr(case.bars, name) * factor for name in ("open", "high", "low", "close")}
    other = replace(case, bars=replace(case.bars, **prices)).run()
    mine = case.run()
    assert other.equity[: row + 1].tolist() == mine.equity[: row + 1].tolist()
    assert other.target[: row + 1].tolist() == mine.target[: row + 1].tolist()


@holds_for(cases(exit=ExitRule.NEUTRAL, max_drawdown=None, venue=None, borrow=0.0))
def test_after_a_stop_nothing_is_entered_until_the_target_changes(case):
    result = case.run()
    for trade in result.trades:
        if trade.exit_reason in {"stop_loss", "take_profit"}:
            event(trade.exit_reason)
            row = int(np.searchsorted(case.bars.opened, trade.exit_hour))
            decided = row - 1
            while case.bars.synthetic[decided]:
                decided -= 1
            for i in range(decided, len(case.bars)):
                if case.bars.synthetic[i] or not case.plan.decidable[i]:
                    continue
                if result.target[i] != trade.direction:
                    break
                if i >= row:
                    assert result.sides[min(i + 1, len(case.bars) - 1)] == 0


@holds_for(cases())
def test_a_plan_on_synthetic_bars_is_never_looked_at(case):
    quiet = {
        name: getattr(case.plan, name).copy()
        for name in ("signal", "forecast_side", "exceeds_cost", "decidable")
    }
    for column in quiet.values():
        column[case.bars.synthetic] = 0
    other = replace(case, plan=replace(case.plan, **quiet)).run()
    assert other.fills == case.run().fills


# --- money ---------------------------------------------------------------------------------------------


def no_short_doubles(case, result):
    """A short whose price and borrow come to twice its entry price gains by a higher fee: it holds fewer coins."""
    closes = case.bars.close[result.sides == -1]
    costs = closes + case.rules.borrow / HOURS_PER_YEAR * np.cumsum(closes)
    return not result.account.ruined and all(
        (costs < 1.5 * trade.entry_price).all() for trade in result.trades if trade.direction == -1
    )


@holds_for(cases(wild=False, max_notional=None, venue=None, strict=False, **NO_STOPS))
def test_a_higher_fee_never_helps(case):
    results = [case.run(fee=fee) for fee in (0.0, 0.0005, 0.001, 0.01)]
    assume(all(no_short_doubles(case, result) for result in results))
    finals = [float(result.equity[-1]) for result in results]
    assert all(low <= high * (1 + 1e-12) for high, low in pairwise(finals))
    if len(results[0].fills):
        assert finals[-1] < finals[0]


@holds_for(cases(max_notional=None, venue=None, borrow=0.0, **NO_STOPS))
def test_higher_slippage_never_helps(case):
    finals = [float(case.run(slippage_bps=bps).equity[-1]) for bps in (0.0, 2.0, 10.0, 100.0)]
    assert all(low <= high * (1 + 1e-12) for high, low in pairwise(finals))


@holds_for(cases(max_notional=None, venue=None))
def test_four_times_the_cash_is_exactly_four_times_the_equity(case):
    more = replace(case, balance=4 * case.balance).run()
    assert more.equity.tolist() == (4 * case.run().equity).tolist()


@holds_for(cases(max_notional=None, venue=None))
def test_eight_times_the_price_is_exactly_the_same_equity(case):
    prices = {name: getattr(case.bars, name) * 8 for name in (*PRICES, "protection_price")}
    dearer = replace(case, bars=replace(case.bars, **prices)).run()
    assert dearer.equity.tolist() == case.run().equity.tolist()


@holds_for(
    cases(**PLAIN | {"long_only": True}, fee=0.0, slippage_bps=0.0, position_size=1.0, **REAL_AND_ADJACENT)
)
def test_without_fees_a_long_only_run_compounds_the_returns_it_was_exposed_to(case):
    result = case.run()
    opens, closes = case.bars.open, case.bars.close
    held = np.concatenate([[0], result.target[:-1]])  # from the open of each bar to its close
    overnight = np.concatenate([[0], held[:-1]])  # from the close before to that open
    factors = np.ones(len(closes))
    factors[1:] = np.where(overnight[1:] == 1, opens[1:] / closes[:-1], 1.0) * np.where(
        held[1:] == 1, closes[1:] / opens[1:], 1.0
    )
    assert result.equity.tolist() == pytest.approx((case.balance * np.cumprod(factors)).tolist(), rel=1e-11)


@holds_for(
    cases(
        **{name: value for name, value in PLAIN.items() if name not in {"stop_loss", "take_profit"}},
        **REAL_AND_ADJACENT,
    ),
    examples=200,
)
def test_the_loop_equals_the_closed_form(case):
    result, rules = case.run(), case.rules
    assume(not result.account.ruined)
    expected = closed_form(
        case.bars.open,
        case.bars.close,
        case.plan.signal,
        balance=case.balance,
        fee=rules.fee,
        slippage=rules.slippage,
        size=rules.position_size,
        stop_loss=rules.stop_loss,
        take_profit=rules.take_profit,
    )
    assert result.sides.tolist() == expected.side.tolist()
    assert result.equity.tolist() == pytest.approx(
        expected.equity.tolist(), rel=1e-10, abs=1e-10 * largest(result)
    )
    hours = np.append(case.bars.opened, case.bars.closed[-1])
    assert [trade.direction for trade in result.trades] == expected.direction.tolist()
    assert [trade.entry_hour for trade in result.trades] == hours[expected.entry_row].tolist()
    assert [trade.exit_hour for trade in result.trades] == hours[expected.exit_row].tolist()
    assert [trade.net_pnl for trade in result.trades] == pytest.approx(
        expected.net_pnl.tolist(), rel=1e-8, abs=1e-10 * largest(result)
    )
    stopped = [trade.exit_reason in {"stop_loss", "take_profit"} for trade in result.trades]
    assert [bool(flag) for flag in expected.stopped & (expected.exit_row < len(case.bars))] == stopped


# --- one decision path ---------------------------------------------------------------------------------


def decide_at_close(case: Case, account, i):
    """Return the account and its orders after the close of the real bar `i`."""
    rules, close = case.rules, float(case.bars.close[i])
    if case.bars.held[i]:
        return protective_exit(account, float(case.bars.protection_price[i]), rules)
    account = update_drawdown(account, close, rules)
    if not case.plan.decidable[i]:
        return account, close_without_data(account)
    return decide(
        account,
        close,
        signal=int(case.plan.signal[i]),
        target=int(target_by_side(case.plan, rules)[account.side][i]),
        exceeds_cost=bool(case.plan.exceeds_cost[i]),
        rules=rules,
    )


def step_by_step(case: Case):
    """Trade like a process that forgets everything but its account and its orders between two bars."""
    bars, rules = case.bars, case.rules
    state = pickle.dumps((SubAccount.open(case.balance), ()))
    fills, trades, equity = [], [], []

    def book(outcome):
        account, *records = outcome
        for record, book_ in zip(records, (fills, trades), strict=False):
            if record is not None:
                book_.append(record)
        return account

    for i in range(len(bars)):
        account, pending = pickle.loads(state)
        at, open_, close = int(bars.opened[i]), float(bars.open[i]), float(bars.close[i])
        real = not bars.synthetic[i]
        adjacent = i > 0 and bars.opened[i] - bars.opened[i - 1] == 1
        for decision in pending if real else ():
            if isinstance(decision, Exit) and account.side:
                account = book(close_position(account, open_, at, decision.reason, rules))
            elif not isinstance(decision, Exit) and adjacent and not account.side and not account.ruined:
                account = book(open_position(account, decision.side, decision.fraction, open_, at, rules))
        pending = () if real else tuple(order for order in pending if isinstance(order, Exit))
        account = charge_borrow(account, close, rules)
        account = book(ruin_if_spent(account, close, at + 1, rules))
        if real:
            account, pending = decide_at_close(case, account, i)
        equity.append(account.equity(close))
        state = pickle.dumps((account, pending))
    account, pending = pickle.loads(state)
    held = mark_open(account, float(bars.close[-1]), int(bars.closed[-1]))
    return account, pending, tuple(fills), (*trades, *([held] if held else [])), equity


@holds_for(cases(jumps=True, max_bars=60), examples=150)
def test_a_process_restarted_at_every_bar_trades_exactly_like_the_backtest(case):
    result = case.run()
    account, pending, fills, trades, equity = step_by_step(case)
    assert fills == result.fills
    assert trades == result.trades
    assert (account, pending) == (result.account, result.pending)
    assert equity == result.equity.tolist()


@holds_for(cases(max_drawdown=None, stop_loss=None, take_profit=None, venue=None))
def test_a_run_cut_where_it_is_flat_continues_from_its_balance(case):
    whole = case.run()
    flat = [
        i
        for i in range(1, len(case.bars) - 1)
        if whole.sides[i] == 0
        and whole.sides[i - 1] == 0
        and not case.bars.synthetic[i]
        and whole.equity[i] > 0
    ]
    assume(flat)
    cut = flat[len(flat) // 2]
    rest = replace(case.rows(cut, len(case.bars)), balance=float(whole.equity[cut])).run()
    assert rest.equity.tolist() == whole.equity[cut:].tolist()
    assert rest.fills == whole.fills[len(whole.fills) - len(rest.fills) :]


@holds_for(cases())
def test_a_simulation_changes_none_of_its_inputs_and_repeats(case):
    before = pickle.dumps((case.plan.signal, case.plan.forecast_side, case.bars.close))
    first, second = case.run(), case.run()
    assert pickle.dumps((case.plan.signal, case.plan.forecast_side, case.bars.close)) == before
    assert first.equity.tolist() == second.equity.tolist()
    assert first.trades == second.trades


@holds_for(cases(long_only=True))
def test_long_only_never_sells_what_it_does_not_hold(case):
    result = case.run()
    assert (result.quantity >= 0).all()
    assert (result.sides >= 0).all()


@holds_for(cases(long_only=True))
def test_venue_orders_are_multiples_above_the_minimum_and_the_dust_is_less_than_one(case):
    result, venue = case.run(), case.rules.venue
    assume(venue is not None)
    for fill in result.fills:
        assert venue.round_down(fill.quantity) == fill.quantity
        assert fill.quantity >= venue.min_quantity
        assert fill.notional >= venue.min_notional
    flat = result.sides == 0
    assert (result.quantity[flat] < venue.increment * (1 + 1e-9)).all()
    event(f"dust left: {bool((result.quantity[flat] > 0).any())}")


@holds_for(cases(venue=None, max_notional=None, borrow=0.0, strict=False))
def test_a_halt_only_takes_away_entries(case):
    """Up to the halt the run is the one without the rule; after it only exits happen."""
    free, halted = case.run(max_drawdown=None), case.run(max_drawdown=0.05)
    if halted.halted_at is None:
        assert halted.fills == free.fills
        return
    event("halted")
    before = [fill for fill in halted.fills if fill.at < halted.halted_at]
    assert before == [fill for fill in free.fills if fill.at < halted.halted_at]
    assert all(fill.reason != "entry" for fill in halted.fills[len(before) :])
    row = int(np.searchsorted(case.bars.closed, halted.halted_at))
    peak = halted.equity[: row + 1].max()
    assert halted.equity[row] <= peak * 0.95 + 1e-9
    assert math.isfinite(peak)


def test_a_single_bar_is_only_a_decision(random_bars):
    bars = random_bars(1)
    case = Case(bars=bars, plan=_flat_plan(1), rules=ExecutionRules(), balance=1000.0)
    result = case.run()
    assert result.equity.tolist() == [1000.0]
    assert result.trades == ()
    assert simulate(bars, case.plan, case.rules, initial_balance=5.0).equity.tolist() == [5.0]


def _flat_plan(count):
    nothing = np.zeros(count, dtype=np.int8)
    return SignalPlan(
        signal=nothing,
        forecast_side=nothing,
        exceeds_cost=nothing.astype(bool),
        decidable=np.ones(count, dtype=bool),
    )
