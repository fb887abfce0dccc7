"""Accounting check: cash, position and fees follow from the fills, and from nothing else."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import AccountRun, BacktestResult
from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.execution.sub_account import Fill
from crypto_refactor.market.plausibility import trusted

TOLERANCE = 1e-9
"""Relative to the largest amount of an account: what another order of additions may change."""


def check_accounting(result: BacktestResult) -> AuditCheck:
    """Check 5: cash + quantity x close = equity, and balance, trades, fills and fees agree."""
    return AuditCheck.of(
        "accounting",
        differences_by_account(result, lambda account: _differences(account, _rebook(result, account))),
        passed=f"Cash + quantity x close = equity at {len(result.requested.simulation.equity):,} points; final balance = "
        "initial balance + net profit of all trades; fees and borrow = fees of all trades.",
        failed="The account does not add up.",
    )


def differences_by_account(
    result: BacktestResult, compare: Callable[[AccountRun], Iterable[Difference]]
) -> list[Difference]:
    """Return the differences of the requested account and of the one at Alpaca, whose columns say so."""
    differences = list(compare(result.requested))
    if result.alpaca is not None:
        differences += [
            replace(difference, column=f"{difference.column} at Alpaca")
            for difference in compare(result.alpaca)
        ]
    return differences


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Books:
    """An account booked again from its fills, shape (n + 1,) each, quote and base currency."""

    closed: HourArray
    close: FloatArray
    cash: FloatArray
    quantity: FloatArray
    borrow: float
    unused_fills: tuple[Fill, ...]


def _rebook(result: BacktestResult, account: AccountRun) -> _Books:
    window, run, rules = result.window, account.simulation, account.rules
    # The last real close at each bar of the window.
    bars = trusted(result.bars)
    close = bars.close[np.searchsorted(bars.opened, window.opened, side="right") - 1]
    # No fill has touched the initial balance: every other figure of the run follows from fills.
    cash, quantity, borrow = account.metrics.initial_balance, 0.0, 0.0
    fills, position = run.fills, 0
    points = []
    for row, (opened, price) in enumerate(zip(window.opened.tolist(), close.tolist(), strict=True)):
        while position < len(fills) and fills[position].at == opened:
            cash, quantity = _book(cash, quantity, fills[position], rules)
            position += 1
        if quantity < 0 and row:
            cost = min(-quantity * price * rules.borrow / HOURS_PER_YEAR, cash)
            cash, borrow = cash - cost, borrow + cost
            if position < len(fills) and _ruined_at(fills[position], opened + 1, int(run.sides[row])):
                cash, quantity = _book(cash, quantity, fills[position], rules)
                position += 1
        points.append((cash, quantity))
    path = np.array(points)
    return _Books(
        closed=window.closed,
        close=close,
        cash=path[:, 0],
        quantity=path[:, 1],
        borrow=borrow,
        unused_fills=tuple(fills[position:]),
    )


def _ruined_at(fill: Fill, closed: int, side: int) -> bool:
    """Whether a short ended at this very close, not at the open that follows it in the same hour."""
    return fill.reason == "ruin" and fill.at == closed and side == 0


def _book(cash: float, quantity: float, fill: Fill, rules: ExecutionRules) -> tuple[float, float]:
    if fill.reason == "entry" and rules.venue is not None:
        # The venue takes its fee in coins.
        return cash - fill.notional, quantity + fill.quantity * (1 - rules.fee)
    return cash - fill.side * fill.notional - fill.fee, quantity + fill.side * fill.quantity


def _differences(account: AccountRun, books: _Books) -> Iterator[Difference]:
    """Yield what does not add up: fills and fees, the curves they give, and the sums."""
    run = account.simulation
    size = np.abs(books.quantity)
    unit = float(size.max())
    money = max(float(np.abs(books.cash).max()), float((size * books.close).max()))
    for fill in books.unused_fills:
        yield Difference(
            bar=fill.at, column=fill.reason, run=fill.quantity, recomputed="no bar to fill it on"
        )
    for fill in run.fills:
        fee = account.rules.fee * fill.notional
        if not _same(fill.fee, fee, money):
            yield Difference(bar=fill.at, column="fee", run=fill.fee, recomputed=fee)
    for name, curve, recomputed, scale in (
        ("quantity", run.quantity, books.quantity, unit),
        ("cash", run.cash, books.cash, money),
        ("equity", run.equity, books.cash + books.quantity * books.close, money),
    ):
        wrong = ~(np.abs(curve - recomputed) <= TOLERANCE * scale)
        if wrong.any():
            row = int(np.argmax(wrong))
            yield Difference(
                bar=int(books.closed[row]),
                column=name,
                run=float(curve[row]),
                recomputed=float(recomputed[row]),
            )
    for name, amount, expected in _sums(account, books):
        if not _same(amount, expected, money):
            yield Difference(bar=int(books.closed[-1]), column=name, run=amount, recomputed=expected)


def _sums(account: AccountRun, books: _Books) -> Iterator[tuple[str, float, float]]:
    """Yield pairs of amounts that must be equal."""
    trades, metrics = account.simulation.trades, account.metrics
    final = float(books.cash[-1] + books.quantity[-1] * books.close[-1])
    fees = sum(fill.fee for fill in account.simulation.fills) + books.borrow
    initial = metrics.initial_balance
    yield "final balance", metrics.final_balance, final
    yield "initial balance + net profit", initial + sum(trade.net_pnl for trade in trades), final
    yield "fees of the trades", sum(trade.fees for trade in trades), fees
    yield "fees paid", metrics.fees_paid, fees
    yield "total return x initial balance", metrics.total_return * initial, final - initial


def _same(amount: float, expected: float, scale: float) -> bool:
    return abs(amount - expected) <= TOLERANCE * scale
