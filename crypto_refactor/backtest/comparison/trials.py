"""One trial of a comparison, and the portfolio of equal sub-accounts that several trials make."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.backtest.audit.auditor import audit, audit_account
from crypto_refactor.backtest.audit_findings import Audit
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
from crypto_refactor.backtest.engine import Simulation
from crypto_refactor.backtest.jump_shares import JumpShare, jump_shares
from crypto_refactor.backtest.metrics import Metrics, compute_metrics, sum_curves
from crypto_refactor.backtest.result import BacktestResult, Scenarios, plan_for
from crypto_refactor.backtest.scenarios import run_scenarios
from crypto_refactor.backtest.significance.forecast_skill import score_forecasts
from crypto_refactor.backtest.significance.forecast_verdict import PartVerdict, forecast_verdict
from crypto_refactor.backtest.walk_forward import PreparedTicker, WalkForward
from crypto_refactor.correlation import Correlation, Mean, hourly_mean, pooled_spearman
from crypto_refactor.execution.venues import alpaca_rules
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Trial:
    """One ticker with one parameter set: its walk-forward, and the account runs with the whole initial balance."""

    prepared: PreparedTicker
    parameter_set: ParameterSet
    walk: WalkForward
    scenarios: Scenarios
    audit: Audit | None = None  # None until `audited`

    def __repr__(self) -> str:
        return f"Trial({self.ticker}, {self.parameter_set.label}: {self.scenarios.requested!r})"

    @property
    def ticker(self) -> Ticker:
        """The ticker that was traded."""
        return self.prepared.ticker

    @property
    def jump_shares(self) -> tuple[JumpShare, ...]:
        """What each jump within the window means for the requested run."""
        prepared = self.prepared
        return jump_shares(prepared.quality.jumps, prepared.window, self.scenarios.requested.simulation)

    def with_balance(self, balance: float, hours: int) -> Scenarios:
        """Return the account runs of the same trial with another initial balance."""
        return trade_walk(self.prepared, self.parameter_set, self.walk, balance, hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class PooledForecasts:
    """The forecasts of all tickers of one parameter set, judged together."""

    parameter_set: ParameterSet
    tickers: tuple[Ticker, ...]
    hours: int  # forecasts of all tickers
    rank_correlation: Correlation
    hit_rate: Mean | None
    verdict: PartVerdict


def pool_forecasts(trials: Sequence[Trial]) -> PooledForecasts:
    """Judge the forecasts of `trials`, one per ticker, together."""
    scored = [score_forecasts(trial.walk.periods, trial.prepared.window) for trial in trials]
    side = np.concatenate([np.sign(part.forecast) * np.sign(part.outcome) for part in scored])
    hours = np.concatenate([part.hours for part in scored])
    hits = (side[side != 0] > 0).astype(np.float64)
    rules = trials[0].scenarios.requested.rules
    return PooledForecasts(
        parameter_set=trials[0].parameter_set,
        tickers=tuple(trial.ticker for trial in trials),
        hours=sum(len(part.hours) for part in scored),
        rank_correlation=pooled_spearman([(part.forecast, part.outcome, part.hours) for part in scored]),
        hit_rate=hourly_mean(hits, hours[side != 0]) if len(hits) else None,
        verdict=forecast_verdict(scored, rules.round_trip_cost),
    )


def audited(trials: Sequence[Trial], end: int, pinned: str | None) -> list[Trial]:
    """Audit each trial: its decisions once for all trials that share them, its fills and its account in any case."""
    passed: set[int] = set()
    done = []
    for trial in trials:
        result = result_of(trial, end, pinned)
        found = audit_account(result) if id(trial.walk) in passed else audit(result)
        if found.passed:
            passed.add(id(trial.walk))
        done.append(replace(trial, audit=found))
    return done


def result_of(trial: Trial, end: int, pinned: str | None) -> BacktestResult:
    """Return a trial as the backtest that it is, not yet tested against chance."""
    return BacktestResult(
        end=end,
        bars=trial.prepared.quoted,
        window=trial.prepared.window,
        quality=trial.prepared.quality,
        settings=trial.parameter_set.settings,
        signal_rules=trial.parameter_set.signal_rules,
        walk=trial.walk,
        scenarios=trial.scenarios,
        audit=trial.audit,
        pinned=pinned,
    )


def trade_walk(
    prepared: PreparedTicker, parameter_set: ParameterSet, walk: WalkForward, balance: float, hours: int
) -> Scenarios:
    """Trade the signals of `walk` by the rules of `parameter_set`."""
    return run_scenarios(
        prepared.window,
        partial(plan_for, walk, prepared.window),
        parameter_set.options,
        hours=hours,
        initial_balance=balance,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """Equal sub-accounts, one a ticker, without transfers between them, as `run_multi_ticker.py` trades.

    In the metrics, `exposure` is the mean share of sub-accounts with a position.
    """

    parameter_set: ParameterSet
    tickers: tuple[Ticker, ...]  # those that were traded
    share: float  # initial balance of each sub-account, quote currency
    equity: (
        FloatArray  # the sum of all, quote currency, shape (hours + 1,); point zero is before the first bar
    )
    metrics: Metrics
    hold_metrics: Metrics
    alpaca_metrics: Metrics | None  # the balance shared among the tickers that Alpaca trades; None if none


def combine(
    trials: Sequence[Trial], offered: Sequence[Ticker], *, end: int, hours: int, balance: float
) -> Portfolio:
    """Split `balance` equally among the `offered` tickers and add up the sub-accounts of one parameter set.

    The share of a ticker without a trial is not traded.
    """
    share = balance / len(offered)
    at_alpaca = [ticker for ticker in offered if alpaca_rules(ticker) is not None]
    shares = [(trial.prepared.window, trial.with_balance(share, hours)) for trial in trials]
    runs = [(window, scenarios.requested.simulation) for window, scenarios in shares]
    holds = [(window, scenarios.buy_and_hold.simulation) for window, scenarios in shares]
    alpaca_runs = [
        (trial.prepared.window, run.simulation)
        for trial in trials
        if trial.ticker in at_alpaca
        and (run := trial.with_balance(balance / len(at_alpaca), hours).alpaca) is not None
    ]
    at = np.arange(end - hours, end + 1)
    return Portfolio(
        parameter_set=trials[0].parameter_set,
        tickers=tuple(trial.ticker for trial in trials),
        share=share,
        equity=sum_curves(((window.closed, run.equity) for window, run in runs), at),
        metrics=_metrics_of_sum(runs, at),
        hold_metrics=_metrics_of_sum(holds, at),
        alpaca_metrics=_metrics_of_sum(alpaca_runs, at) if alpaca_runs else None,
    )


def _metrics_of_sum(runs: Sequence[tuple[Bars, Simulation]], at: HourArray) -> Metrics:
    holding = sum_curves(((window.closed, (run.sides != 0).astype(np.float64)) for window, run in runs), at)
    return compute_metrics(
        sum_curves(((window.closed, run.equity) for window, run in runs), at),
        holding[1:] / len(runs),
        [trade for _, run in runs for trade in run.trades],
        [fill for _, run in runs for fill in run.fills],
        closed=at,
        hours=len(at) - 1,
    )
