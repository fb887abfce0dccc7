"""Accounts of past bars: a replay and a demo account differ by nothing, and what a person did is named."""

from __future__ import annotations

import sqlite3

import pytest
from support.replay_runner import SeveralBars, past_trader, replay_run, session_of
from support.stub_models import BTC, PlantedFits, remade, sample_bars

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.trading.account_names import ledger_of
from crypto_refactor.trading.historical.trader import HistoricalTrader
from crypto_refactor.trading.manual.close import close_all, close_at_next_open
from crypto_refactor.trading.manual.resume import resume_tickers
from crypto_refactor.trading.reconciliation.causes import Cause
from crypto_refactor.trading.reconciliation.reconcile import Means, reconcile_account
from crypto_refactor.trading.session import about

ETH = Ticker("ETH", "USD")
BARS = sample_bars(1200)
END = int(BARS.closed[-1])
RULES = (
    {},
    {"exit": "fade", "stop_loss": 0.01, "take_profit": 0.01, "borrow": 0.2},
    {"venue": "alpaca", "slippage_bps": 5.0},
    {"position_size": 0.5, "max_drawdown": 0.02, "long_only": True},
)


@pytest.fixture(autouse=True)
def planted(monkeypatch):
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())


def reconcile(folder, *held, **options):
    ledger = ledger_of(folder / "state")
    means = Means(
        source=lambda _: SeveralBars(*held),
        models=lambda segment: ModelProvider(folder=folder / "models", settings=segment.settings),
        broker=None,
        now=None,
    )
    return reconcile_account(ledger, ledger.accounts()[0], means, **options)


def demo(folder, hours, *, skipped=(), between=None, **rules):
    """Trade the last `hours` bars in the account demo/sample, as passes that may be left out."""
    session = session_of(folder, SeveralBars(BARS), (BTC,), **rules)
    ledger = ledger_of(session.state_dir)
    ledger.prepare_account("demo/sample", session.clock().isoformat(), about(session))
    made = past_trader(folder, **rules)
    trader = HistoricalTrader(ledger, "demo/sample", decider=made._decider, processor=made._processor)
    for place, hour in enumerate(range(END - hours, END + 1)):
        if place not in skipped:
            trader.process_bar(BARS, hour)
        if between is not None:
            between(place, ledger)
    return ledger


@pytest.mark.slow
@pytest.mark.parametrize("rules", RULES)
def test_a_replay_differs_by_nothing(tmp_path, rules):
    eth = sample_bars(1200, ETH)
    result, _ = replay_run(tmp_path, BARS, eth, hours=120, **rules)
    assert sum(len(each.fills) for each in result.replayed) > 3
    found = reconcile(tmp_path, BARS, eth)
    assert (found.causes, found.explained, dict(found.missing)) == ((), True, {})
    for part, replayed in zip(found.tickers, result.replayed, strict=True):
        assert part.since_opening
        assert part.account == part.backtest == replayed.equity[-1][1]


@pytest.mark.parametrize("rules", RULES)
def test_a_demo_account_differs_by_nothing(tmp_path, rules):
    ledger = demo(tmp_path, 60, **rules)
    assert ledger.fills("demo/sample", BTC)
    found = reconcile(tmp_path, BARS)
    assert (found.causes, found.explained, dict(found.missing)) == ((), True, {})


@pytest.mark.parametrize("rules", RULES)
def test_passes_that_were_left_out_are_missed_hours_and_nothing_else(tmp_path, rules):
    demo(tmp_path, 60, skipped=(10, 11, 30, 31, 32, 33, 47), **rules)
    found = reconcile(tmp_path, BARS)
    assert found.explained
    (missed,) = found.causes
    assert missed.cause is Cause.MISSED
    assert [each.hour - (END - 60) for each in missed.hours] == [10, 11, 30, 31, 32, 33, 47]
    (part,) = found.tickers
    assert part.backtest + missed.money == pytest.approx(part.account, abs=1e-9)


