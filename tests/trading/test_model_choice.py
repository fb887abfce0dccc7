"""Which model decides as time passes: the first used for a cut-off, the one before while it is missing."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from support.fake_clock_loop import ACCOUNT, BALANCE, LAG, SETTINGS, SIGNALS, PassingHours, alpaca_bars
from support.ledgers import open_sub_account
from support.stub_models import BTC, HeldBars, remade

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.errors import BrokerError, ModelError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.hours import floor_hour
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model import artifact
from crypto_refactor.model.cache import ModelProvider, cache_entries, cache_path
from crypto_refactor.model.named_models import model_path
from crypto_refactor.model.schedule import refit_periods
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.model_choice import (
    FirstUsedModelSelector,
    PinnedModelSelector,
    StillTrainingError,
)
from crypto_refactor.trading.outcomes import Failure
from crypto_refactor.trading.realtime.accounts import DemoAccount
from crypto_refactor.trading.realtime.patience import LATE_SECONDS

ETH = Ticker("ETH", "USD")
CUTOFF = int(alpaca_bars(BTC).closed[1547])
BEFORE = CUTOFF - SETTINGS.refit_every
HOUR = CUTOFF + 5


class Trainer:
    """Trains nothing; notes what it was asked for."""

    def __init__(self, failure=None):
        self.begun, self.said = {}, failure

    def begin(self, key, job):
        self.begun[key] = job

    def failure(self, key):
        return self.said


def period_at(bars, hour=HOUR, settings=SETTINGS):
    (period,) = refit_periods(bars.between(0, hour), hour, hour, settings)
    return period


def models_in(folder, settings=SETTINGS):
    return ModelProvider(folder=folder, settings=settings)


def wished(bars, hour=HOUR, settings=SETTINGS):
    """Return the name and the lesson of the model that these bars ask for."""
    return models_in(None, settings).job(bars.between(0, hour), period_at(bars, hour, settings))


@pytest.fixture
def bars():
    return alpaca_bars(BTC)


@pytest.fixture
def ledger(tmp_path):
    ledger = Ledger(tmp_path / "state" / "ledger.sqlite")
    open_sub_account(ledger, ACCOUNT, BTC, new_state(1000.0, HOUR - 1))
    return ledger


@pytest.fixture
def standing(ledger, tmp_path, fits):
    """Return a chooser as a new process would have it."""

    def make(trainer=None, settings=SETTINGS):
        return FirstUsedModelSelector(ledger, ACCOUNT, models_in(tmp_path / "models", settings), trainer)

    return make


@pytest.fixture
def used(ledger, tmp_path, fits):
    """Train the model that `bars` ask for, and let the ledger name it as used; return its key."""

    def use(bars, hour=HOUR, settings=SETTINGS):
        key, lesson = wished(bars, hour, settings)
        models_in(tmp_path / "models", settings).get_or_train(key, lesson)
        with ledger.transaction(ACCOUNT, BTC) as writer:
            writer.record_model(period_at(bars, hour, settings).cutoff, key)
        return key

    return use


def revised(bars, close):
    """Return `bars` with another volume in the bar that closed at `close`."""
    volume = bars.volume.copy()
    volume[bars.closed == close] *= 1.5
    return remade(bars, volume=volume)


# The choice


def test_without_a_trainer_the_model_is_trained_and_kept_for_the_ledger(standing, bars, fits, tmp_path):
    key, _ = wished(bars)
    chooser, period = standing(), period_at(bars)
    assert list(chooser.missing(bars, period)) == [key]
    chosen = chooser.choose(bars, period)
    assert (chosen.key, chosen.late, chosen.revised) == (key, False, False)
    assert [entry.in_ledger for entry in cache_entries(tmp_path / "models")] == [True]
    assert chooser.missing(bars, period) == {}
    assert fits.trained == 1


def test_the_model_that_was_used_stands_though_a_bar_was_revised(standing, used, bars):
    key = used(bars)
    now = revised(bars, CUTOFF - 1)
    assert wished(now)[0] != key
    for _ in range(2):
        assert standing(Trainer()).missing(now, period_at(now)) == {}
        chosen = standing(Trainer()).choose(now, period_at(now))
        assert (chosen.key, chosen.late, chosen.revised) == (key, False, True)
    assert not standing().choose(bars, period_at(bars)).revised


def test_a_bar_revised_after_the_cut_off_revises_no_model(standing, used, bars):
    key = used(bars)
    now = revised(bars, CUTOFF + 1)
    chosen = standing().choose(now, period_at(now))
    assert (chosen.key, chosen.revised) == (key, False)


def test_it_stands_even_if_nothing_could_be_learnt_any_more(standing, used, bars):
    key = used(bars)
    cut = bars.between(CUTOFF - 100, HOUR)
    chosen = standing().choose(cut, period_at(cut))
    assert (chosen.key, chosen.revised) == (key, True)


@pytest.mark.parametrize(
    "changed",
    [{"network": "documented"}, {"seed": 7}, {"lookback": 20}, {"train_hours": 300}, {"train_hours": 600}],
)
def test_who_asks_for_other_settings_gets_a_model_of_these(standing, used, bars, changed):
    key = used(bars)
    settings = replace(SETTINGS, **changed)
    other, _ = wished(bars, settings=settings)
    chosen = standing(settings=settings).choose(bars, period_at(bars, settings=settings))
    assert chosen.key == other != key
    assert (chosen.late, chosen.revised) == (False, False)
    assert chosen.model.card.lookback == settings.lookback


def test_a_model_deleted_from_the_cache_is_trained_again(standing, used, bars, fits, tmp_path):
    key = used(bars)
    shutil.rmtree(cache_path(tmp_path / "models", key).parent)
    assert list(standing().missing(bars, period_at(bars))) == [key]
    chosen = standing().choose(bars, period_at(bars))
    assert (chosen.key, chosen.late, chosen.revised) == (key, False, False)
    assert fits.trained == 2


def test_a_damaged_model_is_trained_again(standing, used, bars, tmp_path):
    key = used(bars)
    cache_path(tmp_path / "models", key).write_bytes(b"half")
    assert standing().choose(bars, period_at(bars)).key == key
    assert models_in(tmp_path / "models").get(key) is not None


FORGERIES = [
    {"ticker": "ETH/USD"},
    {"source": "files"},
    {"seed": 7},
    {"network": "documented"},
    {"trained_through": CUTOFF - 48},
]


def forge(folder, key, changed):
    """Let the card of a cached model say something else; it fits its checksum and its files."""
    path = cache_path(folder, key)
    model = artifact.read(path)
    artifact.write(path, replace(model.card, **changed), keras=path.read_bytes(), onnx=model.onnx)


@pytest.mark.parametrize("changed", FORGERIES)
def test_a_model_whose_card_says_something_else_is_trained_again(
    standing, used, bars, fits, tmp_path, changed
):
    key = used(bars)
    forge(tmp_path / "models", key, changed)
    chosen = standing().choose(bars, period_at(bars))
    assert (chosen.key, chosen.model.card.key) == (key, key)
    assert fits.trained == 2


@pytest.mark.parametrize("changed", FORGERIES)
def test_a_model_before_whose_card_says_something_else_does_not_decide(
    standing, used, bars, tmp_path, changed
):
    key = used(bars, CUTOFF)
    forge(tmp_path / "models", key, changed)
    with pytest.raises(StillTrainingError):
        standing(Trainer()).choose(bars, period_at(bars))


def test_a_pinned_model_whose_training_bars_were_revised_decides_and_it_is_said(bars, tmp_path, fits):
    key, job = wished(bars)
    provider = models_in(tmp_path / "models")
    model = provider.get_or_train(key, job)
    path = model_path(tmp_path / "models", BTC, "mine", simulated=bars.simulated)
    artifact.write(path, model.card, keras=model.path.read_bytes(), onnx=model.onnx)
    for held, said in ((bars, False), (revised(bars, CUTOFF - 1), True)):
        chosen = PinnedModelSelector(provider, "mine").choose(held, period_at(held))
        assert (chosen.model.card.weights, chosen.key, chosen.revised) == (model.card.weights, None, said)


def test_while_it_is_trained_beside_the_one_before_decides(standing, used, bars):
    before = used(bars, CUTOFF)
    trainer = Trainer()
    chosen = standing(trainer).choose(bars, period_at(bars))
    assert (chosen.key, chosen.late) == (before, True)
    assert list(trainer.begun) == [wished(bars)[0]]


def test_the_nearest_model_before_that_is_whole_decides(standing, used, bars, tmp_path):
    older, before = used(bars, BEFORE), used(bars, CUTOFF)
    assert standing(Trainer()).choose(bars, period_at(bars)).key == before
    shutil.rmtree(cache_path(tmp_path / "models", before).parent)
    assert standing(Trainer()).choose(bars, period_at(bars)).key == older


def test_a_later_model_never_decides_an_earlier_bar(standing, used, bars):
    used(bars)
    with pytest.raises(StillTrainingError):
        standing(Trainer()).choose(bars, period_at(bars, CUTOFF))


def test_a_model_before_with_other_settings_does_not_decide(standing, used, bars):
    used(bars, CUTOFF, replace(SETTINGS, seed=7))
    with pytest.raises(StillTrainingError):
        standing(Trainer()).choose(bars, period_at(bars))


def test_without_any_model_nothing_is_decided_and_why_is_said(standing, bars):
    with pytest.raises(StillTrainingError, match="is being trained"):
        standing(Trainer()).choose(bars, period_at(bars))
    with pytest.raises(StillTrainingError, match=r"could not be trained \(It diverged.\) and is retried"):
        standing(Trainer("It diverged.")).choose(bars, period_at(bars))


def test_a_fit_that_fails_while_one_waits_for_it_is_an_error(standing, bars, monkeypatch):
    def fit(jobs, settings, on_progress, *, workers=None, cluster=None):
        yield 0, ModelError("It diverged.", expected="x", remedy="y")

    chooser = standing()
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fit)
    with pytest.raises(ModelError, match="diverged"):
        chooser.choose(bars, period_at(bars))


# In the loop


class Beside:
    """Trains beside the loop: a model is there so many seconds of the world's clock after it was begun."""

    def __init__(self, world, seconds=60.0, failure=None):
        self.world, self.seconds, self.said = world, seconds, failure
        self.begun = {}

    def begin(self, key, job):
        if key in self.begun:
            return
        self.begun[key] = self.world.now
        if self.seconds is not None:
            folder = self.world.folder / "models"
            self.world.after(self.seconds, lambda: models_in(folder).get_or_train(key, job))

    def failure(self, key):
        return self.said


