"""A backtest of simulated bars by planted networks, for whoever tells it."""

from __future__ import annotations

import pytest
from support.lab import SETTINGS
from support.planted import HeldBars, PlantedFits, sample_bars

from crypto_refactor.backtest.audit import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.signals.conditions import SignalRules

HOURS = 240


def backtested(folder, *, hours=HOURS, confirmations=3, bars=None):
    """Return a result and its audit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crypto_refactor.model.shelf.fit_all", PlantedFits())
        backtester = Backtester(
            "BTC/USD",
            source=HeldBars(sample_bars(1400) if bars is None else bars),
            settings=SETTINGS,
            signal_rules=SignalRules(min_confirmations=confirmations),
            model_dir=folder,
        )
        result = backtester.run(hours)
        return result, audit(result)
