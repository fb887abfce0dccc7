"""Which model a signal is by: kept by options, repeated by its own command line, and that of the trading loop on request."""

from __future__ import annotations

import re
import shlex

import pytest

from crypto_refactor.cli.commands.signal import command

SIGNAL = "app_lstm --source sample --network linear --hours 120"
END, LATER, EARLIER = "2024-11-01T00:00Z", "2024-11-03T00:00Z", "2024-10-31T21:00Z"


def again(text):
    """Return the command line of a signal that repeats it, as a user would paste it."""
    found = re.search(r"^Again +(.*?)^(?=\S| {13}gives|\Z)", text, re.DOTALL | re.MULTILINE)
    words = shlex.split(found[1].replace("\\\n", ""))  # as a shell reads it
    assert words[:2] == ["python3", "models/app_lstm.py"]
    return shlex.join(["app_lstm", *words[2:]])


def answer(document):
    told = ("signal", "predicted_price", "interval", "threshold", "confidence", "conditions", "indicators")
    return {name: document[name] for name in told} | {"weights": document["model_info"]["fingerprint"]}


@pytest.mark.slow
def test_a_signal_is_repeated_by_its_own_command_line_whatever_was_trained_since(home):
    line = f"{SIGNAL} --end {END} --lookback 24 --seed 3 --min-confirmations 4"
    first = home.run(f"{line} --details").stdout
    told = answer(home.json(line))
    for other in (
        f"--end {LATER}",
        f"--end {EARLIER}",
        f"--end {END} --lookback 30",
        f"--end {END} --seed 0",
    ):
        home.run(f"{line} {other}")
    assert answer(home.json(again(first))) == told
    assert "--seed 3" in again(first)


@pytest.mark.slow
def test_what_a_reused_model_says_is_repeated_for_as_long_as_it_is_there_and_the_text_says_so(home):
    home.run(f"{SIGNAL} --end {EARLIER}")
    reused = home.run(f"{SIGNAL} --end {END} --details").stdout
    told = answer(home.json(f"{SIGNAL} --end {END}"))
    said = " ".join(reused.split())
    assert "gives this signal for as long as lstm_v2 holds these weights" in said
    assert answer(home.json(again(reused))) == told
    assert "gives this signal" not in home.run(f"{SIGNAL} --end {END} --retrain --details").stdout


def test_the_document_names_the_model(home):
    info = home.json(f"{SIGNAL} --end {END}")["model_info"]
    assert (info["name"], info["rows"], info["seed"], info["exact"]) == ("lstm_v2", 120, 0, True)
    other = home.json(f"{SIGNAL} --end {END} --lookback 24")["model_info"]
    assert other["name"] == "lstm_v2_lookback-24_hours-120_linear"
    assert other["path"] == str(home.models / "sample" / f"btc_usd_{other['name']}.keras")


def test_walk_forward_is_what_the_trading_loop_decides(home):
    options = f"--ticker BTC/USD --source sample --network linear --end {END} --threshold-scale 0.01"
    decision = home.json(f"run_trading --demo --once {options}")["decision"]
    signal = home.json(f"app_lstm {options} --walk-forward")
    info = signal["model_info"]
    assert (info["name"], info["decision"], info["fingerprint"]) == (
        "walk-forward",
        "reused",
        decision["model"],
    )
    assert signal["predicted_price"] == decision["predicted"]
    told = ("signal", "confidence", "threshold", "expected_move", "conditions")
    assert {name: signal[name] for name in told} == {name: decision[name] for name in told}
    assert list((home.models / "sample").glob("*.keras")) == []


@pytest.mark.parametrize("other", ["--model mine", "--retrain"])
def test_walk_forward_and_named_models_exclude_each_other(run, other):
    assert "--walk-forward was given with" in run(command, f"--walk-forward {other}", code=2).err


@pytest.mark.slow
@pytest.mark.parametrize(
    "line",
    [
        "app_lstm --source sample --network linear --hours 120 --details",
        "app_backtester --source sample --network linear --hours 48 --train-hours 240 --details",
        "run_trading --demo --once --source sample --network linear --ticker BTC/USD",
        "crypto-refactor status",
        "crypto-refactor compare --source sample --network linear --hours 48 --train-hours 240 --ticker BTC/USD --vary exit=neutral,opposite",
        "crypto-refactor models",
    ],
)
def test_what_ascii_lacks_is_written_by_what_it_has(warm_copy, line):
    if "status" in line:
        warm_copy.run("run_trading --demo --once --source sample --network linear --ticker BTC/USD")
    done = warm_copy.run(line, PYTHONIOENCODING="ascii")
    assert done.stdout.isascii()
    assert r"\u" not in done.stdout + done.stderr
