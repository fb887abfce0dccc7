"""What the commands answer on simulated bars, as real processes."""

from __future__ import annotations

import csv
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios

import pytest
from support.cli_runner import Home, stamps, words

TRAINED = re.compile(r"Training 1 model …\n(\S+ through \S+: trained in \d+:\d\d\n)?")
"""A fit that takes three seconds, on a busy machine, has a line of its own."""
CONDITIONS = (
    "forecast",
    "rsi",
    "macd",
    "obv",
    "vwap",
    "price_trend",
    "ema_cross",
    "adx",
    "calm",
    "volume",
)
INDICATORS = (
    "rsi",
    "stoch_rsi",
    "macd_histogram",
    "bollinger",
    "atr",
    "adx",
    "ema_20",
    "ema_50",
    "obv",
    "vwap",
    "volume_delta",
    "volume_ratio",
    "log_return",
    "realised_volatility",
)
METRICS = [
    "initial_balance",
    "final_balance",
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sharpe_se",
    "sortino",
    "max_drawdown",
    "max_drawdown_hours",
    "calmar",
    "trades",
    "win_rate",
    "profit_factor",
    "expectancy",
    "avg_holding_hours",
    "exposure",
    "turnover",
    "fees_paid",
]
TRADE_COLUMNS = [
    "ticker",
    "direction",
    "entry_at",
    "entry_price",
    "exit_at",
    "exit_price",
    "quantity",
    "gross_pnl",
    "fees",
    "net_pnl",
    "net_return",
    "bars_held",
    "exit_reason",
]
WHEN_AND_WHERE = ("path", "decision", "reason", "last_trained")


def lines(file):
    return file.read_text(encoding="utf-8").splitlines()


def without_circumstances(signal):
    """Return a signal's document without what may differ between two equal runs."""
    model = {name: value for name, value in signal["model_info"].items() if name not in WHEN_AND_WHERE}
    return signal | {"model_info": model}


def test_the_signal_document_has_exactly_the_documented_keys(warm):
    signal = warm.signal
    assert list(signal) == [
        "schema",
        "ticker",
        "timeframe",
        "source",
        "simulated",
        "end",
        "made_at",
        "target_at",
        "signal",
        "direction",
        "advice",
        "confidence",
        "current_price",
        "predicted_price",
        "price_difference",
        "interval",
        "threshold",
        "expected_move",
        "round_trip_cost",
        "conditions",
        "confirmations",
        "indicators",
        "occlusion",
        "plugins",
        "model_info",
        "data",
        "trading_loop",
        "data_quality",
        "hints",
        "record",
    ]
    assert tuple(signal["conditions"]) == CONDITIONS
    assert list(signal["confirmations"]) == ["passed", "required"]
    assert tuple(signal["indicators"]) == INDICATORS
    assert set(signal["model_info"]) == {
        *("name", "rows", "seed", "exact"),
        "path",
        "fingerprint",
        "decision",
        "reason",
        "last_trained",
        "trained_from",
        "trained_through",
        "lookback_period",
        "network",
        "residual",
        "stop_loss_ratio",
        "evidence",
    }
    assert signal["model_info"]["residual"] == {"decision": "none", "t": None}
    assert list(signal["model_info"]["evidence"]) == (
        [
            "n",
            "slope",
            "slope_se",
            "shrink",
            "mean_slope",
            "mean_slope_se",
            "mean_shrink",
            "hit_rate",
            "rank_correlation",
            "rmse_ratio",
            "mae_ratio",
            "baselines",
        ]
    )
    assert list(signal["data"]) == ["bars", "first", "last", "synthetic", "zero_volume"]


