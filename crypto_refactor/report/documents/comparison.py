"""A comparison as the documented JSON: UTC stamps, null for what is undefined."""

from dataclasses import asdict
from typing import Any

from crypto_refactor.backtest.comparison.dropped import FailedTicker, UnavailableTicker
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.comparison.selection import HeldOutTest
from crypto_refactor.backtest.comparison.trials import PooledForecasts, Portfolio, Trial
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.documents.backtest import data_quality, earlier_trials, metrics_by_account

SCHEMA = 1


def comparison_json(comparison: Comparison, held_out: HeldOutTest | None = None) -> dict[str, Any]:
    """Return a comparison; where it is the choice of `held_out`, the test of what it chose too."""
    request, end = comparison.request, comparison.end
    return {
        "schema": SCHEMA,
        "timeframe": "1h",
        "source": request.source.name,
        "simulated": request.source.name == SAMPLE,
        "end": None if end is None else to_iso(end),
        "window": None if end is None else _window(end, request.hours),
        "initial_balance": request.initial_balance,
        "model": request.model,
        "settings": [_setting(setting) for setting in request.settings],
        "trials": [_trial(rank, trial) for rank, trial in enumerate(comparison.trials, start=1)],
        "portfolios": [_portfolio(portfolio) for portfolio in comparison.portfolios],
        "forecasts": [_forecasts(pooled) for pooled in comparison.forecasts],
        "luck": None if comparison.selection_bias is None else comparison.selection_bias.to_dict(),
        "overfitting": comparison.overfitting.to_dict(),
        "select_then_test": None if held_out is None else _held_out(held_out),
        "failed": [_failed(failed) for failed in comparison.failed],
        "unavailable": [_unavailable(ticker) for ticker in comparison.unavailable],
        "trained": comparison.trained,
    }


def _window(end: int, hours: int) -> dict[str, Any]:
    return {"first": to_iso(end - hours), "last": to_iso(end - 1), "hours": hours}


def _held_out(held_out: HeldOutTest) -> dict[str, Any]:
    """Return what was chosen, and what it came to on the rest; null where nothing was chosen or tested."""
    picked, rest, result = held_out.choice_trial, held_out.rest, held_out.chosen
    best = held_out.best_in_hindsight
    assessment = None
    if result is not None:
        assessment = {
            **metrics_by_account(*result.scenarios.metrics),
            "data": {"fingerprint": result.window.fingerprint()},
            "significance": None if result.significance is None else result.significance.to_dict(),
            "audit": None if result.audit is None else result.audit.to_dict(),
            "earlier_trials": earlier_trials(result),
            "verdict": None if result.verdict is None else asdict(result.verdict),
        }
    return {
        "fraction": held_out.fraction,
        "chosen": None if picked is None else _named(picked),
        "window": None if rest is None or rest.end is None else _window(rest.end, rest.request.hours),
        "rank": held_out.rank,
        "of": None if rest is None else len(rest.trials),
        "test": assessment,
        "best_in_hindsight": None
        if best is None
        else {**_named(best), "metrics": best.scenarios.requested.metrics.to_dict()},
        "failed": [] if rest is None else [_failed(failed) for failed in rest.failed],
        "trained": 0 if rest is None else rest.trained,
    }


def _named(trial: Trial) -> dict[str, Any]:
    return {"ticker": str(trial.ticker), "setting": trial.parameter_set.label}


def _setting(setting: ParameterSet) -> dict[str, Any]:
    return {
        "setting": setting.label,
        "varied": dict(setting.varied),
        **setting.settings.to_dict(),
        **asdict(setting.signal_rules),
        **asdict(setting.options),
    }


def _trial(rank: int, trial: Trial) -> dict[str, Any]:
    prepared, halted_at = trial.prepared, trial.scenarios.requested.simulation.halted_at
    return {
        "rank": rank,
        "ticker": str(trial.ticker),
        "setting": trial.parameter_set.label,
        **metrics_by_account(*trial.scenarios.metrics),
        "halted_at": None if halted_at is None else to_iso(halted_at),
        "audit": None if trial.audit is None else trial.audit.to_dict(),
        "models": list(dict.fromkeys(period.model.card.fingerprint for period in trial.walk.periods)),
        "data": {
            "fingerprint": prepared.window.fingerprint(),
            "synthetic": prepared.quality.synthetic,
            "missing": prepared.quality.missing,
        },
        "data_quality": data_quality(prepared.quality, trial.jump_shares),
    }


def _portfolio(portfolio: Portfolio) -> dict[str, Any]:
    return {
        "setting": portfolio.parameter_set.label,
        "tickers": [str(ticker) for ticker in portfolio.tickers],
        "share": portfolio.share,
        **metrics_by_account(portfolio.metrics, portfolio.alpaca_metrics, portfolio.hold_metrics),
    }


def _forecasts(pooled: PooledForecasts) -> dict[str, Any]:
    return {
        "setting": pooled.parameter_set.label,
        "tickers": [str(ticker) for ticker in pooled.tickers],
        "hours": pooled.hours,
        "rank_correlation": asdict(pooled.rank_correlation),
        "hit_rate": None if pooled.hit_rate is None else asdict(pooled.hit_rate),
        "verdict": asdict(pooled.verdict),
    }


def _failed(failed: FailedTicker) -> dict[str, Any]:
    return {"ticker": str(failed.ticker), "where": failed.where or None, "error": failed.error.to_dict()}


def _unavailable(ticker: UnavailableTicker) -> dict[str, Any]:
    return {"ticker": str(ticker.ticker), "where": ticker.where or None, "unavailable": ticker.why}
