"""The options and defaults that users were promised, spelt out."""

from __future__ import annotations

import pytest

from crypto_refactor.backtest.backtester import Backtester
from crypto_refactor.backtest.comparison.parameter_grid import VARIABLE_OPTIONS
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.config import tickers_file
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.market.sources.sample import SampleSource
from crypto_refactor.market.ticker import Ticker, read_tickers
from crypto_refactor.model.networks import NETWORKS
from crypto_refactor.signals.generator import SignalGenerator

TICKERS = ["BTC", "ETH", "ADA", "DOT", "LINK", "MATIC", "UNI", "AAVE", "ATOM", "XTZ", "ALGO", "SOL", "AVAX"]


def defaults(command):
    """Return what a command works with when nothing is given."""
    values = command.make_context("tool", []).params
    return {parameter.opts[0]: values.get(parameter.name) for parameter in command.params}


@pytest.mark.parametrize(
    ("option", "default"),
    [("--ticker", Ticker("BTC", "USD")), ("--hours", 240), ("--lookback", 60), ("--retrain-threshold", 24)],
)
def test_the_signal_has_the_promised_options(option, default):
    assert defaults(signal)[option] == default


def test_the_name_of_the_model_is_optional():
    assert not next(parameter for parameter in signal.params if "--model" in parameter.opts).required


@pytest.mark.parametrize(
    ("option", "default"),
    [
        ("--ticker", Ticker("BTC", "USD")),
        ("--hours", 720),
        ("--initial-balance", 100_000),
        ("--lookback", 60),
    ],
)
def test_the_backtest_has_the_promised_options(option, default):
    assert defaults(backtest)[option] == default


def test_the_fee_is_a_tenth_of_a_per_cent():
    assert "--fee" in defaults(backtest)
    assert ExecutionOptions(fee=defaults(backtest)["--fee"]).resolve(Ticker("BTC", "USD")).fee == 0.001


def test_a_backtest_without_options_has_the_promised_settings(warm):
    chosen = {"network": "linear", "hours": 48, "train_hours": 240}
    settings = warm.backtest["settings"]
    assert {name: settings[name] for name in chosen} == chosen
    assert (settings["initial_balance"], settings["fee"], settings["lookback"]) == (100_000, 0.001, 60)
    assert warm.backtest["ticker"] == "BTC/USD"


@pytest.mark.parametrize("base", TICKERS)
def test_every_promised_ticker_is_supported_and_bundled(base):
    ticker = Ticker(base, "USD")
    assert ticker in read_tickers(tickers_file())
    source = SampleSource()
    assert len(source.bars(ticker, 0, source.now(ticker))) >= 6000


def test_the_promised_tickers_are_all_there_is():
    assert [str(ticker) for ticker in read_tickers(tickers_file())] == [f"{base}/USD" for base in TICKERS]


@pytest.mark.parametrize("base", ["btc", "eth", "aave"])
def test_models_have_the_promised_names(base):
    from crypto_refactor.config import settings
    from crypto_refactor.model.named_models import DEFAULT_MODEL_NAME, model_path

    ticker = Ticker(base.upper(), "USD")
    path = model_path(settings().model_dir, ticker, DEFAULT_MODEL_NAME, simulated=False)
    assert path.name == f"{base}_usd_lstm_v2.keras"


def test_models_are_kept_in_the_promised_folder(monkeypatch):
    from crypto_refactor.config import EnvironmentSettings, checkout_root

    monkeypatch.delenv("CRYPTO_MODEL_DIR", raising=False)
    assert EnvironmentSettings(_env_file=None).model_dir == checkout_root() / "models" / "data"


@pytest.mark.parametrize(
    "path",
    [
        "models/app_lstm.py",
        "models/app_backtester.py",
        "models/data/app.py",
        "test_historical_data.py",
        "test_mountain_time.py",
        "tickers.txt",
    ],
)
def test_the_promised_files_are_where_they_were_promised(path):
    from support.cli_runner import ROOT

    assert (ROOT / path).is_file()


def test_the_promised_classes_have_the_promised_names():
    source = SampleSource()
    assert callable(SignalGenerator("BTC/USD", 60, source=source).generate_signals)
    assert callable(Backtester("BTC/USD", source=source).run)


def test_help_names_what_it_does_not_import():
    """Help must not import what lists these, so the command line names them again."""
    (network,) = [parameter for parameter in backtest.params if parameter.name == "network"]
    assert network.metavar == f"[{'|'.join((*NETWORKS, 'NAME'))}]"
    (vary,) = [parameter for parameter in compare.params if parameter.name == "vary"]
    assert set(vary.help.partition("NAME: ")[2].rstrip(".").split(", ")) == set(VARIABLE_OPTIONS)
