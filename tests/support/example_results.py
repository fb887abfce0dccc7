"""A backtest with stub networks and an evaluation of targets, on simulated bars, for tests of reports."""

from __future__ import annotations

import pytest
from support.stub_models import BTC, HeldBars, PlantedFits, sample_bars
from support.trained_models import SETTINGS

from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.external.evaluation import evaluate_targets
from crypto_refactor.backtest.external.target_file import read_targets
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import to_iso
from crypto_refactor.signals.conditions import SignalRules

HOURS = 240


def backtested(folder, *, hours=HOURS, confirmations=3, bars=None):
    """Return a result and its audit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())
        backtester = Backtester(
            "BTC/USD",
            source=HeldBars(sample_bars(1400) if bars is None else bars),
            settings=SETTINGS,
            signal_rules=SignalRules(min_confirmations=confirmations),
            model_dir=folder,
        )
        result = backtester.run(hours)
        return result, audit(result)


def evaluated(path, *, hours=HOURS, bars=None, every=9, sides=(1, 0, -1), **options):
    """Write targets for the last `hours` hours to `path`, `sides` in turn, and return their evaluation."""
    bars = sample_bars(1400) if bars is None else bars
    end = int(bars.closed[-1])
    rows = [f"{to_iso(end - hours + at)},{sides[at // every % len(sides)]}" for at in range(hours + 1)]
    path.write_text("\n".join(["made_at,target", *rows, ""]), encoding="utf-8")
    return evaluate_targets(HeldBars(bars), BTC, read_targets(path), ExecutionOptions(), **options)
