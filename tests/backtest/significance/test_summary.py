from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from support.strategies import cases, holds_for
from support.stub_models import BTC, HeldBars, PlantedFits, sample_bars

from crypto_refactor.backtest.assessment import significance
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.engine import simulate
from crypto_refactor.backtest.significance.fee_sensitivity import FEE_FACTORS
from crypto_refactor.backtest.significance.summary import significance_of
from crypto_refactor.backtest.significance.verdict import verdict
from crypto_refactor.execution.decisions import SignalPlan
from crypto_refactor.execution.rules import ExecutionOptions, ExecutionRules
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules

SETTINGS = ModelSettings(lookback=12, train_hours=480, refit_every=240, network="small")
KEYS = [
    "total_return_interval",
    "sharpe_interval",
    "bootstrap",
    "probabilistic_sharpe",
    "random_entry",
    "break_even_fee",
    "break_even_note",
    "cost_sweep",
    "skill",
]


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", PlantedFits())

    def make(hours, *, confirmations=4, assess=True, **options):
        tester = Backtester(
            BTC,
            source=HeldBars(sample_bars(5000)),
            settings=SETTINGS,
            signal_rules=SignalRules(min_confirmations=confirmations),
            options=ExecutionOptions(**options),
            model_dir=tmp_path / "models",
        )
        return tester.run(hours, assess=assess)

    return make


def plan_of(signal):
    side = np.asarray(signal, dtype=np.int8)
    always = np.ones(len(side), dtype=bool)
    return SignalPlan(signal=side, forecast_side=side, exceeds_cost=always, decidable=always)


def signals_of(window, how_right, rng, *, held=6):
    """Signals for the coming hours that are right with a given probability, and flat half of the time."""
    ahead = np.sign(np.roll(window.open, -held - 1) - np.roll(window.open, -1))[::held]
    right = np.where(rng.random(len(ahead)) < how_right, ahead, -ahead)
    chosen = np.where(rng.random(len(ahead)) < 0.5, right, 0)
    return np.repeat(chosen, held)[: len(window)]


class TestOfABacktest:
    def test_it_belongs_to_the_run_and_its_rules(self, run):
        result = run(400, position_size=0.5)
        found = result.significance
        low, high = found.intervals.total_return
        assert low < result.requested.metrics.total_return < high
        assert found.cost_sweep[FEE_FACTORS.index(1.0)].total_return == result.requested.metrics.total_return
        assert found.cost_sweep[0].total_return > result.requested.metrics.total_return
        assert found.skill.n == 400
        assert 0 < found.random_entry.p <= 1

    @pytest.mark.slow
    def test_the_same_command_gives_the_same_figures(self, run):
        one, other = run(300), run(300)
        assert one.significance == other.significance
        assert one.significance == significance(run(300, assess=False))

    def test_it_is_left_out_where_nobody_asks(self, run):
        result = run(100, assess=False)
        assert result.significance is None
        assert result.verdict is None

    def test_a_short_window_is_too_short_to_judge(self, run):
        found = run(100).verdict
        assert found.code == "too_few"
        assert "4.1 days (90 needed)" in found.text

    def test_the_document_is_json_with_null_where_undefined(self, run):
        for hours in (1, 30, 300):
            document = run(hours, confirmations=9).significance.to_dict()
            assert list(document) == KEYS
            assert json.loads(json.dumps(document, allow_nan=False)) == document
        assert document["skill"]["n"] == 300
        assert set(document["skill"]) == {
            *("n", "model", "baselines", "stated", "unshrunk", "coverage"),
            *("long", "short", "beyond_threshold"),
        }
        assert [point["factor"] for point in document["cost_sweep"]] == [0.0, 0.5, 1.0, 2.0, 5.0]

    def test_one_hour_leaves_everything_undefined(self, run):
        found = run(1).significance.to_dict()
        assert (
            found["total_return_interval"] is found["random_entry"] is found["probabilistic_sharpe"] is None
        )


