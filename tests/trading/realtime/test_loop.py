"""The loop, hour by hour: bars appear on a server on this machine while the clock of the test goes on."""

from __future__ import annotations

import re
import threading
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pytest
from support.alpaca_data_server import body, reset, silence, status
from support.fake_clock_loop import (
    ACCOUNT,
    BALANCE,
    HASTY,
    SETTINGS,
    SIGNALS,
    PassingHours,
    alpaca_bars,
    only,
)
from support.jumps import planted
from support.stub_models import BTC, HeldBars

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.errors import BrokerError, ModelError, UnavailableError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.trading.brokers.base import NotTradedError, UnreachableError
from crypto_refactor.trading.kill_switch import halt, lift_halt
from crypto_refactor.trading.outcomes import Failure, Unavailable
from crypto_refactor.trading.realtime.accounts import DemoAccount
from crypto_refactor.trading.realtime.loop import WAKE_SECONDS
from crypto_refactor.trading.realtime.patience import LATE_SECONDS

ETH, SOL = Ticker("ETH", "USD"), Ticker("SOL", "USD")
CUTOFF = int(alpaca_bars(BTC).closed[1547])
FIRST = CUTOFF - 14


@pytest.fixture
def make_world(tmp_path, fits):
    made = []

    def make(*tickers, seconds=30.0, first=FIRST, bars=None):
        offered = bars or {ticker: alpaca_bars(ticker) for ticker in tickers or (BTC,)}
        world = PassingHours(offered, tmp_path)
        made.append(world.__enter__())
        world.start(first, seconds=seconds)
        return world

    yield make
    for world in made:
        world.__exit__(None, None, None)


def jumping(kind, opened):
    """Return the bars of BTC with a jump in the bar that opened at `opened`."""
    bars = alpaca_bars(BTC)
    return {BTC: planted(bars, int(np.searchsorted(bars.opened, opened)))[kind]}


@pytest.fixture
def world(make_world):
    return make_world()


def backtest(world, ticker, hours, options, balance=BALANCE):
    """Return the backtest of the hours after FIRST, with models of its own."""
    tester = Backtester(
        ticker,
        source=HeldBars(world.bars[ticker].between(0, FIRST + hours)),
        settings=SETTINGS,
        signal_rules=SIGNALS,
        options=options,
        model_dir=world.folder / "models of the backtest",
    )
    return tester.run(hours, initial_balance=balance, allow_jumps=True)


def check(world, ticker, result):
    """Insist that the ledger holds what the backtest found; its last decision is filled after its end."""
    ledger, end = world.ledger, result.end
    rows = [row for row in ledger.decisions(ACCOUNT, ticker) if row["bar"] <= end]
    made, signals = result.walk.signals, [row for row in rows if "signal" in row]
    assert [row["bar"] for row in signals] == made.decided_at.tolist()
    assert [row["signal"] for row in signals] == made.signal.tolist()
    assert [row["predicted"] for row in signals] == made.predicted.tolist()
    assert [row["model"] for row in signals] == result.walk.model_fingerprints
    kept = {each.bar: each for each in ledger.forecasts(ACCOUNT)[ticker]}
    forecast = [row for row in signals if not row["reason"].startswith("the close jumps")]
    assert [row["bar"] for row in forecast] == [bar for bar in kept if bar <= end]
    said = dict(
        zip(
            made.decided_at.tolist(),
            zip(made.predicted, made.low, made.high, made.confidence, strict=True),
            strict=True,
        )
    )
    for row in forecast:
        each = kept[row["bar"]]
        assert (each.predicted, each.low, each.high, each.confidence) == said[each.bar]
    assert [row["target"] for row in rows] == result.requested.simulation.target.tolist()
    fills = ledger.fills(ACCOUNT, ticker)
    assert tuple(fill for fill in fills if fill.at < end) == result.requested.simulation.fills
    trades = ledger.trades(ACCOUNT, ticker)
    closed = tuple(trade for trade in result.requested.simulation.trades if trade.closed)
    assert tuple(trade for trade in trades if trade.exit_hour < end) == closed
    equity = [value for bar, value in ledger.equity(ACCOUNT, ticker) if bar <= end]
    assert equity == result.requested.simulation.equity.tolist()


def decided(world, ticker=BTC):
    return [row["bar"] for row in world.ledger.decisions(ACCOUNT, ticker)]


def kinds(world):
    return [(type(row), row.ticker) for _, row in world.rows]


# What is traded is what was backtested

