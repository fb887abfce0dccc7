"""Replaying bars that have passed, one at a time, as a process would that knows no later one.

Every bar is committed to the ledger before the next is looked at, so a replay that was stopped goes on
where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crypto_refactor.execution.rules import Rules
from crypto_refactor.market.bars import Bars, carry_holes
from crypto_refactor.trading.deciding import Decided, Decider
from crypto_refactor.trading.ledger import Ledger, Writer
from crypto_refactor.trading.trader import Holding, Step, decide_first, opened, step, verdict_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is replayed: decisions at the hours ``start … end``, beginning with `balance`."""

    start: int
    end: int
    balance: float


OnStep = Callable[[Step, Decided | None], None]
"""Called after each bar with what it brought; the decision is None for a bar nobody decides at."""


def replay(
    ledger: Ledger, account: str, bars: Bars, window: Window, decider: Decider, rules: Rules, on_step: OnStep
) -> Holding:
    """Walk a sub-account through `window`, from wherever the ledger says it is.

    Parameters
    ----------
    ledger : Ledger
        Where the sub-account lives.
    account : str
        Its account.
    bars : Bars
        Real bars with the history that decisions need; each step is shown only those closed by then.
    window : Window
        What is replayed.
    decider : Decider
        Decides at each real close.
    rules : Rules
        The execution rules.
    on_step : callable
        Told about each bar.
    """
    carried = carry_holes(bars)
    first = int(np.searchsorted(carried.closed, window.start))
    holding = ledger.holding(account, bars.ticker)
    if holding is None:
        holding = _open(ledger, account, bars, carried, first, window, decider, rules)
    row = int(np.searchsorted(carried.closed, holding.walked_to)) + 1
    while row < len(carried) and carried.closed[row] <= window.end:
        hour = int(carried.closed[row])
        decided = None if carried.synthetic[row] else decider.decide(bars.between(0, hour), hour)
        verdict = None if decided is None else verdict_of(decided.made, rules)
        done = step(holding, carried, row, verdict, rules)
        with ledger.writing(account, bars.ticker) as writer:
            writer.walked(done)
            if decided is not None:
                _record(writer, decided, hour, done.target)
        holding = done.holding
        on_step(done, decided)
        row += 1
    return holding


def _open(
    ledger: Ledger,
    account: str,
    bars: Bars,
    carried: Bars,
    first: int,
    window: Window,
    decider: Decider,
    rules: Rules,
) -> Holding:
    """Open the sub-account with its first decision."""
    holding = opened(window.balance, window.start)
    decided, target = None, 0
    if not carried.synthetic[first]:
        decided = decider.decide(bars.between(0, window.start), window.start)
        verdict = verdict_of(decided.made, rules)
        holding, target = decide_first(holding, float(carried.close[first]), verdict, rules)
    with ledger.writing(account, bars.ticker) as writer:
        writer.open(holding)
        if decided is not None:
            _record(writer, decided, window.start, target)
    return holding


def _record(writer: Writer, decided: Decided, hour: int, target: int) -> None:
    made = decided.made
    entry: dict[str, object] = {
        "model": decided.model.card.fingerprint,
        "cutoff": decided.cutoff,
        "bars": decided.bars,
    }
    if len(made):
        entry |= {
            "signal": int(made.signal[-1]),
            "close": float(made.close[-1]),
            "predicted": float(made.predicted[-1]),
            "threshold": float(made.threshold[-1]),
            "confidence": float(made.confidence[-1]),
            "confirmations": int(made.confirmations[-1]),
        }
    writer.decided(hour, target, entry)
