"""The journal of trials in the terminal: what differs among like trials, and what each proved."""

from __future__ import annotations

import io

from rich.console import Console

from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.backtest.journal.trial_record import TrialRecord
from crypto_refactor.report.terminal.trials import print_trials

PLUGIN = {"name": "mine", "hash": "97fc9674379a3524"}


def row(number, verdict, **settings):
    record = TrialRecord(
        command="evaluate" if "targets" in settings else "backtest",
        ticker="BTC/USD",
        source="sample",
        simulated=True,
        first=473_000,
        last=475_160,
        data="d",
        settings=settings,
        total_return=0.01,
        sharpe=1.0,
        sharpe_se=1.0,
        hourly_sharpe=0.01,
        trades=12,
    )
    at = "2025-01-01T00:00:00Z"
    return JournalRow(number=number, first_run_at=at, last_run_at=at, runs=1, record=record, verdict=verdict)


def printed(*rows):
    out = io.StringIO()
    print_trials(rows, Console(file=out, width=80, force_terminal=True, color_system=None))
    return out.getvalue()


def test_a_trial_with_other_settings_does_not_make_all_the_others_differ():
    text = printed(
        row(3, "no_evidence", lookback=60, slippage_bps=5.0, plugins=[PLUGIN]),
        row(2, "too_few", lookback=60, slippage_bps=0.0, plugins=[]),
        row(1, "evidence", targets="t", slippage_bps=0.0),
    )
    assert "slippage=5" in text
    assert "plugin mine" in text
    assert "no plugin" in text
    for absent in ("lookback", "targets", "_", "{", "97fc"):
        assert absent not in text
    for words in ("not enough data", "no evidence", "evidence", "verdict"):
        assert words in text


def test_versions_of_a_plug_in_are_told_apart():
    text = printed(row(2, None, plugins=[PLUGIN]), row(1, None, plugins=[PLUGIN | {"hash": "0123456789"}]))
    assert "plugin mine 97fc96" in text
    assert "plugin mine 012345" in text
