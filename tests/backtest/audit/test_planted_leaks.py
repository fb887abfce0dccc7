"""Faults planted into the tool's own functions, one at a time: the audit of a sample of bars finds each.

Every fault is at work in the run and in the audit alike, as it would be if it stood in the code.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.stub_models import HeldBars, remade, sample_bars, without
from support.trained_models import SETTINGS

from crypto_refactor.backtest import engine, result, scenarios
from crypto_refactor.backtest import walk_forward as walkforward
from crypto_refactor.backtest.audit import look_ahead, sample
from crypto_refactor.backtest.audit import models as audit_models
from crypto_refactor.backtest.audit.auditor import audit
from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.engine import _Simulator
from crypto_refactor.execution import decisions, fills
from crypto_refactor.execution import sub_account as account
from crypto_refactor.execution.rules import ExecutionOptions, ExitRule
from crypto_refactor.features import price_indicators as price
from crypto_refactor.features import volume_indicators as volume
from crypto_refactor.features.frame import compute_features
from crypto_refactor.model import schedule as selection
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.signals import conditions
from crypto_refactor.signals import pipeline as path
from crypto_refactor.signals.conditions import SignalRules

HOURS = 100
RULES = SignalRules(min_confirmations=4)


@pytest.fixture
def audited(tmp_path, fits, monkeypatch):
    """Run a backtest and audit a small sample of it."""
    monkeypatch.setattr(sample, "DRAWN_CLOSES", 8)

    def run(options=None, *, bars=None, **kwargs):
        made = Backtester(
            "BTC/USD",
            source=HeldBars(sample_bars(1400) if bars is None else bars),
            settings=SETTINGS,
            signal_rules=RULES,
            options=options or ExecutionOptions(),
            model_dir=tmp_path / "models",
        ).run(HOURS, **kwargs)
        assert made.requested.simulation.fills
        found = audit(made)
        assert found.bars_checked < found.bars / 2
        return found

    return run


@pytest.fixture
def plant(monkeypatch):
    """Put a function in the place of another, wherever the package knows that one by its name."""

    def put(function, *places):
        for module, name in places:
            monkeypatch.setattr(module, name, function)

    return put


def failed(found):
    return {check.name for check in found.checks if not check.passed}


def ahead(values, bars=1):
    """Return the values of `bars` later; the last ones stay, because nothing comes after them."""
    return np.concatenate([values[bars:], values[-bars:]])


def reordered(order):
    """Return `group_models` with the models of every ticker in another order."""
    honest = walkforward.group_models

    def mixed_up(*arguments):
        found = honest(*arguments)
        return replace(found, keys={ticker: order(keys) for ticker, keys in found.keys.items()})

    return mixed_up


def test_nothing_planted_nothing_found(audited):
    found = audited()
    assert found.passed
    assert found.first_difference is None


class TestFeatures:
    def test_a_back_filled_feature(self, audited, plant):
        honest = volume.volume_ratio

        def back_filled(volumes, window):
            ratio = honest(volumes, window)
            return np.where(ratio < 0.8, ahead(ratio), ratio)

        plant(back_filled, (volume, "volume_ratio"))
        found = audited()
        assert "signals" in failed(found)
        assert found.first_difference.column == "volume_ratio"

    def test_a_centred_rolling_window(self, audited, plant):
        honest = price.realised_volatility
        plant(lambda close, window: ahead(honest(close, window), window // 2), (price, "realised_volatility"))
        found = audited()
        assert failed(found) >= {"signals", "models"}
        assert found.first_difference.column == "realised_volatility"

    def test_a_scaler_fitted_on_everything(self, audited, plant):
        def standardised(bars, plugins):
            frame = compute_features(bars, plugins)
            ready = frame.inputs[frame.ready]
            return replace(frame, inputs=(frame.inputs - ready.mean(axis=0)) / ready.std(axis=0))

        plant(
            standardised,
            *((module, "compute_features") for module in (selection, audit_models, look_ahead)),
        )
        found = audited()
        assert failed(found) >= {"signals", "models"}
        assert found.first_difference.column == "rsi, model input"
        assert found.first_difference.run != found.first_difference.recomputed

    def test_the_next_close_in_a_feature_of_the_model_only(self, audited, plant):
        honest = volume.volume_delta_share
        plant(
            lambda value, volumes, window: honest(ahead(value), volumes, window),
            (volume, "volume_delta_share"),
        )
        found = audited()
        assert found.first_difference.column == "volume_delta, model input"

    def test_a_feature_that_counts_from_where_the_data_begin(self, audited, plant):
        plant(
            lambda close, volumes, _window: np.cumsum(np.where(price.change(close) < 0, -volumes, volumes)),
            (volume, "obv"),
        )
        found = audited()
        assert failed(found) == {"start"}
        assert found.first_difference.column == "obv"


class TestForecasts:
    def test_forecasts_scaled_by_all_of_them(self, audited, plant):
        honest = Forecaster.raw

        def scaled(self, windows):
            raw = honest(self, windows)
            return (raw - raw.mean()) / (raw.std() or 1.0)

        plant(scaled, (Forecaster, "raw"))
        found = audited()
        assert failed(found) >= {"signals"}
        assert found.first_difference.column == "predicted"


class TestModels:
    def test_a_label_that_leaks_over_the_cutoff(self, audited, plant):
        honest = selection.training_set

        def two_hours(frame, rows, lookback):
            last = len(frame.bars) - 1
            outcome = frame.bars.close[np.minimum(rows + 2, last)] / frame.bars.close[rows]
            return replace(honest(frame, rows, lookback), returns=np.log(outcome))

        plant(two_hours, (selection, "training_set"))
        found = audited()
        assert failed(found) == {"models"}
        assert found.first_difference.column == "label in training"

    def test_a_label_that_reaches_past_the_last_bar(self, audited, plant):
        honest = selection.training_set

        def two_hours(frame, rows, lookback):
            outcome = frame.bars.close[rows + 2] / frame.bars.close[rows]
            return replace(honest(frame, rows, lookback), returns=np.log(outcome))

        plant(two_hours, (selection, "training_set"))
        # Stretches of a good length, so that no run comes to the end of the bars itself.
        found = audited(end=int(sample_bars(1400).closed[-1]) // 48 * 48 + 30 - 48)
        assert failed(found) == {"models"}
        assert "IndexError" in found.first_difference.recomputed

    def test_a_model_trained_beyond_its_cutoff(self, audited, plant):
        def longer(period, settings):
            return selection.training_set(period.frame, selection.labelled_rows(period.frame, 12)[-240:], 12)

        plant(longer, (walkforward, "training_rows"), (audit_models, "training_rows"))
        found = audited()
        assert failed(found) == {"models"}
        assert found.first_difference.column == "trained through, at most"
        assert found.first_difference.run > found.first_difference.recomputed

    def test_models_of_the_period_after(self, audited, plant):
        plant(reordered(lambda keys: [*keys[1:], keys[-1]]), (walkforward, "group_models"))
        assert failed(audited()) == {"models"}

    def test_models_of_the_period_before(self, audited, plant):
        """They have seen nothing of it, and yet they are not the ones that belong to it."""
        plant(reordered(lambda keys: [keys[0], *keys[:-1]]), (walkforward, "group_models"))
        found = audited()
        assert failed(found) == {"models"}
        assert found.first_difference.column == "trained from on the card"

    def test_no_hour_to_train(self, audited, plant):
        def at_once(decision, settings):
            return decision // settings.refit_every * settings.refit_every

        plant(at_once, (selection, "cutoff_for"), (audit_models, "cutoff_for"))
        found = audited()
        assert "models" in failed(found)


class TestThresholds:
    def test_a_threshold_from_the_whole_window(self, audited, plant):
        honest = conditions.threshold_unit
        plant(
            lambda *columns: np.full(len(columns[0]), honest(*columns).mean()), (conditions, "threshold_unit")
        )
        found = audited()
        assert "signals" in failed(found)
        assert found.first_difference.column == "threshold"

    def test_a_threshold_of_the_next_bar(self, audited, plant):
        honest = conditions.threshold_unit
        plant(lambda *columns: ahead(honest(*columns)), (conditions, "threshold_unit"))
        found = audited()
        assert "signals" in failed(found)
        assert found.first_difference.column == "threshold"

    def test_a_scale_fitted_on_what_is_scored(self, audited, plant):
        honest = path.evaluate

        def fitted(frame, rows, forecast, **options):
            scale = np.percentile(np.abs(forecast), 80) * 20 if len(rows) else 1.0
            return honest(frame, rows, forecast, **options | {"threshold_scale": float(scale)})

        plant(fitted, (path, "evaluate"))
        assert "signals" in failed(audited())


class TestFills:
    def test_a_fill_at_the_close_it_was_decided_on(self, audited, plant):
        honest = _Simulator.fill_pending

        def early(self, i, _price, *, real):
            honest(self, i, float(self.bars.close[i - 1]), real=real)

        plant(early, (_Simulator, "fill_pending"))
        found = audited()
        assert failed(found) == {"fills"}
        assert found.first_difference.column == "entry price"

    def test_a_fill_at_the_open_of_the_signals_own_bar(self, audited, plant):
        honest = _Simulator.fill_pending

        def early(self, i, _price, *, real):
            honest(self, i, float(self.bars.open[i - 1]), real=real)

        plant(early, (_Simulator, "fill_pending"))
        assert failed(audited()) == {"fills"}

    def test_signals_laid_out_one_bar_early(self, audited, plant):
        """The open that is filled at is that of the bar whose close gives the signal."""
        honest = result.align_to_bars
        plant(
            lambda *made: {name: ahead(column) for name, column in honest(*made).items()},
            (result, "align_to_bars"),
        )
        found = audited()
        assert failed(found) == {"fills"}
        assert found.first_difference.column == "target"

    def test_fills_dated_an_hour_back(self, audited, plant):
        honest = engine.fill_at_open
        plant(
            lambda account, pending, price, at, **options: honest(account, pending, price, at - 1, **options),
            (engine, "fill_at_open"),
        )
        assert "fills" in failed(audited())

    def test_slippage_in_our_favour(self, audited, plant):
        honest = engine.fill_at_open

        def kindly(held, pending, price, at, *, adjacent, rules):
            return honest(held, pending, price, at, adjacent=adjacent, rules=replace(rules, slippage_bps=0.0))

        plant(kindly, (engine, "fill_at_open"))
        assert failed(audited(ExecutionOptions(slippage_bps=4.0))) == {"fills"}

    def test_a_stop_nearer_than_stated(self, audited, plant):
        honest = decisions.stop_levels

        def nearer(held, rules):
            lower, upper = honest(held, rules)
            return lower * 1.004 if held.side > 0 else lower, upper

        plant(nearer, (engine, "stop_levels"), (decisions, "stop_levels"))
        assert failed(audited(ExecutionOptions(stop_loss=0.005, exit=ExitRule.OPPOSITE))) == {"fills"}

    def test_strict_ignored(self, audited, plant):
        honest = engine.decide
        plant(
            lambda *arguments, **options: honest(*arguments, **options | {"exceeds_cost": True}),
            (engine, "decide"),
        )
        assert failed(audited(ExecutionOptions(strict=True, fee=0.01))) == {"fills"}


class TestMoney:
    @pytest.fixture
    def closing(self, plant):
        """Change what closing a position leaves behind."""
        honest = account._book_exit

        def put(change):
            def closed(before, **figures):
                return change(before, *honest(before, **figures))

            plant(closed, (account, "_book_exit"))

        return put

    def test_profit_counted_twice(self, audited, closing):
        closing(
            lambda _before, after, fill, trade: (
                after._replace(cash=after.cash + trade.gross_pnl),
                fill,
                trade,
            )
        )
        found = audited()
        assert failed(found) == {"accounting"}
        assert found.first_difference.column == "cash"

    def test_profit_of_one_coin_whatever_was_held(self, audited, closing):
        closing(
            lambda _before, after, fill, trade: (
                after._replace(cash=after.cash - trade.gross_pnl + trade.gross_pnl / trade.quantity),
                fill,
                trade,
            )
        )
        assert failed(audited()) == {"accounting"}

    def test_a_fee_on_the_profit(self, audited, closing):
        def cheap(_before, after, fill, trade):
            fee = 0.001 * abs(trade.gross_pnl)
            saved = fill.fee - fee
            changed = trade._replace(fees=trade.fees - saved)
            return after._replace(cash=after.cash + saved), fill._replace(fee=fee), changed

        closing(cheap)
        found = audited()
        assert failed(found) == {"accounting"}
        assert found.first_difference.column == "fee"

    def test_an_entry_fee_missing_from_the_rows(self, audited, closing):
        closing(lambda _before, after, fill, trade: (after, fill, trade._replace(fees=fill.fee)))
        assert failed(audited()) == {"accounting"}

    def test_borrow_that_is_never_charged(self, audited, plant):
        plant(lambda held, _price, _rules: held, (fills, "charge_borrow"))
        assert failed(audited(ExecutionOptions(borrow=0.5))) == {"accounting"}

    def test_a_balance_that_is_told_better_than_it_is(self, audited, plant):
        honest = scenarios.compute_metrics

        def flattered(*arguments, **options):
            metrics = honest(*arguments, **options)
            return replace(metrics, final_balance=metrics.final_balance * 1.001)

        plant(flattered, (scenarios, "compute_metrics"))
        found = audited()
        assert failed(found) == {"accounting"}
        assert found.first_difference.column == "final balance"

    def test_a_gap_marked_at_the_close_after_it(self, audited, plant):
        """Back-filled bars tell the future to the equity, even where nothing is decided on them."""
        end = int(sample_bars(1400).closed[-1])
        gapped = without(sample_bars(1400), *((end - at, end - at + 3) for at in range(8, 96, 11)))
        honest = walkforward.window_of

        def back_filled(bars, hours, end):
            window = honest(bars, hours, end)
            real = np.flatnonzero(~window.synthetic)
            following = window.close[real[np.searchsorted(real, np.arange(len(window)))]]
            names = ("open", "high", "low", "close")
            prices = {n: np.where(window.synthetic, following, getattr(window, n)) for n in names}
            return remade(window, **prices)

        assert audited(bars=gapped, allow_gaps=True).passed
        plant(back_filled, (walkforward, "window_of"))
        found = audited(ExecutionOptions(exit=ExitRule.OPPOSITE), bars=gapped, allow_gaps=True)
        assert failed(found) == {"accounting"}
        assert found.first_difference.column == "equity"
