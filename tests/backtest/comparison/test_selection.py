"""What is chosen on the first part of a window is tested on the rest, which the choice never saw."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.replay_runner import SeveralBars
from support.stub_models import sample_bars
from support.trained_models import SETTINGS

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, combinations, parse_axis
from crypto_refactor.backtest.comparison.selection import select_then_test
from crypto_refactor.errors import UsageError
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.bars import Bars
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.signals.conditions import SignalRules

HOURS, FRACTION = 160, 0.6
CHOICE, REST = 96, 64
BASE = ParameterSet(
    settings=SETTINGS, signal_rules=SignalRules(min_confirmations=3), options=ExecutionOptions()
)
SEARCH = combinations(BASE, [parse_axis("exit=neutral,opposite,fade"), parse_axis("threshold-scale=0,0.3")])


@pytest.fixture
def run(request_of, fits):
    def make(*held, settings=SEARCH, fraction=FRACTION, hours=HOURS, **options):
        return select_then_test(request_of(*held, settings=settings, hours=hours, **options), fraction)

    return make


def backtest(held, setting, folder, hours, end):
    tester = Backtester(
        held.ticker,
        source=SeveralBars(held),
        settings=setting.settings,
        signal_rules=setting.signal_rules,
        options=setting.options,
        model_dir=folder,
    )
    return tester.run(hours, end=end, initial_balance=10_000.0, allow_gaps=True)


@pytest.mark.slow
def test_each_part_is_the_backtest_of_that_part_alone(run, tmp_path):
    held = sample_bars(1400)
    end = int(held.closed[-1])
    found = run(held)
    assert (found.choice.end, found.rest.end, found.end) == (end - REST, end, end)
    for part, hours in ((found.choice, CHOICE), (found.rest, REST)):
        assert len(part.trials) == len(SEARCH)
        for trial in part.trials:
            alone = backtest(held, trial.parameter_set, tmp_path / "other", hours, part.end)
            assert trial.scenarios.metrics == alone.scenarios.metrics
            assert trial.scenarios.requested.simulation.fills == alone.requested.simulation.fills
            assert (
                trial.scenarios.requested.simulation.equity.tolist()
                == alone.requested.simulation.equity.tolist()
            )


def test_the_chosen_one_is_judged_on_the_rest_as_its_backtest_is(run, tmp_path):
    held = sample_bars(1400)
    found = run(held)
    alone = backtest(held, found.choice_trial.parameter_set, tmp_path / "other", REST, found.end)
    assert found.chosen.significance == alone.significance
    assert found.chosen.verdict == alone.verdict
    assert found.chosen.audit == alone.audit
    assert found.chosen.buy_and_hold.metrics == alone.buy_and_hold.metrics


def test_an_open_position_at_the_boundary_is_not_carried_over(run):
    found = run(sample_bars(1400))
    sides = {
        trial.parameter_set: int(trial.scenarios.requested.simulation.sides[-1])
        for trial in found.choice.trials
    }
    assert any(sides.values())
    for trial in found.rest.trials:
        simulation = trial.scenarios.requested.simulation
        assert (simulation.sides[0], simulation.equity[0]) == (0, 10_000.0)


@pytest.mark.slow
def test_the_choice_cannot_see_the_rest(run):
    """Other bars on the rest lead to the same choice."""
    held = sample_bars(1400)
    boundary = int(held.closed[-1]) - REST
    later = held.opened >= boundary
    factor = {name: getattr(held, name).copy() for name in ("open", "high", "low", "close", "volume")}
    for name in ("open", "high", "low", "close"):
        factor[name][later] *= 1.01
    other = Bars(ticker=held.ticker, source=held.source, opened=held.opened, **factor)
    before, after = run(held), run(other)
    assert before.choice_trial.parameter_set == after.choice_trial.parameter_set
    assert [trial.scenarios.metrics for trial in before.choice.trials] == [
        trial.scenarios.metrics for trial in after.choice.trials
    ]
    assert (
        before.rest.trials[0].prepared.window.fingerprint()
        != after.rest.trials[0].prepared.window.fingerprint()
    )


@pytest.mark.slow
def test_the_best_by_sharpe_is_chosen_and_ranked_among_all_on_the_rest(run):
    found = run(sample_bars(1400), sample_bars(1400, Ticker("ETH", "USD")))
    sharpes = [trial.scenarios.requested.metrics.sharpe for trial in found.choice.trials]
    assert found.choice_trial.scenarios.requested.metrics.sharpe == max(filter(None, sharpes))
    chosen = found.choice_trial.ticker, found.choice_trial.parameter_set
    at = found.rest.trials[found.rank - 1]
    assert (at.ticker, at.parameter_set) == chosen
    best = max(trial.scenarios.requested.metrics.sharpe or -99 for trial in found.rest.trials)
    assert found.best_in_hindsight.scenarios.requested.metrics.sharpe == best


@pytest.mark.parametrize("order", [1, -1])
def test_a_tie_goes_to_the_setting_that_was_named_first(run, order):
    # A stop that is never reached changes nothing.
    twins = combinations(BASE, [parse_axis("stop-loss=off,0.9")])[::order]
    found = run(sample_bars(1400), settings=twins)
    assert found.choice_trial.parameter_set == twins[0]


def test_where_nothing_traded_nothing_is_chosen(run):
    idle = combinations(BASE, [parse_axis("threshold-scale=1000000")])
    found = run(sample_bars(1400), settings=idle)
    assert (found.choice_trial, found.rest, found.chosen, found.rank) == (None, None, None, None)
    assert len(found.choice.trials) == 1


@pytest.mark.parametrize(
    ("fraction", "said"),
    [
        (0.0, "--select-then-test is 0."),
        (1.0, "--select-then-test is 1."),
        (float("nan"), "--select-then-test is nan"),
        (0.95, "divides 160 hours into 152 and 8"),
        (0.05, "divides 160 hours into 8 and 152"),
    ],
)
def test_a_fraction_that_leaves_no_part_is_refused_before_anything_is_read(run, fits, fraction, said):
    with pytest.raises(UsageError, match=said):
        run(sample_bars(1400), fraction=fraction)
    assert fits.calls == []


def test_models_of_hours_in_both_parts_are_trained_once(run, fits, tmp_path):
    held = sample_bars(1400)
    found = run(held)
    trained = found.choice.trained + found.rest.trained
    fits.calls.clear()
    setting = replace(BASE, varied=())
    tester = backtest(held, setting, tmp_path / "other", HOURS, found.end)
    assert trained == tester.walk.trained
