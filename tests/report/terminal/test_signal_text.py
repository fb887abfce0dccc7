from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from support.one_bar_frame import LONG, frame_of, signal_of
from support.stub_models import KNOWN

from crypto_refactor.market.hours import zone
from crypto_refactor.model.artifact import ResidualDecision
from crypto_refactor.price_text import price_text
from crypto_refactor.report.terminal.signal import condition_values, signal_text
from crypto_refactor.signals.condition_catalogue import CONDITIONS
from crypto_refactor.signals.loop_forecast import LoopForecast
from crypto_refactor.signals.signal import WALK_FORWARD, DataFacts, ModelInfo, Signal

UTC = zone("UTC")
ALL = dict(LONG.values())


def make_signal(forecast=0.01, *, evidence=KNOWN, scale=0.1, required=6, loop=None, **values):
    """Return the signal of one bar of 100, on which all confirmations are met for long unless the arguments say otherwise."""
    frame = frame_of(**(ALL | values))
    frame_signals = signal_of(frame, forecast, evidence=evidence, scale=scale, min_confirmations=required)
    names = ("n", "slope", "slope_se", "shrink", "mean_shrink", "hit_rate", "rank_correlation", "rmse_ratio")
    model = ModelInfo(
        name="lstm_v2",
        path=Path("models/btc_usd_lstm_v2.keras"),
        seed=0,
        exact=True,
        fingerprint="0123456789abcdef",
        decision="reused",
        reason="trained 3 h ago; retrained after 24 h",
        last_trained="2024-01-01T00:00:00+00:00",
        trained_from=473_000,
        trained_through=473_998,
        lookback_period=60,
        network="documented",
        residual=ResidualDecision(decision="dropped", t=0.4),
        stop_loss_ratio=0.995,
        rows=240,
        evidence={name: getattr(evidence, name) for name in names},
        unbeaten=tuple(evidence.unbeaten),
        forecasts_by="its linear skip alone",
    )
    return Signal(
        ticker="BTC/USD",
        timeframe="1h",
        source="files",
        simulated=False,
        end=474_001,
        decided_at=474_001,
        target_at=474_002,
        signal=int(frame_signals.signal[0]),
        confidence=float(frame_signals.confidence[0]),
        current_price=float(frame_signals.close[0]),
        predicted_price=float(frame_signals.predicted[0]),
        interval=(float(frame_signals.low[0]), float(frame_signals.high[0])),
        threshold=float(frame_signals.threshold[0]),
        expected_move=float(frame_signals.expected_move[0]),
        round_trip_cost=0.002,
        conditions=dict(zip(CONDITIONS, frame_signals.conditions_met[0].tolist(), strict=True)),
        required=required,
        indicators={name: float(frame.column(name)[0]) for name in frame.names},
        bands={
            "bollinger_lower": 98.0,
            "bollinger_upper": 102.0,
            "bollinger_width": 0.04,
            "volatility_mean": 0.01,
        },
        occlusion=dict.fromkeys(frame.names, 0.0) | {"log_return": 1.2e-4, "rsi": -3e-5},
        model=model,
        loop=loop,
        data=DataFacts(bars=801, first=473_200, last=474_000, synthetic=0, zero_volume=2),
    )


def shown(signal, **options):
    """Return what is shown of a signal, all of it unless `options` say otherwise."""
    return signal_text(signal, UTC, **({"details": True} | options))


def line(text, start):
    """Return the one entry that begins with `start`, the indented lines that continue it included."""
    entries = re.sub(r"\n {13}(?=\S)", " ", text).splitlines()
    (entry,) = [entry for entry in entries if entry.strip().startswith(start)]
    return entry


def words(text):
    return " ".join(text.split())


@pytest.mark.parametrize(("forecast", "direction"), [(0.01, "LONG"), (0.0, "FLAT")])
def test_the_direction_comes_first(forecast, direction):
    text = shown(make_signal(forecast))
    assert direction in text.splitlines()[0]
    assert "BTC/USD" in text.splitlines()[0]
    assert "SIMULATED" not in text


def test_a_short_signal_shows_the_conditions_of_its_side():
    down = {"macd_histogram": -1.0, "obv": -1.0, "vwap": 101.0, "ema_20": 101.0, "ema_50": 102.0}
    signal = make_signal(-0.01, **down)
    text = shown(signal)
    assert "SHORT" in text.splitlines()[0]
    assert "Conditions for short" in text
    assert "RSI 64.0, needs above 35" in text
    assert "MACD histogram -1, needs below 0" in text
    assert "9 of the other 9 checks hold for short (6 needed)" in line(text, "Why SHORT")


def test_simulated_bars_are_marked():
    text = shown(replace(make_signal(), simulated=True, source="sample"))
    assert "SIMULATED" in text.splitlines()[0]
    assert "SIMULATED" in line(text, "Data")


