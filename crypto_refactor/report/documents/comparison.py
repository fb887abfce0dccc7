"""A comparison as the documented JSON, and its table as CSV."""

from __future__ import annotations

from dataclasses import asdict

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, value_text
from crypto_refactor.backtest.comparison.runner import Comparison, FailedTicker, UnavailableTicker
from crypto_refactor.backtest.comparison.trials import Portfolio, Trial
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.csv_files import csv_text

SCHEMA = 1
FIGURES = (
    "return",
    "at_alpaca_return",
    "buy_and_hold_return",
    "sharpe",
    "sharpe_se",
    "max_drawdown",
    "trades",
    "win_rate",
    "fees_paid",
    "exposure",
)
"""Columns of the table after rank, ticker, setting and what is varied."""


def comparison_json(found: Comparison) -> dict[str, object]:
    """Return the documented JSON: UTC stamps, null for what is undefined."""
    request, end = found.request, found.end
    return {
        "schema": SCHEMA,
        "timeframe": "1h",
        "source": request.source.name,
        "simulated": request.source.name == SAMPLE,
        "end": None if end is None else to_iso(end),
        "window": None
        if end is None
        else {"first": to_iso(end - request.hours), "last": to_iso(end - 1), "hours": request.hours},
        "initial_balance": request.initial_balance,
        "model": request.model,
        "settings": [_setting(setting) for setting in request.settings],
        "trials": [_trial(rank, trial) for rank, trial in enumerate(found.trials, start=1)],
        "portfolios": [_portfolio(portfolio) for portfolio in found.portfolios],
        "luck": None if found.luck is None else asdict(found.luck),
        "failed": [_failed(each) for each in found.failed],
        "unavailable": [_not_offered(each) for each in found.not_offered],
        "trained": found.trained,
    }


def _setting(setting: ParameterSet) -> dict[str, object]:
    return {
        "setting": setting.label,
        "varied": dict(setting.varied),
        **asdict(setting.settings),
        **asdict(setting.signal_rules),
        **asdict(setting.options),
    }


def _trial(rank: int, trial: Trial) -> dict[str, object]:
    window = trial.prepared.window
    halted = trial.scenarios.requested.simulation.halted_at
    return {
        "rank": rank,
        "ticker": str(trial.ticker),
        "setting": trial.setting.label,
        **_columns(*trial.scenarios.metrics),
        "halted_at": None if halted is None else to_iso(halted),
        "models": list(dict.fromkeys(stretch.model.card.fingerprint for stretch in trial.walk.stretches)),
        "data": {
            "fingerprint": window.fingerprint(),
            "synthetic": trial.prepared.quality.synthetic,
            "missing": trial.prepared.quality.missing,
        },
    }


def _portfolio(portfolio: Portfolio) -> dict[str, object]:
    return {
        "setting": portfolio.setting.label,
        "tickers": [str(ticker) for ticker in portfolio.tickers],
        "share": portfolio.share,
        **_columns(portfolio.metrics, portfolio.alpaca_metrics, portfolio.hold_metrics),
    }


def _columns(metrics: Metrics, at_alpaca: Metrics | None, hold: Metrics) -> dict[str, object]:
    return {
        "metrics": metrics.to_dict(),
        "at_alpaca": None if at_alpaca is None else at_alpaca.to_dict(),
        "buy_and_hold": hold.to_dict(),
    }


def _failed(failed: FailedTicker) -> dict[str, object]:
    error = failed.error
    problem = {"code": error.exit_code, "message": error.what, "remedy": error.remedy}
    return {"ticker": str(failed.ticker), "where": failed.where or None, "error": problem}


def _not_offered(each: UnavailableTicker) -> dict[str, object]:
    return {"ticker": str(each.ticker), "where": each.where or None, "unavailable": each.why}


def comparison_csv(found: Comparison) -> str:
    """Return one row a trial, ranked, then one a portfolio; what is undefined is empty.

    Simulated ones carry a further column that says so.
    """
    varied = [name for name, _ in found.request.settings[0].varied]
    rows = [
        [
            rank,
            trial.ticker,
            *_cells(trial.setting),
            *_figures(*trial.scenarios.metrics),
        ]
        for rank, trial in enumerate(found.trials, start=1)
    ]
    rows += [
        [
            "",
            "portfolio",
            *_cells(each.setting),
            *_figures(each.metrics, each.alpaca_metrics, each.hold_metrics),
        ]
        for each in found.portfolios
    ]
    header = ("rank", "ticker", "setting", *varied, *FIGURES)
    return csv_text(header, rows, simulated=found.request.source.name == SAMPLE)


def _cells(setting: ParameterSet) -> list[object]:
    return [setting.label, *(value_text(name, value) for name, value in setting.varied)]


def _figures(metrics: Metrics, at_alpaca: Metrics | None, hold: Metrics) -> list[object]:
    values = (
        metrics.total_return,
        None if at_alpaca is None else at_alpaca.total_return,
        hold.total_return,
        metrics.sharpe,
        metrics.sharpe_se,
        metrics.max_drawdown,
        metrics.trades,
        metrics.win_rate,
        metrics.fees_paid,
        metrics.exposure,
    )
    return ["" if value is None else value for value in values]
