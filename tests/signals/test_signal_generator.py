from __future__ import annotations

import json
import math
import re
from dataclasses import replace

import numpy as np
import pytest
from support.stub_models import BTC, HeldBars, remade, sample_bars, without
from support.trained_models import SETTINGS

from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.signals.condition_catalogue import CONDITIONS
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.signals.generator import SignalGenerator

LOOKBACK = SETTINGS.lookback
NEEDED = 500 + (LOOKBACK - 1) + 150 + 1
ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)")


@pytest.fixture
def generator(tmp_path, fits):
    def make(bars=None, **options):
        source = HeldBars(sample_bars(900) if bars is None else bars)
        asked = {"lookback": LOOKBACK, "network": "small", "model_dir": tmp_path, "source": source}
        return SignalGenerator(BTC, **(asked | options))

    return make


class TestDocument:
    @pytest.fixture
    def made(self, generator):
        return generator().generate_signals(hours=150)

    def test_it_has_exactly_the_documented_keys(self, made):
        document = made.to_dict()
        assert " ".join(document) == (
            "schema ticker timeframe source simulated end made_at target_at signal direction advice confidence "
            "current_price predicted_price price_difference interval threshold expected_move round_trip_cost "
            "conditions confirmations indicators occlusion plugins model_info data trading_loop data_quality hints"
        )
        assert list(document["conditions"]) == list(CONDITIONS)
        assert list(document["confirmations"]) == ["passed", "required"]
        assert len(document["indicators"]) == 14
        assert " ".join(document["model_info"]) == (
            "name path fingerprint decision reason last_trained trained_from trained_through lookback_period network "
            "residual stop_loss_ratio rows seed exact evidence"
        )
        assert " ".join(document["model_info"]["evidence"]) == (
            "n slope slope_se shrink mean_slope mean_slope_se mean_shrink hit_rate rank_correlation rmse_ratio mae_ratio "
            "baselines"
        )
        assert list(document["data"]) == ["bars", "first", "last", "synthetic", "zero_volume"]

    def test_it_is_strict_json_without_nan(self, made):
        def refuse(name):
            raise AssertionError(name)

        text = json.dumps(made.to_dict(), allow_nan=False)
        again = json.loads(text, parse_constant=refuse)
        assert again["trading_loop"] is None
        assert again["model_info"]["evidence"]["baselines"]["minus_last_return"]["hit_rate"] == 0.52

    def test_an_undefined_indicator_is_null(self, made):
        odd = replace(made, indicators=dict(made.indicators) | {"rsi": math.nan})
        assert odd.to_dict()["indicators"]["rsi"] is None

    def test_its_stamps_are_iso_8601_utc(self, made):
        document = made.to_dict()
        info, data = document["model_info"], document["data"]
        stamps = [document[name] for name in ("end", "made_at", "target_at")]
        stamps += [info[name] for name in ("last_trained", "trained_from", "trained_through")]
        stamps += [data["first"], data["last"]]
        assert [stamp for stamp in stamps if not ISO.fullmatch(stamp)] == []

    def test_it_speaks_of_the_last_closed_bar_and_the_one_after_it(self, made):
        bars = sample_bars(900)
        now = int(bars.closed[-1])
        document = made.to_dict()
        assert document["end"] == document["made_at"] == to_iso(now)
        assert document["target_at"] == to_iso(now + 1)
        assert document["current_price"] == bars.close[-1]
        assert document["price_difference"] == document["predicted_price"] - document["current_price"]
        assert document["data"]["last"] == to_iso(now - 1)
        assert document["simulated"] is True

    def test_it_says_what_its_parts_say(self, made):
        document = made.to_dict()
        assert document["confirmations"]["passed"] == sum(list(document["conditions"].values())[1:])
        assert document["confirmations"]["required"] == 6
        assert document["direction"] == {1: "long", 0: "flat", -1: "short"}[document["signal"]]
        low, high = document["interval"]
        assert low < document["predicted_price"] < high
        assert document["round_trip_cost"] == 0.002
        assert 0.5 <= document["confidence"] <= 1

    def test_its_indicators_are_those_of_the_last_bar(self, made):
        frame = compute_features(
            fill_gaps(sample_bars(900).between(int(sample_bars(900).closed[-1]) - NEEDED, 10**7))
        )
        expected = {name: frame.column(name)[-1] for name in frame.names}
        assert made.to_dict()["indicators"] == pytest.approx(expected, rel=1e-9)


