"""Fills check: each fill was decided at the close before it and executed at the open after that close."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, SideArray
from crypto_refactor.backtest.audit.accounting import differences_by_account
from crypto_refactor.backtest.audit.look_ahead import RecomputedSignal
from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import AccountRun, BacktestResult
from crypto_refactor.execution.decisions import SignalPlan, stop_levels, target_by_side
from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.signals.conditions import SignalFrame

_PROTECTIONS = frozenset({"stop_loss", "take_profit"})


def check_fills(result: BacktestResult, recomputed: list[RecomputedSignal]) -> AuditCheck:
    """Check 4: targets follow from the signals, and fills from the targets, one open later."""

    def compare(account: AccountRun) -> Iterator[Difference]:
        closes = _recompute_targets(result, account, recomputed)
        yield from _target_differences(account, closes)
        yield from _fill_differences(account, closes)

    differences = sorted(differences_by_account(result, compare), key=lambda difference: difference.bar)
    alpaca = () if result.alpaca is None else result.alpaca.simulation.fills
    count = len(result.requested.simulation.fills) + len(alpaca)
    return AuditCheck.of(
        "fills",
        differences,
        passed=f"{count:,} fills{'' if result.alpaca is None else ' (Alpaca included)'}: each at the first real open after its "
        "decision, at that open's price, as the signal of that close requires.",
        failed=f"{len(differences)} targets or fills do not follow from what was known at the close before.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Closes:
    """What an account could know at each close of the window, shape (n + 1,) each.

    `target` is the side to hold next, given the side held; `real` and `decidable` are the closes of real bars and those
    that could be decided on.
    """

    bars: Bars
    window: Bars
    real: BoolArray
    decidable: BoolArray
    exceeds_cost: BoolArray
    target: SideArray


def _recompute_targets(
    result: BacktestResult, account: AccountRun, recomputed: list[RecomputedSignal]
) -> _Closes:
    window, count = result.window, len(result.window)
    signal, forecast = np.zeros(count, dtype=np.int8), np.zeros(count, dtype=np.int8)
    exceeds_cost, decidable = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.bool_)
    by_plugin = any(account.rules.exit in part.signals.keeps for part in result.walk.periods)
    keep = np.zeros((count, 2), dtype=np.bool_) if by_plugin else None

    def align(signals: SignalFrame) -> None:
        inside = np.isin(signals.decided_at, window.closed)
        rows = np.searchsorted(window.closed, signals.decided_at[inside])
        signal[rows], forecast[rows] = signals.signal[inside], signals.forecast_side[inside]
        exceeds = signals.supported & (signals.expected_move > account.rules.round_trip_cost)
        exceeds_cost[rows], decidable[rows] = exceeds[inside], True
        if keep is not None:
            keep[rows] = signals.keeps[account.rules.exit][inside]

    for part in result.walk.periods:
        align(part.signals)
    for close in recomputed:
        # A recomputed signal replaces the run's.
        if close.signals is not None:
            decidable[np.searchsorted(window.closed, close.hour)] = False
            align(close.signals)
    plan = SignalPlan(
        signal=signal, forecast_side=forecast, exceeds_cost=exceeds_cost, decidable=decidable, keep=keep
    )
    targets, sides = target_by_side(plan, account.rules), account.simulation.sides
    target = np.where(sides == 0, targets[0], np.where(sides > 0, targets[1], targets[-1])).astype(np.int8)
    real = ~window.synthetic
    target[~(decidable & real)] = 0
    return _Closes(
        bars=trusted(result.bars),
        window=window,
        real=real,
        decidable=decidable,
        exceeds_cost=exceeds_cost,
        target=target,
    )


def _target_differences(account: AccountRun, closes: _Closes) -> Iterator[Difference]:
    target = account.simulation.target
    for row in np.flatnonzero(target != closes.target).tolist():
        yield Difference.between(int(closes.window.closed[row]), "target", target[row], closes.target[row])


def _fill_differences(account: AccountRun, closes: _Closes) -> Iterator[Difference]:
    run = account.simulation
    closed_trades = iter(trade for trade in run.trades if trade.closed)
    trade, previous = None, None
    for fill in run.fills:
        if previous is None or (fill.at, fill.reason) != (
            previous.at,
            previous.reason,
        ):  # not a leg of the same order
            trade = None if fill.reason == "entry" else next(closed_trades, None)
        previous = fill
        if fill.reason == "ruin":
            continue  # at the price that leaves nothing: the accounting check sees whether it did
        difference = _price_difference(account, closes.bars, fill) or _decision_difference(
            account, closes, fill, trade
        )
        if difference is not None:
            yield difference


def _price_difference(account: AccountRun, bars: Bars, fill: Fill) -> Difference | None:
    """Return how a fill's price differs from the open of its bar, moved against the trader by the slippage."""
    row = int(np.searchsorted(bars.opened, fill.at))
    column = f"{fill.reason} price"
    if row == len(bars) or bars.opened[row] != fill.at:
        return Difference(bar=fill.at, column=column, run=fill.price, recomputed="no bar opened then")
    price = float(bars.open[row]) * (1 + fill.side * account.rules.slippage)
    if fill.price == price:
        return None
    return Difference(bar=fill.at, column=column, run=fill.price, recomputed=price)


def _decision_difference(
    account: AccountRun, closes: _Closes, fill: Fill, trade: Trade | None
) -> Difference | None:
    """Return how a fill differs from what the last real close before its open requires."""
    window = closes.window
    before = np.flatnonzero(closes.real[: int(np.searchsorted(window.opened, fill.at))])
    if not len(before):
        return Difference(bar=fill.at, column=fill.reason, run=fill.side, recomputed="no close before it")
    row = int(before[-1])
    side, target = int(account.simulation.sides[row]), int(closes.target[row])
    if fill.reason == "entry":
        adjacent = int(window.closed[row]) == fill.at
        allowed = bool(closes.exceeds_cost[row]) or not account.rules.strict
        required = adjacent and allowed and target == fill.side != side
    else:
        required = side == -fill.side and _exit_required(account, closes, row, fill, trade)
    if required:
        return None
    return Difference(
        bar=int(window.closed[row]),
        column=f"{fill.reason} at the next open",
        run=fill.side,
        recomputed=f"position {side}, target {target}",
    )


def _exit_required(account: AccountRun, closes: _Closes, row: int, fill: Fill, trade: Trade | None) -> bool:
    """Whether the close at `row` gives the reason for which `fill` closed a position."""
    side, decidable = int(account.simulation.sides[row]), bool(closes.decidable[row])
    held = bool(closes.window.held[row])
    if fill.reason == "no_data":
        return not decidable and not held
    if fill.reason in _PROTECTIONS:
        if trade is None:
            return False
        position = SubAccount(cash=0.0, peak_equity=0.0, side=side, average_price=trade.entry_price)
        lower, upper = stop_levels(position, account.rules)
        price = float(closes.window.protection_price[row])
        return (decidable or held) and (price <= lower or price >= upper)
    return decidable and int(closes.target[row]) != side
