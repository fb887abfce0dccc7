"""A plug-in of under 40 lines, from its check to the demo account."""

from __future__ import annotations

import json
import shutil

import pytest
from support.cli_runner import Home
from support.plugin_files import EXAMPLE, written

from crypto_refactor.plugins import read_plugins

OPTIONS = "--source sample --network linear --train-hours 240 --min-confirmations 5 --threshold-scale 0"
RULES = f"--plugin {EXAMPLE} --exit rsi_extreme"
END = "2024-12-31T00:00Z"
BACKTEST = f"app_backtester {OPTIONS} {RULES} --hours 168 --end {END}"


@pytest.fixture(scope="module")
def backtest(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("plugin"))
    folder = home.work
    return home, home.json(f"{BACKTEST} --trades {folder}/trades.csv --signals {folder}/signals.csv")


def test_the_example_is_short():
    assert len(EXAMPLE.read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.slow  # trains a network
def test_its_check_passes(home):
    report = home.json(f"crypto-refactor check-plugin {EXAMPLE}")
    assert report["passed"]
    assert report["plugin"]["name"] == "plugin"
    assert {(each["kind"], each["piece"]) for each in report["contracts"]} == {
        ("indicator", "cci"),
        ("condition", "cci_side"),
        ("exit", "rsi_extreme"),
        ("network", "gru"),
    }


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return keras.layers.Missing()(x)", "it fails with AttributeError"),
        ("return keras.layers.GRU(4, return_sequences=True)(x)", "it gives the shape (None, 24, 4)"),
        ("return None", "it gives the shape None"),
    ],
)
def test_a_network_that_cannot_be_built_is_named(home, tmp_path, body, said):
    path = written(tmp_path, f"@plugin.network()\ndef mine(keras, x, recipe):\n    {body}\n")
    report = json.loads(home.run(f"crypto-refactor check-plugin {path} --json", code=6).stdout)
    (contract,) = report["contracts"]
    assert (contract["kind"], contract["contract"]) == ("network", "trains")
    assert said in contract["breach"]["text"]


def test_a_leak_is_shown_and_ends_in_the_code_of_a_failed_audit(home, tmp_path):
    path = written(
        tmp_path,
        "@plugin.indicator(warmup=1)\ndef leak(bars):\n"
        "    return (pd.Series(bars.close).shift(-1) / bars.close).fillna(1.0).to_numpy()\n",
    )
    done = home.run(f"crypto-refactor check-plugin {path}", code=6)
    assert "BROKEN  prefix  no bar changes when later bars are hidden" in done.stdout
    assert "the bar that closed at " in done.stdout
    assert "5 of 6 contracts are kept" in done.stdout


def test_every_width_follows_it(backtest):
    home, result = backtest
    (file,) = read_plugins(EXAMPLE)
    assert result["settings"]["plugins"] == [file.to_dict()]
    assert list(result["conditions"])[-1] == "cci_side"
    assert list(result["feature_correlation"])[-1] == "cci"
    assert result["settings"]["exit"] == "rsi_extreme"
    header = (home.work / "signals.csv").read_text(encoding="utf-8").splitlines()[0]
    assert ",volume,cci_side,confirmations," in header


def test_the_audit_covers_it(backtest):
    assert backtest[1]["audit"]["passed"]


def test_its_exit_decides(backtest):
    """A position outlives its signal, and ends by the plug-in's rule."""
    reasons = {row["exit_reason"] for row in trades_of(backtest[0])}
    assert "rsi_extreme" in reasons
    assert reasons <= {"rsi_extreme", "opposite", "open"}


def trades_of(home):
    header, *rows = (home.work / "trades.csv").read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split(","), row.split(","), strict=True)) for row in rows]


@pytest.mark.slow
def test_a_replay_equals_the_backtest(backtest, tmp_path):
    home = backtest[0].copy(tmp_path / "home")
    line = f"run_trading --demo {OPTIONS} {RULES} --replay-hours 168 --end {END} --ticker BTC/USD"
    (replayed,) = json.loads(home.run(f"{line} --json").stdout.splitlines()[-1])["tickers"]
    assert replayed["same_as_backtest"]
    assert replayed["equity"] == backtest[1]["metrics"]["final_balance"]
    assert replayed["trades"] == backtest[1]["metrics"]["trades"]


def test_the_demo_account_trades_by_it_and_its_ledger_says_so(backtest, tmp_path):
    home = backtest[0].copy(tmp_path / "home")
    outcome = home.json(f"run_trading --demo --once {OPTIONS} {RULES} --end {END} --ticker BTC/USD")
    (file,) = read_plugins(EXAMPLE)
    assert outcome["decision"]["plugins"] == {file.name: file.hash}
    assert list(outcome["decision"]["conditions"])[-1] == "cci_side"


