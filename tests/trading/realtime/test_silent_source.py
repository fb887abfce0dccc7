"""A source that accepts requests and never answers: its silence costs a bounded part of the hour.

The silence itself is played: a request that would be waited for takes all the time it is given, by the test's clock.
"""

from __future__ import annotations

import pytest
from support.fake_clock_loop import ACCOUNT, PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.hours import to_datetime
from crypto_refactor.market.sources.alpaca import AlpacaSource
from crypto_refactor.market.sources.alpaca_parser import request_error
from crypto_refactor.market.sources.request_budget import RequestBudget
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.realtime.hourly_pass import FETCH_SECONDS, PRICE_SECONDS
from crypto_refactor.transport import BoundedSession, HttpLimits, NoConnectionError, NoResponseError

BASES = ("BTC", "ETH", "SOL", "ADA", "DOT", "UNI", "XTZ", "AVAX", "ATOM", "ALGO", "LINK", "AAVE", "MATIC")
TICKERS = tuple(Ticker(base, "USD") for base in BASES)
FIRST = int(alpaca_bars(BTC).closed[1533])


@pytest.fixture
def make_world(tmp_path, fits):
    made = []

    def make(tickers=TICKERS):
        world = PassingHours({ticker: alpaca_bars(ticker) for ticker in tickers}, tmp_path)
        made.append(world.__enter__())
        world.start(FIRST, seconds=5.0)
        return world

    yield make
    for world in made:
        world.__exit__(None, None, None)


@pytest.fixture
def silent(monkeypatch):
    """Let requests that `chosen` says yes to be waited for in vain; `chosen` is set by the test."""
    original, asked = AlpacaSource._request, []
    state = {"chosen": lambda _: False, "world": None}

    def request(self, subject, pages, work):
        if state["chosen"](subject):
            seconds = []

            def wait(session, *_):
                seconds.append(session._seconds)
                state["world"].sleep(session._seconds)
                raise NoResponseError("no complete answer")

            with monkeypatch.context() as patch:
                patch.setattr(BoundedSession, "call", wait)
                try:
                    return original(self, subject, pages, work)
                finally:
                    asked.extend(seconds)
        return original(self, subject, pages, work)

    monkeypatch.setattr(AlpacaSource, "_request", request)
    state["asked"] = asked
    return state


def run(world, silent, *, options=None):
    silent["world"] = world

    def monotonic():
        return world.now.timestamp()

    source = world.source(limits=HttpLimits(), monotonic=monotonic)
    more = {} if options is None else {"options": options}
    world.loop(source=source, **more).run(1)


def first_decided(world, hour=FIRST):
    return {
        row.ticker: (told - to_datetime(hour)).total_seconds()
        for told, row in reversed(world.rows)
        if hasattr(row, "acted")
    }


@pytest.mark.slow
@pytest.mark.parametrize("quiet", [1, 6, 12])
def test_tickers_whose_bars_are_there_are_decided_in_time(make_world, silent, quiet):
    world = make_world()
    names = [str(ticker) for ticker in TICKERS[-quiet:]]
    silent["chosen"] = lambda subject: "bars" in subject and any(name in subject for name in names)
    run(world, silent)
    told = first_decided(world)
    assert set(told) == set(TICKERS[:-quiet])
    assert max(told.values()) <= 5 + FETCH_SECONDS + 15


def test_the_silence_of_every_ticker_costs_no_more_than_that_of_one(make_world, silent):
    world = make_world()
    silent["chosen"] = lambda _: True
    world.at(FIRST, 58, lambda: silent.update(chosen=lambda _: False))
    run(world, silent)
    told = first_decided(world)
    assert set(told) == set(TICKERS)
    assert max(told.values()) <= 5 + FETCH_SECONDS + 15


def test_a_source_that_cannot_be_reached_is_asked_once_for_all_tickers(make_world, monkeypatch):
    world, asked = make_world(), []
    usual, state = AlpacaSource._request, {"down": True}

    def request(self, subject, pages, work):
        if not state["down"]:
            return usual(self, subject, pages, work)
        asked.append((world.now - to_datetime(FIRST)).total_seconds())
        raise request_error(subject, NoConnectionError("the connection is refused"), attempts=4)

    monkeypatch.setattr(AlpacaSource, "_request", request)
    world.at(FIRST + 1, 30, lambda: state.update(down=False))
    world.loop(source=world.source()).run(2)
    first_hour = [seconds for seconds in asked if seconds < 3600]
    assert 10 <= len(first_hour) - 1 <= 30, "once in an attempt, and once for the clock"
    assert [row.ticker for told, row in world.rows if told < to_datetime(FIRST + 1)] == list(TICKERS)
    assert world.notes[0].startswith("All 13 tickers: Alpaca cannot be reached: the connection is refused.")
    assert all("not traded now, and asked for again then: all 13 tickers" in text for _, text in world.waits)
    assert set(first_decided(world, FIRST + 1)) == set(TICKERS)
    ((kind, ticker, text),) = world.announced
    assert (kind, ticker) == ("recovered", None)
    assert text.startswith("all 13 tickers are traded again after ")


@pytest.mark.slow
def test_prices_that_are_not_told_hold_up_no_other_order_for_long(make_world, silent):
    world = make_world()
    silent["chosen"] = lambda subject: "price" in subject and "BTC" not in subject
    run(world, silent)
    first = min(told for told, row in world.rows if hasattr(row, "acted"))
    assert (first - to_datetime(FIRST)).total_seconds() <= 5 + PRICE_SECONDS
    assert all(seconds <= PRICE_SECONDS for seconds in silent["asked"])


def test_protections_ask_for_prices_within_a_bound(make_world, silent):
    """Positions in every ticker, then nothing but silence: each is asked for within its part of the time."""
    options = ExecutionOptions(exit=ExitRule.OPPOSITE, long_only=True, stop_loss=0.01)
    world = make_world(TICKERS[:4])
    held = []
    for _ in range(40):
        run(world, silent, options=options)
        held = list(world.ledger.positions(ACCOUNT))
        if len(held) > 1:
            break
        world.sleep(3600)
    assert len(held) > 1
    world.sleep(3600)
    silent["chosen"] = lambda _: True
    silent["asked"].clear()
    run(world, silent, options=options)
    assert 0 < max(silent["asked"]) <= FETCH_SECONDS / 2


def test_a_budget_bounds_each_request_and_all_of_them():
    now = [0.0]
    budget = RequestBudget(lambda: now[0])
    assert budget.seconds(90) == 90
    with budget.phase(total=60, each=20):
        assert budget.seconds(90) == 20
        assert budget.seconds(5) == 5
        now[0] = 50
        assert budget.seconds(90) == 10
        now[0] = 61
        assert budget.seconds(90) < 0
    assert budget.seconds(90) == 90