def test_it_learns_from_the_last_rows_whose_outcome_is_known(generator, fits):
    made = generator().generate_signals(hours=150)
    now = int(sample_bars(900).closed[-1])
    ((data,),) = fits.calls
    assert len(data) == 150
    assert data.trained_through == made.model.trained_through == now
    assert data.trained_from == now - 150 - LOOKBACK
    assert made.model.decision == "trained"


def test_a_second_signal_trains_nothing_and_says_the_same(generator, fits):
    first, second = generator().generate_signals(hours=150), generator().generate_signals(hours=150)
    assert fits.trained == 1
    assert second.model.decision == "reused"
    strip = {"model": None}
    assert replace(first, **strip) == replace(second, **strip)


def test_nothing_is_printed(generator, capfd):
    generator().generate_signals(hours=150)
    assert capfd.readouterr() == ("", "")


def test_it_can_be_asked_again_about_an_earlier_hour(generator):
    bars = sample_bars(900)
    end = int(bars.closed[-50])
    then = generator(bars.prefix(851)).generate_signals(hours=150)
    assert end == then.end
    now = generator().generate_signals(hours=150, end=end)
    strip = {"model": None}
    assert replace(then, **strip) == replace(now, **strip)


def test_a_model_from_the_future_of_the_hour_asked_about_is_not_used_and_stays(generator):
    end = int(sample_bars(900).closed[-50])
    current = generator().generate_signals(hours=150)
    earlier = generator().generate_signals(hours=150, end=end)
    assert earlier.model.decision == "trained"
    assert earlier.model.name == "lstm_v2_lookback-12_hours-150_small_past"
    assert earlier.model.trained_through == end
    assert generator().generate_signals(hours=150).model.fingerprint == current.model.fingerprint


@pytest.mark.parametrize(
    ("options", "decision"), [({}, "reused"), ({"seed": 0}, "reused"), ({"seed": 5}, "trained")]
)
def test_only_a_seed_that_was_asked_for_must_match(generator, options, decision):
    generator().generate_signals(hours=150)
    assert generator(**options).generate_signals(hours=150).model.decision == decision


def test_retrain_and_thresholds_are_passed_on(generator):
    generator().generate_signals(hours=150)
    assert generator().generate_signals(hours=150, retrain=True).model.decision == "retrained"
    later = generator(sample_bars(901))
    assert later.generate_signals(hours=150).model.decision == "reused"
    assert later.generate_signals(hours=150, retrain_threshold=0).model.decision == "retrained"
    assert later.generate_signals(hours=150, retrain_threshold=0).model.decision == "reused"


def test_simulated_and_real_models_lie_apart(generator, tmp_path):
    simulated = generator().generate_signals(hours=150)
    real = generator(remade(sample_bars(900), source="files")).generate_signals(hours=150)
    assert simulated.model.path == tmp_path / "sample" / "btc_usd_lstm_v2.keras"
    assert real.model.path == tmp_path / "btc_usd_lstm_v2.keras"
    assert (simulated.simulated, real.simulated) == (True, False)


def test_a_ticker_may_be_given_as_text(generator, tmp_path):
    bars = remade(sample_bars(900), ticker=Ticker("ETH", "USD"))
    made = SignalGenerator(
        "eth/usd", LOOKBACK, source=HeldBars(bars), network="small", model_dir=tmp_path, model="mine.keras"
    ).generate_signals(150)
    assert made.ticker == "ETH/USD"
    assert made.model.path.name == "eth_usd_mine.keras"


