"""The backtester command that trades by the very same rules as a run."""

from __future__ import annotations

import shlex
from pathlib import Path

from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.session import TradingSession


def backtest_command(setup: TradingSession, hours: int, end: int | None, data_dir: Path | None) -> str:
    """Return a sentence with the command; only what differs from its defaults is written out.

    Parameters
    ----------
    setup : TradingSession
        What is traded.
    hours : int
        Length of the window.
    end : int or None
        Its end, where one was given.
    data_dir : Path or None
        The folder of bars, where one was given.
    """
    words = ["python3", "models/app_backtester.py", "--ticker", str(setup.tickers[0]), "--hours", str(hours)]
    share = setup.initial_balance / len(setup.tickers)
    words += ["--initial-balance", f"{share!r}"]
    words += [word for name, value in _differing(setup) for word in _option(name, value)]
    words += ["--source", setup.source.name]
    if data_dir is not None:
        words += ["--data-dir", str(data_dir)]
    if end is not None:
        words += ["--end", to_iso(end)]
    command = shlex.join(words)
    if len(setup.tickers) == 1:
        return f"The same rules as a backtest: {command}"
    return f"The same rules as a backtest, for each ticker (with all {len(setup.tickers)} offered): {command}"


def _differing(setup: TradingSession) -> list[tuple[str, object]]:
    models, plain_models = setup.settings, ModelSettings()
    signals, plain_signals = setup.signal_rules, SignalRules()
    rules, plain = setup.options, ExecutionOptions()
    pairs: list[tuple[str, object, object]] = [
        ("lookback", models.lookback, plain_models.lookback),
        ("train-hours", models.train_hours, plain_models.train_hours),
        ("refit-every", models.refit_every, plain_models.refit_every),
        ("model", setup.model, None),
        ("network", models.network, plain_models.network),
        ("seed", models.seed, plain_models.seed),
        ("min-confirmations", signals.min_confirmations, plain_signals.min_confirmations),
        ("threshold-scale", signals.threshold_scale, plain_signals.threshold_scale),
        ("venue", rules.venue, plain.venue),
        ("fee", rules.fee, plain.fee),
        ("slippage", rules.slippage_bps, plain.slippage_bps),
        ("position-size", rules.position_size, plain.position_size),
        ("exit", str(rules.exit), str(plain.exit)),
        ("long-only", rules.long_only, plain.long_only),
        ("strict", rules.strict, plain.strict),
        ("borrow", rules.borrow, plain.borrow),
        ("stop-loss", rules.stop_loss, plain.stop_loss),
        ("take-profit", rules.take_profit, plain.take_profit),
        ("max-drawdown", rules.max_drawdown, plain.max_drawdown),
        ("max-notional", rules.max_notional, plain.max_notional),
        ("allow-gaps", setup.allow_gaps, False),
    ]
    return [(name, value) for name, value, default in pairs if value != default]


def _option(name: str, value: object) -> list[str]:
    return [f"--{name}"] if value is True else [f"--{name}", str(value)]
