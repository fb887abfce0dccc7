"""Processes that trade at a stand-in for Alpaca and die at any moment: no order is lost, none is sent twice.

Where and when they die is drawn from a seed; ``KILL_SEED=7`` sets another, and ``make soak`` kills more often.
"""

from __future__ import annotations

import os

import pytest
from support.crash_runs import differences, killed_run, run_at_once, undisturbed_run
from support.crash_test_trader import POINTS

from crypto_refactor.trading.ledger.order_record import OrderStatus

pytestmark = pytest.mark.slow
KILLS = 20


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return undisturbed_run(tmp_path_factory.mktemp("reference"))


def test_a_process_that_is_left_alone_trades_every_hour_and_agrees_with_the_broker(reference):
    assert reference.faults == []
    sides = [order["side"] for order in reference.orders]
    assert min(sides.count("buy"), sides.count("sell")) >= 15
    stages = {row["stage"] for tables in reference.ledger.values() for row in tables["orders"]}
    assert stages == {OrderStatus.FILLED, OrderStatus.PARTLY_FILLED}
    assert [tables["holding"][0].account.side for tables in reference.ledger.values()] == [1, 0]
    assert all(len(tables["models"]) >= 3 for tables in reference.ledger.values())


def test_a_process_that_is_killed_twenty_times_sends_the_same_orders_and_no_other(reference, tmp_path):
    seed = int(os.environ.get("KILL_SEED", "1"))
    print(f"KILL_SEED={seed}")
    run = killed_run(tmp_path, seed, KILLS, reference)
    assert run.kills.total() == KILLS
    assert set(run.kills) >= {*POINTS}
    assert differences(run, reference) == []


@pytest.mark.parametrize("death", [None, "accepted:3"])
def test_two_processes_at_once_send_the_orders_of_one(death, reference, tmp_path):
    run = run_at_once(tmp_path, [death, None])
    assert differences(run, reference) == []
