"""A defective bar of Alpaca, as each command meets it."""

from __future__ import annotations

import pytest

from .test_trading_at_alpaca import RULES, models, open_world, within_one_hour  # noqa: F401 - fixtures

pytestmark = pytest.mark.slow  # runs that last, as real processes

PLACES = {"the newest": -1, "of the last day": -9, "older": -300}
MODEL = RULES.partition(" --refit-every")[0]


@pytest.mark.parametrize("place", PLACES)
@within_one_hour
def test_a_defective_bar_ends_no_command_and_is_named(world, place):
    world.json(f"run_multi_ticker --mode once --ticker BTC/USD --ticker ETH/USD {RULES}")
    (world.home.folder / "state" / "bars.sqlite").unlink()
    world.data.rows["BTC/USD"][PLACES[place]]["h"] = 1e-6
    shown = world.json("data --ticker BTC/USD --hours 400")
    (left_out,) = shown["left_out"]
    assert "low <= open, close <= high" in left_out
    assert shown["quality"]["bars"] == 399
    for line in (
        "app_lstm --ticker BTC/USD --hours 300 --network linear --lookback 12",
        f"app_backtester --ticker BTC/USD --hours 24 --refit-every 24 {MODEL}",
        f"run_multi_ticker --mode parallel --ticker BTC/USD --ticker ETH/USD {RULES}",
        "crypto-refactor status",
        "crypto-refactor close --all",
    ):
        world.run(line)
    assert world.orders.held("BTC/USD") < 1e-6