def test_the_signal_says_what_it_was_asked_and_does_not_contradict_itself(warm):
    signal = warm.signal
    assert (signal["schema"], signal["ticker"], signal["timeframe"]) == (1, "BTC/USD", "1h")
    assert (signal["source"], signal["simulated"]) == ("sample", True)
    assert signal["end"] == signal["made_at"] == "2024-12-31T00:00:00Z"
    assert signal["target_at"] == "2024-12-31T01:00:00Z"
    assert signal["direction"] == {1: "long", 0: "flat", -1: "short"}[signal["signal"]]
    assert 0.5 <= signal["confidence"] <= 1
    assert signal["price_difference"] == pytest.approx(signal["predicted_price"] - signal["current_price"])
    low, high = signal["interval"]
    assert low < signal["current_price"] < high
    assert signal["round_trip_cost"] == 0.002
    assert signal["confirmations"]["required"] == 6
    assert signal["confirmations"]["passed"] == sum(signal["conditions"][name] for name in CONDITIONS[1:])
    assert signal["model_info"]["decision"] == "trained"
    assert signal["model_info"]["lookback_period"] == 60
    assert signal["model_info"]["network"] == "linear"
    assert signal["model_info"]["trained_through"] <= signal["made_at"]
    assert signal["model_info"]["path"] == str(warm.home.models / "sample" / "btc_usd_lstm_v2.keras")


def test_the_backtest_document_has_the_documented_keys(warm):
    result = warm.backtest
    documented = [
        "schema",
        "ticker",
        "timeframe",
        "source",
        "simulated",
        "end",
        "window",
        "settings",
        "models",
        "metrics",
        "at_alpaca",
        "buy_and_hold",
        "by_side",
        "signals",
        "conditions",
        "feature_correlation",
        "input_importance",
        "significance",
        "earlier_trials",
        "audit",
        "verdict",
    ]
    assert set(result) == {
        *documented,
        *("entries", "pending", "halted_at", "data", "data_quality", "at_alpaca_note", "hints"),
    }
    assert list(result["window"]) == ["first", "last", "bars"]
    for column in ("metrics", "at_alpaca", "buy_and_hold"):
        assert list(result[column]) == METRICS
    for model in result["models"]:
        assert list(model) == [
            "fingerprint",
            "trained_from",
            "trained_through",
            "first_scored",
            "last_scored",
        ]
    assert set(result["by_side"]) == {"long", "short"}
    assert list(result["signals"]) == ["long", "flat", "short"]
    assert tuple(result["conditions"]) == CONDITIONS
    for figures in result["conditions"].values():
        assert set(figures) == {"long_pass_rate", "short_pass_rate", "vetoes", "held", "right", "agrees"}
    assert tuple(result["feature_correlation"]) == INDICATORS
    for figures in result["feature_correlation"].values():
        assert set(figures) == {"train", "out_of_sample", "noise"}
    assert set(result["verdict"]) == {"code", "text", "forecasts", "trades"}
    assert set(result["verdict"]["forecasts"]) == {"code", "text", "detectable"}
    assert set(result["verdict"]["trades"]) == {"code", "text", "detectable"}
    assert result["verdict"]["code"] == "too_few"
    assert result["significance"]["skill"]["n"] == 48


def test_the_backtest_covers_the_window_with_models_that_had_not_seen_it(warm):
    result = warm.backtest
    window = {"first": "2024-12-30T00:00:00Z", "last": "2024-12-31T23:00:00Z", "bars": 48}
    assert result["window"] == window
    assert sum(result["signals"].values()) == 49
    assert all(model["trained_through"] < model["first_scored"] for model in result["models"])
    assert result["models"][0]["first_scored"] == "2024-12-30T00:00:00Z"
    assert result["models"][-1]["last_scored"] == result["end"] == "2025-01-01T00:00:00Z"


@pytest.mark.parametrize("name", ["signal", "backtest"])
def test_every_stamp_in_a_document_ends_in_z(warm, name):
    found = stamps(getattr(warm, name))
    assert len(found) > 5
    assert [stamp for stamp in found if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp)] == []


def test_the_second_signal_trains_nothing_and_says_so(warm):
    done = warm.home.run(f"{warm.signal_line} --json")
    again = json.loads(done.stdout)
    assert again["model_info"]["decision"] == "reused"
    assert again["model_info"]["reason"].startswith("trained 0 h ago")
    assert done.stderr == ""
    assert without_circumstances(again) == without_circumstances(warm.signal)


