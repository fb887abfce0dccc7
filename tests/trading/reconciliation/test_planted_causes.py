"""Causes planted in an account at the played exchange, each found with its money, and nothing else.

What a cause has moved is known without the reconciliation: the same weeks are lived without it, and the exchange says
what the account has become.
"""

from __future__ import annotations

import random

import pytest
from support.account_life import AccountLife, fits
from support.alpaca_data_server import status
from support.crash_test_world import FIRST
from support.stub_models import BTC, HeldBars

from crypto_refactor.trading.reconciliation.causes import Cause

CENT = 0.005
PLANTS = {
    Cause.MODEL: {"late_model": range(25, 32)},
    Cause.BARS: {"revised": {33: -0.02}},
    Cause.MISSED: {"missed": (20, 21, 40)},
    Cause.HALTS: {"halted": range(45, 50)},
    Cause.MANUAL: {"sold": {18: 0.5}},
    Cause.ORDERS: {"partial": {10: 0.4, 11: 0.4, 12: 0.4}},
    Cause.FILLS: {"slippage": 12.0},
    Cause.FEES: {"fee": "0.004"},
}
"""One plant of each kind, in the order of substitution."""


@pytest.fixture(autouse=True)
def known_models(monkeypatch):
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fits)


def lived(folder, **plants):
    """Return the reconciliation of a life, and what the exchange says has become of the money."""
    with AccountLife(folder, **plants) as life:
        life.trade()
        return life.reconcile(), life.worth()


def check_sum(found, worth):
    """Insist that the account is what the exchange says, and that the causes add up to the difference."""
    (part,) = found.tickers
    assert found.missing == {}
    assert part.account == pytest.approx(worth, abs=CENT)
    assert part.unexplained_since is None
    moved = sum(cause.money for cause in part.causes)
    assert part.backtest + moved == pytest.approx(part.account, abs=CENT)


@pytest.mark.slow
def test_two_weeks_without_plants_differ_by_nothing(tmp_path):
    found, worth = lived(tmp_path)
    assert found.causes == ()
    assert found.explained
    check_sum(found, worth)
    assert len(found.tickers[0].rows) == 14 * 24


@pytest.mark.slow
def test_two_weeks_with_every_plant_name_each_and_nothing_else(tmp_path):
    plants = {name: value for plant in PLANTS.values() for name, value in plant.items()}
    found, worth = lived(tmp_path, **plants)
    check_sum(found, worth)
    assert [cause.cause for cause in found.causes] == list(PLANTS)
    hours = {cause.cause: [each.hour - FIRST for each in cause.hours] for cause in found.causes}
    assert hours[Cause.MISSED] == [20, 21, 40]
    assert set(hours[Cause.MODEL]) == set(range(25, 32))
    assert set(hours[Cause.BARS]) == {33, 34}
    assert set(hours[Cause.HALTS]) <= set(range(45, 50))
    assert hours[Cause.MANUAL] == [18]
    assert set(hours[Cause.ORDERS]) <= {10, 11, 12}
    fills = next(cause for cause in found.causes if cause.cause is Cause.FILLS)
    assert {round(abs(each.bps), 6) for each in fills.hours} == {12.0}
    fees = next(cause for cause in found.causes if cause.cause is Cause.FEES)
    assert all("charged (0.400%)" in each.text for each in fees.hours), fees.hours


@pytest.mark.slow
def test_each_plant_has_the_money_by_which_the_account_changes_with_it(tmp_path):
    """Each life has one plant more than the one before: the account's change is the new plant's money."""
    plants, hours = {}, 51  # as many as the last plant needs
    _, before = lived(tmp_path / "none", hours=hours)
    for cause, plant in PLANTS.items():
        plants |= plant
        found, worth = lived(tmp_path / str(cause), hours=hours, **plants)
        check_sum(found, worth)
        money = {each.cause: each.money for each in found.causes}
        assert money[cause] == pytest.approx(worth - before, abs=0.01), cause
        assert list(money) == list(PLANTS)[: len(money)]
        before = worth


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_any_combination_of_plants_closes_to_the_cent(tmp_path, seed):
    rng, hours = random.Random(seed), 40
    drawn = {
        "late_model": range(25, 25 + rng.randint(0, 10)),
        "revised": {rng.randrange(5, 36): rng.uniform(-0.02, 0.02)},
        "missed": rng.sample(range(1, 38), rng.randint(0, 8)),
        "halted": range(rng.randrange(5, 30), 32),
        "sold": {rng.randrange(3, 35): 1.0} if rng.random() < 0.5 else {},
        "partial": {hour: rng.choice((0.2, 0.7)) for hour in rng.sample(range(38), 5)},
        "delayed": rng.sample(range(1, 38), 3),
        "slippage": rng.choice((0.0, 7.0)),
        "fee": rng.choice(("0.0025", "0.003", "0.004")),
    }
    found, worth = lived(tmp_path, hours=hours, **drawn)
    check_sum(found, worth)