@pytest.fixture
def make_world(tmp_path, fits):
    made = []

    def make(*tickers, seconds=LAG):
        world = PassingHours({ticker: alpaca_bars(ticker) for ticker in tickers or (BTC,)}, tmp_path)
        made.append(world.__enter__())
        world.start(CUTOFF - 3, seconds=seconds)
        return world

    yield make
    for world in made:
        world.__exit__(None, None, None)


@pytest.fixture
def world(make_world):
    return make_world()


def rows_of(world, ticker=BTC):
    return {row["bar"]: row for row in world.ledger.decisions(ACCOUNT, ticker)}


def expected(world, hours):
    """Return the fingerprint of the model a backtest uses at each hour."""
    tester = Backtester(
        BTC,
        source=HeldBars(world.bars[BTC].between(0, CUTOFF - 3 + hours)),
        settings=SETTINGS,
        signal_rules=SIGNALS,
        options=ExecutionOptions(),
        model_dir=world.folder / "models of the backtest",
    )
    walk = tester.run(hours, initial_balance=BALANCE).walk
    return dict(zip(walk.signals.decided_at.tolist(), walk.model_fingerprints, strict=True))


@pytest.mark.parametrize("tickers", [(BTC,), (BTC, ETH)])
def test_the_first_start_waits_for_the_model_and_acts_within_the_hour(make_world, tickers):
    world = make_world(*tickers)
    trainer = Beside(world, seconds=700)
    world.loop(trainer=trainer, workers=len(tickers)).run(1)
    assert len(trainer.begun) == len(tickers)
    for told, row in world.seconds(CUTOFF - 3):
        assert 700 <= told <= 740
        assert (row.acted, row.late, row.bar) == (True, True, CUTOFF - 3)
    notes = [note for note in world.notes if "is being trained" in note]
    assert len(notes) == 1
    assert all(str(ticker) in notes[0] for ticker in tickers)