def test_a_position_closed_by_hand_is_named(tmp_path):
    closed = []

    def close(place, ledger):
        if place >= 20 and not closed and ledger.state("demo/sample", BTC).account.side:
            closed.append(place)
            (result,) = close_all(
                tmp_path / "state", "demo/sample", [BTC], close_at_next_open(ledger, "demo/sample")
            )
            assert result.waiting

    demo(tmp_path, 60, between=close)
    found = reconcile(tmp_path, BARS)
    assert found.explained
    (manual,) = found.causes
    assert manual.cause is Cause.MANUAL
    assert {each.hour - (END - 60) for each in manual.hours} == set(closed)


def test_a_halt_that_a_person_lifted_is_named(tmp_path):
    lifted = []

    def resume(place, ledger):
        if not lifted and ledger.state("demo/sample", BTC).account.halted:
            lifted.append(place)
            assert resume_tickers(ledger, tmp_path / "state", "demo/sample", [BTC])

    demo(tmp_path, 100, between=resume, max_drawdown=0.01)
    assert lifted, "the drawdown halted nothing: choose other bars"
    found = reconcile(tmp_path, BARS)
    assert found.explained
    (manual,) = found.causes
    assert manual.cause is Cause.MANUAL
    assert "halt was lifted" in manual.hours[0].text


def test_bars_that_were_revised_since_are_named(tmp_path):
    demo(tmp_path, 40)
    close = BARS.close.copy()
    close[-20] *= 1.004
    revised = remade(BARS, close=close, high=BARS.high * 1.01)
    found = reconcile(tmp_path, revised)
    assert found.explained
    assert [cause.cause for cause in found.causes] in ([Cause.BARS], [Cause.MODEL, Cause.BARS])


def test_a_change_of_settings_is_backtested_as_it_was_made(tmp_path):
    demo(tmp_path, 60)
    session = session_of(tmp_path, SeveralBars(BARS), (BTC,), stop_loss=0.002)
    ledger = ledger_of(session.state_dir)
    assert len(ledger.settings("demo/sample", BTC)) == 1
    later = sample_bars(1240)
    ledger.prepare_account("demo/sample", session.clock().isoformat(), about(session))
    made = past_trader(tmp_path, stop_loss=0.002)
    trader = HistoricalTrader(ledger, "demo/sample", decider=made._decider, processor=made._processor)
    for hour in range(END + 1, END + 41):
        trader.process_bar(later, hour)
    assert [row.bar for row in ledger.settings("demo/sample", BTC)] == [END - 60, END + 1]
    found = reconcile(tmp_path, later)
    assert (found.causes, found.explained) == ((), True)


def test_an_earlier_versions_account_says_from_when_on_it_can_be_reconciled(tmp_path):
    demo(tmp_path, 20)
    connection = sqlite3.connect(tmp_path / "state" / "ledger.sqlite")
    connection.executescript("DELETE FROM settings; DELETE FROM known_bars; DELETE FROM events;")
    connection.close()
    found = reconcile(tmp_path, BARS)
    assert found.tickers == ()
    assert "from its next decision on" in found.notes[0]

    later = sample_bars(1230)
    session = session_of(tmp_path, SeveralBars(later), (BTC,))
    ledger = ledger_of(session.state_dir)
    ledger.prepare_account("demo/sample", session.clock().isoformat(), about(session))
    made = past_trader(tmp_path)
    trader = HistoricalTrader(ledger, "demo/sample", decider=made._decider, processor=made._processor)
    for hour in range(END + 1, END + 31):
        trader.process_bar(later, hour)
    found = reconcile(tmp_path, later)
    assert (found.causes, found.explained) == ((), True)
    assert found.tickers[0].first == END + 1
    assert any("earlier version" in note for note in found.notes)


def test_bars_that_cannot_be_had_are_named_and_hold_up_no_other_ticker(tmp_path):
    eth = sample_bars(1200, ETH)
    replay_run(tmp_path, BARS, eth, hours=48)
    found = reconcile(tmp_path, BARS)
    assert [part.ticker for part in found.tickers] == [BTC]
    assert set(found.missing) == {"ETH/USD"}


def test_a_later_hour_than_the_last_decision_is_refused(tmp_path):
    demo(tmp_path, 10)
    found = reconcile(tmp_path, BARS, since=END + 5)
    assert "not decided on" in found.missing["BTC/USD"]
