from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import strategies as st
from support.one_bar_frame import LONG, UNDECIDED, frame_of, signal_of
from support.strategies import holds_for
from support.stub_models import KNOWN, remade

from crypto_refactor.errors import UsageError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.signals.condition_catalogue import (
    CONDITIONS,
    VOLUME_CONDITIONS,
    descriptions_of,
    volume_hint,
)
from crypto_refactor.signals.conditions import SignalRules, concatenate, evaluate

UP, DOWN = math.inf, -math.inf


def held(made, side):
    row = (made.long if side == "long" else made.short)[0]
    return {name for name, value in zip(CONDITIONS, row.tolist(), strict=True) if value}


def test_there_are_ten_and_each_is_described():
    assert len(CONDITIONS) == 10
    assert CONDITIONS[0] == "forecast"
    assert set(descriptions_of(())) == set(CONDITIONS)


def test_on_its_boundary_no_condition_holds():
    made = signal_of(frame_of(), 0.0)
    assert held(made, "long") == set()
    assert held(made, "short") == {"rsi"}
    assert made.signal.tolist() == [0]


@pytest.mark.parametrize(
    ("side", "name", "column", "boundary", "towards"),
    [
        ("long", "rsi", "rsi", 65.0, DOWN),
        ("short", "rsi", "rsi", 35.0, UP),
        ("long", "macd", "macd_histogram", 0.0, UP),
        ("short", "macd", "macd_histogram", 0.0, DOWN),
        ("long", "obv", "obv", 0.0, UP),
        ("short", "obv", "obv", 0.0, DOWN),
        ("long", "vwap", "vwap", 100.0, DOWN),
        ("short", "vwap", "vwap", 100.0, UP),
        ("long", "price_trend", "ema_20", 100.0, DOWN),
        ("short", "price_trend", "ema_20", 100.0, UP),
        ("long", "ema_cross", "ema_50", 100.0, DOWN),
        ("short", "ema_cross", "ema_50", 100.0, UP),
        ("long", "adx", "adx", 25.0, UP),
        ("short", "adx", "adx", 25.0, UP),
        ("long", "calm", "realised_volatility", 1.2 * 0.01, DOWN),
        ("short", "calm", "realised_volatility", 1.2 * 0.01, DOWN),
        ("long", "volume", "volume_ratio", 1.1, UP),
        ("short", "volume", "volume_ratio", 1.1, UP),
    ],
)
def test_each_condition_holds_strictly_beyond_its_boundary(side, name, column, boundary, towards):
    beyond, before = (float(np.nextafter(boundary, way)) for way in (towards, -towards))
    for value, holds in ((boundary, False), (beyond, True), (before, False)):
        made = signal_of(frame_of(**{column: value}), 0.0)
        assert (name in held(made, side)) == holds, value


def test_ema_20_takes_part_in_two_conditions():
    assert held(signal_of(frame_of(ema_20=99.0), 0.0), "long") == {"price_trend"}
    assert held(signal_of(frame_of(ema_20=101.0), 0.0), "long") == {"ema_cross"}


class TestThreshold:
    def test_it_is_c_times_half_the_atr_and_three_tenths_of_the_volatility(self):
        made = signal_of(frame_of(close=200.0, atr=3.0, realised_volatility=0.01), 0.0, scale=0.4)
        assert made.threshold[0] == pytest.approx(0.4 * (0.5 * 3 + 0.3 * 0.01 * 200))

    def test_the_rules_override_the_models_scale(self):
        frame = frame_of(atr=2.0, realised_volatility=0.0)
        assert signal_of(frame, 0.0, scale=0.4, threshold_scale=0.7).threshold[0] == pytest.approx(0.7)
        assert signal_of(frame, 0.0, scale=0.4, threshold_scale=0.0).threshold[0] == 0

    @pytest.mark.parametrize("direction", [1, -1])
    def test_a_forecast_must_go_beyond_it(self, direction):
        forecast = direction * 0.01
        # An ATR of 2 and no volatility make the unit 1, so that the scale is the threshold.
        frame = frame_of(atr=2.0, realised_volatility=0.0)
        move = abs(100 * np.exp(forecast) - 100)
        side = "long" if direction > 0 else "short"
        for scale, holds in (
            (move, False),
            (np.nextafter(move, 0), True),
            (np.nextafter(move, 1e9), False),
        ):
            made = signal_of(frame, forecast, scale=float(scale))
            assert ("forecast" in held(made, side)) == holds
            assert "forecast" not in held(made, "short" if side == "long" else "long")

    def test_no_forecast_is_never_beyond_it(self):
        made = signal_of(frame_of(atr=0.0, realised_volatility=0.0), 0.0, scale=1.0, min_confirmations=0)
        assert made.threshold[0] == 0
        assert made.signal[0] == 0


