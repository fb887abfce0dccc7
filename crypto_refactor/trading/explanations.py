"""A decision in words, and as the ledger records it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crypto_refactor.execution.decisions import Decision, Enter
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import SubAccountState
from crypto_refactor.execution.sub_account import Fill, SubAccount
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_local_text, zone
from crypto_refactor.market.plausibility import find_jumps
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import volume_hint
from crypto_refactor.signals.conditions import SignalFrame
from crypto_refactor.trading.decider import ModelDecision
from crypto_refactor.trading.ledger import ForecastRecord


def explain(
    decision: ModelDecision,
    target: int,
    account: SubAccount,
    orders: tuple[Decision, ...],
    rules: ExecutionRules,
    confirmations: int,
    *,
    jumps: bool = False,
) -> str:
    """Say in one sentence what the model says and what follows.

    Parameters
    ----------
    decision : ModelDecision
        What the model says.
    target : int
        The target side.
    account : SubAccount
        As it was at the decision.
    orders : tuple of Decision
        What the account does about it.
    rules : ExecutionRules
        Costs, protections and order rules.
    confirmations : int
        Confirmations a signal needs.
    jumps : bool
        Whether the close jumps.
    """
    signals = decision.signals
    if jumps:
        return "the close jumps, so the model decides nothing until later bars confirm it" + "".join(
            f"; {decision.text}" for decision in orders
        )
    if not len(signals):
        gap = "" if decision.gap is None else f" ({decision.gap.text()})"
        return f"too many bars of its window are missing to decide{gap}" + (
            ", so the position is closed" if orders else ""
        )
    silent = volume_hint(confirmations, len(signals.conditions)).removesuffix(".")
    hint = "" if decision.has_volume else f". {silent}"
    consequence = _consequence(signals, target, account, orders, rules)
    return f"{_signal(signals, confirmations)}: {consequence}{hint}"


def _signal(signals: SignalFrame, needed: int) -> str:
    close, predicted = float(signals.close[-1]), float(signals.predicted[-1])
    forecast = f"forecast {(predicted / close - 1) * 100:+.3f} %"
    limit = f"its threshold of {float(signals.threshold[-1]) / close * 100:.3f} %"
    holds = dict(zip(signals.conditions, signals.conditions_met[-1], strict=True))
    beyond, *confirmations = holds.values()
    if not beyond:
        return f"{forecast} within {limit}"
    passed, count = int(sum(confirmations)), len(confirmations)
    if passed >= needed:
        return f"{forecast} beyond {limit}, {passed} of {count} confirmations"
    missing = ", ".join(name for name in signals.conditions[1:] if not holds[name])
    return f"{forecast} beyond {limit}, but {passed} of {count} confirmations, {needed} needed (missing {missing})"


def _consequence(
    signals: SignalFrame,
    target: int,
    account: SubAccount,
    orders: tuple[Decision, ...],
    rules: ExecutionRules,
) -> str:
    if orders:
        return " and ".join(decision.text for decision in orders)
    side = account.side
    if target == 0 == side and signals.signal[-1] < 0 and rules.long_only:
        return "stay flat, because shorts are not allowed"
    if target in {0, side}:
        return f"stay {Side(side).label}"
    return f"stay {Side(side).label}, {_why_no_entry(signals, target, account, rules)}"


def _why_no_entry(signals: SignalFrame, target: int, account: SubAccount, rules: ExecutionRules) -> str:
    if account.ruined:
        return "because a short has used up the equity"
    if account.halted:
        return "because entries are halted by the drawdown until `resume`"
    if target == account.blocked_side:
        return "because the target has not changed since that side was stopped out or closed"
    move = float(signals.expected_move[-1]) * 100
    return f"because the expected move of {move:.3f} % is below the round trip's {rules.round_trip_cost * 100:.3f} %"


def ledger_record(decision: ModelDecision, reason: str) -> dict[str, Any]:
    """Return what the ledger keeps of a decision beside its target."""
    signals, chosen = decision.signals, decision.chosen
    record: dict[str, Any] = {
        "model": chosen.model.card.fingerprint,
        "plugins": chosen.model.card.plugins,
        "cutoff": decision.cutoff,
        "bars": decision.bars,
        "key": chosen.key,
        "late_model": chosen.late,
        "revised": chosen.revised,
        "reason": reason,
    }
    if len(signals):
        record |= {
            "signal": int(signals.signal[-1]),
            "close": float(signals.close[-1]),
            "predicted": float(signals.predicted[-1]),
            "threshold": float(signals.threshold[-1]),
            "expected_move": float(signals.expected_move[-1]),
            "confidence": float(signals.confidence[-1]),
            "confirmations": int(signals.confirmations[-1]),
            "conditions": dict(zip(signals.conditions, signals.conditions_met[-1].tolist(), strict=True)),
        }
    return record


def forecast_record(decision: ModelDecision | None, bars: Bars) -> ForecastRecord | None:
    """Return what is recorded of a forecast at the last of `bars`; None where there is none, or that close jumps."""
    if decision is None or not len(decision.signals) or bool(bars.held[-1]):
        return None
    signals = decision.signals
    return ForecastRecord(
        bar=int(signals.decided_at[-1]),
        model=decision.model.card.fingerprint,
        close=float(signals.close[-1]),
        predicted=float(signals.predicted[-1]),
        low=float(signals.low[-1]),
        high=float(signals.high[-1]),
        confidence=float(signals.confidence[-1]),
    )


def jump_notes(bars: Bars, since: int = 0) -> tuple[str, ...]:
    """Return a note on each close of `bars`, as quoted, that jumps in a bar that opened at `since` or later."""
    return tuple(
        f"jump in the bar that opened {jump.text}" for jump in find_jumps(bars) if jump.opened >= since
    )


def missed_hours_note(previous: SubAccountState | None, bars: Bars, hour: int) -> tuple[str, ...]:
    """Return a note where bars closed after the last hour of `previous` and before `hour`."""
    if previous is None:
        return ()
    since = previous.processed_through
    missed = int(np.count_nonzero((bars.closed > since) & (bars.closed < hour)))
    if not missed:
        return ()
    hours = "1 hour" if missed == 1 else f"{missed:,} hours"
    cost = "`crypto-refactor reconcile` shows what that cost"
    return (f"no decision was made in {hours} since {to_local_text(since, zone('UTC'))}; {cost}",)


def unfilled_entry_note(decisions: Sequence[Decision], fills: Sequence[Fill]) -> tuple[str, ...]:
    """Return a note where an entry was decided and not filled."""
    entry_decided = any(isinstance(decision, Enter) for decision in decisions)
    if not entry_decided or any(fill.reason == "entry" for fill in fills):
        return ()
    return ("the entry was not filled: it is below the minimum order size, or the next bar is missing",)


def positions_in_words(positions: Mapping[Ticker, SubAccount]) -> str:
    """Return each position with its signed quantity; empty where there is none."""
    return ", ".join(f"{ticker} {held.quantity:+.6g} {ticker.base}" for ticker, held in positions.items())


def tickers_in_words(tickers: Sequence[Ticker], traded: Sequence[Ticker]) -> str:
    """Name some of the tickers that a run trades; more than two, if they are all of them, by their number."""
    everything = len(tickers) > 2 and len(tickers) == len(traded)
    return f"all {len(tickers)} tickers" if everything else ", ".join(map(str, tickers))
