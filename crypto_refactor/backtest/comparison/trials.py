"""One trial of a comparison, and the portfolio of equal sub-accounts that several of them make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.metrics import Metrics, compute_metrics, sum_curves
from crypto_refactor.backtest.result import Scenarios, plan_for
from crypto_refactor.backtest.scenarios import run_scenarios
from crypto_refactor.backtest.walk_forward import PreparedTicker, WalkForward
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trial:
    """One ticker with one setting.

    Attributes
    ----------
    prepared : PreparedTicker
        Bars, window and quality.
    setting : ParameterSet
        What decided and traded.
    walk : WalkForward
        Models and signals.
    scenarios : Scenarios
        The request, the same at Alpaca, buy and hold, with the whole initial balance.
    """

    prepared: PreparedTicker
    setting: ParameterSet
    walk: WalkForward
    scenarios: Scenarios

    @property
    def ticker(self) -> Ticker:
        """What was traded."""
        return self.prepared.ticker

    def with_balance(self, balance: float, hours: int) -> Scenarios:
        """Return the scenarios of the same trial with another balance."""
        return _run(self.prepared, self.setting, self.walk, balance, hours)


def run_trial(
    prepared: PreparedTicker, setting: ParameterSet, walk: WalkForward, *, balance: float, hours: int
) -> Trial:
    """Trade the signals of `walk` with the rules of `setting`.

    Raises
    ------
    UsageError
        If the venue does not trade the ticker.
    """
    return Trial(
        prepared=prepared,
        setting=setting,
        walk=walk,
        scenarios=_run(prepared, setting, walk, balance, hours),
    )


def _run(
    prepared: PreparedTicker, setting: ParameterSet, walk: WalkForward, balance: float, hours: int
) -> Scenarios:
    return run_scenarios(
        prepared.window,
        partial(plan_for, walk, prepared.window),
        setting.options,
        hours=hours,
        initial_balance=balance,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """Equal sub-accounts, one a ticker, that never lend to each other: what `run_multi_ticker.py` trades.

    Attributes
    ----------
    setting : ParameterSet
        Shared by all.
    tickers : tuple of Ticker
        Those that were traded.
    share : float
        What each sub-account begins with, quote currency.
    equity : ndarray of float64, shape (hours + 1,)
        Their sum, point zero before the first bar.
    metrics, hold_metrics : Metrics
        Of the sums; `exposure` is the mean share of sub-accounts that hold something.
    alpaca_metrics : Metrics or None
        The same options at Alpaca, the balance shared out among the tickers it trades; None where it
        trades none.
    """

    setting: ParameterSet
    tickers: tuple[Ticker, ...]
    share: float
    equity: FloatArray
    metrics: Metrics
    hold_metrics: Metrics
    alpaca_metrics: Metrics | None


def combine(
    trials: Sequence[Trial],
    offered: Sequence[Ticker],
    *,
    end: int,
    hours: int,
    balance: float,
) -> Portfolio:
    """Share `balance` out among tickers and add the sub-accounts up.

    Parameters
    ----------
    trials : sequence of Trial
        At least one, all of one setting.
    offered : sequence of Ticker
        All tickers that get a share; that of one whose trial has failed is not traded.
    end, hours : int
        End and length of the window.
    balance : float
        Of the whole, quote currency.
    """
    share = balance / len(offered)
    shares = [(trial.prepared.window, trial.with_balance(share, hours)) for trial in trials]
    at_alpaca = [ticker for ticker in offered if alpaca_rules(ticker) is not None]
    alpaca_runs = [
        (trial.prepared.window, run.simulation)
        for trial in trials
        if trial.ticker in at_alpaca
        and (run := trial.with_balance(balance / len(at_alpaca), hours).alpaca) is not None
    ]
    runs = [(window, scenarios.requested.simulation) for window, scenarios in shares]
    holds = [(window, scenarios.buy_and_hold.simulation) for window, scenarios in shares]
    return Portfolio(
        setting=trials[0].setting,
        tickers=tuple(trial.ticker for trial in trials),
        share=share,
        equity=sum_curves(
            ((window.closed, run.equity) for window, run in runs), np.arange(end - hours, end + 1)
        ),
        metrics=_measure_sum(runs, end, hours),
        hold_metrics=_measure_sum(holds, end, hours),
        alpaca_metrics=_measure_sum(alpaca_runs, end, hours) if alpaca_runs else None,
    )


def _measure_sum(runs: Sequence[tuple[Bars, Simulation]], end: int, hours: int) -> Metrics:
    at = np.arange(end - hours, end + 1)
    holding = sum_curves(((window.closed, (run.sides != 0).astype(np.float64)) for window, run in runs), at)
    return compute_metrics(
        sum_curves(((window.closed, run.equity) for window, run in runs), at),
        holding[1:] / len(runs),
        [trade for _, run in runs for trade in run.trades],
        [fill for _, run in runs for fill in run.fills],
        hours=hours,
    )
