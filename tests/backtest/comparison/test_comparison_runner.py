"""A comparison is the backtests it is made of, and a portfolio is their sum."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from support.replay_runner import SETTINGS as REPLAYED
from support.replay_runner import SIGNALS, SeveralBars, replay_run
from support.stub_models import BTC, planted_model, sample_bars, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.comparison.parameter_grid import (
    MAX_TRIALS,
    VARIABLE_OPTIONS,
    ParameterSet,
    combinations,
    parse_axis,
    value_text,
)
from crypto_refactor.backtest.comparison.runner import run_comparison
from crypto_refactor.backtest.significance.sharpe import selection_bias
from crypto_refactor.errors import DataError, ModelError, UsageError
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.replay_summary import ticker_figures, total_curve, total_figures
from crypto_refactor.signals.conditions import SignalRules

ETH, ADA = Ticker("ETH", "USD"), Ticker("ADA", "USD")
HOURS = 100
BASE = ParameterSet(
    settings=SETTINGS, signal_rules=SignalRules(min_confirmations=4), options=ExecutionOptions()
)


def bars_of(*tickers, count=1400):
    return [sample_bars(count, ticker) for ticker in tickers]


def settings_of(*vary, base=BASE):
    return combinations(base, [parse_axis(text) for text in vary])


@pytest.fixture
def run(request_of, fits):
    def make(*held, settings=(BASE,), hours=HOURS, **options):
        return run_comparison(request_of(*held, settings=settings, hours=hours, **options))

    return make


def backtest(held, setting, folder, *, balance=10_000.0, end=None):
    tester = Backtester(
        held.ticker,
        source=SeveralBars(held),
        settings=setting.settings,
        signal_rules=setting.signal_rules,
        options=setting.options,
        model_dir=folder,
    )
    return tester.run(HOURS, end=end, initial_balance=balance, allow_gaps=True, assess=False)


class TestATrialIsABacktest:
    def test_one_ticker_and_one_setting(self, run, tmp_path):
        (trial,) = run(*bars_of(BTC)).trials
        alone = backtest(sample_bars(1400), BASE, tmp_path / "other")
        assert alone.requested.metrics.trades > 3
        assert trial.scenarios.metrics == alone.scenarios.metrics
        assert trial.scenarios.requested.simulation.fills == alone.requested.simulation.fills
        assert (
            trial.scenarios.requested.simulation.equity.tobytes()
            == alone.requested.simulation.equity.tobytes()
        )
        assert trial.walk.model_fingerprints == alone.walk.model_fingerprints

    @pytest.mark.slow
    @pytest.mark.parametrize(
        "vary",
        [
            ("exit=neutral,opposite,fade", "long-only=on,off"),
            ("threshold-scale=own,0,0.2", "min-confirmations=3,6"),
            ("venue=none,alpaca", "strict=on,off"),
            ("stop-loss=off,0.01", "take-profit=off,0.02"),
            ("network=small,documented",),
            ("lookback=12,20", "train-hours=240,300"),
            ("refit-every=48,96", "seed=0,7"),
            ("residual=auto,never",),
            ("fee=default,0,0.002", "slippage=0,10"),
            ("position-size=0.5,1", "max-notional=none,2000"),
            ("borrow=0,0.5", "max-drawdown=default,0.02"),
        ],
    )
    def test_whatever_is_varied(self, run, tmp_path, vary):
        held = bars_of(BTC, ETH)
        settings = settings_of(*vary)
        found = run(*held, settings=settings)
        assert len(found.trials) == 2 * len(settings)
        for trial in found.trials:
            bars = next(bars for bars in held if bars.ticker == trial.ticker)
            alone = backtest(bars, trial.parameter_set, tmp_path / "models")
            assert trial.scenarios.requested.metrics == alone.requested.metrics
            assert trial.scenarios.alpaca.metrics == alone.alpaca.metrics
            assert trial.scenarios.buy_and_hold.metrics == alone.buy_and_hold.metrics

    def test_they_are_ranked_by_sharpe_and_what_never_traded_comes_last(self, run):
        settings = settings_of("threshold-scale=own,1000000", "exit=neutral,opposite,fade")
        sharpes = [
            trial.scenarios.requested.metrics.sharpe
            for trial in run(*bars_of(BTC, ETH), settings=settings).trials
        ]
        defined = [sharpe for sharpe in sharpes if sharpe is not None]
        assert sharpes == sorted(defined, reverse=True) + [None] * 6
        assert len(defined) == 6

    def test_a_pinned_model_decides_where_it_is_there(self, run, tmp_path):
        found = run(*bars_of(BTC), model="mine")
        assert found.trials == ()
        assert "There is no model" in found.failed[0].error.what


class TestModels:
    @pytest.mark.slow
    def test_all_tickers_are_trained_side_by_side_once_for_each_network(self, run, fits):
        settings = settings_of("network=small,documented", "exit=neutral,fade")
        found = run(*bars_of(BTC, ETH), settings=settings)
        periods = len(found.trials[0].walk.periods)
        assert [len(call) for call in fits.calls] == [2 * periods, 2 * periods]
        assert found.trained == 4 * periods
        assert run(*bars_of(BTC, ETH), settings=settings).trained == 0
        assert len(fits.calls) == 2

    def test_trials_that_need_the_same_models_share_them(self, run, fits):
        settings = settings_of("lookback=12,20", "fee=0,0.001", "min-confirmations=3,5")
        found = run(*bars_of(BTC), settings=settings)
        by_lookback = {trial.parameter_set.settings.lookback: trial for trial in found.trials}
        periods = {lookback: len(trial.walk.periods) for lookback, trial in by_lookback.items()}
        assert [len(call) for call in fits.calls] == [periods[12], periods[20]]
        assert found.trained == sum(periods.values())
        for trial in found.trials:
            like = by_lookback[trial.parameter_set.settings.lookback]
            assert trial.prepared is like.prepared
            assert trial.walk.model_fingerprints == like.walk.model_fingerprints

    def test_a_ticker_too_short_for_one_setting_is_traded_with_the_others(self, run):
        found = run(*bars_of(BTC, count=1100), settings=settings_of("train-hours=240,2160", "fee=0,0.001"))
        assert {trial.parameter_set.label for trial in found.trials} == {
            "train-hours=240, fee=0",
            "train-hours=240, fee=0.001",
        }
        (failed,) = found.failed
        assert (failed.ticker, failed.where) == (BTC, "train-hours=2160")
        assert "were found" in failed.error.what

    def test_what_is_wrong_for_every_setting_is_said_once(self, run):
        found = run(source=Corrupted(BTC, ETH), tickers=(BTC, ETH), settings=settings_of("lookback=12,20"))
        assert [(failed.ticker, failed.where) for failed in found.failed] == [(ETH, "")]
        assert len(found.trials) == 2

    def test_a_fit_that_fails_leaves_the_other_tickers_alone(self, run, monkeypatch):
        worse = ModelError("It diverged.", expected="a fit.", remedy="try another seed.")

        def fit_all(jobs, settings, on_progress, *, workers=None, cluster=None):
            for position, data in enumerate(jobs):
                fails = settings.network == "documented" and position == 0
                yield position, worse if fails else planted_model(data, settings)

        monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", fit_all)
        found = run(*bars_of(BTC, ETH), settings=settings_of("network=small,documented"))
        ran = {(trial.ticker, trial.parameter_set.label) for trial in found.trials}
        assert ran == {(BTC, "network=small"), (ETH, "network=small"), (ETH, "network=documented")}
        (failed,) = found.failed
        assert (failed.ticker, failed.where, failed.error) == (BTC, "network=documented", worse)


class TestPortfolio:
    @pytest.mark.parametrize("exit_rule", list(ExitRule))
    def test_it_is_the_sum_of_backtests_with_a_share_of_the_balance(self, run, tmp_path, exit_rule):
        held = bars_of(BTC, ETH, ADA)
        setting = replace(BASE, options=ExecutionOptions(exit=exit_rule, max_notional=2500.0))
        (portfolio,) = run(*held, settings=(setting,)).portfolios
        alone = [backtest(bars, setting, tmp_path / "models", balance=10_000 / 3) for bars in held]
        assert portfolio.tickers == (BTC, ETH, ADA)
        assert portfolio.share == 10_000 / 3
        assert portfolio.equity == pytest.approx(
            sum(each.requested.simulation.equity for each in alone), rel=1e-15
        )
        metrics = portfolio.metrics
        assert metrics.initial_balance == pytest.approx(10_000)
        assert metrics.final_balance == pytest.approx(
            sum(each.requested.metrics.final_balance for each in alone)
        )
        assert metrics.trades == sum(each.requested.metrics.trades for each in alone)
        assert metrics.fees_paid == pytest.approx(sum(each.requested.metrics.fees_paid for each in alone))
        assert metrics.exposure == pytest.approx(np.mean([each.requested.metrics.exposure for each in alone]))
        assert portfolio.hold_metrics.final_balance == pytest.approx(
            sum(each.buy_and_hold.metrics.final_balance for each in alone)
        )

    def test_at_alpaca_the_balance_is_shared_among_what_it_trades(self, run, tmp_path):
        held = bars_of(BTC, ETH, ADA)
        (portfolio,) = run(*held).portfolios
        there = [backtest(bars, BASE, tmp_path / "models", balance=5000.0) for bars in held[:2]]
        assert portfolio.alpaca_metrics.final_balance == pytest.approx(
            sum(each.alpaca.metrics.final_balance for each in there)
        )
        (venue,) = run(*held, settings=settings_of("venue=alpaca")).portfolios
        assert venue.tickers == (BTC, ETH)
        # Only the fee is the venue's own in both.
        assert venue.metrics == venue.alpaca_metrics == portfolio.alpaca_metrics

    def test_it_is_what_a_replay_of_several_tickers_comes_to(self, run, tmp_path):
        btc, eth = bars_of(BTC, ETH, count=1200)
        end = int(btc.closed[-1])
        eth = without(eth, (end - 40, end - 35))
        setting = ParameterSet(settings=REPLAYED, signal_rules=SIGNALS, options=ExecutionOptions())
        result, _ = replay_run(tmp_path, btc, eth, hours=72)
        assert all(replayed.same for replayed in result.replayed)
        (portfolio,) = run(btc, eth, settings=(setting,), hours=72).portfolios
        total = total_figures(map(ticker_figures, result.replayed))
        assert total.trades > 3
        assert portfolio.metrics.final_balance == pytest.approx(total.final, rel=1e-15)
        assert portfolio.metrics.initial_balance == total.initial
        assert (portfolio.metrics.trades, portfolio.metrics.win_rate) == (total.trades, total.win_rate)
        assert portfolio.metrics.fees_paid == pytest.approx(total.fees)
        _, curve = total_curve([replayed.equity for replayed in result.replayed])
        assert portfolio.equity.tolist() == curve.tolist()

    def test_where_a_ticker_has_no_bar_its_equity_stays(self, run, tmp_path):
        settings = replace(SETTINGS, refit_every=480)
        setting = replace(BASE, settings=settings)
        btc, eth = bars_of(BTC, ETH, count=1800)
        end = int(btc.closed[-1])
        eth = without(eth, (end - 90, end - 10), (end - 1, end))
        (portfolio,) = run(btc, eth, settings=(setting,)).portfolios
        alone = [backtest(bars, setting, tmp_path / "models", balance=5000.0, end=end) for bars in (btc, eth)]
        assert [len(each.requested.simulation.equity) for each in alone] == [HOURS + 1, HOURS + 1 - 81]
        known = dict(
            zip(alone[1].window.closed.tolist(), alone[1].requested.simulation.equity.tolist(), strict=True)
        )
        last, expected = None, []
        for hour, value in zip(
            range(end - HOURS, end + 1), alone[0].requested.simulation.equity.tolist(), strict=True
        ):
            last = known.get(hour, last)
            expected.append(value + last)
        assert portfolio.equity.tolist() == expected

    def test_the_share_of_a_ticker_that_fails_is_not_traded(self, run):
        source = Corrupted(BTC, ETH)
        found = run(source=source, tickers=(BTC, ETH, Ticker("SOL", "USD")))
        (portfolio,) = found.portfolios
        assert (portfolio.tickers, portfolio.share) == ((BTC,), 5000.0)


class Corrupted(SeveralBars):
    """A source whose second ticker has bars that are none."""

    def __init__(self, whole, broken):
        super().__init__(sample_bars(1400, whole))
        self.broken = broken

    def _of(self, ticker):
        if ticker == self.broken:
            raise DataError("Row 7 is not a bar.", expected="a bar.", remedy="correct it.")
        return super()._of(ticker)


class TestTickersThatCannotBeCompared:
    @pytest.mark.parametrize("end", [None, int(sample_bars(1400).closed[-1])])
    def test_a_corrupted_one_is_named_with_its_error_and_leaves_the_others_alone(self, run, end):
        found = run(source=Corrupted(BTC, ETH), tickers=(ETH, BTC), end=end)
        alone = run(*bars_of(BTC))
        assert [trial.scenarios.requested.metrics for trial in found.trials] == [
            alone.trials[0].scenarios.requested.metrics
        ]
        (failed,) = found.failed
        assert (failed.ticker, failed.where, failed.error.what) == (ETH, "", "Row 7 is not a bar.")
        assert found.unavailable == ()

    @pytest.mark.parametrize("asked", [True, False])
    def test_one_that_is_not_offered_fails_only_where_it_was_asked_for(self, run, asked):
        found = run(*bars_of(BTC), tickers=(BTC, ETH), explicitly_requested=asked)
        assert len(found.trials) == 1
        assert [each.ticker for each in found.failed] == [ETH] * asked
        assert [each.ticker for each in found.unavailable] == [ETH] * (not asked)
        assert found.portfolios[0].share == 10_000

    @pytest.mark.parametrize(("vary", "where"), [("venue=none,alpaca", "venue=alpaca"), ("venue=alpaca", "")])
    def test_one_that_the_venue_does_not_trade(self, run, vary, where):
        held = bars_of(BTC, ADA)
        found = run(*held, settings=settings_of(vary))
        labels = [(trial.ticker, trial.parameter_set.options.venue) for trial in found.trials]
        assert (ADA, "alpaca") not in labels
        assert ((ADA, "none") in labels) == bool(where)
        (each,) = found.unavailable
        assert (each.ticker, each.where) == (ADA, where)
        (failed,) = run(*held, settings=settings_of(vary), explicitly_requested=True).failed
        assert (failed.ticker, failed.where, failed.error.exit_code) == (ADA, where, 2)

    def test_one_with_too_few_bars(self, run):
        held = [sample_bars(1400), sample_bars(1400, ETH).rows(700, 1400)]
        found = run(*held)
        assert [trial.ticker for trial in found.trials] == [BTC]
        assert "were found" in found.failed[0].error.what

    def test_all_share_the_latest_end(self, run):
        held = [sample_bars(1400), sample_bars(1390, ETH)]
        found = run(*held)
        assert found.end == int(held[0].closed[-1])
        assert "before the end" in found.failed[0].error.what
        assert len(run(*held, end=int(held[1].closed[-1])).trials) == 2

    def test_where_nothing_is_known_there_is_no_end(self, run):
        found = run(*bars_of(BTC), tickers=(ETH, ADA))
        assert (found.end, found.trials, found.portfolios, found.selection_bias) == (None, (), (), None)
        assert len(found.unavailable) == 2


class TestSelectionBias:
    def metrics(self, run, sharpes):
        like = run(*bars_of(BTC)).trials[0].scenarios.requested.metrics
        return [replace(like, sharpe=sharpe, sharpe_se=1.0) for sharpe in sharpes]

    def test_the_deflated_sharpe_ratio_falls_with_the_number_of_trials(self, run):
        one, *others = self.metrics(run, [3.0, 1.0, -1.0])
        found = [selection_bias([one]), *(selection_bias([one, *others * times]) for times in (1, 3, 10, 50))]
        deflated = [bias.deflated_sharpe for bias in found]
        assert deflated == sorted(deflated, reverse=True)
        assert len(set(deflated)) == 5
        assert [bias.trials for bias in found] == [1, 3, 7, 21, 101]
        assert {bias.best_sharpe for bias in found} == {3.0}
        # One trial was not chosen among others: the plain probability that 3 with an error of 1 is above 0.
        assert found[0].expected_best_sharpe == 0
        assert found[0].deflated_sharpe == pytest.approx(0.99865, abs=1e-5)

    def test_a_trial_that_never_traded_is_counted_but_had_no_chance(self, run):
        bias = selection_bias(self.metrics(run, [3.0, None, 1.0]))
        assert (bias.trials, bias.trials_with_sharpe) == (3, 2)
        assert selection_bias(self.metrics(run, [None])) is None

    def test_a_comparison_counts_its_trials(self, run):
        found = run(*bars_of(BTC, ETH), settings=settings_of("exit=neutral,opposite,fade"))
        assert (found.selection_bias.trials, found.selection_bias.best_sharpe) == (
            6,
            found.trials[0].scenarios.requested.metrics.sharpe,
        )


class TestVariations:
    def test_every_combination_is_made_the_last_option_changing_fastest(self):
        found = settings_of("exit=neutral,fade", "long-only=on,off", "stop-loss=off,0.05")
        assert [setting.label for setting in found[:3]] == [
            "exit=neutral, long-only=on, stop-loss=off",
            "exit=neutral, long-only=on, stop-loss=0.05",
            "exit=neutral, long-only=off, stop-loss=off",
        ]
        assert len(found) == 8
        last = found[-1]
        assert last.options == ExecutionOptions(exit=ExitRule.FADE, long_only=False, stop_loss=0.05)
        assert (last.settings, last.signal_rules) == (BASE.settings, BASE.signal_rules)

    def test_values_are_typed_and_count_once(self):
        assert parse_axis("threshold-scale=own, 1,1.0,0.5").values == (None, 1.0, 0.5)
        assert parse_axis("min-confirmations=6,6,4").values == (6, 4)
        assert parse_axis("network=small").values == ("small",)
        assert parse_axis("strict=on,off").values == (True, False)

    def test_nothing_varied_is_the_base(self):
        assert settings_of() == (BASE,)
        assert BASE.label == "as given"

    @pytest.mark.parametrize(
        "text",
        [
            "exit",
            "=1",
            "initial-balance=1000",
            "fee=cheap",
            "lookback=12.5",
            "seed=own",
            "exit=",
            "exit=neutral,",
            "long-only=yes",
            "min-confirmations=4.5",
            "min-confirmations=own",
            "threshold-scale=nan",
            "threshold-scale=off",
            "stop-loss=5%",
            "venue=kraken",
        ],
    )
    def test_what_is_no_variation_is_refused(self, text):
        with pytest.raises(UsageError, match="--vary"):
            parse_axis(text)

    @pytest.mark.parametrize("name", ["exit", "network"])
    def test_a_name_that_no_plugin_adds_is_refused(self, name):
        with pytest.raises(UsageError, match=f"--{name} is 'never'"):
            settings_of(f"{name}=never")

    def test_every_name_is_offered_in_the_error(self):
        with pytest.raises(UsageError) as caught:
            parse_axis("colour=red")
        assert all(name in caught.value.expected for name in VARIABLE_OPTIONS)

    def test_an_option_is_varied_once(self):
        with pytest.raises(UsageError, match="exit twice"):
            settings_of("exit=fade", "exit=neutral")

    @pytest.mark.parametrize("text", ["min-confirmations=6,12", "threshold-scale=-1"])
    def test_values_out_of_range_are_refused_where_they_are_made(self, text):
        with pytest.raises(UsageError, match="--"):
            settings_of(text)

    @pytest.mark.parametrize("text", ["stop-loss=0.05,1.5", "take-profit=0"])
    def test_and_rules_out_of_range_before_anything_is_read(self, run, fits, text):
        with pytest.raises(UsageError, match=text.partition("=")[0]):
            run(*bars_of(BTC), settings=settings_of(text))
        assert fits.calls == []

    def test_too_many_trials_are_refused(self, run):
        values = ",".join(str(value) for value in range(MAX_TRIALS // 2 + 1))
        with pytest.raises(UsageError, match=f"{MAX_TRIALS + 2:,} trials") as caught:
            run(*bars_of(BTC, ETH), settings=settings_of(f"threshold-scale={values}"))
        assert f"{MAX_TRIALS:,}" in caught.value.expected

    def test_a_grid_too_large_says_how_many_trials_it_would_be_and_makes_none(self):
        values = ",".join(map(str, range(1000)))
        axes = [parse_axis(f"{name}={values}") for name in ("seed", "fee", "slippage", "borrow", "lookback")]
        with pytest.raises(
            UsageError, match=r"2 tickers with 1,000,000,000,000,000 settings each are 2,000,000,"
        ):
            combinations(BASE, axes, tickers=2)

    @pytest.mark.parametrize("name", ["network", "lookback", "seed", "refit-every"])
    def test_what_a_pinned_model_brings_cannot_be_varied(self, run, name):
        text = f"{name}=small,documented" if name == "network" else f"{name}=24,48"
        with pytest.raises(UsageError, match=f"--vary {name} was given with --model"):
            run(*bars_of(BTC), settings=settings_of("fee=0,0.001", text), model="mine")

    def test_every_option_that_decides_or_trades_can_be_varied(self):
        known = {field.name for part in (SETTINGS, BASE.signal_rules, BASE.options) for field in fields(part)}
        named = {name.replace("_", "-").removesuffix("-bps") for name in known - {"plugins"}}
        assert set(VARIABLE_OPTIONS) == named | {"plugin"}
        for name in named:
            part = next(part for part in (SETTINGS, BASE.signal_rules, BASE.options) if _has(part, name))
            value = getattr(part, _field(part, name))
            assert parse_axis(f"{name}={value_text(name, value)}").values == (value,)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("lookback=1", "--lookback is 1."),
            ("network=huge", "--network is 'huge'."),
            ("residual=perhaps", "--residual is 'perhaps'."),
            ("train-hours=5", "--train-hours is 5."),
            ("seed=-1", "--seed is -1."),
        ],
    )
    def test_a_value_out_of_range_gets_the_error_of_the_option_itself(self, text, said):
        with pytest.raises(UsageError) as caught:
            settings_of(text)
        assert caught.value.what == said
        assert caught.value.remedy.startswith(("write --", "correct --"))


def _field(part, name):
    stem = name.replace("-", "_")
    return next((field.name for field in fields(part) if field.name in {stem, f"{stem}_bps"}), None)


def _has(part, name):
    return _field(part, name) is not None


@pytest.mark.parametrize(
    ("option", "asked"), [("--hours", {"hours": 0}), ("balance", {"initial_balance": -1.0})]
)
def test_what_cannot_be_is_refused(run, option, asked):
    with pytest.raises(UsageError, match=option):
        run(*bars_of(BTC), **asked)
