"""`doctor` beside an account at Alpaca: clocks, money, keys, and an outage in the middle."""

from __future__ import annotations

import json

import pytest

from .test_trading_at_alpaca import RULES, open_world, within_one_hour  # noqa: F401 - a fixture


@pytest.fixture
def models(tmp_path):
    """A folder of its own: a loop in another test may train the model of the next close beside this one."""
    return tmp_path / "models"


def examine(world, code=0, **more):
    done = world.home.run("crypto-refactor doctor --json", code=code, **(world.environment() | more))
    document = json.loads(done.stdout)
    assert document["code"] == code
    return document, {finding["check"]: finding for finding in document["findings"]}


@pytest.mark.slow
@within_one_hour
def test_an_account_is_well_then_short_of_money_then_out_of_reach(world):
    """One story, because each of its steps rests on the one before."""
    world.json(f"run_trading --ticker BTC/USD --once {RULES}")
    document, found = examine(world)
    assert document["account"].startswith("paper/")
    assert document["counts"]["failed"] == 0
    states = {check: finding["state"] for check, finding in found.items()}
    for check in (
        "keys",
        "ledger",
        "decision",
        "orders",
        "source",
        "bars of BTC/USD",
        "cash",
    ):
        assert states[check] == "ok", found[check]
    assert "clock" in states
    # With a refit each hour, the model of the next close is one that nobody has trained yet.
    assert states["model of BTC/USD"] == "warning"
    assert "the one before has learnt from bars up to 1 h ago" in found["model of BTC/USD"]["text"]
    orders = len(world.orders.orders)

    _, found = examine(world, code=5, ALPACA_API_KEY="", ALPACA_SECRET_KEY="")
    assert found["keys"]["state"] == "failed"

    document, found = examine(world, code=3, CRYPTO_ALPACA_DATA_URL="http://127.0.0.1:9")
    assert found["source"]["state"] == "failed"
    assert "not checked" in found["next hour"]["text"]
    assert found["cash"]["state"] == "ok"
    assert len(world.orders.orders) == orders
