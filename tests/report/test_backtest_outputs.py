"""A backtest in the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from support.stub_models import BTC, HeldBars, remade, sample_bars, without

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.report import commentary
from crypto_refactor.report.commentary import alpaca_note
from crypto_refactor.report.csv_files import signals_csv
from crypto_refactor.report.documents.backtest import backtest_json
from crypto_refactor.report.terminal.backtest import run_text
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


def text_of(result, *, details=True):
    """Return all that is printed of a backtest, or its answer alone, on one line."""
    return " ".join(run_text(result, ZoneInfo("UTC"), details=details).split())


def test_the_text_names_network_lookback_and_seed(tmp_path, fits):
    assert "small network, lookback 12, seed 7, trained on 480 h, refitted every 200 h" in text_of(
        run_backtest(tmp_path)
    )


def test_the_note_at_alpaca_names_the_drawdown_that_was_asked_for(tmp_path, fits):
    result = run_backtest(tmp_path, max_drawdown=0.001)
    assert "entries halt at a drawdown of 0.1 %" in alpaca_note(result)
    assert result.alpaca.simulation.halted_at is not None
    assert "halted since" in alpaca_note(result)
    assert alpaca_note(result, ZoneInfo("UTC")) in text_of(result)
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


def test_the_answer_comes_first_and_what_it_rests_on_with_details(tmp_path, fits):
    result = run_backtest(tmp_path)
    answer, whole = text_of(result, details=False), text_of(result)
    parts = [
        "BTC/USD backtest, 4 days (",
        commentary.result_text(result),
        f"Verdict {result.verdict.text}",
        "Checked Audit passed: no look-ahead in ",
        "This run At Alpaca Buy and hold",
        f"Final balance, USD {result.metrics.final_balance:,.2f}",
        "Next action ",
    ]
    at = [answer.index(part) for part in parts]
    assert at == sorted(at)
    assert answer.startswith(parts[0])
    low, high = result.significance.intervals.total_return
    assert f"95 % range {low * 100:+.1f} to {high * 100:+.1f} Max" in answer
    assert not any(label in answer for label in LUCK)
    figures = (
        f"{low * 100:+.1f} to {high * 100:+.1f} %",
        f"{result.significance.random_entry.p:.3f}",
        "",
        # A hundred hours are five days: too few for an error.
        f"{result.significance.skill.model.spearman.value:+.3f}",
    )
    for label, figure in zip(LUCK, figures, strict=True):
        assert f"{label} {figure}" in whole
    for name, part in (("Forecasts", result.verdict.forecasts), ("Trades", result.verdict.trades)):
        assert f"{name}: {part.text}." in whole
    assert "too few to tell skill from luck" not in whole


def test_why_it_lost_counts_fees_promises_and_chance(tmp_path, fits):
    result = run_backtest(tmp_path, fee=0.01)
    title, (before, promised, chance) = commentary.held_back(result)
    assert title == "Why it lost"
    gross = result.metrics.total_return + result.metrics.fees_paid / 100_000
    assert before == f"Before fees it {'gained' if gross > 0 else 'lost'} {abs(gross) * 100:.2f} %."
    assert promised.startswith(
        f"None of {result.diagnostics.entries.entries} entries expected to earn the cost of 2.00 %."
    )
    assert chance.startswith("Random entries did as well ")


def test_without_a_trade_it_says_what_was_missing(tmp_path, fits):
    text = text_of(run_backtest(tmp_path, strict=True, fee=0.9), details=False)
    assert "Nothing was traded; buying and holding BTC " in text
    assert "No trade --strict blocked all" in text
    assert "┤" not in text


def test_where_there_is_no_break_even_fee_the_reason_is_given(tmp_path, fits):
    result = run_backtest(tmp_path, slippage_bps=200.0)
    assert "There is no break-even fee: it loses before fees." in text_of(result)
    document = backtest_json(result)["significance"]
    assert (document["break_even_fee"], document["break_even_note"]) == (None, "it loses before fees")


def test_what_was_not_judged_has_no_verdict(tmp_path, fits):
    result = run_backtest(tmp_path, assess=False)
    text = text_of(result)
    assert "Verdict Not tested against chance." in text
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
    text = text_of(result)
    named = to_local_text(first.decided_from, ZoneInfo("UTC"))
    assert f"the gap of 10 h from {to_local_text(end - 60, ZoneInfo('UTC'))} to " in text
    assert f"the first close that can be decided on again is {named}" in text
    assert "(and 1 more such gaps)" in text


def test_bars_without_any_volume_are_pointed_out(tmp_path, fits):
    bars = sample_bars(1500)
    result = run_backtest(tmp_path, remade(bars, volume=np.zeros(1500)))
    assert "obv, vwap and volume can never hold" in text_of(result)
    assert any("obv, vwap and volume can never hold" in hint for hint in backtest_json(result)["hints"])
    assert backtest_json(run_backtest(tmp_path / "other", bars))["hints"] == []


def test_a_spent_account_says_so(tmp_path, fits):
    result = run_backtest(tmp_path, fee=0.9)
    assert result.requested.metrics.final_balance < 0.01
    spent = "The account is spent since "
    assert spent in text_of(result)
    assert [
        hint.startswith(("--fee is a fraction: 0.9 is 90 %", spent))
        for hint in backtest_json(result)["hints"]
    ] == [True] * 2
