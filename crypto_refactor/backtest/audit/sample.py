"""Which closes the audit of a run recomputes, and how small a leak they leave unseen.

- Every close that led to a fill: a leak that makes an entry or an exit, or moves it, differs there.
- Closes at which one condition more or less decides: a leak that prevents an entry or an exit through one condition, or
  after all of them, differs there.
- Closes drawn from all without a fill: if a leak changes a share q of them, n draws miss it with a probability of (1 - q)^n
  at most, whatever it does.
- The first and the last close of each period.
"""

from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import BoolArray, HourArray
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.signals.conditions import SignalFrame, SignalRules

DRAWN_CLOSES = 228
"""With 99 % one of so many is among the 2 % that a leak has changed."""
CERTAINTY = 0.99
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The closes to recompute, ascending, and what they are taken from."""

    closes: HourArray  # shape (m,)
    real_closes: int  # of the whole window
    decisive: int  # of `closes`, those that led to a fill
    others: int  # real closes that led to none
    drawn: int  # how many of the others were drawn

    @property
    def limit_of_detection(self) -> float:
        """The share of the other closes that a leak must change to be found with 99 %; 0 where all are recomputed."""
        return 0.0 if self.drawn == self.others else float(1 - (1 - CERTAINTY) ** (1 / self.drawn))


def real_closes(result: BacktestResult) -> HourArray:
    """Return the closes of the window whose bars are real, shape (n,)."""
    return result.window.closed[~result.window.synthetic]


def sample_of(result: BacktestResult, *, full: bool = False) -> Sample:
    """Return the closes to recompute, always the same ones for the same run; all of them with `full`."""
    closes = real_closes(result)
    decisive = np.unique(closes[_decisions(result, closes)])
    others = np.setdiff1d(closes, decisive)
    drawn = others if full else _draw(others)
    edges = [_edges(closes, part.period.first, part.period.last) for part in result.walk.periods]
    marginal = _draw(np.intersect1d(_marginal_closes(result), others))
    return Sample(
        closes=np.unique(np.concatenate([decisive, drawn, marginal, *edges])),
        real_closes=len(closes),
        decisive=len(decisive),
        others=len(others),
        drawn=len(drawn),
    )


def _decisions(result: BacktestResult, closes: HourArray) -> HourArray:
    """Return the position in `closes` of the close behind each fill, Alpaca's included."""
    accounts = [account for account in (result.requested, result.alpaca) if account is not None]
    fills = np.array([fill.at for account in accounts for fill in account.simulation.fills], dtype=np.int64)
    rows = np.searchsorted(closes, fills, side="right") - 1
    return rows[rows >= 0]


def _marginal_closes(result: BacktestResult) -> HourArray:
    parts = [part.signals for part in result.walk.periods]
    return np.concatenate([part.decided_at[_is_marginal(part, result.signal_rules)] for part in parts])


def _is_marginal(signals: SignalFrame, rules: SignalRules) -> BoolArray:
    """Return where one condition decides whether there is a signal, or the signal does not follow from them, shape (m,)."""
    beyond, surplus = signals.conditions_met[:, 0], signals.confirmations - rules.min_confirmations
    expected = np.where(beyond & (surplus >= 0), signals.forecast_side, 0)
    return np.asarray((beyond & ((surplus == 0) | (surplus == -1))) | (signals.signal != expected))


def _draw(hours: HourArray) -> HourArray:
    """Return up to 228 of `hours`, drawn at random."""
    if len(hours) <= DRAWN_CLOSES:
        return hours
    return np.random.default_rng(_SEED).choice(hours, DRAWN_CLOSES, replace=False)


def _edges(closes: HourArray, first: int, last: int) -> HourArray:
    inside = closes[(closes >= first) & (closes <= last)]
    return inside[[0, -1]] if len(inside) else inside
