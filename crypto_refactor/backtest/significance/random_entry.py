"""Two permutation tests of timing: the trades of a run at other hours, and on tossed sides.

Other hours: every draw keeps the trades of the run, their sides and their holding times, and enters them at random hours.
Trades never overlap, and every such arrangement is equally likely (`arrangements`).  A draw earns what the drift of the
window and time in the market explain.  It is no yardstick for whoever enters when prices move most: such trades earn and
lose more than those of other hours, without any skill.

Tossed sides: every draw keeps the trades at their hours and tosses a coin for the side of each.  A draw moves as much as
the run does, but to be long in a window that rose beats the toss.

A run has to beat both.  Draws fill at opens and pay the same fee, slippage and borrow with the same position size::

    p = (1 + #{draws that earn at least as much}) / (1 + draws)

which is at most a with probability a if entries, or sides, are random (B. Phipson and G. K. Smyth, "Permutation p-values
should never be zero", Statistical Applications in Genetics and Molecular Biology 9 (2010), eq. 2; the idea of random
portfolios as the null: P. Burns, "Random portfolios for evaluating trading strategies", 2004).

The run is re-priced with the same simplified formula as the draws, so both share these simplifications:

- Hours without a real bar are removed; a draw may enter after one, where the entry of a run would expire, or at
  a close without a decision.
- A position that is open at the end counts as sold at the last close, exit fee included.
- Dust below the venue's smallest order, and rounding to its increment (1e-9 of a coin), count as nothing.
- Stops and the drawdown halt act only through the holding times that they caused.
- A short is ruined if its exit leaves nothing, and nothing is traded afterwards; a price that more than doubles
  and falls back between entry and exit is ignored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, RowArray
from crypto_refactor.backtest.significance.trade_shuffle import arrangements
from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.bars import Bars

DRAWS = 1000
_TIE = 1e-12
"""Returns closer than this count as ties: summed in another order, equal ones differ by rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomEntry:
    """The trades of a run compared with the same trades at other hours, and on tossed sides.

    Attributes
    ----------
    p_hours, p_sides : float
        Share of draws at other hours and on tossed sides, the run counted among them, that earn at least as much.
    draws : int
        Number of draws of each kind.
    earned : float
        Total return of the run's trades by the same formula, a fraction.
    low, median, high : float
        2.5 %, 50 % and 97.5 % quantiles of the total returns at other hours.
    """

    p_hours: float
    p_sides: float
    draws: int
    earned: float
    low: float
    median: float
    high: float

    @property
    def p(self) -> float:
        """The larger of both shares: a run has to beat both kinds of draws."""
        return max(self.p_hours, self.p_sides)