class TestConfidence:
    def test_without_evidence_one_half_is_explained(self):
        text = shown(make_signal(evidence=replace(KNOWN, shrink=0.0, slope=0.1)))
        assert line(text, "Confidence").endswith("0.50, a coin toss: no skill shown on 36 unseen hours")
        assert "direction slope 0.10 ± 0.20 on 36 out-of-sample hours" in line(text, "Evidence")

    def test_an_exact_forecast_of_the_close_is_explained(self):
        assert "the forecast equals the close" in line(signal_text(make_signal(0.0), UTC), "Confidence")

    def test_evidence_is_named(self):
        signal = make_signal()
        text = line(signal_text(signal, UTC), "Confidence")
        assert f"right in {100 * signal.confidence:.0f} of 100 such hours" in text

    def test_a_model_with_evidence_is_not_called_one_without(self):
        errors = tuple(1 + q / 100 for q in range(101))
        signal = make_signal(evidence=replace(KNOWN, error_quantiles=errors))
        assert signal.confidence == 0.5
        text = line(signal_text(signal, UTC), "Confidence")
        assert "0.50" in text
        assert "no skill" not in text


class TestWhy:
    def test_a_signal_says_how_many_confirmations_hold(self):
        text = shown(make_signal(), details=False)
        assert "forecast large enough; 9 of the other 9 checks hold for long (6 needed)" in words(text)
        assert f"yes {', '.join(CONDITIONS)}" in words(text)
        assert "\n  no" not in text

    def test_a_forecast_within_its_threshold_is_named_as_the_reason(self):
        assert "Why FLAT: forecast too small" in shown(make_signal(scale=10.0))
        assert "Why FLAT: no move forecast" in shown(make_signal(0.0))

    def test_missing_confirmations_are_named(self):
        signal = make_signal(rsi=70.0, adx=10.0, macd_histogram=-1.0, obv=-1.0)
        text = shown(signal, details=False)
        assert signal.signal == 0
        assert "only 5 of the other 9 checks hold for long (6 needed)" in text
        assert "  no  rsi, macd, obv, adx\n" in text


class TestWorth:
    def test_a_move_below_its_cost_is_not_worth_a_trade(self):
        signal = make_signal(0.003)
        assert signal.signal == 1
        text = shown(signal)
        assert text.splitlines()[0] == "▲ LONG   BTC/USD   weak: not worth trading"
        assert line(text, "Cost").endswith(": do not trade")
        assert signal.to_dict()["advice"] == "not_worth_trading"

    def test_a_move_above_its_cost_is(self):
        signal = make_signal(0.01)
        text = shown(signal)
        assert text.splitlines()[0] == "▲ LONG   BTC/USD   worth a trade"
        assert line(text, "Cost").endswith("0.200 % a round trip, expected gain 0.500 %: worth a trade")
        assert signal.to_dict()["advice"] == "trade"

    def test_no_signal_is_no_trade_whatever_it_promises(self):
        signal = make_signal(0.01, rsi=70.0, adx=10.0, macd_histogram=-1.0, obv=-1.0)
        assert signal.worth_a_trade
        text = shown(signal)
        assert text.splitlines()[0] == "■ FLAT   BTC/USD   no trade"
        assert line(text, "Cost").endswith("more than it costs, but too few checks hold")
        assert signal.to_dict()["advice"] == "stay_flat"

    def test_equal_is_not_above(self):
        assert not replace(make_signal(), expected_move=0.002).worth_a_trade


@pytest.mark.parametrize("side", [1, -1])
def test_every_condition_shows_what_it_compared(side):
    values = condition_values(make_signal(), side)
    assert list(values) == list(CONDITIONS)


def test_failed_and_passed_conditions_are_told_apart():
    text = shown(make_signal(rsi=70.0))
    assert line(text, "no   rsi")
    assert line(text, "yes  macd")


def test_a_model_that_forecast_no_move_says_so_and_never_nan():
    text = shown(make_signal(evidence=replace(KNOWN, hit_rate=None, rank_correlation=None)))
    assert "no move forecast: " in text
    assert "nan" not in text.lower()


def test_times_are_shown_in_the_zone_asked_for():
    signal = make_signal()
    assert "2024-01-28 01:00 UTC" in signal_text(signal, UTC)
    denver = signal_text(signal, zone("America/Denver"))
    assert "2024-01-27 18:00 MST" in denver


def test_the_model_and_why_it_answered_are_named():
    text = shown(make_signal())
    assert "lstm_v2, trained on bars up to 3 h ago, documented network on 240 h." in line(text, "Model")
    assert "reused: trained 3 h ago; retrained after 24 h" in text
    assert "0123456789abcdef" in text
    assert "forecasts by its linear skip alone" in text
    assert "validation loss / that of no forecast 0.9950, network dropped, t 0.4" in text


def test_baselines_that_did_better_are_named():
    assert "better than every baseline" in shown(make_signal())
    weak = replace(KNOWN, rank_correlation=0.01)
    assert "no better than minus the last return" in shown(make_signal(evidence=weak))


