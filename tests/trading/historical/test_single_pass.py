"""One pass over bars that have passed: signals alone, or acted on in the demo account of files and sample."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.alpaca_data_server import status
from support.fake_clock_loop import BALANCE, SETTINGS, SIGNALS, PassingHours, alpaca_bars
from support.stub_models import BTC, HeldBars, sample_bars, without

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.errors import DataError, ModelError, UnavailableError, UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.sources.base import LatestPrice
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.schedule import refit_periods, training_rows
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.trading.historical.single_pass import DemoPass, SignalPass, run_single_pass
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, Unavailable
from crypto_refactor.trading.session import TradingSession

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")
ACCOUNT = "demo/sample"
CUTOFF = int(sample_bars(1600).closed[1547])
FIRST = CUTOFF - 14


class Growing:
    """A source whose bars end at `until`; what is wrong with a ticker is raised."""

    name = "sample"

    def __init__(self, bars, until=FIRST):
        self.held, self.until = dict(bars), until
        self.wrong = {}

    def bars(self, ticker, start, end):
        return self._all(ticker).between(start, end)

    def prefetch(self, tickers, hours, end=None):
        """Everything is here already."""

    def latest_price(self, ticker):
        return LatestPrice(price=float(self._all(ticker).close[-1]), at=to_iso(self.now(ticker)))

    def now(self, ticker):
        return int(self._all(ticker).closed[-1])

    def _all(self, ticker):
        if ticker in self.wrong:
            raise self.wrong[ticker]
        if ticker not in self.held:
            raise UnavailableError(f"There is no {ticker}.", expected="one.", remedy="leave it out.")
        return self.held[ticker].between(0, self.until)


@pytest.fixture
def source():
    return Growing({ticker: sample_bars(1600, ticker) for ticker in (BTC, ETH, SOL)})


@pytest.fixture
def make_session(source, tmp_path):
    def make(**options):
        defaults = {
            "tickers": (BTC,),
            "explicitly_requested": False,
            "source": source,
            "settings": SETTINGS,
            "signal_rules": SIGNALS,
            "options": ExecutionOptions(),
            "model": None,
            "model_dir": tmp_path / "models",
            "state_dir": tmp_path / "state",
            "initial_balance": BALANCE,
            "allow_gaps": True,
            "workers": 1,
            "observer": TrainingObserver(),
            "clock": lambda: datetime.now(UTC),
            "sleep": lambda _: None,
        }
        return TradingSession(**(defaults | options))

    return make


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path / "state" / "ledger.sqlite")


@pytest.fixture
def visit(make_session, ledger):
    """Run one pass that acts, as a process of its own would."""

    def visit(end=None, **options):
        session = make_session(**options)
        return run_single_pass(
            session, DemoPass(session, Ledger(ledger.path), ACCOUNT), end, lambda row: None
        )

    return visit


@pytest.fixture
def look(make_session):
    """Run one pass that acts nowhere."""

    def look(end=None, **options):
        session = make_session(**options)
        return run_single_pass(session, SignalPass(session), end, lambda row: None)

    return look


def backtest(bars, hours, options, folder, balance=BALANCE):
    tester = Backtester(
        bars.ticker,
        source=HeldBars(bars.between(0, FIRST + hours)),
        settings=SETTINGS,
        signal_rules=SIGNALS,
        options=options,
        model_dir=folder,
    )
    return tester.run(hours, initial_balance=balance, allow_gaps=True)


def check(ledger, ticker, result):
    run = result.requested.simulation
    rows = ledger.decisions(ACCOUNT, ticker)
    decided = [row for row in rows if "signal" in row]
    assert [row["bar"] for row in decided] == result.walk.signals.decided_at.tolist()
    assert [row["signal"] for row in decided] == result.walk.signals.signal.tolist()
    assert [row["model"] for row in decided] == result.walk.model_fingerprints
    assert ledger.fills(ACCOUNT, ticker) == run.fills
    assert ledger.trades(ACCOUNT, ticker) == tuple(trade for trade in run.trades if trade.closed)
    assert [value for _, value in ledger.equity(ACCOUNT, ticker)] == run.equity.tolist()
    assert ledger.state(ACCOUNT, ticker).pending == run.pending


def failed(rows):
    return {row.ticker: row.error for row in rows if isinstance(row, Failure)}


# Acted on


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        ExecutionOptions(),
        ExecutionOptions(exit=ExitRule.OPPOSITE, stop_loss=0.01, borrow=0.2, slippage_bps=3),
    ],
)
def test_visits_hour_by_hour_are_the_backtest(visit, source, ledger, fits, tmp_path, options):
    source.held[BTC] = without(source.held[BTC], (FIRST + 5, FIRST + 7))
    for hour in range(FIRST, FIRST + 31):
        source.until = hour
        visit(options=options)
    result = backtest(source.held[BTC], 30, options, tmp_path / "models")
    assert len(result.requested.simulation.fills) > 4
    check(ledger, BTC, result)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 4])
def test_tickers_side_by_side_are_backtests_with_a_share_each(visit, source, ledger, fits, tmp_path, workers):
    for hour in range(FIRST + 10, FIRST + 19):
        source.until = hour
        rows = visit(tickers=(BTC, ETH, SOL), workers=workers)
        assert {row.ticker for row in rows} == {BTC, ETH, SOL}
    for ticker in (BTC, ETH, SOL):
        held = source.held[ticker]
        tester = Backtester(
            ticker,
            source=HeldBars(held.between(0, FIRST + 18)),
            settings=SETTINGS,
            signal_rules=SIGNALS,
            options=ExecutionOptions(),
            model_dir=tmp_path / "models",
        )
        check(ledger, ticker, tester.run(8, initial_balance=BALANCE / 3))


def entry_ahead(source, folder):
    """Return the backtest and the hour at whose open its first entry fills."""
    result = backtest(source.held[BTC], 30, ExecutionOptions(), folder)
    return result, result.requested.simulation.fills[0].at


def test_a_pending_order_is_filled_at_the_next_open_before_the_next_decision(
    visit, source, ledger, fits, tmp_path
):
    result, hour = entry_ahead(source, tmp_path / "other")
    source.until = hour
    (row,) = visit()
    assert row.acted
    assert row.pending == (f"enter {'long' if result.requested.simulation.fills[0].side > 0 else 'short'}",)
    assert ledger.fills(ACCOUNT, BTC) == row.fills == ()
    source.until = hour + 1
    (row,) = visit()
    bars = source.held[BTC]
    opened = float(bars.open[hour - int(bars.opened[0])])
    assert [(fill.at, fill.price) for fill in row.fills[:1]] == [(hour, opened)]
    assert ledger.fills(ACCOUNT, BTC) == row.fills


def test_a_second_run_on_the_same_bar_does_nothing(visit, source, ledger, fits, tmp_path):
    _, source.until = entry_ahead(source, tmp_path / "other")
    first, second = visit()[0], visit()[0]
    assert (first.acted, second.acted) == (True, False)
    assert "already acted on" in second.reason
    assert second.pending == first.pending
    assert (second.equity, second.fills) == (first.equity, ())
    assert len(ledger.decisions(ACCOUNT, BTC)) == 1


def test_a_run_after_several_bars_walks_them_and_decides_the_last(visit, source, ledger, fits, tmp_path):
    options = ExecutionOptions(borrow=0.3)
    _, hour = entry_ahead(source, tmp_path / "other")
    source.until = hour
    visit(options=options)
    source.until = hour + 6
    (row,) = visit(options=options)
    assert row.bar == hour + 6
    assert [fill.at for fill in row.fills] == [hour]
    assert [bar for bar, _ in ledger.equity(ACCOUNT, BTC)] == list(range(hour, hour + 7))
    assert [found["bar"] for found in ledger.decisions(ACCOUNT, BTC)] == [hour, hour + 6]
    since = to_iso(hour)[:16].replace("T", " ")
    (note,) = [note for note in row.notes if "no decision" in note]
    assert note.startswith(f"no decision was made in 5 hours since {since} UTC; `crypto-refactor reconcile`")


def test_only_bars_that_closed_and_were_not_decided_are_noted(visit, source, ledger, fits, tmp_path):
    _, hour = entry_ahead(source, tmp_path / "other")
    source.held[BTC] = without(source.held[BTC], (hour + 2, hour + 4))
    missed = {}
    for source.until in (hour, hour + 1, hour + 5, hour + 7):  # next, after a gap, after a pause
        (row,) = visit()
        missed[source.until - hour] = [note for note in row.notes if "no decision" in note]
    assert missed[0] == missed[1] == []
    assert [len(missed[after]) for after in (5, 7)] == [1, 1]
    assert missed[5][0].startswith("no decision was made in 1 hour since")
    assert missed[7][0].startswith("no decision was made in 1 hour since")


def test_an_entry_whose_next_bar_is_missing_lapses(visit, source, ledger, fits, tmp_path):
    _, hour = entry_ahead(source, tmp_path / "other")
    source.until = hour
    visit()
    source.held[BTC] = without(source.held[BTC], (hour, hour + 2))
    source.until = hour + 3
    (row,) = visit()
    assert ledger.fills(ACCOUNT, BTC) == ()
    assert row.sub_account.cash == BALANCE


def test_an_end_without_a_bar_is_lived_through_but_not_decided(visit, source, ledger, fits):
    source.held[BTC] = without(source.held[BTC], (FIRST, FIRST + 1))
    source.until = FIRST + 3
    assert visit(FIRST)[0].acted
    (row,) = visit(FIRST + 1)
    assert "no bar closed at this hour" in row.reason
    assert (row.acted, row.decision, row.target) == (False, None, None)
    assert [found["bar"] for found in ledger.decisions(ACCOUNT, BTC)] == [FIRST]


def test_an_earlier_end_is_refused_before_anything_is_trained(visit, source, ledger, fits):
    source.until = CUTOFF + 5
    visit(CUTOFF + 3)
    trained = fits.trained
    (error,) = failed(visit(CUTOFF - 3)).values()
    assert isinstance(error, UsageError)
    assert fits.trained == trained
    assert len(ledger.decisions(ACCOUNT, BTC)) == 1


def test_two_runs_at_the_same_time_act_once(visit, source, ledger, fits):
    visit()
    source.until += 1
    rows, together = [], threading.Barrier(2)

    def run():
        together.wait()
        rows.extend(visit())

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.acted for row in rows) == [False, True]
    assert len(ledger.decisions(ACCOUNT, BTC)) == 2


# Shares, and tickers that fail


def test_a_share_is_the_balance_divided_by_the_tickers_that_are_offered(visit, source, ledger, fits):
    del source.held[SOL]
    rows = visit(tickers=(SOL, BTC, ETH))
    assert [row.ticker for row in rows if isinstance(row, Unavailable)] == [SOL]
    assert ledger.opening(ACCOUNT, BTC).balance == ledger.opening(ACCOUNT, ETH).balance == BALANCE / 2


def test_a_ticker_that_was_asked_for_and_is_not_offered_is_a_failure(visit, source, fits):
    del source.held[SOL]
    assert list(failed(visit(tickers=(BTC, SOL), explicitly_requested=True))) == [SOL]


def test_an_open_sub_account_is_kept(visit, source, ledger, fits):
    visit()
    source.until += 1
    visit(tickers=(BTC, ETH))
    assert ledger.opening(ACCOUNT, BTC).balance == BALANCE
    assert ledger.opening(ACCOUNT, ETH).balance == BALANCE / 2


@pytest.mark.parametrize("workers", [1, 3])
def test_a_ticker_whose_data_are_broken_leaves_the_others_alone(visit, source, ledger, fits, workers):
    source.wrong[ETH] = DataError("Row 3 is not a bar.", expected="a bar.", remedy="correct it.")
    rows = visit(tickers=(BTC, ETH, SOL), workers=workers)
    assert list(failed(rows)) == [ETH]
    assert {row.ticker for row in rows if isinstance(row, TickerOutcome) and row.acted} == {BTC, SOL}
    assert ledger.opening(ACCOUNT, BTC).balance == BALANCE / 3  # it is offered, so it has its share


@pytest.mark.parametrize("workers", [1, 3])
def test_a_ticker_whose_fit_fails_leaves_the_others_alone(visit, source, fits, monkeypatch, workers):
    (period,) = refit_periods(source.held[ETH], FIRST, FIRST, SETTINGS)
    bad = training_rows(period, SETTINGS).last_bars

    def fit(jobs, settings, on_progress, *, workers=None, cluster=None):
        for position, trained in fits(jobs, settings, on_progress):
            lost = jobs[position].last_bars == bad
            yield position, ModelError("It diverged.", expected="x", remedy="y") if lost else trained

    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fit)
    rows = visit(tickers=(BTC, ETH, SOL), workers=workers)
    assert list(failed(rows)) == [ETH]
    assert {row.ticker for row in rows if isinstance(row, TickerOutcome)} == {BTC, SOL}


def test_where_no_fit_can_run_any_more_those_with_a_model_act_all_the_same(visit, source, fits, monkeypatch):
    visit()
    source.until += 1

    def broken(jobs, settings, on_progress, *, workers=None, cluster=None):
        raise ModelError("A process that trained a model has died.", expected="x", remedy="y")
        yield

    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", broken)
    rows = visit(tickers=(BTC, ETH, SOL), workers=3)
    assert set(failed(rows)) == {ETH, SOL}
    assert {error.exit_code for error in failed(rows).values()} == {4}
    assert [row.ticker for row in rows if isinstance(row, TickerOutcome) and row.acted] == [BTC]


def test_rules_that_a_ticker_does_not_allow_are_said_before_anything_is_trained(visit, source, fits):
    odd = Ticker("ODD", "USD")
    source.held[odd] = replace(source.held[BTC], ticker=odd)
    rows = visit(tickers=(odd,), options=ExecutionOptions(venue="alpaca"))
    assert isinstance(failed(rows)[odd], UsageError)
    assert fits.trained == 0


# Signals alone


@pytest.mark.parametrize("workers", [1, 4])
def test_signals_alone_are_those_of_the_backtest_and_leave_no_ledger(look, source, fits, tmp_path, workers):
    source.until = FIRST + 30
    rows = {row.ticker: row for row in look(tickers=(BTC, ETH, SOL), workers=workers)}
    for ticker in (BTC, ETH, SOL):
        made = backtest(source.held[ticker], 30, ExecutionOptions(), tmp_path / "models").walk.signals
        row = rows[ticker]
        assert (row.account, row.acted, row.sub_account, row.pending) == (None, False, None, ())
        assert int(row.decision.signals.signal[-1]) == row.target == int(made.signal[-1])
        assert row.decision.signals.predicted[-1] == made.predicted[-1]
    assert not (tmp_path / "state").exists()


def test_what_would_be_wanted_from_flat_follows_the_rules(look, source, fits):
    targets = {}
    for name, options in {"both": ExecutionOptions(), "long": ExecutionOptions(long_only=True)}.items():
        targets[name] = []
        for hour in range(FIRST, FIRST + 31):
            targets[name] += [row.target for row in look(hour, options=options)]
            source.until = hour + 1
    assert -1 in targets["both"]
    assert targets["long"] == [max(target, 0) for target in targets["both"]]


def test_signals_at_an_hour_without_a_bar_are_none_and_train_nothing(look, source, fits):
    source.held[BTC] = without(source.held[BTC], (FIRST, FIRST + 1))
    source.until = FIRST + 3
    (row,) = look(FIRST + 1)
    assert (row.decision, row.target, row.reason) == (None, None, "no bar closed at this hour")
    assert fits.trained == 0


# On Alpaca's bars


@pytest.fixture
def world(tmp_path, fits):
    with PassingHours({ticker: alpaca_bars(ticker) for ticker in (BTC, ETH)}, tmp_path) as world:
        world.start(FIRST, seconds=900)
        yield world


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("dated", [True, False])
def test_a_first_ticker_that_alpaca_does_not_offer_leaves_the_others_alone(world, workers, dated):
    world.server.dated = dated
    session = world.session(tickers=(SOL, BTC, ETH), workers=workers)
    rows = run_single_pass(session, SignalPass(session), None, lambda row: None)
    assert {row.ticker for row in rows if isinstance(row, Unavailable)} == {SOL}
    assert {(row.ticker, row.bar) for row in rows if isinstance(row, TickerOutcome)} == {
        (BTC, FIRST),
        (ETH, FIRST),
    }


def test_an_alpaca_that_does_not_answer_fails_every_ticker_once(world):
    world.server.always = status(500)
    session = world.session()
    rows = run_single_pass(session, SignalPass(session), None, lambda row: None)
    assert {row.ticker: row.error.exit_code for row in rows} == {BTC: 3, ETH: 3}
    assert len(world.server.requests) < 8


def test_a_signal_without_an_account_is_recorded_once_under_its_model_and_source(make_session, ledger, fits):
    session = make_session()
    for _ in range(2):
        (row,) = run_single_pass(session, SignalPass(session, ledger), None, lambda row: None)
    (kept,) = ledger.forecasts("model/loop/sample")[BTC]
    signals = row.decision.signals
    assert (kept.bar, kept.predicted) == (FIRST, float(signals.predicted[-1]))
    assert ledger.accounts() == ()


def test_a_signal_is_not_lost_where_the_ledger_cannot_be_written(make_session, ledger, fits):
    ledger.path.parent.mkdir()
    ledger.path.write_bytes(b"no database, but long enough to be looked at as if it were one" * 50)
    session = make_session()
    (row,) = run_single_pass(session, SignalPass(session, ledger), None, lambda row: None)
    assert row.decision is not None
    assert any("the forecast was not recorded: The ledger" in note for note in row.notes)