@pytest.mark.slow
def test_a_late_decision_has_the_money_of_its_fill(tmp_path):
    found, worth = lived(tmp_path, hours=12, delayed=range(1, 9))
    check_sum(found, worth)
    (late,) = found.causes
    assert late.cause is Cause.LATE
    assert {round(each.bps, 1) for each in late.hours} == {30.0}


def test_a_later_part_of_a_life_is_reconciled_from_where_the_account_was(tmp_path):
    with AccountLife(tmp_path, hours=20, missed=(4, 15)) as life:
        life.trade()
        whole, part = life.reconcile(), life.reconcile(since=FIRST + 10)
        worth = life.worth()
    assert [each.hour - FIRST for each in whole.causes[0].hours] == [4, 15]
    assert [each.hour - FIRST for each in part.causes[0].hours] == [15]
    assert part.tickers[0].start == pytest.approx(whole.tickers[0].rows[10].account.equity, abs=CENT)
    check_sum(part, worth)


@pytest.mark.slow
def test_what_the_ledger_was_made_to_say_has_no_cause(tmp_path):
    with AccountLife(tmp_path, hours=12) as life:
        life.trade()
        import sqlite3

        connection = sqlite3.connect(tmp_path / "state" / "ledger.sqlite")
        connection.execute("UPDATE equity SET equity = equity + 1 WHERE bar >= ?", (FIRST + 6,))
        connection.commit()
        connection.close()
        found = life.reconcile()
    assert not found.explained
    assert found.tickers[0].unexplained_since == FIRST + 6
    assert found.unexplained == pytest.approx(1, abs=CENT)


def test_a_broker_that_does_not_answer_is_named_and_the_rest_is_told(tmp_path):
    with AccountLife(tmp_path, hours=6) as life:
        life.trade()
        life.exchange.__exit__()
        found = life.reconcile()
        life.exchange.__enter__()
    assert set(found.missing) == {"fees"}
    assert found.explained
    assert found.tickers


def test_bars_that_cannot_be_asked_for_are_those_that_are_stored_and_it_is_said(tmp_path):
    with AccountLife(tmp_path, hours=6) as life:
        life.trade()
        life.server.always = status(500)
        found = life.reconcile(stored=HeldBars(life.bars[BTC]))
        alone = life.reconcile()
    assert set(found.missing) == {"bars of today"}
    assert (found.causes, found.explained) == ((), True)
    assert set(alone.missing) == {"BTC/USD"}


def test_missing_models_are_trained_again_and_said(tmp_path):
    import shutil

    with AccountLife(tmp_path, hours=6) as life:
        life.trade()
        shutil.rmtree(tmp_path / "models")
        found = life.reconcile()
    assert found.causes == ()
    assert any("trained again" in note for note in found.notes)


def test_both_equities_can_be_drawn(tmp_path):
    with AccountLife(tmp_path, hours=10, missed=(3,), slippage=12.0) as life:
        life.trade()
        found = life.reconcile()
    drawn = found.comparison()
    assert len(drawn.hours) == len(drawn.backtest) == len(drawn.account) == 10
    assert drawn.account[-1] == found.tickers[0].account
    assert drawn.backtest[-1] == found.tickers[0].backtest
    assert [each.cause for each in drawn.causes] == [each.cause for each in found.causes]


def test_a_stop_between_two_closes_is_a_protection(tmp_path):
    withheld = (1, 3, 8, 12, 16, 24)
    found, worth = lived(tmp_path, hours=30, withheld=withheld, stop_loss=0.002)
    check_sum(found, worth)
    assert [each.cause for each in found.causes] == [Cause.MISSED, Cause.PROTECTIONS]
    missed, protections = found.causes
    assert tuple(each.hour - FIRST for each in missed.hours) == withheld
    assert all("reason stop_loss" in each.text for each in protections.hours)
    assert protections.money < 0


SHORTS = {"exit": "fade", "stop_loss": 0.01, "borrow": 0.1}


def test_a_demo_account_in_real_time_differs_by_nothing(tmp_path):
    with AccountLife(tmp_path, hours=30, demo=SHORTS) as life:
        life.trade()
        found = life.reconcile()
    assert (found.causes, found.explained) == ((), True)
    assert found.tickers[0].account != found.tickers[0].start


@pytest.mark.slow
def test_a_demo_account_in_real_time_has_its_missed_and_halted_hours_and_its_fills_named(tmp_path):
    with AccountLife(
        tmp_path, hours=40, demo=SHORTS, missed=(4, 5, 20), halted=range(10, 14), late_model=range(25, 32)
    ) as life:
        prices = iter((60_000.0, 59_000.0) * 40)
        life.traded = _Prices(prices)
        life.trade()
        found = life.reconcile()
    assert found.explained
    assert [each.cause for each in found.causes] == [Cause.MODEL, Cause.MISSED, Cause.HALTS, Cause.FILLS]
    (part,) = found.tickers
    assert part.backtest + sum(each.money for each in part.causes) == pytest.approx(part.account, abs=1e-6)


class _Prices(dict):
    """The price of the latest trade, another one each time."""

    def __init__(self, prices):
        super().__init__()
        self._prices = prices

    def get(self, ticker, default=None):
        return next(self._prices)
