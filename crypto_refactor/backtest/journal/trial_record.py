"""A trial as the journal keeps it: what was tried, on which bars, and what it came to."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crypto_refactor.backtest.external.evaluation import EvaluationResult
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.execution.rules import HOURS_PER_YEAR

NEEDS_A_FORECAST = ("exit", "strict")
"""Execution options that mean nothing for external targets."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRecord:
    """One way to decide and to trade, on certain bars.

    Attributes
    ----------
    command : str
        ``backtest``, ``compare`` or ``evaluate``: what ran it first.
    ticker, source : str
        Of the bars.
    simulated : bool
        Whether the bars are simulated.
    first, last : int
        The hours that were traded, ``[first, last)``, since 1970.
    data : str
        Fingerprint of the bars of the window.
    settings : Mapping
        Every option that decides or trades, as it was resolved.
    total_return : float
        A fraction of the initial balance.
    sharpe, sharpe_se, hourly_sharpe : float or None
        Annualised, with its standard error, and of one hour; None for what never traded.
    trades : int
        Closed ones.
    """

    command: str
    ticker: str
    source: str
    simulated: bool
    first: int
    last: int
    data: str
    settings: Mapping[str, Any]
    total_return: float
    sharpe: float | None
    sharpe_se: float | None
    hourly_sharpe: float | None
    trades: int

    @property
    def settings_text(self) -> str:
        """The settings as JSON, the same text for the same settings."""
        return json.dumps(self.settings, sort_keys=True, allow_nan=False)

    @property
    def settings_hash(self) -> str:
        """A hash of the settings."""
        return hashlib.sha256(self.settings_text.encode()).hexdigest()[:16]

    @property
    def key(self) -> str:
        """What makes it one trial however often it runs, and by whatever command: its settings and its bars."""
        parts = (self.ticker, self.source, self.first, self.last, self.data, self.settings_hash)
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def record_of(result: RunResult, command: str) -> TrialRecord:
    """Return what the journal keeps of a run."""
    metrics, window = result.requested.metrics, result.window
    hourly = None if metrics.sharpe is None else metrics.sharpe / math.sqrt(HOURS_PER_YEAR)
    return TrialRecord(
        command=command,
        ticker=str(result.ticker),
        source=window.source,
        simulated=window.simulated,
        first=int(window.closed[0]),
        last=result.end,
        data=window.fingerprint(),
        settings=_settings(result),
        total_return=metrics.total_return,
        sharpe=metrics.sharpe,
        sharpe_se=metrics.sharpe_se,
        hourly_sharpe=hourly,
        trades=metrics.trades,
    )


def _settings(result: RunResult) -> dict[str, Any]:
    rules = result.requested.rules
    traded = {
        **asdict(rules),
        "venue": "none" if rules.venue is None else rules.venue.name,
        "initial_balance": result.requested.metrics.initial_balance,
    }
    if isinstance(result, EvaluationResult):
        targets = {"targets": result.targets.fingerprint(), "stamped": result.targets.stamped.value}
        return targets | {name: value for name, value in traded.items() if name not in NEEDS_A_FORECAST}
    assert isinstance(result, BacktestResult), "there is no other kind of run"
    if result.pinned is None:
        return {**result.settings.to_dict(), **asdict(result.signal_rules), **traded}
    model = {"model": result.pinned, "weights": result.walk.periods[0].model.card.fingerprint}
    return {**model, **asdict(result.signal_rules), **traded}