RULES = {
    "long and short": ExecutionOptions(),
    "alpaca": ExecutionOptions(venue="alpaca"),
    "protected": ExecutionOptions(
        exit=ExitRule.OPPOSITE,
        stop_loss=0.01,
        take_profit=0.02,
        max_drawdown=0.05,
        borrow=0.2,
        slippage_bps=3,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", RULES)
def test_thirty_hours_are_the_backtest_of_these_hours(name, world):
    world.loop(options=RULES[name]).run(31)
    result = backtest(world, BTC, 30, RULES[name])
    assert len(result.requested.simulation.fills) >= 4
    assert len(set(result.walk.model_fingerprints)) == 2
    check(world, BTC, result)


@pytest.mark.slow
@pytest.mark.parametrize("jump", ["bad tick", "bad tick of two bars", "decimal point", "crash"])
@pytest.mark.parametrize("name", ["long and short", "protected"])
def test_hours_in_which_a_close_jumps_are_the_backtest_of_these_hours(name, jump, make_world):
    world = make_world(bars=jumping(jump, FIRST + 15))
    world.loop(options=RULES[name]).run(31)
    check(world, BTC, backtest(world, BTC, 30, RULES[name]))
    notes = {row.bar - FIRST: row.notes for _, row in world.rows}
    named = [hour for hour, texts in notes.items() if any("jump in the bar" in text for text in texts)]
    assert named == [16, 17, 18]
    assert "the close jumps" in next(row.reason for _, row in world.rows if row.bar == FIRST + 16)


@pytest.mark.slow
def test_a_position_in_another_unit_is_left_to_a_person_every_hour(make_world):
    world = make_world(bars=jumping("redenomination", FIRST + 15))
    world.loop(options=ExecutionOptions(exit=ExitRule.OPPOSITE), allow_jumps=True).run(31)
    failed = [row for _, row in world.rows if isinstance(row, Failure)]
    held = world.ledger.state(ACCOUNT, BTC)
    assert held.account.side != 0
    assert held.processed_through <= FIRST + 18
    assert ["changed their unit" in row.error.what for row in failed] == [True]
    assert len(world.again) > 10  # said once, and posted each hour


def test_a_change_of_units_in_the_history_is_refused_until_it_is_allowed(make_world):
    world = make_world(bars=jumping("redenomination", FIRST - 100))
    world.loop().run(1)
    ((_, refused),) = world.rows
    assert "level break" in refused.error.what
    world.rows.clear()
    world.loop(allow_jumps=True).run(1)
    ((_, row),) = world.rows
    assert row.acted
    assert row.price == float(world.bars[BTC].close[np.searchsorted(world.bars[BTC].closed, FIRST)])


def test_restarts_change_nothing(world):
    for hours in (1, 3, 12, 2, 13):
        world.loop(options=RULES["protected"]).run(hours)
        world.sleep(3600)
    check(world, BTC, backtest(world, BTC, 30, RULES["protected"]))


def test_hours_in_which_nothing_ran_are_lived_through_but_not_decided(world):
    options = ExecutionOptions(exit=ExitRule.OPPOSITE, borrow=0.5)
    world.loop(options=options).run(3)
    world.sleep(5 * 3600)
    world.loop(options=options).run(1)
    assert decided(world) == [FIRST, FIRST + 1, FIRST + 2, FIRST + 7]
    assert [bar for bar, _ in world.ledger.equity(ACCOUNT, BTC)] == list(range(FIRST, FIRST + 8))


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 3])
def test_several_tickers_are_several_backtests_with_a_share_each(make_world, workers):
    world = make_world(BTC, ETH, SOL)
    world.loop(workers=workers).run(17)
    for ticker in (BTC, ETH, SOL):
        check(world, ticker, backtest(world, ticker, 16, ExecutionOptions(), BALANCE / 3))


# When it acts


def test_it_acts_at_once_and_then_a_few_seconds_after_each_close(make_world):
    world = make_world(seconds=1234)
    world.loop().run(3)
    seconds = [told for told, _ in world.seconds(FIRST)]
    assert seconds == [1234, 3600 + WAKE_SECONDS, 7200 + WAKE_SECONDS]
    assert [row.late for _, row in world.rows] == [True, False, False]


def test_a_bar_that_is_late_is_asked_for_until_it_is_there(world):
    world.late[BTC, FIRST + 1] = 200
    world.loop().run(2)
    told, row = world.seconds(FIRST + 1)[1]
    assert 200 <= told <= 230
    assert (row.acted, row.late, row.bar) == (True, False, FIRST + 1)
    (note,) = [note for note in world.notes if "not there yet" in note]
    assert note.startswith("BTC/USD: ")


def test_a_bar_that_does_not_come_is_given_up_after_ten_minutes(world):
    world.late[BTC, FIRST + 1] = None
    world.loop().run(3)
    told, row = world.seconds(FIRST + 1)[1]
    assert LATE_SECONDS <= told <= LATE_SECONDS + 30
    assert isinstance(row, Failure)
    assert "not there yet" in row.error.what
    assert decided(world) == [FIRST, FIRST + 2]


def test_a_bar_that_comes_after_ten_minutes_is_walked_but_not_decided(world):
    world.late[BTC, FIRST + 1] = 1000
    world.loop().run(3)
    assert decided(world) == [FIRST, FIRST + 2]
    assert [bar for bar, _ in world.ledger.equity(ACCOUNT, BTC)] == [FIRST, FIRST + 1, FIRST + 2]


def test_a_bar_found_just_after_ten_minutes_is_traded_late(world):
    world.late[BTC, FIRST + 1] = LATE_SECONDS - 1
    world.loop().run(2)
    told, row = world.seconds(FIRST + 1)[1]
    assert told > LATE_SECONDS
    assert (row.acted, row.late) == (True, True)


