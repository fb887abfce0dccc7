from __future__ import annotations

import signal
import threading
import time
from types import SimpleNamespace

import pytest

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.interrupts import deferred_interrupts
from crypto_refactor.trading.ticker_pool import open_pool

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
STOPS = (signal.SIGINT, signal.SIGTERM)
PATIENCE = 120


class Stopped(BaseException):
    pass


@pytest.fixture
def told(monkeypatch):
    """Handlers that note the signal and raise, as those of the command line do."""
    numbers = []

    def handler(number, frame):
        numbers.append(number)
        raise Stopped

    before = {number: signal.signal(number, handler) for number in STOPS}
    yield numbers
    for number, old in before.items():
        signal.signal(number, old)


def handlers():
    return [signal.getsignal(number) for number in STOPS]


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_waits_for_the_end_of_the_step(told, number):
    before, done = handlers(), []

    def step():
        with deferred_interrupts():
            signal.raise_signal(number)
            done.append("the rest of the step")

    with pytest.raises(Stopped):
        step()
    assert done == ["the rest of the step"]
    assert told == [number]
    assert handlers() == before


def test_a_step_without_a_signal_leaves_no_trace(told):
    before = handlers()
    with deferred_interrupts():
        assert handlers() != before
    assert handlers() == before
    assert told == []


def test_steps_within_a_step_wait_for_the_outermost(told):
    done = []

    def outer():
        with deferred_interrupts():
            inner("inner", signal.SIGINT)
            done.append("between")
            inner("second")
            done.append("outer")

    def inner(name, *numbers):
        with deferred_interrupts():
            for number in numbers:
                signal.raise_signal(number)
            done.append(name)

    with pytest.raises(Stopped):
        outer()
    assert done == ["inner", "between", "second", "outer"]
    assert told == [signal.SIGINT]


def test_impatience_does_not_end_a_step_either_and_the_first_signal_counts(told):
    done = []

    def step():
        with deferred_interrupts():
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
                signal.raise_signal(number)
            done.append("rest")

    with pytest.raises(Stopped):
        step()
    assert done == ["rest"]
    assert told == [signal.SIGTERM]


def test_a_step_with_a_limit_waits_for_its_end_all_the_same(told):
    before, done = handlers(), []

    def step():
        with deferred_interrupts(at_most=PATIENCE):
            signal.raise_signal(signal.SIGTERM)
            done.append("rest")

    with pytest.raises(Stopped):
        step()
    assert done == ["rest"]
    assert told == [signal.SIGTERM]
    assert handlers() == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_a_step_that_takes_longer_than_its_limit_is_interrupted(told):
    before, done = handlers(), []

    def step():
        with deferred_interrupts(at_most=0.01):
            signal.raise_signal(signal.SIGTERM)
            done.append("begun")
            time.sleep(PATIENCE)
            done.append("rest")

    with pytest.raises(Stopped):
        step()
    assert done == ["begun"]
    assert set(told) == {signal.SIGTERM}
    assert handlers() == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_who_asks_twice_interrupts_a_step_with_a_limit(told):
    before, done = handlers(), []

    def step():
        with deferred_interrupts(at_most=PATIENCE):
            signal.raise_signal(signal.SIGINT)
            done.append("begun")
            signal.raise_signal(signal.SIGINT)
            done.append("rest")

    with pytest.raises(Stopped):
        step()
    assert done == ["begun"]
    assert handlers() == before


def test_a_limit_does_not_reach_into_a_step_without_one(told):
    done = []

    def step():
        with deferred_interrupts(at_most=0.01):
            with deferred_interrupts():
                signal.raise_signal(signal.SIGTERM)
                done.append("inner")
            # The inner step passes it on to the outer one, whose time begins.
            time.sleep(PATIENCE)
            done.append("outer")

    with pytest.raises(Stopped):
        step()
    assert done == ["inner"]


def test_an_error_of_the_step_does_not_swallow_the_signal(told):
    before = handlers()

    def step():
        with deferred_interrupts():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("of the step")

    with pytest.raises(Stopped) as caught:
        step()
    assert isinstance(caught.value.__context__, ValueError)
    assert handlers() == before


def test_an_error_alone_passes_and_handlers_are_put_back(told):
    before = handlers()
    with pytest.raises(ValueError, match="of the step"), deferred_interrupts():
        raise ValueError("of the step")
    assert handlers() == before


def test_a_step_in_another_thread_changes_no_handler_and_is_not_ended(told):
    before, inside, go_on, done = handlers(), threading.Event(), threading.Event(), []

    def step():
        with deferred_interrupts():
            inside.set()
            go_on.wait(PATIENCE)
            done.append("whole")

    thread = threading.Thread(target=step)
    thread.start()
    assert inside.wait(PATIENCE)
    assert handlers() == before
    with pytest.raises(Stopped):
        signal.raise_signal(signal.SIGINT)
    go_on.set()
    thread.join()
    assert done == ["whole"]


def test_a_signal_that_is_ignored_stays_ignored(told):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with deferred_interrupts():
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    assert told == []


@pytest.mark.parametrize("number", STOPS)
def test_a_signal_that_comes_while_handlers_are_changed_leaves_them_as_they_were(told, monkeypatch, number):
    before, usual, calls = handlers(), signal.signal, []

    def interrupted(which, handler):
        calls.append(which)
        old = usual(which, handler)
        if len(calls) == at:
            signal.raise_signal(number)
        return old

    for at in range(1, 5):
        calls.clear()
        monkeypatch.setattr(signal, "signal", interrupted)
        try:
            with deferred_interrupts():
                pass
        except Stopped:
            pass
        monkeypatch.setattr(signal, "signal", usual)
        assert handlers() == before, at


# A pool


def pool_of(workers):
    return open_pool(SimpleNamespace(workers=workers, explicitly_requested=False), lambda row: None)


def test_asking_for_bars_is_given_up_at_once_and_acting_is_finished(told):
    done = []

    def work(ticker):
        signal.raise_signal(signal.SIGINT)
        done.append(ticker)

    with pool_of(1) as pool, pytest.raises(Stopped):
        pool.load([BTC], work)
    assert done == []
    with pool_of(1) as pool, pytest.raises(Stopped):
        pool.submit(BTC, work)
    assert done == [BTC]


def test_a_pool_that_is_stopped_finishes_what_it_has_begun_and_begins_nothing_else():
    begun, let_go, done = threading.Barrier(3), threading.Event(), []

    def step(ticker):
        begun.wait(PATIENCE)
        let_go.wait(PATIENCE)
        done.append(ticker)

    def stopped():
        with pool_of(2) as pool:
            usual = pool._pool.shutdown

            def shutdown(**options):
                usual(**(options | {"wait": False}))
                let_go.set()
                usual(**options)

            pool._pool.shutdown = shutdown
            for ticker in (BTC, BTC, ETH, ETH):
                pool.submit(ticker, step)
            begun.wait(PATIENCE)
            raise Stopped

    with pytest.raises(Stopped):
        stopped()
    assert done == [BTC, BTC]