def random_entry(
    trades: Sequence[Trade],
    window: Bars,
    rules: ExecutionRules,
    *,
    initial_balance: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomEntry | None:
    """Compare the trades of a run with the same trades at other hours, and on tossed sides.

    Parameters
    ----------
    trades : sequence of Trade
        The trades of the run.
    window : Bars
        n + 1 bars, gaps filled; nothing is filled on the first.
    rules : ExecutionRules
        The execution rules of the run.
    initial_balance : float
        Quote currency; it matters only with `ExecutionRules.max_notional`.
    draws : int
        Number of draws of each kind.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    RandomEntry or None
        None if no trade was closed.
    """
    if not any(trade.closed for trade in trades):
        return None
    market = _Market.of(window)
    placed = sorted((t for t in trades if t.exit_reason != "dust"), key=lambda trade: trade.entry_hour)
    sides = np.array([trade.direction for trade in placed])
    entries, exits = (
        np.searchsorted(market.hours, [getattr(trade, name) for trade in placed])
        for name in ("entry_hour", "exit_hour")
    )
    lengths = exits - entries
    rng = np.random.default_rng(seed)
    starts = arrangements(rng, lengths, len(market.hours) - 1, draws)
    order = np.argsort(starts, axis=1, kind="stable")
    starts = np.take_along_axis(starts, order, axis=1)
    costs = _Costs.of(rules, initial_balance)
    earned = float(_total_return(market, costs, sides[None], entries[None], exits[None])[0])
    elsewhere = _total_return(market, costs, sides[order], starts, starts + lengths[order])
    tossed = _total_return(
        market, costs, rng.choice([-1, 1], (draws, len(sides))), entries[None], exits[None]
    )
    low, median, high = np.quantile(elsewhere, [0.025, 0.5, 0.975]).tolist()
    return RandomEntry(
        p_hours=_share(elsewhere, earned),
        p_sides=_share(tossed, earned),
        draws=draws,
        earned=earned,
        low=low,
        median=median,
        high=high,
    )


def _share(returns: FloatArray, earned: float) -> float:
    """Return the share of draws, the run counted among them, that earn at least as much as the run."""
    return (1 + int((returns >= earned - _TIE).sum())) / (1 + len(returns))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """The opens of the m real bars of a window and its last close, at which trades can fill; shape (m + 1,)."""

    hours: HourArray
    prices: FloatArray
    closes_before: FloatArray
    """Sum of all closes up to the hour, synthetic bars included: the base of the borrow fee."""

    @classmethod
    def of(cls, window: Bars) -> _Market:
        real = np.flatnonzero(~window.synthetic[1:]) + 1
        running = np.concatenate([[0.0], np.cumsum(window.close)])
        return cls(
            hours=np.append(window.opened[real], window.closed[-1]),
            prices=np.append(window.open[real], window.close[-1]),
            closes_before=running[np.append(real, len(window))],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs:
    """The rules that a trade's return depends on; `cap` is the largest entry as a share of the initial balance."""

    fee: float
    slippage: float
    borrow: float
    size: float
    cap: float
    in_kind: bool

    @classmethod
    def of(cls, rules: ExecutionRules, initial_balance: float) -> _Costs:
        return cls(
            fee=rules.fee,
            slippage=rules.slippage,
            borrow=rules.borrow / HOURS_PER_YEAR,
            size=rules.position_size,
            cap=float("inf") if rules.max_notional is None else rules.max_notional / initial_balance,
            in_kind=rules.venue is not None,
        )


def _total_return(
    market: _Market, costs: _Costs, sides: RowArray, entries: RowArray, exits: RowArray
) -> FloatArray:
    """Return the total return of each row of consecutive trades; arguments of shape (draws or 1, k)."""
    gains = _gains(market, costs, sides, entries, exits)
    balance = np.ones(len(gains))
    for column in gains.T:
        stake = np.minimum(costs.size * balance, costs.cap)
        balance = np.maximum(balance + stake * column, 0.0)
    return balance - 1


def _gains(market: _Market, costs: _Costs, sides: RowArray, entries: RowArray, exits: RowArray) -> FloatArray:
    """Return the net profit of each trade per unit of money entered.

    With r = exit / entry after slippage and q = 1 / (entry (1 + fee)) bought or sold per unit of money, a long
    earns r (1 - fee) / (1 + fee) - 1 and a short (1 - fee - r (1 + fee)) / (1 + fee) minus borrow.  If the fee is
    taken in the asset received, a long earns r (1 - fee)^2 - 1 (such a venue sells nothing short, but a toss does).
    """
    fee = costs.fee
    entry = market.prices[entries] * (1 + sides * costs.slippage)
    ratio = market.prices[exits] * (1 - sides * costs.slippage) / entry
    kept = (1 - fee) ** 2 if costs.in_kind else (1 - fee) / (1 + fee)
    long = ratio * kept - 1
    borrow = costs.borrow * (market.closes_before[exits] - market.closes_before[entries]) / entry
    short = (1 - fee - borrow) / (1 + fee) - ratio
    return np.where(sides > 0, long, short)