def test_the_second_backtest_trains_nothing_says_so_and_is_the_same(warm):
    done = warm.home.run(f"{warm.backtest_line} --details")
    assert done.stderr == ""
    assert "(none trained for this run)" in done.stdout
    assert warm.home.json(warm.backtest_line) == warm.backtest


@pytest.mark.slow
def test_a_fresh_model_folder_gives_the_same_signal_and_the_same_backtest(warm, home):
    assert without_circumstances(home.json(warm.signal_line)) == without_circumstances(warm.signal)
    assert home.json(warm.backtest_line) == warm.backtest


@pytest.mark.slow
def test_training_says_one_line_on_stderr_and_the_result_goes_to_stdout(home):
    done = home.run("app_lstm --source sample --network linear --hours 120 --lookback 12 --details")
    assert TRAINED.fullmatch(done.stderr)
    assert done.stdout.count("SIMULATED") >= 2
    assert "trained: there was no model btc_usd_lstm_v2.keras yet" in done.stdout


def test_what_lies_in_the_model_folder_does_not_change_a_backtest(warm, warm_copy):
    (cached,) = (warm_copy.models / "cache").glob("*/")
    for file in cached.iterdir():
        if file.suffix in {".keras", ".onnx", ".json"}:
            foreign = warm_copy.models / "cache" / "0123456789abcdef01234567" / file.name
            foreign.parent.mkdir(exist_ok=True)
            foreign.write_bytes(b"not a model")
    for file in (warm_copy.models / "sample").glob("*lstm_v2*"):
        file.write_bytes(b"neither")
    assert warm_copy.json(warm.backtest_line) == warm.backtest


def test_the_alpaca_column_is_what_the_command_with_its_rules_gives(warm):
    there = warm.home.json(f"{warm.backtest_line} --venue alpaca --fee 0.0025")
    assert there["metrics"] == there["at_alpaca"] == warm.backtest["at_alpaca"]


def test_the_venue_brings_its_own_fee_and_drawdown_halt(warm):
    rules = warm.home.json(f"{warm.backtest_line} --venue alpaca")["settings"]
    assert (rules["fee"], rules["max_drawdown"], rules["long_only"]) == (0.0025, 0.25, True)
    assert rules["venue"] == "alpaca"


def test_trades_and_signals_are_written_with_the_documented_columns(warm, shared_folder):
    trades = list(csv.reader(lines(shared_folder / "trades.csv")))
    signals = list(csv.reader(lines(shared_folder / "signals.csv")))
    assert trades[0] == [*TRADE_COLUMNS, "simulated"]
    expected = ["made_at", "close", "predicted_price", "threshold", "confidence", *CONDITIONS]
    assert signals[0] == [*expected, "confirmations", "signal", "target", "model", "simulated"]
    assert {row[-1] for row in trades[1:] + signals[1:]} == {"SIMULATED"}
    assert len(signals) == 1 + sum(warm.backtest["signals"].values())
    assert [row[0] for row in signals[1:]] == sorted({row[0] for row in signals[1:]})
    assert {row[-2] for row in signals[1:]} == {model["fingerprint"] for model in warm.backtest["models"]}


def test_the_rows_of_the_trades_add_up_to_the_final_balance(warm, shared_folder):
    rows = list(csv.DictReader(lines(shared_folder / "trades.csv")))
    metrics = warm.backtest["metrics"]
    closed = [row for row in rows if row["exit_reason"] not in {"open", "dust"}]
    assert len(closed) == metrics["trades"]
    total = metrics["initial_balance"] + sum(float(row["net_pnl"]) for row in rows)
    assert total == pytest.approx(metrics["final_balance"], rel=1e-12)
    assert sum(float(row["fees"]) for row in rows) == pytest.approx(metrics["fees_paid"])


