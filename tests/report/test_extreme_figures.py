"""Whatever the prices, fees, gaps and volumes: every output is written, and holds no nan and no inf."""

from __future__ import annotations

import json
import re
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.html_dom import without_plotly
from support.stub_models import BTC, HeldBars

from crypto_refactor.backtest.external.evaluation import evaluate_targets
from crypto_refactor.backtest.external.target_file import Stamped, read_targets
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.report.csv_files import trades_csv
from crypto_refactor.report.documents.backtest import evaluation_json
from crypto_refactor.report.html.page import evaluation_html
from crypto_refactor.report.terminal.backtest import run_text

UTC = ZoneInfo("UTC")
UNDEFINED = re.compile(r"\b(nan|inf|infinity)\b", re.IGNORECASE)


def hostile_bars(rng):
    count = int(rng.integers(3, 400))
    start = float(rng.choice([1e-13, 4e-7, 1.0, 60_000.0, 1e9]))
    spread = float(rng.choice([0.0, 0.001, 0.02, 0.3]))
    close = np.maximum(start * np.exp(np.cumsum(rng.normal(0, spread, count))), 1e-300)
    open_ = np.concatenate([[start], close[:-1]])
    gaps = np.where(rng.random(count) < rng.choice([0.0, 0.05, 0.4]), rng.integers(1, 90, count), 0)
    volume = rng.lognormal(3, 2, count) * rng.choice([0.0, 1.0, 1e9])
    return Bars(
        ticker=BTC,
        source="files",
        opened=450_000 + np.arange(count) + np.cumsum(gaps),
        open=open_,
        high=np.maximum(open_, close),
        low=np.minimum(open_, close),
        close=close,
        volume=volume,
    )


def hostile_options(rng):
    def perhaps(*values):
        return None if rng.random() < 0.6 else float(rng.choice(values))

    if rng.random() < 0.15:
        return ExecutionOptions(venue="alpaca", fee=perhaps(0.0, 0.1, 0.999))
    return ExecutionOptions(
        fee=perhaps(0.0, 1e-9, 0.01, 0.1, 0.5, 0.9999, rng.random()),
        slippage_bps=perhaps(0.001, 10.0, 5_000.0, 9_999.0) or 0.0,
        position_size=perhaps(1e-9, 0.01, 0.5) or 1.0,
        borrow=perhaps(0.1, 5.0, 1e6) or 0.0,
        stop_loss=perhaps(1e-6, 0.05, 1.0),
        take_profit=perhaps(1e-6, 0.05, 10.0),
        max_drawdown=perhaps(0.01, 0.5, 1.0),
        max_notional=perhaps(0.001, 5.0, 1e12),
        long_only=bool(rng.random() < 0.3),
    )


def evaluated(rng, path):
    bars = hostile_bars(rng)
    stamped = Stamped.OPEN if rng.random() < 0.3 else Stamped.CLOSE
    hours = (bars.opened if stamped is Stamped.OPEN else bars.closed)[rng.random(len(bars)) < 0.7]
    hours = np.unique(
        np.concatenate([hours, (bars.opened if stamped is Stamped.OPEN else bars.closed)[[0, -1]]])
    )
    sides = rng.integers(-1, 2, len(hours))
    rows = (f"{to_iso(hour)},{side}" for hour, side in zip(hours.tolist(), sides.tolist(), strict=True))
    path.write_text("\n".join(["made_at,target", *rows, ""]), encoding="utf-8")
    balance = float(rng.choice([1e-12, 0.005, 0.01, 9.0, 1e5, 1e12]))
    targets = read_targets(path, stamped)
    return evaluate_targets(
        HeldBars(bars),
        BTC,
        targets,
        hostile_options(rng),
        initial_balance=balance,
        allow_gaps=True,
        allow_jumps=True,
    )


@pytest.mark.parametrize("seed", range(60))
def test_every_output_of_an_evaluation_can_be_written(seed, tmp_path):
    rng = np.random.default_rng(seed)
    result = evaluated(rng, tmp_path / "targets.csv")
    shown = run_text(result, UTC, width=80, details=True)
    document = json.dumps(evaluation_json(result), allow_nan=False)
    page = without_plotly(evaluation_html(result, command=None, tz=UTC))
    for text in (shown, document, page, trades_csv(result)):
        assert not UNDEFINED.search(text), UNDEFINED.search(text)
    for run in (result.requested, result.one_hour_later.run, result.buy_and_hold):
        assert 0 <= run.metrics.max_drawdown_hours <= result.hours
        assert all(fill.quantity > 0 for fill in run.simulation.fills)
