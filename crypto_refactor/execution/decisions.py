"""Signal + position -> decision: the one rule that backtest, demo and live share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, SideArray
from crypto_refactor.execution.rules import ExecutionRules, ExitRule
from crypto_refactor.execution.sub_account import SubAccount
from crypto_refactor.sides import Side


@dataclass(frozen=True, slots=True)
class Exit:
    """Close the whole position at the next open."""

    reason: str

    @property
    def text(self) -> str:
        """The decision in words."""
        return f"exit ({self.reason})"


@dataclass(frozen=True, slots=True)
class Enter:
    """Open a position on `side` with `fraction` of the cash at the next open."""

    side: int
    fraction: float

    @property
    def text(self) -> str:
        """The decision in words."""
        return f"enter {Side(self.side).label}"


Decision = Exit | Enter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SignalPlan:
    """What is known at each close, before the position is looked at.

    Attributes
    ----------
    signal : ndarray of int8, shape (n,)
        1 long, -1 short, 0 neither.
    forecast_side : ndarray of int8, shape (n,)
        Sign of the predicted price less the close.
    worthwhile : ndarray of bool, shape (n,)
        Whether the model has evidence and the expected move exceeds the round trip (for ``--strict``).
    decidable : ndarray of bool, shape (n,)
        False on a real bar that its own bars do not allow to decide on.
    """

    signal: SideArray
    forecast_side: SideArray
    worthwhile: BoolArray
    decidable: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class TargetBySide:
    """The wanted side at each close, shape (n,) each, given the side held then.

    ``targets[side]`` with side 0, 1 or -1.
    """

    flat: SideArray
    long: SideArray
    short: SideArray

    def __getitem__(self, side: int) -> SideArray:
        return (self.flat, self.long, self.short)[side]


def target_by_side(plan: SignalPlan, rules: ExecutionRules) -> TargetBySide:
    """Return the side wanted at each close for every side that may be held.

    From flat a position is entered only on its signal; `Rules.exit` says how long it is kept.
    """
    signal, forecast = plan.signal, plan.forecast_side
    if rules.exit is ExitRule.NEUTRAL:
        long, short = signal, signal
    else:
        long = np.where(signal == -1, -1, 1)
        short = np.where(signal == 1, 1, -1)
        if rules.exit is ExitRule.FADE:
            long = np.where((signal == 0) & (forecast < 0), 0, long)
            short = np.where((signal == 0) & (forecast > 0), 0, short)
    lowest = 0 if rules.long_only else -1
    return TargetBySide(*(np.maximum(side, lowest).astype(np.int8) for side in (signal, long, short)))


def stop_levels(account: SubAccount, rules: ExecutionRules) -> tuple[float, float]:
    """Return the closes between which neither stop-loss nor take-profit is reached."""
    below, above = 0.0, float("inf")
    if account.side == 0 or (rules.stop_loss is None and rules.take_profit is None):
        return below, above
    entry = account.average_price
    loss = None if rules.stop_loss is None else entry * (1 - account.side * rules.stop_loss)
    gain = None if rules.take_profit is None else entry * (1 + account.side * rules.take_profit)
    lower, upper = (loss, gain) if account.side > 0 else (gain, loss)
    return (below if lower is None else lower), (above if upper is None else upper)


def update_drawdown(account: SubAccount, close: float, rules: ExecutionRules) -> SubAccount:
    """Move the peak, and halt entries once equity has fallen `Rules.max_drawdown` below it."""
    if rules.max_drawdown is None:
        return account
    equity = account.equity(close)
    if equity > account.peak_equity:
        return account._replace(peak_equity=equity)
    if not account.halted and equity <= account.peak_equity * (1 - rules.max_drawdown):
        return account._replace(halted=True)
    return account


def decide(
    account: SubAccount, close: float, *, signal: int, target: int, worthwhile: bool, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Decision, ...]]:
    """Decide at the close of a bar.

    Parameters
    ----------
    account : SubAccount
        With the drawdown already watched at this close.
    close : float
        The bar's close.
    signal, target : int
        The bar's signal and the side wanted while holding ``account.side`` (`target_by_side`).
    worthwhile : bool
        See `SignalPlan`.
    rules : ExecutionRules
        The execution rules.

    Returns
    -------
    account : SubAccount
        With the memory of a stop set or cleared.
    decisions : tuple of Decision
        At most one `Exit` and one `Enter`, in this order; what blocks an entry never blocks the exit.
    """
    side = account.side
    lower, upper = stop_levels(account, rules)
    stop = None
    if side and not lower < close < upper:
        stop = "stop_loss" if (close <= lower) == (side > 0) else "take_profit"
    stopped_side = side if stop else account.stopped_side
    if target != stopped_side:
        stopped_side = 0
    if stopped_side != account.stopped_side:
        account = account._replace(stopped_side=stopped_side)
    decisions: list[Decision] = []
    if side and (stop or target != side):
        decisions.append(Exit(stop or _exit_reason(side, signal, rules)))
    blocked = account.halted or account.ruined or target == stopped_side or (rules.strict and not worthwhile)
    if target not in {0, side} and not blocked:
        decisions.append(Enter(target, rules.position_size))
    return account, tuple(decisions)


def _exit_reason(side: int, signal: int, rules: ExecutionRules) -> str:
    if signal == -side:
        return "opposite"
    return "fade" if rules.exit is ExitRule.FADE else "neutral"


def close_without_data(account: SubAccount) -> tuple[Decision, ...]:
    """Decide on a real bar whose own bars do not allow a signal: leave, never enter."""
    return (Exit("no_data"),) if account.side else ()