class TestConfirmations:
    def with_confirmations(self, count, direction=1):
        """Return a bar on which exactly the first `count` confirmations hold for the side."""
        values = {}
        for column, value in list(LONG.values())[:count]:
            if direction < 0 and column not in {"adx", "realised_volatility", "volume_ratio"}:
                value = 2 * UNDECIDED[column] - value if column != "rsi" else 36.0  # noqa: PLW2901 - mirrored
            values[column] = value
        if direction < 0 and count == 0:
            values["rsi"] = 35.0
        return frame_of(**values)

    @pytest.mark.parametrize("direction", [1, -1])
    @pytest.mark.parametrize("count", range(10))
    @pytest.mark.parametrize("needed", range(10))
    def test_a_signal_needs_the_forecast_and_enough_of_the_other_nine(self, direction, count, needed):
        frame = self.with_confirmations(count, direction)
        made = signal_of(frame, direction * 0.01, min_confirmations=needed)
        assert made.confirmations[0] == count
        assert made.signal[0] == (direction if count >= needed else 0)

    def test_all_nine_without_the_forecast_are_flat(self):
        frame = frame_of(**dict(LONG.values()))
        made = signal_of(frame, 0.01, scale=1e9, min_confirmations=0)
        assert made.confirmations[0] == 9
        assert made.signal[0] == 0

    def test_confirmations_for_the_other_side_do_not_count(self):
        frame = frame_of(**dict(LONG.values()) | {"rsi": 34.0})
        made = signal_of(frame, -0.01, min_confirmations=4)
        # Trend strength, calm and volume count for both sides.
        assert held(made, "short") == {"forecast", "adx", "calm", "volume"}
        assert made.signal[0] == 0

    def test_six_are_needed_by_default(self):
        assert SignalRules().min_confirmations == 6

    def test_they_are_not_negative(self):
        with pytest.raises(UsageError, match="--min-confirmations"):
            SignalRules(min_confirmations=-1)

    def test_there_are_only_nine(self):
        SignalRules(min_confirmations=9).require_possible(())
        with pytest.raises(UsageError, match="0 to 9"):
            SignalRules(min_confirmations=10).require_possible(())

    @pytest.mark.parametrize("scale", [-0.1, math.inf, math.nan])
    def test_a_scale_is_a_number_of_zero_or_more(self, scale):
        with pytest.raises(UsageError, match="--threshold-scale"):
            SignalRules(threshold_scale=scale)


class TestSides:
    def test_the_conditions_shown_are_those_of_the_forecasts_side(self):
        frame = frame_of(macd_histogram=1.0, rsi=50.0)
        up, down, none = (signal_of(frame, forecast, scale=1e9) for forecast in (0.01, -0.01, 0.0))
        for made, side, expected in ((up, 1, up.long), (down, -1, down.short), (none, 0, none.long)):
            assert made.forecast_side[0] == side
            assert made.conditions_met.tolist() == expected.tolist()

    @holds_for(
        st.floats(-0.05, 0.05),
        st.fixed_dictionaries({column: st.floats(0, 200) for column, _ in LONG.values()}),
        st.integers(0, 9),
    )
    def test_mirrored_forecasts_never_give_the_same_signal(self, forecast, values, needed):
        frame = frame_of(**values)
        there, back = (
            signal_of(frame, way * forecast, scale=0.1, min_confirmations=needed) for way in (1, -1)
        )
        assert there.signal[0] in {0, there.forecast_side[0]}
        assert not (there.signal[0] and there.signal[0] == back.signal[0])
        assert (there.long[0, 7:] == there.short[0, 7:]).all()


class TestWhatIsExpected:
    def test_predicted_price_and_expected_move(self):
        made = signal_of(frame_of(), 0.02)
        assert made.predicted[0] == pytest.approx(100 * math.exp(0.02))
        assert made.expected_move[0] == pytest.approx(0.02 * 0.5)
        assert signal_of(frame_of(), -0.02).expected_move[0] == made.expected_move[0]

    def test_the_interval_is_the_forecast_plus_and_minus_the_errors_in_atr(self):
        made = signal_of(frame_of(atr=2.0), 0.02, evidence=replace(KNOWN, interval_error=1.5))
        assert made.low[0] == pytest.approx(100 * math.exp(0.02 - 1.5 * 0.02))
        assert made.high[0] == pytest.approx(100 * math.exp(0.02 + 1.5 * 0.02))

    def test_without_a_range_the_interval_is_a_point(self):
        made = signal_of(frame_of(atr=0.0), 0.02)
        assert made.low[0] == made.high[0] == made.predicted[0]

    def test_without_evidence_nothing_is_expected(self):
        made = signal_of(frame_of(), 0.02, evidence=replace(KNOWN, shrink=0.0, mean_shrink=0.0))
        assert made.expected_move[0] == 0
        assert made.confidence[0] == 0.5
        assert not made.supported[0]

    def test_a_signal_is_made_at_the_close_of_its_bar(self):
        frame = frame_of()
        assert signal_of(frame, 0.0).decided_at[0] == frame.bars.opened[0] + 1


def test_stretches_are_joined_in_order():
    made = [signal_of(frame_of(close=close), 0.01) for close in (100.0, 101.0)]
    joined = concatenate(made)
    assert len(joined) == 2
    assert joined.close.tolist() == [100, 101]
    assert joined.long.shape == (2, 10)


@pytest.mark.parametrize("seed", range(3))
def test_without_any_volume_exactly_the_named_conditions_never_hold(random_bars, seed):
    bars = random_bars(1500, seed=seed)
    frame = compute_features(remade(bars, volume=np.zeros(1500)))
    rows = np.flatnonzero(frame.ready)
    made = evaluate(
        frame, rows, np.where(rows % 2, 0.1, -0.1), evidence=KNOWN, threshold_scale=0.1, rules=SignalRules()
    )
    for side in (made.long, made.short):
        never = {name for name, held in zip(CONDITIONS, side.any(axis=0), strict=True) if not held}
        assert never == set(VOLUME_CONDITIONS)


def test_the_hint_says_how_many_confirmations_are_left():
    assert volume_hint(6, 10).endswith("at most 6 of 9 confirmations can be met, all of which are needed.")
    assert volume_hint(7, 10).endswith("at most 6 of 9 confirmations can be met, and 7 are needed.")
    assert "obv, vwap and volume can never hold" in volume_hint(4, 10)