def test_a_bar_is_acted_on_once_however_often_the_loop_is_started(world):
    for _ in range(3):
        world.loop().run(1)
    assert decided(world) == [FIRST]
    assert [row.acted for _, row in world.rows] == [True, False, False]
    assert "already acted on" in world.rows[-1][1].reason
    assert len(world.ledger.fills(ACCOUNT, BTC)) <= 1


def test_it_says_now_and_then_that_it_waits_and_what_it_holds(world):
    world.loop().run(3)
    assert sorted({until for until, _ in world.waits}) == [
        to_datetime(FIRST + after) + timedelta(seconds=WAKE_SECONDS) for after in (1, 2)
    ]
    assert len(world.waits) >= 2 * 4
    assert all("no position" in text or "BTC" in text for _, text in world.waits)


def test_a_machine_that_slept_trades_the_latest_bar_only(world):
    slept = []

    def oversleep(seconds):
        slept.append(seconds)
        world.sleep(seconds + 9 * 3600 if len(slept) == 2 else seconds)

    world.loop(sleep=oversleep).run(3)
    assert decided(world) == [FIRST, FIRST + 9, FIRST + 10]


# Clocks


@pytest.mark.parametrize("ahead", [130, -130, 7200, -7200])
def test_clocks_that_disagree_trade_nothing_and_say_so(make_world, ahead):
    world = make_world(seconds=1300)
    world.ahead = ahead
    world.loop().run(2)
    assert decided(world) == []
    assert [kind for kind, _ in kinds(world)] == [Failure]
    found = re.search(r"clock and Alpaca's are (\d+) s apart", world.rows[0][1].error.what)
    assert int(found[1]) == pytest.approx(abs(ahead), abs=1)  # the server's date has whole seconds


@pytest.mark.parametrize("ahead", [110, -110])
def test_clocks_that_disagree_a_little_are_put_up_with(world, ahead):
    world.sleep(300)
    world.ahead = ahead
    world.loop().run(3)
    assert decided(world) == [FIRST, FIRST + 1, FIRST + 2]
    assert all(row.acted and not row.late for _, row in world.rows)


@pytest.mark.parametrize("ahead", [600, 3 * 3600, -3 * 3600])
def test_a_clock_that_was_put_right_trades_again_within_the_hour_after(world, ahead):
    world.ahead = ahead
    world.at(FIRST, 1800, lambda: setattr(world, "ahead", 0))
    world.loop().run(4)
    assert FIRST + 1 in decided(world)


# Sources that fail


@pytest.mark.slow
def test_old_bars_are_not_traded(world):
    for hour in range(FIRST + 1, FIRST + 6):
        world.late[BTC, hour] = None
    world.loop().run(7)
    assert decided(world) == [FIRST, FIRST + 6]
    late, stale = (row.error.what for _, row in world.rows if isinstance(row, Failure))
    assert "not there yet" in late
    assert "4 h before the end" in stale