def test_a_comparison_varies_the_exit_of_a_plugin(backtest, tmp_path):
    home = backtest[0].copy(tmp_path / "home")
    line = f"crypto-refactor compare {OPTIONS} --plugin {EXAMPLE} --vary exit=neutral,rsi_extreme --hours 168 --end {END}"
    trials = home.json(f"{line} --ticker BTC/USD")["trials"]
    returns = {trial["setting"]: trial["metrics"]["total_return"] for trial in trials}
    assert returns["exit=rsi_extreme"] == backtest[1]["metrics"]["total_return"]
    assert returns["exit=neutral"] != returns["exit=rsi_extreme"]


def test_a_comparison_leaves_it_out(backtest, tmp_path):
    home = backtest[0].copy(tmp_path / "home")
    line = (
        f"crypto-refactor compare {OPTIONS} --plugin {EXAMPLE} --vary plugin=on,off --hours 168 --end {END}"
    )
    document = home.json(f"{line} --ticker BTC/USD")
    plugins = {setting["setting"]: setting["plugins"] for setting in document["settings"]}
    assert plugins == {"plugin=on": [read_plugins(EXAMPLE)[0].to_dict()], "plugin=off": []}
    models = {trial["setting"]: trial["models"] for trial in document["trials"]}
    assert models["plugin=on"] != models["plugin=off"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (f"--plugin {EXAMPLE} --exit rsi_extreme --vary plugin=on,off", "in the setting plugin=off"),
        ("--vary plugin=on,off", "--vary plugin was given without a plug-in"),
    ],
)
def test_a_variation_without_the_pieces_it_needs_is_refused(home, options, said):
    line = f"crypto-refactor compare {OPTIONS.replace('--min-confirmations 5', '')} --ticker BTC/USD --hours 48 {options}"
    assert said in home.run(line, code=2).stderr


def test_a_signal_shows_its_condition_and_its_indicator(home):
    line = f"app_lstm --source sample --network linear --hours 120 --end {END} --plugin {EXAMPLE}"
    text = home.run(f"{line} --details").stdout
    (file,) = read_plugins(EXAMPLE)
    assert f"Plug-ins     plugin {file.hash}" in text
    assert "of the other 10 checks hold for" in text
    document = home.json(line)
    assert list(document["indicators"])[-1] == "cci"
    assert document["plugins"] == [file.to_dict()]


def test_a_plugin_that_changed_retrains_and_says_why(home, tmp_path):
    path = tmp_path / "idea.py"
    shutil.copy(EXAMPLE, path)
    line = f"app_lstm --source sample --network linear --hours 120 --end {END} --plugin {path}"
    assert home.json(line)["model_info"]["decision"] == "trained"
    assert home.json(line)["model_info"]["decision"] == "reused"
    before = read_plugins(path)[0].hash
    path.write_text(path.read_text(encoding="utf-8").replace("/ 200", "/ 100"), encoding="utf-8")
    model = home.json(line)["model_info"]
    assert model["decision"] == "trained"
    assert f"other plug-ins (idea {before}, not idea {read_plugins(path)[0].hash})" in model["reason"]


def test_a_pinned_model_with_another_plugin_is_refused(home):
    home.run(
        f"app_lstm --source sample --network linear --hours 120 --end 2024-12-01T00:00Z --plugin {EXAMPLE}"
    )
    line = f"app_backtester {OPTIONS} --hours 48 --end {END} --model lstm_v2"
    error = json.loads(home.run(f"{line} --json", code=4).stdout)["error"]
    assert "has the plug-ins plugin " in error["message"]
    assert error["expected"] == "plug-ins none."


def test_the_environment_names_plugins_too(home):
    line = f"app_lstm --source sample --network linear --hours 120 --end {END}"
    assert len(home.json(line, CRYPTO_PLUGINS=str(EXAMPLE))["indicators"]) == 15


@pytest.mark.parametrize("options", ["--source sample", "--end 2024-12-01T00:00Z"])
def test_a_check_on_bars_of_no_pair_is_refused(home, options):
    done = home.run(f"crypto-refactor check-plugin {EXAMPLE} {options}", code=2)
    assert "was given without --ticker" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--plugin missing.py", "The plug-in missing.py cannot be read: No such file or directory."),
        ("--exit rsi_extreme", "--exit is 'rsi_extreme'."),
        ("--network gru", "--network is 'gru'."),
        ("--min-confirmations 10", "--min-confirmations is 10."),
    ],
)
def test_what_is_not_there_is_refused(home, options, said):
    done = home.run(f"app_backtester --source sample --network linear {options}", code=2)
    assert said in done.stderr


@pytest.mark.slow  # trains two networks
def test_its_network_decides_a_backtest(home):
    result = home.json(
        f"app_backtester --source sample --network gru --residual always --plugin {EXAMPLE} --train-hours 240 --hours 48 --end {END}"
    )
    assert result["settings"]["network"] == "gru"
    assert result["audit"]["passed"]
