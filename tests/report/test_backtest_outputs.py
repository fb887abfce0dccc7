"""A backtest in the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from rich.console import Console
from support.stub_models import BTC, HeldBars, remade, sample_bars, without

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.report.commentary import alpaca_note
from crypto_refactor.report.csv_files import signals_csv
from crypto_refactor.report.documents.backtest import backtest_json
from crypto_refactor.report.terminal.backtest import print_backtest
from crypto_refactor.signals.conditions import SignalRules

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=200, network="small", seed=7)
HOURS = 100


def run_backtest(folder, bars=None, *, assess=True, **options):
    source = HeldBars(sample_bars(1500) if bars is None else bars)
    tester = Backtester(
        BTC,
        source=source,
        settings=SETTINGS,
        signal_rules=SignalRules(min_confirmations=4),
        options=ExecutionOptions(**options),
        model_dir=folder,
    )
    return tester.run(HOURS, allow_gaps=True, assess=assess)


def text_of(result):
    console = Console(width=200, file=io.StringIO())
    print_backtest(result, ZoneInfo("UTC"), console)
    return console.file.getvalue()


def test_the_text_names_network_lookback_and_seed(tmp_path, fits):
    assert "small network, lookback 12, seed 7, trained on 480 h, refitted every 200 h" in text_of(
        run_backtest(tmp_path)
    )


def test_the_note_at_alpaca_names_the_drawdown_that_was_asked_for(tmp_path, fits):
    result = run_backtest(tmp_path, max_drawdown=0.001)
    assert "entries halt at a drawdown of 0.1 %" in alpaca_note(result)
    assert result.alpaca.simulation.halted_at is not None
    assert "halted since" in alpaca_note(result)
    assert alpaca_note(result, ZoneInfo("UTC")) in text_of(result).replace("\n", " ")
    assert backtest_json(result)["at_alpaca_note"] == alpaca_note(result)


def test_the_note_says_why_nothing_was_entered(tmp_path, fits):
    assert "--strict blocked all" in alpaca_note(run_backtest(tmp_path, strict=True, fee=0.9))


def test_closes_that_could_not_be_decided_on_are_counted_and_have_rows(tmp_path, fits):
    whole = sample_bars(1500)
    end = int(whole.closed[-1])
    result = run_backtest(tmp_path, without(whole, (end - 60, end - 50)))
    blind = result.undecidable
    assert blind > 0
    assert f"No decision at {blind} closes" in text_of(result)
    assert backtest_json(result)["data"]["undecidable"] == blind
    rows = list(csv.DictReader(io.StringIO(signals_csv(result))))
    assert len(rows) == len(result.walk.signals) + blind
    assert sum(row["predicted_price"] == "" for row in rows) == blind
    assert [row["made_at"] for row in rows] == sorted(row["made_at"] for row in rows)


@pytest.mark.parametrize("name", ["network", "seed"])
def test_settings_are_those_of_the_models(tmp_path, fits, name):
    assert backtest_json(run_backtest(tmp_path))["settings"][name] == getattr(SETTINGS, name)


LUCK = ["Return, 95 % interval", "Random entry, p", "Break-even fee", "Rank IC ± SE"]


def test_the_verdict_comes_first_and_four_figures_carry_it(tmp_path, fits):
    result = run_backtest(tmp_path)
    first, forecasts, trades, audited, blank, title, *lines = text_of(result).splitlines()
    assert first.strip() == result.verdict.text
    assert forecasts.strip() == f"Forecasts: {result.verdict.forecasts.text}."
    assert trades.strip() == f"Trades: {result.verdict.trades.text}."
    assert audited.startswith("Audit passed: ")
    assert blank.strip() == ""
    assert title.startswith("Backtest BTC/USD")
    rows = [next(line for line in lines if line.startswith(label)) for label in LUCK]
    low, high = result.significance.intervals.total_return
    assert f"{low * 100:+.1f} % to {high * 100:+.1f} %" in rows[0]
    assert rows[1].split()[-1] == f"{result.significance.random_entry.p:.3f}"
    # A hundred hours are five days: too few for an error.
    assert rows[3].rstrip().endswith(f"{result.significance.skill.model.spearman.value:+.3f} ± –")
    assert "too few to tell skill from luck" not in text_of(result)


def test_where_there_is_no_break_even_fee_the_reason_is_given(tmp_path, fits):
    result = run_backtest(tmp_path, slippage_bps=200.0)
    assert "There is no break-even fee: it loses before fees." in text_of(result)
    document = backtest_json(result)["significance"]
    assert (document["break_even_fee"], document["break_even_note"]) == (None, "it loses before fees")


def test_what_was_not_judged_has_no_verdict(tmp_path, fits):
    result = run_backtest(tmp_path, assess=False)
    text = text_of(result)
    assert text.startswith("Backtest BTC/USD")
    assert not any(label in text for label in LUCK)
    assert "too few to tell skill from luck" in text
    assert (backtest_json(result)["significance"], backtest_json(result)["verdict"]) == (None, None)


def test_significance_and_verdict_stand_in_the_document(tmp_path, fits):
    result = run_backtest(tmp_path)
    document = backtest_json(result)
    assert document["significance"] == result.significance.to_dict()
    assert (document["verdict"]["code"], document["verdict"]["text"]) == ("too_few", result.verdict.text)
    for part in ("forecasts", "trades"):
        assert set(document["verdict"][part]) == {"code", "text", "detectable"}
    json.dumps(document, allow_nan=False)


def test_the_gap_behind_blind_closes_is_named_with_the_first_close_that_works_again(tmp_path, fits):
    whole = sample_bars(1500)
    end = int(whole.closed[-1])
    result = run_backtest(tmp_path, without(whole, (end - 60, end - 50), (end - 30, end - 22)))
    first, second = result.decision_gaps
    assert (first.start, first.stop, second.start, second.stop) == (end - 60, end - 50, end - 30, end - 22)
    decided = result.walk.signals.decided_at
    assert first.decided_from == decided[decided > first.stop][0]
    text = " ".join(text_of(result).split())
    named = to_local_text(first.decided_from, ZoneInfo("UTC"))
    assert f"the gap of 10 h from {to_local_text(end - 60, ZoneInfo('UTC'))} to " in text
    assert f"the first close that can be decided on again is {named}" in text
    assert "(and 1 more such gaps)" in text


def test_bars_without_any_volume_are_pointed_out(tmp_path, fits):
    bars = sample_bars(1500)
    result = run_backtest(tmp_path, remade(bars, volume=np.zeros(1500)))
    assert "obv, vwap and volume can never hold" in " ".join(text_of(result).split())
    assert any("obv, vwap and volume can never hold" in hint for hint in backtest_json(result)["hints"])
    assert backtest_json(run_backtest(tmp_path / "other", bars))["hints"] == []


def test_a_spent_account_says_so(tmp_path, fits):
    result = run_backtest(tmp_path, fee=0.9)
    assert result.requested.metrics.final_balance < 0.01
    spent = "The account is spent since "
    assert spent in " ".join(text_of(result).split())
    assert [
        hint.startswith(("--fee is a fraction: 0.9 is 90 %", spent))
        for hint in backtest_json(result)["hints"]
    ] == [True] * 2
