"""The remarks beside the figures read the same in the terminal, the page and JSON."""

from __future__ import annotations

import html
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest
from support.example_results import backtested, evaluated
from support.stub_models import remade, sample_bars, without

from crypto_refactor.market.hours import to_iso, to_local_text
from crypto_refactor.report import commentary
from crypto_refactor.report.documents.backtest import backtest_json, evaluation_json
from crypto_refactor.report.html.page import report_html
from crypto_refactor.report.terminal.backtest import run_text

DENVER = ZoneInfo("America/Denver")


def thin_bars():
    """Bars with gaps and hardly any volume, so that every remark applies."""
    bars = sample_bars(1400)
    end = int(bars.closed[-1])
    return without(remade(bars, volume=bars.volume * 1e-9), (end - 60, end - 50))


def halted(result):
    """Return the same, its entries halted in both accounts."""
    hour = int(result.window.closed[7])
    requested, alpaca = (
        replace(account, simulation=replace(account.simulation, halted_at=hour))
        for account in (result.requested, result.alpaca)
    )
    return replace(result, scenarios=replace(result.scenarios, requested=requested, alpaca=alpaca)), hour


def printed(result):
    """Return all that is printed of a run, on one line."""
    return " ".join(run_text(result, DENVER, details=True).split())


@pytest.fixture(scope="module")
def backtest(tmp_path_factory):
    return halted(backtested(tmp_path_factory.mktemp("models"), bars=thin_bars())[0])


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory):
    return evaluated(tmp_path_factory.mktemp("targets") / "targets.csv", bars=thin_bars(), allow_gaps=True)


def test_text_and_page_say_the_same_of_a_backtest(backtest):
    result, _ = backtest
    remarks = [
        *commentary.backtest_remarks(result, DENVER),
        *(text for _, text in commentary.side_remarks(result.requested.simulation.trades, "USD")),
        commentary.window_text(result.window, DENVER),
    ]
    assert len(remarks) >= 9
    text, page = printed(result), html.unescape(report_html(result, command=None, tz=DENVER))
    page = page.replace("\N{NO-BREAK SPACE}", " ")
    assert [remark for remark in remarks if remark not in text] == []
    assert [remark for remark in remarks if remark not in page] == []


def test_people_read_a_halt_in_their_zone_and_json_stays_utc(backtest):
    result, hour = backtest
    local = to_local_text(hour, DENVER)
    assert "MST" in local or "MDT" in local
    remarks = commentary.backtest_remarks(result, DENVER)
    assert f"The drawdown limit has halted entries since {local}." in remarks
    assert f"; halted since {local}." in remarks[0]
    assert f"; halted since {to_iso(hour)}." in backtest_json(result)["at_alpaca_note"]


@pytest.mark.parametrize("words", ["exceed 5 %", "are forward-filled and", "withheld below 90 days"])
def test_targets_are_told_what_a_backtest_is(backtest, evaluation, words):
    text = printed(evaluation)
    (remark,) = [text for text in commentary.evaluation_remarks(evaluation, DENVER) if words in text]
    assert remark in text
    assert any(words in text for text in commentary.backtest_remarks(backtest[0], DENVER))


def test_targets_know_no_closes_that_could_not_be_decided_on(evaluation):
    remarks = commentary.evaluation_remarks(evaluation, DENVER)
    assert not any("No decision at" in text for text in remarks)
    assert f"{evaluation.between_bars} targets fall on hours without a bar" in " ".join(remarks)
    assert evaluation.between_bars == 10


def test_the_sizes_of_entries_stand_in_both_documents(backtest, evaluation):
    result, other = backtest_json(backtest[0])["entries"], evaluation_json(evaluation)["entries"]
    assert set(result) - set(other) == {"beyond_cost"}
    assert result["above_limit"] == result["entries"] > 3
    assert other["above_limit"] == other["entries"] > 3


def test_no_row_is_left_empty_for_forecasts_that_were_never_made(backtest, evaluation):
    assert "Rank IC" in printed(backtest[0])
    text = printed(evaluation)
    assert "Break-even fee" in text
    assert "Rank IC" not in text


def test_a_position_and_what_rounding_left_are_told_apart(evaluation):
    trade = evaluation.requested.simulation.trades[-1]
    held = trade._replace(exit_reason="open")
    assert commentary.still_open(evaluation.ticker, held, DENVER).startswith("Still open at the end: ")
    left = trade._replace(exit_reason="dust")
    assert commentary.still_open(evaluation.ticker, left, DENVER).startswith("Remainder too small to sell: ")