def test_a_model_that_is_there_within_ten_minutes_makes_no_late_decision(world):
    world.loop(trainer=Beside(world, seconds=60)).run(1)
    ((told, row),) = world.seconds(CUTOFF - 3)
    assert told < LATE_SECONDS
    assert (row.acted, row.late) == (True, False)


def test_a_first_model_that_does_not_come_costs_the_hour(make_world):
    world = make_world(seconds=3000)
    world.loop(trainer=Beside(world, seconds=700)).run(2)
    (told, row), (_, later) = world.seconds(CUTOFF - 3)
    assert isinstance(row, Failure)
    assert "is being trained" in row.error.what
    assert 3500 < told < 3600
    assert later.acted
    assert list(rows_of(world)) == [CUTOFF - 2]


def test_at_the_hour_of_a_cut_off_training_begins_and_the_hour_after_it_is_used(world):
    trainer = Beside(world)
    world.loop(trainer=trainer).run(6)
    first, second = trainer.begun.values()
    assert floor_hour(first) == CUTOFF - 3
    assert floor_hour(second) == CUTOFF
    assert (second - world.rows[3][0]).total_seconds() < 1  # with the decision of that hour, not after it
    models = expected(world, 5)
    rows = rows_of(world)
    assert {bar: row["model"] for bar, row in rows.items()} == models
    assert models[CUTOFF] != models[CUTOFF + 1]
    assert not any(row["late_model"] or row["revised"] for row in rows.values())
    assert not any("is being trained" in note for note in world.notes[1:])