def test_people_read_the_zone_they_ask_for_and_json_stays_utc(warm):
    text = warm.home.run(f"{warm.signal_line} --tz America/Denver").stdout
    assert "For the close at 2024-12-30 18:00 MST, made at 2024-12-30 17:00 MST" in text
    assert warm.home.json(f"{warm.signal_line} --tz America/Denver")["made_at"] == "2024-12-31T00:00:00Z"


@pytest.mark.parametrize(
    "end", ["2024-12-31T00:00", "2024-12-31", "2024-12-31T01:00+01:00", "2024-12-30 17:00-07:00"]
)
def test_the_same_hour_may_be_written_in_several_ways(warm, end):
    line = warm.signal_line.replace("2024-12-31T00:00Z", f'"{end}"')
    assert without_circumstances(warm.home.json(line)) == without_circumstances(warm.signal)


def test_a_named_model_can_be_pinned_and_decides_the_whole_backtest(warm):
    pinned = warm.home.json(
        "app_backtester --source sample --network linear --hours 24 --model lstm_v2.keras"
    )
    assert pinned["settings"]["model"] == "lstm_v2"
    assert [model["fingerprint"] for model in pinned["models"]] == [warm.signal["model_info"]["fingerprint"]]


def test_models_are_listed_and_the_cache_can_be_emptied(warm_copy):
    listed = warm_copy.json("crypto-refactor models")["models"]
    assert sorted((row["cached"], row["simulated"], row["damaged"]) for row in listed) == [
        (False, True, False),
        (True, True, False),
    ]
    assert "SIMULATED" in warm_copy.run("crypto-refactor models").stdout
    pruned = warm_copy.json("crypto-refactor models --prune --keep-gb 0")
    assert pruned["removed"] == [row["name"] for row in listed if row["cached"]]
    assert [row["name"] for row in pruned["models"]] == ["btc_usd_lstm_v2"]
    assert list((warm_copy.models / "cache").glob("*/")) == []


def test_the_data_command_shows_bars_latest_price_and_quality(home):
    found = home.json("data --source sample --hours 30 --end 2024-06-01T00:00Z")
    assert (found["schema"], found["simulated"], len(found["bars"])) == (1, True, 30)
    assert list(found["bars"][0]) == ["opened_at", "open", "high", "low", "close", "volume"]
    assert found["bars"][-1]["opened_at"] == "2024-05-31T23:00:00Z"
    assert all(stamp.endswith("Z") for stamp in stamps(found))
    text = home.run("data --source sample --hours 30 --end 2024-06-01T00:00Z").stdout
    assert "SIMULATED" in text
    assert "2024-05-31 23:00 UTC  2024-05-31 17:00 MDT" in text


@pytest.mark.parametrize("line", ["check_history --source sample", "check_mountain_time"])
def test_the_checks_say_what_they_found(home, line):
    text = home.run(line).stdout
    found = home.json(line)
    assert found["failed"] == 0
    assert f"{len(found['checks'])} of {len(found['checks'])} checks hold." in text
    assert "FAILED" not in text


def test_a_check_that_fails_ends_with_3(home):
    done = home.run("check_history --source sample --end 2024-01-10T00:00Z", code=3)
    assert "FAILED  enough bars" in done.stdout


@pytest.mark.slow
def test_nothing_is_cut_off_on_a_narrow_terminal(warm):
    for columns in (80, 120):
        text = on_terminal(f"{warm.backtest_line} --exit opposite --details", warm.home, columns)
        shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).replace("\r", "").split("\n")
        assert "…" not in text
        assert max(map(len, shown)) <= columns
        for model in warm.backtest["models"]:
            assert model["fingerprint"][:10] in text


