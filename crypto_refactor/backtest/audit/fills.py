"""Audit of the fills: each was decided at a close before it and executed at the open after that close."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arrays import BoolArray, SideArray
from crypto_refactor.backtest.audit.findings import AuditCheck, Difference, make_check
from crypto_refactor.backtest.audit.sample import audited_accounts
from crypto_refactor.backtest.audit.signals import RecomputedSignal
from crypto_refactor.backtest.result import AccountRun, BacktestResult
from crypto_refactor.execution.decisions import SignalPlan, stop_levels, target_by_side
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.signals.conditions import SignalFrame

_PROTECTIONS = frozenset({"stop_loss", "take_profit"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Decided:
    """What an account was told at each close of the window, shape (n + 1,) each.

    `aim` is the side wanted given the side held; `real` and `known` are the closes that are real, and those
    that could be decided on.
    """

    bars: Bars
    window: Bars
    real: BoolArray
    known: BoolArray
    exceeds_cost: BoolArray
    aim: SideArray


def check_fills(result: BacktestResult, replayed: list[RecomputedSignal]) -> AuditCheck:
    """Check 4: targets follow from the signals, and fills from the targets, one open later."""
    found: list[Difference] = []
    count = 0
    accounts = audited_accounts(result)
    for suffix, account in accounts:
        decided = _decided(result, account, replayed)
        count += len(account.simulation.fills)
        found += [
            replace(difference, column=f"{difference.column}{suffix}")
            for difference in (*_targets(account, decided), *_fills(account, decided))
        ]
    found.sort(key=lambda difference: difference.bar)
    return make_check(
        "fills",
        found,
        fine=f"{count:,} fills{', those at Alpaca included' if len(accounts) > 1 else ''}: each at the first real open after the close that "
        "decided it, at that open's price, to the side that the signal of that close asks for.",
        wrong=f"{len(found)} targets or fills do not follow from what was known at the close before.",
    )


def _decided(result: BacktestResult, account: AccountRun, replayed: list[RecomputedSignal]) -> _Decided:
    window, count = result.window, len(result.window)
    signal, forecast = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.int8)
    exceeds_cost, known = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)

    def lay(made: SignalFrame) -> None:
        inside = np.isin(made.made_at, window.closed)
        where = np.searchsorted(window.closed, made.made_at[inside])
        signal[where], forecast[where] = made.signal[inside], made.forecast_side[inside]
        enough = made.supported & (made.expected_move > account.rules.round_trip_cost)
        exceeds_cost[where], known[where] = enough[inside], True

    for stretch in result.walk.stretches:
        lay(stretch.made)
    for each in replayed:
        # What was found anew counts, where there is anything.
        if each.made is not None:
            known[np.searchsorted(window.closed, each.hour)] = False
            lay(each.made)
    plan = SignalPlan(signal=signal, forecast_side=forecast, exceeds_cost=exceeds_cost, decidable=known)
    wanted, held = target_by_side(plan, account.rules), account.simulation.sides
    aim = np.where(held == 0, wanted[0], np.where(held > 0, wanted[1], wanted[-1])).astype(np.int8)
    real = ~window.synthetic
    aim[~(known & real)] = 0
    return _Decided(
        bars=result.bars, window=window, real=real, known=known, exceeds_cost=exceeds_cost, aim=aim
    )


def _targets(account: AccountRun, decided: _Decided) -> Iterator[Difference]:
    for row in np.flatnonzero(account.simulation.target != decided.aim).tolist():
        yield Difference(
            bar=int(decided.window.closed[row]),
            column="target",
            run=int(account.simulation.target[row]),
            recomputed=int(decided.aim[row]),
        )


def _fills(account: AccountRun, decided: _Decided) -> Iterator[Difference]:
    run = account.simulation
    closed = iter(trade for trade in run.trades if trade.closed)
    for fill in run.fills:
        trade = None if fill.reason == "entry" else next(closed, None)
        if fill.reason == "ruin":
            continue  # at the price that leaves nothing: the accounting sees whether it did
        difference = _price(account, decided, fill) or _decision(account, decided, fill, trade)
        if difference is not None:
            yield difference


def _price(account: AccountRun, decided: _Decided, fill: Fill) -> Difference | None:
    """Return how a fill differs from the open of its bar, moved against the trader by the slippage."""
    bars = decided.bars
    row = int(np.searchsorted(bars.opened, fill.at))
    column = f"{fill.reason} price"
    if row == len(bars) or bars.opened[row] != fill.at:
        return Difference(bar=fill.at, column=column, run=fill.price, recomputed="no bar opened then")
    price = float(bars.open[row]) * (1 + fill.side * account.rules.slippage)
    if fill.price == price:
        return None
    return Difference(bar=fill.at, column=column, run=fill.price, recomputed=price)


def _decision(account: AccountRun, decided: _Decided, fill: Fill, trade: Trade | None) -> Difference | None:
    """Return how a fill differs from what the last real close before its open asks for."""
    window, run = decided.window, account.simulation
    row = int(np.searchsorted(window.opened, fill.at))
    before = np.flatnonzero(decided.real[:row])
    if not len(before):
        return Difference(
            bar=fill.at, column=f"{fill.reason}", run=fill.side, recomputed="no close before it"
        )
    made = int(before[-1])
    held, aim = int(run.sides[made]), int(decided.aim[made])
    if fill.reason == "entry":
        adjacent = int(window.closed[made]) == fill.at
        allowed = bool(decided.exceeds_cost[made]) or not account.rules.strict
        asked = adjacent and allowed and aim == fill.side != held
    else:
        asked = held == -fill.side and _must_leave(account, decided, made, fill, trade)
    if asked:
        return None
    return Difference(
        bar=int(window.closed[made]),
        column=f"{fill.reason} at the next open",
        run=fill.side,
        recomputed=f"side {held} held, side {aim} wanted",
    )


def _must_leave(account: AccountRun, decided: _Decided, made: int, fill: Fill, trade: Trade | None) -> bool:
    """Whether the close at position `made` gives the reason for which `fill` left a position."""
    held, known = int(account.simulation.sides[made]), bool(decided.known[made])
    if fill.reason == "no_data":
        return not known
    if fill.reason in _PROTECTIONS:
        if trade is None:
            return False
        position = SubAccount(cash=0.0, peak_equity=0.0, side=held, average_price=trade.entry_price)
        lower, upper = stop_levels(position, account.rules)
        return known and not lower < decided.window.close[made] < upper
    return known and int(decided.aim[made]) != held
