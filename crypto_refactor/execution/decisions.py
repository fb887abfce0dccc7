"""Signal + position -> decision: the one rule that backtest, demo and live share."""

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
    """What a model says at each of n closes, whatever the position; arrays of shape (n,)."""

    signal: SideArray  # 1 long, -1 short, 0 neither
    forecast_side: SideArray  # sign of the predicted price less the close
    exceeds_cost: BoolArray  # evidence, and an expected move above the round trip (``--strict``)
    decidable: BoolArray  # False on a real bar whose window of bars does not allow a decision
    keep: BoolArray | None = None  # (n, 2), whether the exit of a plug-in keeps a long, a short


@dataclass(frozen=True, slots=True, eq=False)
class TargetBySide:
    """The target at each close, shape (n,) each, by the side held then: ``targets[side]``."""

    flat: SideArray
    long: SideArray
    short: SideArray

    def __getitem__(self, side: int) -> SideArray:
        return (self.flat, self.long, self.short)[side]


def target_by_side(plan: SignalPlan, rules: ExecutionRules) -> TargetBySide:
    """Return the target at each close for every side that may be held.

    From flat, only a signal enters a position; `ExecutionRules.exit` says how long it is kept.
    """
    signal, forecast = plan.signal, plan.forecast_side
    if plan.keep is not None:
        long, short = (np.where(signal, signal, side * plan.keep[:, at]) for at, side in enumerate((1, -1)))
    elif rules.exit == ExitRule.NEUTRAL:
        long, short = signal, signal
    else:
        long = np.where(signal == -1, -1, 1)
        short = np.where(signal == 1, 1, -1)
        if rules.exit == ExitRule.FADE:
            long = np.where((signal == 0) & (forecast < 0), 0, long)
            short = np.where((signal == 0) & (forecast > 0), 0, short)
    lowest = 0 if rules.long_only else -1
    return TargetBySide(*(np.maximum(side, lowest).astype(np.int8) for side in (signal, long, short)))


def stop_levels(account: SubAccount, rules: ExecutionRules) -> tuple[float, float]:
    """Return the closes between which neither stop-loss nor take-profit triggers."""
    below, above = 0.0, float("inf")
    if account.side == 0 or (rules.stop_loss is None and rules.take_profit is None):
        return below, above
    entry = account.average_price
    loss = None if rules.stop_loss is None else entry * (1 - account.side * rules.stop_loss)
    gain = None if rules.take_profit is None else entry * (1 + account.side * rules.take_profit)
    lower, upper = (loss, gain) if account.side > 0 else (gain, loss)
    return (below if lower is None else lower), (above if upper is None else upper)


def update_drawdown(account: SubAccount, close: float, rules: ExecutionRules) -> SubAccount:
    """Raise the peak, and halt entries once equity is `ExecutionRules.max_drawdown` below it."""
    if rules.max_drawdown is None:
        return account
    equity = account.equity(close)
    if equity > account.peak_equity:
        return account._replace(peak_equity=equity)
    if not account.halted and equity <= account.peak_equity * (1 - rules.max_drawdown):
        return account._replace(halted=True)
    return account


def stop_reason(account: SubAccount, price: float, rules: ExecutionRules) -> str | None:
    """Return ``stop_loss`` or ``take_profit`` where `price` triggers it."""
    lower, upper = stop_levels(account, rules)
    if account.side == 0 or lower < price < upper:
        return None
    return "stop_loss" if (price <= lower) == (account.side > 0) else "take_profit"


def protect(account: SubAccount, price: float, rules: ExecutionRules) -> tuple[SubAccount, str | None]:
    """Return `account` and the reason to close it at `price` between two closes, None where there is none.

    No peak is raised: it is a close that makes one.
    """
    watched = update_drawdown(account, price, rules)
    account = account._replace(halted=watched.halted)
    reason = stop_reason(account, price, rules)
    return (account if reason is None else account._replace(blocked_side=account.side)), reason


def protective_exit(
    account: SubAccount, price: float, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Decision, ...]]:
    """Decide on a bar whose close jumps: protections act at `price` alone, and wait where it is NaN."""
    if np.isnan(price) or not account.side:
        return account, ()
    account, reason = protect(account, price, rules)
    return account, () if reason is None else (Exit(reason),)


def decide(
    account: SubAccount, close: float, *, signal: int, target: int, exceeds_cost: bool, rules: ExecutionRules
) -> tuple[SubAccount, tuple[Decision, ...]]:
    """Decide at the close of a bar; `target` is that of `target_by_side` for the side of `account`.

    The drawdown of `account` has been updated at this close.  Returns it with its blocked side set or
    cleared, and at most one `Exit` and one `Enter`, in this order; what blocks an entry never blocks the exit.
    """
    side = account.side
    stop = stop_reason(account, close, rules)
    blocked_side = side if stop else account.blocked_side
    if target != blocked_side:
        blocked_side = 0
    if blocked_side != account.blocked_side:
        account = account._replace(blocked_side=blocked_side)
    decisions: list[Decision] = []
    if side and (stop or target != side):
        decisions.append(Exit(stop or _exit_reason(side, signal, rules)))
    blocked = (
        account.halted or account.ruined or target == blocked_side or (rules.strict and not exceeds_cost)
    )
    if target not in {0, side} and not blocked:
        decisions.append(Enter(target, rules.position_size))
    return account, tuple(decisions)


def _exit_reason(side: int, signal: int, rules: ExecutionRules) -> str:
    if signal == -side:
        return "opposite"
    return ExitRule.NEUTRAL if rules.exit == ExitRule.OPPOSITE else rules.exit


def close_without_data(account: SubAccount) -> tuple[Decision, ...]:
    """Decide on a real bar whose window does not allow a signal: exit, never enter."""
    return (Exit("no_data"),) if account.side else ()