def on_terminal(line, home, columns):
    """Run a command on a terminal of that width, and return what it shows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    options = home.options(TERM="xterm") | {"stdout": theirs, "stderr": theirs, "encoding": None}
    process = subprocess.Popen(words(line), **options)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # Linux's way to say that nobody holds the other side any more
    finally:
        os.close(ours)
    assert process.wait() == 0
    return shown.decode()


@pytest.mark.slow
def test_a_model_of_simulated_bars_never_decides_on_files(warm, warm_copy, sample_as_files):
    for file in (warm_copy.models / "sample").iterdir():
        # Even where somebody has put it in the other model's place.
        (warm_copy.models / file.name).write_bytes(file.read_bytes())
    line = f"--network linear --source files --data-dir {sample_as_files}"
    found = warm_copy.json(f"app_lstm {line} --hours 120 --end 2024-12-31T00:00Z")
    assert (found["source"], found["simulated"]) == ("files", False)
    assert found["model_info"]["decision"] == "trained"
    assert found["model_info"]["path"] == str(warm_copy.models / "btc_usd_lstm_v2_hours-120_linear.keras")
    text = warm_copy.run(f"app_lstm {line} --hours 120 --end 2024-12-31T00:00Z --details").stdout
    assert "SIMULATED" not in text
    assert "reused: trained" in text


@pytest.mark.slow
def test_a_backtest_of_files_trains_its_own_models_and_leaves_out_the_mark(warm, warm_copy, sample_as_files):
    line = warm.backtest_line.replace("--source sample", f"--source files --data-dir {sample_as_files}")
    trades = warm_copy.folder / "trades.csv"
    done = warm_copy.run(f"{line} --trades {trades}")
    assert TRAINED.fullmatch(done.stderr)
    assert "SIMULATED" not in done.stdout
    assert lines(trades)[0] == ",".join(TRADE_COLUMNS)


@pytest.fixture(scope="session")
def sample_as_files(shared_folder):
    """Bars in a CSV file, as a user's own would be: the sample's serve as well as any."""
    from crypto_refactor.market.bars import COLUMNS
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.market.sources.sample import SampleSource
    from crypto_refactor.market.ticker import Ticker

    folder = shared_folder / f"files-{os.getpid()}"
    folder.mkdir(exist_ok=True)
    bars = SampleSource().bars(Ticker("BTC", "USD"), 0, 10**7)
    rows = [
        ",".join([to_iso(int(opened)), *map(repr, values)])
        for opened, *values in zip(
            bars.opened.tolist(), *(getattr(bars, name).tolist() for name in COLUMNS), strict=True
        )
    ]
    text = "\n".join(["timestamp,open,high,low,close,volume", *rows, ""])
    (folder / "btc_usd_1h.csv").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    "suffix",
    [".onnx", pytest.param(".keras", marks=pytest.mark.slow), pytest.param(".json", marks=pytest.mark.slow)],
)
def test_a_truncated_model_is_set_aside_and_trained_again(warm, warm_copy, suffix):
    file = warm_copy.models / "sample" / f"btc_usd_lstm_v2{suffix}"
    half = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(half)
    again = warm_copy.json(warm.signal_line)
    assert again["model_info"]["decision"] == "trained"
    assert "damaged" in again["model_info"]["reason"]
    assert ".damaged" in again["model_info"]["reason"]
    assert file.with_name(file.name + ".damaged").read_bytes() == half
    assert file.read_bytes() != half
    assert without_circumstances(again) == without_circumstances(warm.signal)


@pytest.mark.slow
def test_a_truncated_model_of_the_cache_is_trained_again_too(warm, warm_copy):
    (file,) = (warm_copy.models / "cache").rglob("model.onnx")
    file.write_bytes(file.read_bytes()[:100])
    done = warm_copy.run(f"{warm.backtest_line} --json")
    damage, training = done.stderr.split("\n", 1)
    assert ".onnx does not match the hash on the card. It is kept as .damaged" in damage
    assert TRAINED.fullmatch(training)
    assert json.loads(done.stdout) == warm.backtest


def test_a_home_may_lie_behind_blanks_and_accents(warm, tmp_path):
    moved = warm.home.copy(tmp_path / "où l'on garde [les] modèles")
    assert isinstance(moved, Home)
    assert moved.json(warm.signal_line)["model_info"]["decision"] == "reused"
    assert moved.json(warm.backtest_line) == warm.backtest
