"""What the functions of a plug-in must return, and where their results go."""

from __future__ import annotations

import numpy as np
import pytest
from support.plugin_files import EXAMPLE, written
from support.stub_models import sample_bars

from crypto_refactor.errors import PluginError
from crypto_refactor.features.catalogue import WARMUP, indicator_names
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.plugins import read_plugins
from crypto_refactor.signals.condition_catalogue import (
    CONDITIONS,
    condition_values,
    conditions_of,
    descriptions_of,
    exits_of,
)


@pytest.fixture
def bars():
    return fill_gaps(sample_bars(WARMUP + 60))


def values_of(frame):
    rows = np.flatnonzero(frame.ready)
    ones = np.ones(len(rows))
    return condition_values(frame, rows, ones, ones)


class TestIndicators:
    def test_the_frame_has_it_as_last_column(self, bars):
        frame = compute_features(bars, read_plugins(EXAMPLE))
        assert frame.names == (*indicator_names(), "cci")
        assert frame.values.shape == frame.inputs.shape == (len(bars), 15)
        np.testing.assert_array_equal(frame.inputs[frame.ready, -1], frame.column("cci")[frame.ready] / 200)

    def test_the_built_in_columns_stay_as_they_are(self, bars):
        with_plugin, without = compute_features(bars, read_plugins(EXAMPLE)), compute_features(bars)
        assert with_plugin.inputs[:, :14].tobytes() == without.inputs.tobytes()

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("return bars.close.tolist()", "its value is a list, no array"),
            ("return pd.Series(bars.close)", "its value is a Series, no array"),
            ("return bars.close[1:]", r"its value is float64 of shape \(559,\), from 560 bars"),
            ("return bars.close.astype('float32')", r"its value is float32 of shape \(560,\)"),
            ("return bars.close > 0", r"its value is bool of shape \(560,\)"),
            (
                "return np.where(np.arange(len(bars)) == 520, np.nan, 1.0)",
                r"its value is nan at 2024-\d\d-\d\dT\d\d",
            ),
            ("return np.where(np.arange(len(bars)) == 520, np.inf, 1.0)", "its value is inf at"),
            ("return bars.clse", "its value fails with AttributeError"),
            (
                "bars.close[0] = 1.0; return bars.close",
                "its value fails with ValueError: assignment destination",
            ),
        ],
    )
    def test_what_is_no_value_is_named_with_file_line_and_name(self, tmp_path, bars, body, said):
        path = written(tmp_path, f"\n@plugin.indicator(warmup=5)\ndef mine(bars):\n    {body}\n")
        with pytest.raises(PluginError, match=said) as caught:
            compute_features(bars, read_plugins(path))
        assert caught.value.what.startswith(f"{path}, line 8, mine: ")
        assert caught.value.expected == "float64 of shape (560,), finite from bar 5 of a series on."

    def test_a_model_input_is_checked_as_well(self, tmp_path, bars):
        path = written(
            tmp_path,
            "@plugin.indicator(warmup=0, model_input=lambda bars, value: value[0])\n"
            "def mine(bars):\n    return np.ones(len(bars))\n",
        )
        with pytest.raises(PluginError, match="its model input is a float64, no array"):
            compute_features(bars, read_plugins(path))

    def test_a_model_input_cannot_change_the_value(self, tmp_path, bars):
        path = written(
            tmp_path,
            "def halve(bars, value):\n    value /= 2\n    return value\n\n"
            "@plugin.indicator(warmup=0, model_input=halve)\ndef mine(bars):\n    return np.ones(len(bars))\n",
        )
        with pytest.raises(PluginError, match="its model input fails with ValueError"):
            compute_features(bars, read_plugins(path))

    def test_within_the_warm_up_a_value_may_be_missing(self, tmp_path, bars):
        body = "@plugin.indicator(warmup=19)\ndef mine(bars):\n    return pd.Series(bars.close).rolling(20).mean().to_numpy()\n"
        frame = compute_features(bars, read_plugins(written(tmp_path, body)))
        assert np.isfinite(frame.column("mine")[frame.ready]).all()


class TestConditions:
    def test_they_follow_the_built_in_ones(self):
        files = read_plugins(EXAMPLE)
        assert [each.name for each in conditions_of(files)] == [*CONDITIONS, "cci_side"]
        assert descriptions_of(files)["cci_side"] == ("CCI > 0", "CCI < 0")

    def test_they_see_what_the_built_in_ones_see_and_their_indicators(self, bars):
        files = read_plugins(EXAMPLE)
        values = values_of(compute_features(bars, files))
        long, short = conditions_of(files)[-1].holds(values)
        np.testing.assert_array_equal(long, values["cci"] > 0)
        np.testing.assert_array_equal(short, values["cci"] < 0)

    @pytest.mark.parametrize(
        ("body", "said"),
        [
            ("return values['rsi'] > 50", "it gives 60 values"),
            ("return [], []", "it gives a list, no array"),
            ("return values['rsi'], values['rsi']", r"it gives float64 of shape \(60,\)"),
            ("return (values['rsi'] > 0)[1:], values['rsi'] > 0", r"it gives bool of shape \(59,\)"),
            ("return values['rsj'] > 0, values['rsi'] > 0", "it fails with KeyError: 'rsj'"),
            ("values['rsi'][:] = 0; return (values['rsi'] > 0,) * 2", "it fails with ValueError: assignment"),
        ],
    )
    def test_what_is_no_answer_is_named_with_file_line_and_name(self, tmp_path, bars, body, said):
        path = written(tmp_path, f"\n@plugin.condition(long='', short='')\ndef mine(values):\n    {body}\n")
        with pytest.raises(PluginError, match=said) as caught:
            conditions_of(read_plugins(path))[-1].holds(values_of(compute_features(bars)))
        assert caught.value.what.startswith(f"{path}, line 8, mine: ")


def test_an_exit_says_for_each_side_what_is_kept(bars):
    values = values_of(compute_features(bars))
    keeps_long, keeps_short = exits_of(read_plugins(EXAMPLE))["rsi_extreme"](values)
    np.testing.assert_array_equal(keeps_long, values["rsi"] < 70)
    np.testing.assert_array_equal(keeps_short, values["rsi"] > 30)