class TestTradingLoop:
    LOOP = LoopForecast(
        fingerprint="fedcba9876543210",
        trained_from=471_000,
        trained_through=473_000,
        predicted_price=101.25,
        signal=-1,
        confidence=0.53,
    )

    def test_its_answer_stands_beside_the_signal_with_its_model_and_span(self):
        text = words(shown(make_signal(loop=self.LOOP)))
        said = text
        assert "short, forecast 101.25, confidence 0.53, by weights fedcba9876543210" in said
        assert "trained from 2023-09-25 00:00 UTC through 2023-12-17 08:00 UTC" in text
        assert "Backtests and the trading loop use others (theirs: short, 101.25); --model lstm_v2" in text

    def test_where_the_loops_model_answers_the_text_says_so_and_names_no_other(self):
        signal = make_signal()
        said = line(shown(replace(signal, model=replace(signal.model, name=WALK_FORWARD))), "Model")
        assert "Backtests and the trading loop decide this hour by it too." in said
        assert "--model" not in said

    def test_without_its_model_at_hand_the_text_says_that_it_has_others(self):
        assert "models of its own" in line(shown(make_signal()), "Trading loop")
        assert make_signal().to_dict()["trading_loop"] is None

    def test_it_is_part_of_the_document(self):
        assert make_signal(loop=self.LOOP).to_dict()["trading_loop"] == {
            "fingerprint": "fedcba9876543210",
            "trained_from": "2023-09-25T00:00:00Z",
            "trained_through": "2023-12-17T08:00:00Z",
            "predicted_price": 101.25,
            "signal": -1,
            "confidence": 0.53,
        }


def test_bars_without_any_volume_are_pointed_out_in_text_and_document():
    signal = make_signal()
    assert (signal.hints, signal.to_dict()["hints"]) == ([], [])
    assert "Note" not in signal_text(signal, UTC)
    silent = replace(signal, data=replace(signal.data, zero_volume=800, synthetic=1))
    assert "obv, vwap and volume can never hold" in line(signal_text(silent, UTC), "Note")
    assert silent.to_dict()["hints"] == silent.hints


@pytest.mark.parametrize("close", [4e-13, 0.00001234, 63_120.45, 1.2e9])
def test_every_price_has_five_significant_digits(close):
    signal = make_signal()
    scaled = replace(
        signal,
        current_price=close,
        predicted_price=close * 1.01,
        interval=(close * 0.98, close * 1.02),
        indicators=dict(signal.indicators) | dict.fromkeys(("vwap", "ema_20", "ema_50"), close),
    )
    text = words(shown(scaled))
    for value in (close, close * 1.01, close * 0.98, close * 1.02):
        assert price_text(value) in text


def test_the_inputs_that_moved_the_forecast_most_come_first():
    assert "Moved by     log_return +0.0120 %, rsi -0.0030 %\n" in shown(make_signal())


def test_where_nothing_moved_it_nothing_is_said():
    assert "Moved by" not in shown(replace(make_signal(), occlusion={"rsi": 0.0}))


def test_bars_that_end_long_ago_are_said_to_in_words():
    signal = make_signal()
    months = signal.decided_at + 26 * 731
    assert "OLD BARS: they end 26 months ago." in shown(signal, now=months)
    assert "OLD BARS: they end 3 days ago." in shown(signal, now=signal.decided_at + 72)
    for now in (None, signal.decided_at, signal.decided_at + 2):
        assert "OLD BARS" not in shown(signal, now=now)


def test_the_answer_fits_a_small_terminal():
    commands = {
        "Next": [
            "crypto-refactor",
            "backtest",
            "--data-dir",
            "/a/folder/of/bars",
            "--end",
            "2024-01-28T01:00Z",
        ]
    }
    repeat = ["crypto-refactor", "signal", "--end", "2024-01-28T01:00Z"]
    options = {"width": 80, "now": 500_000, "commands": commands, "repeat": repeat}
    text = signal_text(make_signal(0.003), UTC, **options)
    assert len(text.splitlines()) <= 23  # and the prompt below
    assert "crypto-refactor signal" not in text
    assert shown(make_signal(), **options).endswith(
        "\nAgain        crypto-refactor signal --end 2024-01-28T01:00Z"
    )


def test_next_to_no_skill_is_called_a_coin_toss():
    weak = replace(make_signal(), confidence=0.5004)
    assert line(shown(weak), "Confidence").endswith(
        "0.50, hardly more than a coin toss, as tested on 36 unseen hours"
    )


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("details", [False, True])
def test_it_fits_any_width_and_loses_no_figure(width, details):
    options = {
        "details": details,
        "commands": {"Next": ["crypto-refactor", "backtest", "--hours", "720"]},
        "now": 500_000,
    }
    text = shown(make_signal(loop=TestTradingLoop.LOOP), width=width, **options)
    assert max(map(len, text.splitlines())) <= width
    assert not re.search(r"^\s*(%|USD|h|±)(\s|$)", text, flags=re.MULTILINE)
    figures = re.compile(r"\S*\d\S*")
    assert set(figures.findall(text)) == set(
        figures.findall(shown(make_signal(loop=TestTradingLoop.LOOP), width=1_000, **options))
    )
