"""Is the choice of hours worth anything?  The run's own trades, entered at random hours instead.

Every draw keeps how many trades there were, their sides and how long each was held, and places them anew:
in random order, at random, never overlapping, every such arrangement equally likely.  They fill at opens and
pay the same fee, slippage and borrow with the same position size, so a draw earns what the market's drift,
the time spent in it and the costs explain.  What is left is timing::

    p = (1 + #{draws that earn at least as much}) / (1 + draws)

which is at most a with probability a where entries are random (B. Phipson and G. K. Smyth, "Permutation
p-values should never be zero", Statistical Applications in Genetics and Molecular Biology 9 (2010), eq. 2;
the idea of random portfolios as the null: P. Burns, "Random portfolios for evaluating trading strategies",
2004).

The run itself is earned again by the very formula of the draws, so both sides leave out the same things:

- Hours without a real bar are cut out of time; a draw may enter after one, where the run would have let the
  entry lapse, or at a close that could not be decided on.
- A position still open at the end counts as sold at the last close, its exit fee included.
- Dust, less than the venue's smallest order, and the rounding to its increment (1e-9 of a coin) are nothing.
- Stops and the drawdown halt act through the holding times they caused, and are not asked again.
- A short is ruined where its exit leaves nothing, and nothing is traded after; a price that more than doubles
  and comes back between entry and exit is not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray, RowArray
from crypto_refactor.execution.rules import HOURS_PER_YEAR, ExecutionRules
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.bars import Bars

DRAWS = 1000
_TIE = 1e-12
"""Equal returns added up in another order differ by rounding; they count as ties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RandomEntry:
    """The run's trades beside the same trades entered at random.

    Attributes
    ----------
    p : float
        Share of draws, the run counted among them, that earn at least what the run does.
    draws : int
        How many.
    earned : float
        Total return of the run's trades by the draws' formula, a fraction.
    low, median, high : float
        2.5 %, 50 % and 97.5 % quantiles of the draws' total returns.
    """

    p: float
    draws: int
    earned: float
    low: float
    median: float
    high: float


def random_entry(
    trades: Sequence[Trade],
    window: Bars,
    rules: ExecutionRules,
    *,
    initial_balance: float,
    draws: int = DRAWS,
    seed: int = 0,
) -> RandomEntry | None:
    """Compare the trades of a run with the same trades entered at random.

    Parameters
    ----------
    trades : sequence of Trade
        Of the run.
    window : Bars
        n + 1 carried bars; the first makes the first decision and fills nothing.
    rules : ExecutionRules
        The execution rules of the run.
    initial_balance : float
        Quote currency; it matters where `Rules.max_notional` is set.
    draws : int
        How many arrangements.
    seed : int
        The same seed gives the same draws.

    Returns
    -------
    RandomEntry or None
        None where no trade was closed.
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
    held = exits - entries
    order, starts = _arrangements(np.random.default_rng(seed), held, market.hours.size - 1, draws)
    costs = _Costs.of(rules, initial_balance)
    earned = float(_total_return(market, costs, sides[None], entries[None], exits[None])[0])
    drawn = _total_return(market, costs, sides[order], starts, starts + held[order])
    low, median, high = np.quantile(drawn, [0.025, 0.5, 0.975]).tolist()
    return RandomEntry(
        p=(1 + int((drawn >= earned - _TIE).sum())) / (1 + draws),
        draws=draws,
        earned=earned,
        low=low,
        median=median,
        high=high,
    )


def _arrangements(
    rng: np.random.Generator, held: RowArray, span: int, draws: int
) -> tuple[RowArray, RowArray]:
    """Place trades of `held` bars on `span` bars at random.

    Let every trade and every bar in the market's absence draw a number, and line them up by it: all orders
    are equally likely.  Only the trades' numbers are drawn; how many absent bars fall between two of them is
    multinomial.

    Returns
    -------
    order : ndarray of int64, shape (draws, k)
        Which trade comes where.
    starts : ndarray of int64, shape (draws, k)
        The row of each entry, ascending.
    """
    numbers = rng.random((draws, len(held)))
    order = np.argsort(numbers, axis=1)
    edges = np.take_along_axis(numbers, order, axis=1)
    shares = np.diff(edges, axis=1, prepend=0.0, append=1.0)
    gaps = rng.multinomial(span - int(held.sum()), shares)[:, :-1]
    lasting = held[order]
    return order, np.cumsum(gaps + lasting, axis=1) - lasting


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Market:
    """Where trades can be filled: the m real bars of a window, and its end.

    Attributes
    ----------
    hours : ndarray of int64, shape (m + 1,)
        The opens, and the last close.
    prices : ndarray of float64, shape (m + 1,)
        At these hours.
    closes_before : ndarray of float64, shape (m + 1,)
        Sum of all closes up to these hours, carried ones included: what borrow is charged on.
    """

    hours: HourArray
    prices: FloatArray
    closes_before: FloatArray

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
    """What of the rules a trade's return depends on; `cap` is the largest entry as a part of the balance."""

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
    """Return what each row of trades earns one after the other, all arguments of shape (draws, k)."""
    gains = _gains(market, costs, sides, entries, exits)
    balance = np.ones(len(gains))
    for column in gains.T:
        stake = np.minimum(costs.size * balance, costs.cap)
        balance = np.maximum(balance + stake * column, 0.0)
    return balance - 1


def _gains(market: _Market, costs: _Costs, sides: RowArray, entries: RowArray, exits: RowArray) -> FloatArray:
    """Return the net profit of each trade per unit of entry money.

    With r = exit / entry after slippage and q = 1 / (entry (1 + fee)) bought or sold per unit of money, a long
    earns r (1 - fee) / (1 + fee) - 1 and a short (1 - fee - r (1 + fee)) / (1 + fee) less borrow; where the
    fee is taken in what is received, a long earns r (1 - fee)^2 - 1.
    """
    fee = costs.fee
    entry = market.prices[entries] * (1 + sides * costs.slippage)
    ratio = market.prices[exits] * (1 - sides * costs.slippage) / entry
    if costs.in_kind:
        return np.asarray(ratio * (1 - fee) ** 2 - 1)
    long = ratio * (1 - fee) / (1 + fee) - 1
    lent = costs.borrow * (market.closes_before[exits] - market.closes_before[entries]) / entry
    short = (1 - fee - lent) / (1 + fee) - ratio
    return np.where(sides > 0, long, short)