FAULTS = {
    "429": status(429, Retry_After="20"),
    "500": status(500),
    "html": body("<html>try later</html>", content_type="text/html"),
    "reset": reset(),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_source_that_fails_for_minutes_is_asked_again(name, world):
    world.fault(FIRST + 1, 0, 300, FAULTS[name])
    world.loop().run(2)
    told, row = world.seconds(FIRST + 1)[1]
    assert 300 <= told <= 340
    assert (row.acted, row.late) == (True, False)
    assert len(world.server.requests) < 60


@pytest.mark.slow
def test_a_source_that_stalls_is_asked_again(world):
    world.fault(FIRST + 1, 0, 40, silence())
    world.loop(source=world.source(limits=HASTY)).run(2)
    told, row = world.seconds(FIRST + 1)[1]
    assert 40 <= told <= 90
    assert row.acted


@pytest.mark.parametrize("tickers", [(BTC,), (BTC, ETH)])
def test_a_source_that_fails_for_an_hour_costs_that_hour_only(make_world, tickers):
    world = make_world(*tickers)
    world.fault(FIRST + 1, 0, 3590, status(500))
    world.loop(workers=len(tickers)).run(3)
    for ticker in tickers:
        assert decided(world, ticker) == [FIRST, FIRST + 2]
    failures = [(told, row) for told, row in world.seconds(FIRST + 1) if isinstance(row, Failure)]
    assert [row.error.exit_code for _, row in failures] == [3] * len(tickers)
    assert all(LATE_SECONDS <= told <= LATE_SECONDS + 40 for told, _ in failures)


@pytest.mark.parametrize("tickers", [(BTC,), (BTC, ETH)])
def test_a_source_that_fails_at_the_start_is_waited_for(make_world, tickers):
    world = make_world(*tickers)
    world.server.always = reset()
    world.at(FIRST, 200, lambda: setattr(world.server, "always", None))
    world.loop().run(2)
    for ticker in tickers:
        assert decided(world, ticker) == [FIRST, FIRST + 1]


def test_a_source_that_fails_late_in_the_hour_is_asked_for_two_minutes_more(make_world):
    world = make_world(seconds=1800)
    world.server.always = status(500)
    world.at(FIRST, 1860, lambda: setattr(world.server, "always", None))
    world.loop().run(1)
    assert world.rows[0][1].acted


@pytest.mark.slow
def test_a_price_that_cannot_be_had_leaves_no_half_decision(world):
    for hour in range(FIRST, FIRST + 13):
        world.fault(hour, 0, 100, only("latest/trades", status(500)))
    world.loop(options=ExecutionOptions(position_size=0.5)).run(13)
    result = backtest(world, BTC, 12, ExecutionOptions(position_size=0.5))
    assert result.requested.simulation.fills
    check(world, BTC, result)


def test_a_ticker_whose_bars_are_broken_does_not_hold_up_the_others(make_world):
    world = make_world(BTC, ETH)
    world.revise(ETH, FIRST + 1, l=-1.0)
    world.loop(workers=2).run(2)
    told = {row.ticker: (told, row) for told, row in world.seconds(FIRST + 1)[2:]}
    assert told[BTC][0] == WAKE_SECONDS
    assert told[BTC][1].acted
    assert isinstance(told[ETH][1], Failure)
    assert decided(world, ETH) == [FIRST]


def test_a_ticker_whose_price_stalls_does_not_hold_up_the_others(make_world):
    world = make_world(BTC, ETH)
    world.loop(workers=2).run(1)
    world.server.always = only("latest/trades?symbols=ETH", world.silence)
    for _ in range(2):
        world.sleep(3600)
        world.loop(workers=2).once()
    assert decided(world, BTC) == list(range(FIRST, FIRST + 3))
    failures = [row for _, row in world.rows if isinstance(row, Failure)]
    assert {row.ticker for row in failures} == {ETH}


# Tickers that are not offered


def test_a_ticker_that_is_not_offered_is_named_once_and_gets_no_share(make_world):
    world = make_world(BTC, ETH)
    world.loop(tickers=(SOL, BTC, ETH)).run(3)
    assert [row.ticker for _, row in world.rows if isinstance(row, Unavailable)] == [SOL]
    assert world.ledger.opening(ACCOUNT, BTC).balance == BALANCE / 2
    assert decided(world, BTC) == decided(world, ETH) == [FIRST, FIRST + 1, FIRST + 2]


def test_a_ticker_that_alpaca_calls_invalid_leaves_the_others_alone(make_world):
    world = make_world(BTC, ETH)
    world.server.invalid = {"SOL/USD"}
    world.loop(tickers=(SOL, BTC, ETH), workers=3).run(2)
    assert [row.ticker for _, row in world.rows if isinstance(row, Unavailable)] == [SOL]
    assert decided(world, BTC) == decided(world, ETH) == [FIRST, FIRST + 1]


def test_a_ticker_that_was_asked_for_and_is_not_offered_is_a_failure(world):
    world.loop(tickers=(BTC, SOL), explicitly_requested=True).run(2)
    (failure,) = [row for _, row in world.rows if isinstance(row, Failure)]
    assert failure.ticker == SOL
    assert isinstance(failure.error, UnavailableError)


@pytest.mark.parametrize("requested", [True, False])
def test_a_loop_without_a_ticker_left_ends(world, requested):
    world.loop(tickers=(SOL, ETH), explicitly_requested=requested).run()
    assert kinds(world) == [(Failure if requested else Unavailable, ticker) for ticker in (SOL, ETH)]


def test_a_server_that_tells_no_time_is_no_obstacle(make_world):
    world = make_world(BTC, ETH)
    world.server.dated = False
    world.loop(tickers=(SOL, BTC, ETH)).run(2)
    assert decided(world, BTC) == decided(world, ETH) == [FIRST, FIRST + 1]


def test_a_share_is_settled_once(make_world):
    world = make_world(BTC, ETH)
    world.late[ETH, FIRST] = None
    world.sleep(0)
    world.loop().run(2)
    assert world.ledger.opening(ACCOUNT, ETH).balance == BALANCE / 2
    assert world.ledger.opening(ACCOUNT, ETH).at == FIRST + 1


def test_a_later_run_keeps_the_sub_accounts_it_finds(make_world):
    world = make_world(BTC, ETH)
    world.loop(tickers=(BTC,)).run(1)
    world.sleep(3600)
    world.loop().run(1)
    assert world.ledger.opening(ACCOUNT, BTC).balance == BALANCE
    assert world.ledger.opening(ACCOUNT, ETH).balance == BALANCE / 2


def kinds_announced(world):
    return [(kind, ticker) for kind, ticker, _ in world.announced]


class Choosy(DemoAccount):
    """A demo account that does not trade some tickers for a while."""

    def __init__(self, *args, refused, error=None):
        super().__init__(*args)
        self.refused = refused
        self.error = error or NotTradedError("It is not traded.", expected="a traded one.", remedy="wait.")

    def rules(self, ticker):
        if ticker in self.refused:
            raise self.error
        return super().rules(ticker)


FLAT = SignalRules(min_confirmations=9, threshold_scale=100.0)
"""Nothing is ever entered, so that nothing is held."""


@pytest.mark.parametrize("signals", [SIGNALS, FLAT])
@pytest.mark.parametrize("tickers", [(BTC, ETH), (BTC,)])
def test_tickers_that_are_dropped_are_asked_for_again_each_hour_and_return(make_world, tickers, signals):
    world = make_world(*tickers)
    account = Choosy(world.session(), world.ledger, ACCOUNT, refused=set())
    gone = set(tickers[-1:])
    world.at(FIRST, 1800, lambda: account.refused.update(gone))
    world.at(FIRST + 3, 1800, account.refused.clear)
    world.loop(account=account, signal_rules=signals).run(6)
    assert decided(world, tickers[-1]) == [FIRST, FIRST + 4, FIRST + 5]
    assert kinds_announced(world) == [("unavailable", tickers[-1]), ("available", tickers[-1])]
    assert "after 3 h 00 min" in world.announced[-1][2]
    assert len([row for _, row in world.rows if isinstance(row, Unavailable)]) == 1


def test_all_tickers_gone_at_once_do_not_end_a_loop_that_has_traded(make_world):
    world = make_world(BTC, ETH)
    account = Choosy(world.session(), world.ledger, ACCOUNT, refused=set())
    world.at(FIRST, 1800, lambda: account.refused.update({BTC, ETH}))
    world.at(FIRST + 2, 1800, account.refused.clear)
    world.loop(account=account, signal_rules=FLAT).run(4)
    for ticker in (BTC, ETH):
        assert world.ledger.fills(ACCOUNT, ticker) == ()
        assert decided(world, ticker) == [FIRST, FIRST + 3]


def test_a_ticker_that_was_not_offered_at_the_start_takes_no_money_from_the_others_later(make_world):
    world = make_world(BTC, ETH)
    late = {ETH: world._all.pop(ETH)}
    del world.server.rows["ETH/USD"], world.server.trades["ETH/USD"]
    world.at(FIRST, 1800, lambda: world._all.update(late))
    world.loop().run(3)
    assert world.ledger.opening(ACCOUNT, BTC).balance == BALANCE
    assert world.ledger.opening(ACCOUNT, ETH) is None
    assert [row.why for _, row in world.rows if isinstance(row, Unavailable)][-1].startswith(
        "ETH/USD has no part of the budget"
    )


# Answers that are no facts, and bars that are none

EMPTY = {
    "no ticker": body('{"bars": {}, "next_page_token": null}'),
    "no row": body('{"bars": {"BTC/USD": [], "ETH/USD": []}, "next_page_token": null}'),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("hour", [FIRST, FIRST + 1])
def test_an_empty_answer_drops_no_ticker(make_world, name, hour):
    world = make_world(BTC, ETH, seconds=5)
    world.fault(hour, 5, 300, only("/bars", EMPTY[name]))
    world.loop().run(3)
    for ticker in (BTC, ETH):
        assert decided(world, ticker) == [FIRST, FIRST + 1, FIRST + 2]
    assert not [row for _, row in world.rows if isinstance(row, Unavailable)]


@pytest.mark.parametrize("defect", [{"l": 1e9}, {"h": None}, {"o": 0}, {"c": "x"}, {"v": float("nan")}])
def test_a_defective_bar_costs_its_hour_and_no_other_ticker_anything(make_world, defect):
    world = make_world(BTC, ETH)
    world.revise(ETH, FIRST + 1, **defect)
    world.loop(workers=2).run(4)
    assert decided(world, BTC) == [FIRST + hour for hour in range(4)]
    assert decided(world, ETH) == [FIRST, FIRST + 2, FIRST + 3]
    (row,) = [row for _, row in world.rows if isinstance(row, Failure)]
    assert "not there yet" in row.error.what


def test_a_request_for_several_tickers_that_fails_falls_back_to_each_of_them(make_world):
    world = make_world(BTC, ETH)
    world.server.always = only("symbols=BTC/USD,ETH/USD", status(500))
    world.loop().run(2)
    for ticker in (BTC, ETH):
        assert decided(world, ticker) == [FIRST, FIRST + 1]


# What nobody expected


def unexpected_in(world, place):
    """Return options of a loop in which something is broken from half past FIRST until half past FIRST + 1."""
    source, ledger = world.source(), world.ledger
    account = Choosy(world.session(), ledger, ACCOUNT, refused=set(), error=ZeroDivisionError("planted"))
    owner, name = {
        "rules": (account, "rules"),
        "bars": (source, "bars"),
        "preflight": (account, "begin_pass"),
        "prefetch": (source, "prefetch"),
        "now": (source, "now"),
        "ledger": (ledger, "has_decision"),
        "position": (ledger, "state"),
    }[place]
    usual = getattr(owner, name)

    def broken(*args, **options):
        mine = place in {"preflight", "prefetch", "now"} or ETH in args
        if mine and world.broken:
            raise world.broken
        return usual(*args, **options)

    setattr(owner, name, broken)
    return {"account": account, "source": source, "ledger": ledger}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("error", [ZeroDivisionError("planted"), MemoryError(), OSError(5, "planted")])
@pytest.mark.parametrize("place", ["rules", "bars", "ledger", "position"])
def test_an_unexpected_exception_is_the_failure_of_its_ticker_until_the_next_hour(
    make_world, place, error, workers
):
    world = make_world(BTC, ETH)
    world.broken = None
    options = unexpected_in(world, place)
    world.at(FIRST, 1800, lambda: setattr(world, "broken", error))
    world.at(FIRST + 1, 1800, lambda: setattr(world, "broken", None))
    world.loop(workers=workers, **options).run(3)
    assert decided(world, BTC) == [FIRST, FIRST + 1, FIRST + 2]
    assert decided(world, ETH) == [FIRST, FIRST + 2]
    ((told, row),) = [(told, row) for told, row in world.seconds(FIRST + 1) if isinstance(row, Failure)]
    assert (row.ticker, row.error.exit_code) == (ETH, 70)
    assert told < 60, "trying again at once does not mend a fault of the tool"
    assert "--debug" in row.error.remedy
    assert kinds_announced(world) == [("recovered", ETH)]


@pytest.mark.parametrize(("place", "lost"), [("preflight", [FIRST + 1]), ("prefetch", []), ("now", [])])
def test_an_unexpected_exception_of_the_whole_pass_costs_that_hour_at_most(make_world, place, lost):
    world = make_world(BTC, ETH)
    world.broken = None
    options = unexpected_in(world, place)
    world.at(FIRST, 1800, lambda: setattr(world, "broken", KeyError("planted")))
    world.at(FIRST + 1, 1800, lambda: setattr(world, "broken", None))
    world.loop(workers=2, **options).run(3)
    for ticker in (BTC, ETH):
        assert decided(world, ticker) == [hour for hour in range(FIRST, FIRST + 3) if hour not in lost]


def test_a_pass_that_breaks_is_announced_and_the_next_hour_is_traded(world, monkeypatch):
    loop, calls = world.loop(), []
    usual = loop._pass.run

    def broken(*args):
        calls.append(args)
        if len(calls) == 2:
            raise RuntimeError("planted")
        return usual(*args)

    monkeypatch.setattr(loop._pass, "run", broken)
    loop.run(3)
    assert decided(world) == [FIRST, FIRST + 2]
    ((kind, _, text),) = world.announced
    assert (kind, "planted" in text) == ("failure", True)


# What lasts is said when it begins and when it ends


def test_a_bar_that_is_late_for_hours_is_said_twice(world):
    for hour in (1, 2, 3):
        world.late[BTC, FIRST + hour] = None if hour < 3 else 3000
    world.loop().run(6)
    failures = [row for _, row in world.rows if isinstance(row, Failure)]
    assert len(failures) == 1
    assert len([note for note in world.notes if "Retrying until" in note]) == 1
    assert kinds_announced(world) == [("recovered", BTC)]
    assert "is traded again after 2 h 50 min" in world.announced[0][2]
    assert "not there yet" in world.announced[0][2]


def test_a_position_that_cannot_be_traded_is_posted_each_hour(world):
    for hour in range(1, 4):
        world.fault(FIRST + hour, 0, 3590, status(503))
    world.loop().run(5)
    assert world.ledger.fills(ACCOUNT, BTC)[0].at == FIRST, "choose other bars"
    assert len([row for _, row in world.rows if isinstance(row, Failure)]) == 1
    assert len(world.again) == 2
    assert kinds_announced(world) == [("recovered", BTC)]


def test_another_reason_is_said(world):
    world.fault(FIRST + 1, 0, 3590, status(503))
    world.late[BTC, FIRST + 2] = None
    world.loop().run(4)
    first, second = [row.error.what for _, row in world.rows if isinstance(row, Failure)]
    assert "503" in first
    assert "not there yet" in second


def test_a_block_is_said_when_it_begins_and_when_it_ends(world):
    account = DemoAccount(world.session(), world.ledger, ACCOUNT)
    why = ["too little buying power", "too little, still", "too little", None, None]
    account.begin_pass = lambda opening: why.pop(0)
    world.loop(account=account).run(5)
    assert [text for _, text in world.blocks] == ["too little buying power", None]
    assert world.block_lasted == ["3 h 00 min"]


def test_a_heartbeat_is_announced_every_six_hours_and_names_what_is_open(world):
    world.loop().run(20)
    beats = [text for kind, _, text in world.announced if kind == "heartbeat"]
    assert len(beats) == 3
    assert all(f"in {ACCOUNT}." in text for text in beats)


@pytest.mark.slow
def test_a_heartbeat_names_what_is_not_traded(world):
    for hour in range(1, 13):
        world.late[BTC, FIRST + hour] = None
    world.loop().run(9)
    (text,) = [text for kind, _, text in world.announced if kind == "heartbeat"]
    assert "Not traded now: BTC/USD." in text


# Accounts and ledgers that fail


class Shaky(DemoAccount):
    """A demo account whose first looks fail."""

    def __init__(self, *args, failing, error=None):
        super().__init__(*args)
        self.failing = failing
        self.error = error or BrokerError("The account is away.", expected="it.", remedy="wait.")

    def begin_pass(self, opening):
        self.failing -= 1
        if self.failing >= 0:
            raise self.error
        return super().begin_pass(opening)


def test_an_account_that_cannot_be_asked_is_asked_again(world):
    account = Shaky(world.session(), world.ledger, ACCOUNT, failing=3)
    world.loop(account=account).run(1)
    assert decided(world) == [FIRST]
    assert any("The account is away." in note for note in world.notes)


def test_an_account_that_stays_away_costs_the_hour(world):
    account = Shaky(world.session(), world.ledger, ACCOUNT, failing=1000)
    world.loop(account=account).run(2)
    assert decided(world) == []
    assert [row.error.exit_code for _, row in world.rows] == [5]


def test_why_an_account_allows_no_entry_is_said(world):
    account = DemoAccount(world.session(), world.ledger, ACCOUNT)
    account.begin_pass = lambda opening: "too little buying power"
    loop = world.loop(account=account)
    loop.run(14)
    assert loop.blocked == "too little buying power"
    assert world.ledger.fills(ACCOUNT, BTC) == ()
    assert any("not done: too little buying power" in row.reason for _, row in world.rows)


def test_a_ticker_the_venue_does_not_trade_is_named_and_left_out(make_world):
    world = make_world(BTC, ETH)
    account = DemoAccount(world.session(), world.ledger, ACCOUNT)
    rules = account.rules

    def chosen(ticker):
        if ticker == ETH:
            raise NotTradedError("ETH/USD is not traded.", expected="a traded one.", remedy="leave it out.")
        return rules(ticker)

    account.rules = chosen
    world.loop(account=account).run(2)
    assert [row.ticker for _, row in world.rows if isinstance(row, Unavailable)] == [ETH]
    assert decided(world) == [FIRST, FIRST + 1]


@pytest.mark.parametrize("method", ["state", "states", "has_decision"])
@pytest.mark.parametrize("call", [0, 1, 2])
def test_a_ledger_that_is_busy_for_a_while_is_no_end(world, method, call):
    ledger, calls = world.ledger, []
    loop = world.loop(ledger=ledger)
    usual = getattr(ledger, method)

    def busy(*args):
        calls.append(args)
        if len(calls) == call + 1:
            raise BrokerError("The ledger stayed locked for 15 s.", expected="a free one.", remedy="wait.")
        return usual(*args)

    setattr(ledger, method, busy)
    loop.run(3)
    assert decided(world) == [FIRST, FIRST + 1, FIRST + 2]
    assert calls


# Halts


def flips(world):
    """Return the backtest, and an hour at which it goes from one side to the other."""
    result = backtest(world, BTC, 30, ExecutionOptions())
    flips = (
        fill.at
        for fill, then in pairwise(result.requested.simulation.fills)
        if fill.reason != "entry" and then.at == fill.at
    )
    return result, next(flips)


@pytest.mark.slow
def test_a_halt_blocks_the_entry_and_never_the_exit(world):
    result, hour = flips(world)
    assert hour > FIRST
    halted, state = [], world.folder / "state"
    world.at(hour, 1, lambda: halted.append(halt(state, at="now", why="testing")))
    world.at(hour + 3, 1800, lambda: lift_halt(state))
    world.loop().run(31)
    ledger = world.ledger
    fills = ledger.fills(ACCOUNT, BTC)
    before = tuple(fill for fill in result.requested.simulation.fills if fill.at < hour)
    assert fills[: len(before)] == before
    exit_, *later = fills[len(before) :]
    assert (exit_.at, exit_.reason != "entry") == (hour, True)
    assert all(fill.at > hour + 3 for fill in later)
    (row,) = [row for _, row in world.rows if row.bar == hour]
    assert "not done: HALTED since now (testing)" in row.reason
    assert later


def test_a_halt_that_cannot_be_read_halts(world):
    (world.folder / "state").mkdir(parents=True)
    (world.folder / "state" / "halt.json").write_text("{")
    world.loop().run(14)
    # A sub-account that may not be used is not even opened.
    assert world.ledger.state(ACCOUNT, BTC) is None
    assert decided(world) == []


def test_a_sub_account_below_its_drawdown_leaves_and_does_not_enter(world):
    options = ExecutionOptions(max_drawdown=0.002)
    world.loop(options=options).run(31)
    check(world, BTC, backtest(world, BTC, 30, options))
    account = world.ledger.state(ACCOUNT, BTC).account
    assert account.halted
    assert account.side == 0
    assert any("halted by the drawdown" in row.reason for _, row in world.rows)


# Once


def once(world, **options):
    return {row.ticker: row for row in world.loop(**options).once()}


def test_once_trains_what_is_missing_and_acts(world, fits):
    (row,) = once(world).values()
    assert (row.acted, row.late, row.bar) == (True, False, FIRST)
    assert fits.trained == 1
    assert list(world.ledger.models(ACCOUNT, BTC)) == [CUTOFF - SETTINGS.refit_every]


def test_once_at_the_full_hour_waits_for_the_bar(make_world):
    world = make_world(seconds=1)
    world.late[BTC, FIRST] = 40
    (row,) = once(world).values()
    assert (row.acted, row.bar) == (True, FIRST)
    assert 40 <= world.seconds(FIRST)[0][0] <= 70


def test_once_gives_a_bar_up_after_ten_minutes(make_world):
    world = make_world(seconds=1)
    world.late[BTC, FIRST] = None
    (row,) = once(world).values()
    assert "not there yet" in row.error.what
    assert LATE_SECONDS <= world.seconds(FIRST)[0][0] <= LATE_SECONDS + 30


def test_once_later_in_the_hour_does_not_wait_for_a_bar(make_world):
    world = make_world(seconds=1800)
    world.late[BTC, FIRST] = None
    world.sleep(0)
    (row,) = once(world).values()
    assert "not there yet" in row.error.what
    assert world.seconds(FIRST)[0][0] == 1800


@pytest.mark.parametrize("name", FAULTS)
def test_once_asks_a_source_that_fails_for_minutes_again(make_world, name):
    world = make_world(BTC, ETH, seconds=1)
    world.fault(FIRST, 1, 300, FAULTS[name])
    rows = once(world, workers=2)
    assert [row.acted for row in rows.values()] == [True, True]
    assert all(300 <= told <= 340 for told, _ in world.seconds(FIRST))
    assert any("Retrying until" in note and ":10:00 UTC." in note for note in world.notes)


def test_once_gives_a_source_that_fails_up_after_ten_minutes(make_world):
    world = make_world(BTC, ETH)
    world.server.always = status(500)
    rows = once(world, workers=2)
    assert {ticker: row.error.exit_code for ticker, row in rows.items()} == {BTC: 3, ETH: 3}
    assert LATE_SECONDS <= world.seconds(FIRST)[0][0] <= LATE_SECONDS + 60


@pytest.mark.parametrize(("seconds", "until"), [(1800, 1920), (3500, 3540)])
def test_once_late_in_the_hour_is_patient_for_two_minutes_and_never_beyond_the_hour(
    make_world, seconds, until
):
    world = make_world(seconds=seconds)
    world.server.always = status(500)
    (row,) = once(world).values()
    assert row.error.exit_code == 3
    assert until <= world.seconds(FIRST)[0][0] <= until + 40


def test_once_does_not_wait_for_what_time_does_not_mend(make_world):
    world = make_world()
    account = Shaky(world.session(), world.ledger, ACCOUNT, failing=1000)  # says no: that is an answer
    (row,) = once(world, account=account).values()
    assert row.error.exit_code == 5
    assert world.seconds(FIRST)[0][0] < 40


def test_once_asks_a_broker_that_does_not_answer_again(make_world):
    world = make_world()
    away = UnreachableError("The broker is away.", expected="it.", remedy="wait.")
    account = Shaky(world.session(), world.ledger, ACCOUNT, failing=5, error=away)
    (row,) = once(world, account=account).values()
    assert row.acted


def test_once_again_in_the_same_hour_does_nothing(world):
    first, again = (once(world)[BTC] for _ in range(2))
    assert (first.acted, again.acted) == (True, False)
    assert "already acted on" in again.reason
    assert (again.fills, again.orders, again.equity) == ((), (), first.equity)
    assert decided(world) == [FIRST]


def test_once_in_each_hour_is_the_backtest(world):
    for _ in range(21):
        once(world)
        world.sleep(3600)
    check(world, BTC, backtest(world, BTC, 20, ExecutionOptions()))


def test_once_by_several_workers_decides_the_same(tmp_path, fits):
    told = []
    for workers in (1, 4):
        with PassingHours(
            {ticker: alpaca_bars(ticker) for ticker in (BTC, ETH, SOL)}, tmp_path / str(workers)
        ) as world:
            for hour in range(FIRST + 12, FIRST + 17):
                world.start(hour, seconds=30)
                once(world, workers=workers)
            tickers = (BTC, ETH, SOL)
            told.append(
                [(world.ledger.decisions(ACCOUNT, t), world.ledger.fills(ACCOUNT, t)) for t in tickers]
            )
    assert told[0] == told[1]


def test_two_processes_at_once_act_once(world):
    once(world)
    world.sleep(3600)
    loops, rows, together = [world.loop() for _ in range(2)], [], threading.Barrier(2)

    def run(loop):
        together.wait()
        rows.extend(loop.once())

    threads = [threading.Thread(target=run, args=(loop,)) for loop in loops]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(row.acted for row in rows) == [False, True]
    assert decided(world) == [FIRST, FIRST + 1]


def test_once_acts_where_another_ticker_cannot_be_trained(make_world, fits, monkeypatch):
    world = make_world(BTC, ETH)
    once(world, tickers=(BTC,))
    world.sleep(3600)

    def broken(jobs, settings, on_progress, *, workers=None, cluster=None):
        raise ModelError("A process that trained a model has died.", expected="x", remedy="y")
        yield

    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", broken)
    rows = once(world, workers=2)
    assert rows[BTC].acted
    assert rows[ETH].error.exit_code == 4
    assert world.ledger.opening(ACCOUNT, ETH) is None


def test_a_fit_that_lasts_into_the_next_hour_trades_nothing(world, monkeypatch, fits):
    def slow(jobs, settings, on_progress, *, workers=None, cluster=None):
        world.sleep(3600)
        yield from fits(jobs, settings, on_progress)

    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", slow)
    (row,) = once(world).values()
    assert "not the latest full hour" in row.error.what
    assert decided(world) == []


def test_a_forecast_is_kept_also_where_no_sub_account_may_be_opened(world):
    state = world.folder / "state"
    state.mkdir(exist_ok=True)
    halt(state, at="now", why="testing")
    world.loop().run(3)
    assert world.ledger.state(ACCOUNT, BTC) is None
    kept = world.ledger.forecasts(ACCOUNT)[BTC]
    assert [each.bar for each in kept] == [FIRST, FIRST + 1, FIRST + 2]
    assert all(each.made_at for each in kept)
