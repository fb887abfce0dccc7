"""Audit of the account's arithmetic: cash, position and fees follow from the fills, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.backtest.audit.findings import AuditCheck, Difference, make_check
from crypto_refactor.backtest.audit.sample import audited_accounts
from crypto_refactor.backtest.result import AccountRun, BacktestResult
from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.market.bars import Bars

TOLERANCE = 1e-9
"""Of the largest amount in play: what adding up in another order may change."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Walked:
    """The account after walking through its fills, shape (n + 1,) each, quote and base currency."""

    closed: HourArray
    close: FloatArray
    cash: FloatArray
    quantity: FloatArray
    borrow: float
    unused: tuple[Fill, ...]


def check_accounting(result: BacktestResult) -> AuditCheck:
    """Check 5: cash + quantity x close = equity, and balance, rows, fills and fees agree."""
    found = [
        replace(difference, column=f"{difference.column}{suffix}")
        for suffix, account in audited_accounts(result)
        for difference in _of_account(account, _walked(result.bars, result.window, account))
    ]
    return make_check(
        "accounting",
        found,
        fine=f"Cash + quantity x close = equity at {len(result.requested.simulation.equity):,} points; the final balance is the "
        "initial one and the net profit of all rows; fees of fills and borrow are the fees of the rows.",
        wrong="The account does not add up.",
    )


def _walked(bars: Bars, window: Bars, account: AccountRun) -> _Walked:
    """Walk through the fills with the closes of `bars`, carried where the window has no real bar."""
    run, rules = account.simulation, account.rules
    at = np.searchsorted(bars.opened, window.opened, side="right") - 1
    close = bars.close[at]
    # This is the only balance there is that no fill has touched.
    cash, quantity, borrow = account.metrics.initial_balance, 0.0, 0.0
    fills, place = run.fills, 0
    points = []
    for row, (opened, price) in enumerate(zip(window.opened.tolist(), close.tolist(), strict=True)):
        while place < len(fills) and fills[place].at == opened:
            cash, quantity = _filled(cash, quantity, fills[place], rules)
            place += 1
        if quantity < 0 and row:
            cost = min(-quantity * price * rules.borrow / HOURS_PER_YEAR, cash)
            cash, borrow = cash - cost, borrow + cost
            if place < len(fills) and _ruined_at(fills[place], opened + 1, int(run.sides[row])):
                cash, quantity = _filled(cash, quantity, fills[place], rules)
                place += 1
        points.append((cash, quantity))
    path = np.array(points)
    return _Walked(
        closed=window.closed,
        close=close,
        cash=path[:, 0],
        quantity=path[:, 1],
        borrow=borrow,
        unused=tuple(fills[place:]),
    )


def _ruined_at(fill: Fill, closed: int, held: int) -> bool:
    """Whether a short ended at this very close, not at the open that follows it in the same hour."""
    return fill.reason == "ruin" and fill.at == closed and held == 0


def _filled(cash: float, quantity: float, fill: Fill, rules: ExecutionRules) -> tuple[float, float]:
    if fill.reason == "entry" and rules.venue is not None:
        # The fee is taken in what is received.
        return cash - fill.notional, quantity + fill.quantity * (1 - rules.fee)
    return cash - fill.side * fill.notional - fill.fee, quantity + fill.side * fill.quantity


def _of_account(account: AccountRun, walked: _Walked) -> Iterator[Difference]:
    """Yield what does not add up: fills and fees, the curves they give, and the sums."""
    run = account.simulation
    held = np.abs(walked.quantity)
    unit = float(held.max())
    money = max(float(np.abs(walked.cash).max()), float((held * walked.close).max()))
    for fill in walked.unused:
        yield Difference(
            bar=fill.at, column=fill.reason, run=fill.quantity, recomputed="no bar to fill it on"
        )
    for fill in run.fills:
        fee = account.rules.fee * fill.notional
        if not _same(fill.fee, fee, money):
            yield Difference(bar=fill.at, column="fee", run=fill.fee, recomputed=fee)
    for name, ours, theirs, scale in (
        ("quantity", run.quantity, walked.quantity, unit),
        ("cash", run.cash, walked.cash, money),
        ("equity", run.equity, walked.cash + walked.quantity * walked.close, money),
    ):
        wrong = ~(np.abs(ours - theirs) <= TOLERANCE * scale)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield Difference(
                bar=int(walked.closed[row]),
                column=name,
                run=float(ours[row]),
                recomputed=float(theirs[row]),
            )
    for name, one, other in _sums(account, walked):
        if not _same(one, other, money):
            yield Difference(bar=int(walked.closed[-1]), column=name, run=one, recomputed=other)


def _sums(account: AccountRun, walked: _Walked) -> Iterator[tuple[str, float, float]]:
    """Yield pairs of amounts that must be equal."""
    rows, told = account.simulation.trades, account.metrics
    final = float(walked.cash[-1] + walked.quantity[-1] * walked.close[-1])
    fees = sum(fill.fee for fill in account.simulation.fills) + walked.borrow
    yield "final balance", told.final_balance, final
    yield "initial balance + net profit", told.initial_balance + sum(row.net_pnl for row in rows), final
    yield "fees of the rows", sum(row.fees for row in rows), fees
    yield "fees paid", told.fees_paid, fees
    yield (
        "total return x initial balance",
        told.total_return * told.initial_balance,
        (final - told.initial_balance),
    )


def _same(one: float, other: float, scale: float) -> bool:
    return abs(one - other) <= TOLERANCE * scale