def test_rules_and_costs_are_those_given(generator):
    rules = SignalRules(min_confirmations=0, threshold_scale=0.0)
    made = generator(rules=rules, round_trip_cost=0.0).generate_signals(hours=150)
    assert (made.threshold, made.required, made.round_trip_cost) == (0, 0, 0)
    assert made.signal == made.forecast_side != 0


class TestRefusals:
    def test_fewer_than_120_rows_are_too_few_to_learn_from(self, generator):
        with pytest.raises(UsageError, match="--hours is 119"):
            generator().generate_signals(hours=119)

    def test_a_threshold_below_zero(self, generator):
        with pytest.raises(UsageError, match="--retrain-threshold"):
            generator().generate_signals(hours=150, retrain_threshold=-1)

    def test_exactly_the_bars_needed_are_enough(self, generator, fits):
        bars = sample_bars(900)
        generator(bars.rows(900 - NEEDED, 900)).generate_signals(hours=150)
        assert len(fits.calls[0][0]) == 150

    @pytest.mark.parametrize("missing", [1, 30])
    def test_too_few_bars_name_the_largest_hours_that_work(self, generator, missing):
        held = sample_bars(900).rows(900 - NEEDED + missing, 900)
        with pytest.raises(DataError) as caught:
            generator(held).generate_signals(hours=150)
        error = caught.value
        assert error.exit_code == 3
        assert f"{NEEDED} hourly bars are needed" in error.what
        assert str(NEEDED - missing) in error.what
        largest = int(re.search(r"--hours (\d+)", error.remedy)[1])
        assert largest == 150 - missing
        generator(held).generate_signals(hours=largest)
        with pytest.raises(DataError):
            generator(held).generate_signals(hours=largest + 1)

    def test_no_bars_at_all(self, generator):
        bars = sample_bars(900)
        with pytest.raises(DataError):
            generator(bars).generate_signals(hours=150, end=int(bars.opened[0]))

    def test_a_bar_whose_window_has_seven_missing_bars_is_not_decided_on(self, generator):
        bars = sample_bars(900)
        hole = int(bars.closed[-1]) - 9
        with pytest.raises(DataError, match="cannot be decided on") as caught:
            generator(without(bars, (hole, hole + 7))).generate_signals(hours=150)
        error, last = caught.value, int(bars.closed[-1])
        assert f"the gap of 7 h from {to_iso(hole)} to {to_iso(hole + 7)}" in error.what
        # The first of the seven leaves the window when the bar `lookback` hours after it closes.
        again, before = hole + 1 + LOOKBACK, hole
        assert f"the first close that can be decided on again is {to_iso(again)}" in error.what
        assert f"--end {to_iso(before)} or earlier" in error.remedy
        assert again > last
        held = without(sample_bars(again - int(bars.opened[0])), (hole, hole + 7))
        assert generator(held).generate_signals(hours=150).decided_at == again
        with pytest.raises(DataError, match="cannot be decided on"):
            generator(held).generate_signals(hours=150, end=again - 1)
        assert generator(held).generate_signals(hours=150, end=before).decided_at == before
        assert generator(without(bars, (hole, hole + 6))).generate_signals(hours=150).data.synthetic == 6

    def test_more_than_five_percent_missing_unless_allowed(self, generator):
        bars = sample_bars(2000)
        last = int(bars.closed[-1])
        holed = without(bars, *((hour, hour + 40) for hour in range(last - 900, last - 100, 200)))
        with pytest.raises(DataError, match="lie in gaps"):
            generator(holed).generate_signals(hours=150)
        made = generator(holed).generate_signals(hours=150, allow_gaps=True)
        assert made.data.synthetic > 0


def test_holes_cost_rows_and_more_history_makes_up_for_them(generator, fits):
    bars = sample_bars(2000)
    last = int(bars.closed[-1])
    generator(without(bars, (last - 100, last - 92))).generate_signals(hours=150)
    ((data,),) = fits.calls
    assert len(data) == 150
    assert np.all(np.diff(data.rows) >= 1)
