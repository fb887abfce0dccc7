"""What hours of trading leave behind in memory: counted in objects, which no allocator blurs."""

from __future__ import annotations

import gc

import pytest
from support.alpaca_data_server import reset, status
from support.fake_clock_loop import PassingHours, alpaca_bars
from support.stub_models import BTC

from crypto_refactor.trading.ticker_pool import TickerPool
from crypto_refactor.transport import BoundedSession

FIRST = int(alpaca_bars(BTC).closed[1533])
HOURS = 12


@pytest.fixture
def uncollected():
    """Let nothing but the tool itself start the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [status(503), reset()], ids=["503", "reset"])
def test_an_hour_leaves_nothing_behind_that_the_next_one_does_not_free(tmp_path, fits, uncollected, fault):
    with PassingHours({BTC: alpaca_bars(BTC)}, tmp_path) as world:
        world.start(FIRST, seconds=30.0)
        for hour in range(FIRST, FIRST + HOURS):
            world.fault(hour, 1.0, 120.0, fault)
        loop = world.loop()
        loop.run(2)
        before = _alive()
        loop.run(HOURS - 2)
        assert _alive() <= before + 2


def _alive():
    return sum(isinstance(item, BoundedSession | TickerPool) for item in gc.get_objects())