@pytest.mark.slow
def test_training_for_the_next_hour_waits_for_no_ticker(make_world):
    world = make_world(BTC, ETH)
    world.late[BTC, CUTOFF] = None
    trainer = Beside(world)
    world.loop(trainer=trainer, workers=2).run(5)
    begun = [floor_hour(at) for at in trainer.begun.values()]
    assert sorted(begun) == [CUTOFF - 3, CUTOFF - 3, CUTOFF, CUTOFF + 1]
    rows = rows_of(world, ETH)
    assert not rows[CUTOFF + 1]["late_model"]
    early = [at for at in trainer.begun.values() if floor_hour(at) == CUTOFF]
    assert (early[0] - world.rows[6][0]).total_seconds() < 60


def test_training_begins_even_where_the_account_is_away(world):
    account = DemoAccount(world.session(), world.ledger, ACCOUNT)
    usual = account.begin_pass

    def begin_pass(opening):
        if floor_hour(world.now) == CUTOFF:
            raise BrokerError("The account is away.", expected="it.", remedy="wait.")
        return usual(opening)

    account.begin_pass = begin_pass
    trainer = Beside(world)
    world.loop(trainer=trainer, account=account).run(5)
    assert [floor_hour(at) for at in trainer.begun.values()] == [CUTOFF - 3, CUTOFF]
    assert list(rows_of(world)) == [CUTOFF - 3, CUTOFF - 2, CUTOFF - 1, CUTOFF + 1]
    assert not rows_of(world)[CUTOFF + 1]["late_model"]


def test_a_model_that_is_late_leaves_the_decision_to_the_one_before(world):
    world.loop(trainer=Beside(world)).run(3)
    world.sleep(3600)
    world.loop(trainer=Beside(world, seconds=2.5 * 3600)).run(5)
    models, rows = expected(world, 8), rows_of(world)
    late = [bar for bar, row in rows.items() if row["late_model"]]
    assert late == [CUTOFF + 1, CUTOFF + 2]
    for bar, row in rows.items():
        assert row["model"] == models[CUTOFF if bar in late else bar]
    assert all(row.acted and not row.late for _, row in world.rows)
    assert set(world.ledger.models(ACCOUNT, BTC)) == {BEFORE, CUTOFF}


def test_a_fit_that_fails_leaves_the_decision_to_the_one_before(world):
    world.loop(trainer=Beside(world)).run(3)
    world.sleep(3600)
    world.loop(trainer=Beside(world, seconds=None, failure="It diverged.")).run(4)
    late = [bar for bar, row in rows_of(world).items() if row["late_model"]]
    assert late == [CUTOFF + 1, CUTOFF + 2, CUTOFF + 3]
    assert set(world.ledger.models(ACCOUNT, BTC)) == {BEFORE}


def test_a_first_fit_that_fails_is_told_with_its_reason(make_world):
    world = make_world(seconds=3000)
    world.loop(trainer=Beside(world, seconds=None, failure="It diverged.")).run(1)
    ((_, row),) = world.rows
    assert "could not be trained (It diverged.)" in row.error.what


def test_the_model_first_used_stands_after_a_revision_and_a_restart(world):
    world.loop(trainer=Beside(world)).run(5)
    used = rows_of(world)[CUTOFF + 1]["model"]
    world.revise(BTC, CUTOFF, v=1234.5)
    world.sleep(3600)
    trainer = Beside(world)
    world.loop(trainer=trainer).run(2)
    world.sleep(3600)
    world.loop(trainer=trainer).run(1)
    rows = rows_of(world)
    for bar in (CUTOFF + 2, CUTOFF + 3, CUTOFF + 4):
        assert (rows[bar]["model"], rows[bar]["revised"], rows[bar]["late_model"]) == (used, True, False)
    assert trainer.begun == {}
    assert not rows[CUTOFF + 1]["revised"]


def test_a_model_deleted_while_the_loop_runs_is_trained_again(world):
    loop = world.loop(trainer=Beside(world))
    loop.run(2)
    used = rows_of(world)[CUTOFF - 2]["model"]
    shutil.rmtree(world.folder / "models" / "cache")
    world.sleep(3600)
    trainer = Beside(world, seconds=100)
    world.loop(trainer=trainer).run(1)
    assert len(trainer.begun) == 1
    row = rows_of(world)[CUTOFF - 1]
    assert (row["model"], row["late_model"], row["revised"]) == (used, False, False)