class TestWithoutModels:
    def test_external_signals_have_everything_but_skill(self, random_bars):
        window = random_bars(2200)
        plan = plan_of(signals_of(window, 0.5, np.random.default_rng(0)))
        simulation = simulate(window, plan, ExecutionRules(), initial_balance=1000.0)
        found = significance_of(simulation, window, plan, ExecutionRules())
        assert found.skill is None
        document = found.to_dict()
        undefined = {name for name in KEYS if document[name] is None}
        assert undefined in ({"skill", "break_even_fee"}, {"skill", "break_even_note"})

    def test_no_signal_at_all(self, random_bars):
        window = random_bars(2200)
        plan = plan_of(np.zeros(2200))
        simulation = simulate(window, plan, ExecutionRules(), initial_balance=1000.0)
        found = significance_of(simulation, window, plan, ExecutionRules())
        assert found.probabilistic_sharpe is found.random_entry is found.intervals.sharpe is None
        assert found.intervals.total_return == (0.0, 0.0)
        assert found.break_even.reason == "nothing was traded"
        assert {point.total_return for point in found.cost_sweep} == {0.0}

    @pytest.mark.parametrize(("how_right", "code"), [(0.5, "no_evidence"), (0.9, "evidence")])
    def test_skill_in_timing_is_found_and_luck_is_not(self, random_bars, how_right, code):
        window = random_bars(2200)
        plan = plan_of(signals_of(window, how_right, np.random.default_rng(1)))
        rules = ExecutionRules(fee=0.0005)
        simulation = simulate(window, plan, rules, initial_balance=1000.0)
        found = significance_of(simulation, window, plan, rules)
        assert judged(simulation, found).code == code

    @pytest.mark.parametrize("how_right", [0.5, 0.7, 0.9])
    def test_ninety_days_cost_few_runs_of_the_engine(self, random_bars, monkeypatch, how_right):
        window, rules, fees = random_bars(2161), ExecutionRules(fee=0.0005), []
        plan = plan_of(signals_of(window, how_right, np.random.default_rng(1)))
        run = simulate(window, plan, rules, initial_balance=1000.0)

        def counted(window, plan, rules, **options):
            fees.append(rules.fee)
            return simulate(window, plan, rules, **options)

        monkeypatch.setattr("crypto_refactor.backtest.significance.fee_sensitivity.simulate", counted)
        assert significance_of(run, window, plan, rules).break_even.fee is not None
        # One for each fee of the sweep; the others find the break-even fee. All other tests are vectorised.
        assert len(FEE_FACTORS) < len(fees) <= len(FEE_FACTORS) + 12

    @pytest.mark.slow
    def test_without_an_edge_evidence_is_rarer_than_one_run_in_fifty_even_free_of_charge(self, random_bars):
        rules, codes = ExecutionRules(fee=0.0), []
        for seed in range(60):
            window = random_bars(2200, seed=seed)
            plan = plan_of(signals_of(window, 0.5, np.random.default_rng(seed), held=12))
            simulation = simulate(window, plan, rules, initial_balance=1000.0)
            codes.append(judged(simulation, significance_of(simulation, window, plan, rules)).code)
        # 1.2 are expected at most; 5 or more come in 1 % of cases.
        assert codes.count("evidence") < 5
        assert set(codes) <= {"evidence", "no_evidence"}


def judged(simulation, found):
    from crypto_refactor.backtest.metrics import compute_metrics

    metrics = compute_metrics(
        simulation.equity,
        simulation.sides[1:] != 0,
        simulation.trades,
        simulation.fills,
        closed=np.arange(2200),
        hours=2199,
    )
    return verdict(metrics, 2199, found, audit_passed=True, round_trip_cost=0.002)


@holds_for(cases(min_bars=15), examples=60)
def test_any_run_can_be_measured_and_written_down(case):
    simulation = case.run()
    found = significance_of(simulation, case.bars, case.plan, case.rules)
    json.dumps(found.to_dict(), allow_nan=False)


def test_nothing_heavy_is_imported():
    script = (
        "import sys; import crypto_refactor.backtest.significance.summary as s; import crypto_refactor.backtest.significance.verdict;"
        "print([n for n in ('scipy.stats', 'sklearn', 'plotly', 'keras', 'tensorflow') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
