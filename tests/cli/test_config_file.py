"""The configuration file: what it gives to whom, what comes before it, and what it must not hold."""

from __future__ import annotations

import json

import pytest

from crypto_refactor.cli.command_table import COMMANDS, load_command
from crypto_refactor.cli.configuration.keys import SETTINGS, allowed_options, options_of
from crypto_refactor.config import FILE_SETTINGS, EnvironmentSettings, settings

FILE = """
source = "sample"
fee = 0.002
min_confirmations = 5
network = "linear"
long-only = true

[trade]
ticker = "ETH/USD"
demo = true
replay-hours = 24
fee = 0.003

[multi]
ticker = ["BTC/USD", "ETH/USD"]
"""


@pytest.fixture
def file(tmp_path):
    """Write a configuration file and return its path."""

    def write(text):
        path = tmp_path / "settings" / "crypto.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
        return path

    return write


@pytest.fixture
def shown(run):
    """Return what `config` shows in JSON."""

    def call(line, code=0):
        return json.loads(run(load_command("config"), f"{line} --json", code=code).out)

    return call


def values(document, part="options"):
    return {name: (entry["value"], entry["from"]) for name, entry in document[part].items()}


# What comes before what


def test_a_file_is_shared_and_a_command_s_own_table_comes_first(shown, file):
    path = file(FILE)
    trade = values(shown(f"trade --config {path}"))
    backtest = values(shown(f"backtest --config {path}"))
    assert trade["fee"] == (0.003, "file")
    assert backtest["fee"] == (0.002, "file")
    assert trade["min-confirmations"] == backtest["min-confirmations"] == (5, "file")
    assert trade["long-only"] == (True, "file")
    assert trade["replay-hours"] == (24, "file")
    assert trade["ticker"] == ("ETH/USD", "file")
    assert backtest["ticker"] == ("BTC/USD", "default")
    assert values(shown(f"multi --config {path}"))["ticker"] == (["BTC/USD", "ETH/USD"], "file")


def test_the_command_line_comes_before_the_environment_and_that_before_the_file(shown, file, monkeypatch):
    path = file(f"{FILE}\n[backtest]\nstate-dir = 'of-file'\n")
    monkeypatch.setenv("CRYPTO_SOURCE", "files")
    monkeypatch.delenv("CRYPTO_STATE_DIR", raising=False)
    found = values(shown(f"backtest --config {path} --fee 0.01"))
    assert found["fee"] == (0.01, "command line")
    assert found["source"] == ("files", "environment")
    assert found["state-dir"] == (str(path.parent / "of-file"), "file")
    assert found["lookback"] == (60, "default")
    assert values(shown(f"backtest --config {path} --source alpaca"))["source"] == ("alpaca", "command line")


def test_the_environment_names_the_file_and_the_command_line_names_another(
    shown, file, monkeypatch, tmp_path
):
    other = tmp_path / "other.toml"
    other.write_text("fee = 0.5\n", encoding="utf-8")
    monkeypatch.setenv("CRYPTO_CONFIG", str(file(FILE)))
    document = shown("backtest")
    assert document["file"] == str(file(FILE))
    assert values(document)["fee"] == (0.002, "file")
    assert values(shown(f"backtest --config {other}"))["fee"] == (0.5, "file")


def test_the_env_file_may_name_it_too(shown, file, monkeypatch, tmp_path):
    env_file = tmp_path / "env"
    env_file.write_text(f"CRYPTO_CONFIG={file(FILE)}\n", encoding="utf-8")
    monkeypatch.setattr("crypto_refactor.config._env_file", lambda: env_file)
    assert values(shown("backtest"))["fee"] == (0.002, "file")


def test_plugins_of_the_environment_come_before_those_of_the_file(shown, file, monkeypatch):
    path = file('plugin = ["a.py", "installed"]')
    assert values(shown(f"signal --config {path}"))["plugin"] == (
        [str(path.parent / "a.py"), "installed"],
        "file",
    )
    monkeypatch.setenv("CRYPTO_PLUGINS", "/elsewhere/b.py")
    assert values(shown(f"signal --config {path}"))["plugin"][0] == ["/elsewhere/b.py"]


def test_settings_of_a_file_reach_a_run(run, file, fits):
    path = file(f"{FILE}\n[backtest]\nhours = 24\ntrain-hours = 240\njournal = false\n")
    document = json.loads(run(load_command("backtest"), f"--config {path} --json").out)
    assert document["source"] == "sample"
    assert document["settings"]["fee"] == 0.002
    assert document["window"]["bars"] == 24


def test_what_one_command_read_is_gone_for_the_next(run, shown, file):
    shown(f"backtest --config {file(FILE)}")
    assert values(shown("backtest"))["fee"] == (None, "default")
    assert settings().source == "alpaca"


# What a reader may rely on


def test_the_repeat_command_holds_what_the_file_gave(run, file, fits, tmp_path):
    path = file(f"{FILE}\n[backtest]\nhours = 24\ntrain-hours = 240\n")
    report = tmp_path / "report.html"
    run(load_command("backtest"), f"--config {path} --no-journal --report {report}")
    text = report.read_text(encoding="utf-8")
    for words in ("--fee 0.002", "--min-confirmations 5", "--network linear", "--long-only", "--hours 24"):
        assert words in text
    assert "--config" not in text


def test_the_equivalent_backtest_holds_what_the_file_gave(run, file, fits):
    done = run(load_command("trade"), f"--config {file(FILE)} --replay-hours 2 --train-hours 240")
    assert "--fee 0.003 --long-only" in done.err
    assert "--min-confirmations 5" in done.err


def test_an_error_names_the_file_that_set_the_option(invoke, file):
    path = file("fee = 5")
    done = invoke(load_command("backtest"), f"--config {path} --source sample")
    assert done.code == 2
    assert f"--fee: set in {path}" in done.err
    again = invoke(load_command("backtest"), f"--config {path} --source sample --fee 6")
    assert "set in" not in again.err


def test_an_account_named_on_the_command_line_outweighs_the_file(run, file, fits):
    run(load_command("trade"), "--demo --source sample --network linear --train-hours 240 --replay-hours 2")
    (account,) = json.loads(run(load_command("status"), "--json").out)["account"].splitlines()
    path = file("demo = true\nsource = 'sample'")
    done = json.loads(run(load_command("status"), f"--config {path} --account {account} --json").out)
    assert done["account"] == account


# What is refused

REFUSED = {
    "fe = 1": "rename it to fee",
    "[trad]\nfee = 1": "rename the table to trade",
    "[backtest]\nreplay-hours = 3": "multi, trade",
    "model_dri = 'x'": "rename it to model-dir",
    "notify = 'https://example.com/secret'": "is a secret",
    "ALPACA_API_KEY = 'x'": "no option",
    "alpaca-api-key = 'x'": "is a secret",
    "live = true": "asked for each time",
    "json = true": "asked for each time",
    "[close]\nall = true": "asked for each time",
    "[close]\nticker = 'BTC/USD'": "asked for each time",
    "[halt]\nwhy = 'x'": "asked for each time",
    "fee = true": "one text or number",
    "fee = [1]": "one text or number",
    "long-only = 'yes'": "true or false",
    "journal = 'no'": "true or false",
    "lookback = 60.5": "a whole number",
    "fee = 'much'": "Expected: a number",
    "seed = nan": "a whole number",
    "fee = -1": "from 0 to below 1",
    "ticker = 'BTC'": "BTC",
    "log-level = 'loud'": "log_level of",
    "min-confirmations = 1\nmin_confirmations = 2": "twice",
    "[[trade]]\nfee = 1": "no option",
    "fee = ": "is not TOML",
    "source = 'nowhere'": "one of alpaca",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_means_nothing_is_refused_with_a_way_out(invoke, file, text):
    done = invoke(load_command("backtest"), f"--config {file(text)} --hours 24")
    assert done.code == 2, done.err
    assert REFUSED[text] in done.err
    assert "secret" not in done.err or "example.com" not in done.err


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a = 1\n" * 300_000, b"[" * 5000])
def test_what_is_no_text_file_is_refused(invoke, file, content):
    path = file("")
    path.write_bytes(content)
    done = invoke(load_command("signal"), f"--config {path} --json")
    assert done.code == 2
    assert "Traceback" not in done.err
    assert str(path) in json.loads(done.out)["error"]["message"]


def test_a_file_that_is_missing_or_a_folder_is_refused(invoke, tmp_path):
    for path in (tmp_path / "none.toml", tmp_path):
        done = invoke(load_command("status"), f"--config {path}")
        assert done.code == 2
        assert "cannot be read" in done.err


def test_a_byte_order_mark_is_no_obstacle(shown, file):
    path = file("")
    path.write_bytes(b"\xef\xbb\xbffee = 0.25\n")
    assert values(shown(f"backtest --config {path}"))["fee"] == (0.25, "file")


def test_a_shared_ticker_never_sells(invoke, file):
    # What stands above the tables is for what reads; `close` still wants to be told what to sell.
    done = invoke(
        load_command("close"),
        f"--config {file(FILE.replace('[trade]', 'ticker = ' + repr('BTC/USD') + chr(10) + '[trade]'))}",
    )
    assert done.code == 2
    assert "Neither --ticker nor --all was given" in done.err


def test_halting_works_beside_a_setting_that_cannot_be_used(run, monkeypatch, tmp_path):
    monkeypatch.setenv("CRYPTO_JOURNAL", "perhaps")
    run(load_command("halt"), f"--state-dir {tmp_path}")


# Contracts over every command


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_takes_the_file(name):
    assert "config" in options_of(load_command(name))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_that_a_file_may_give_keeps_its_meaning(name):
    command = load_command(name)
    for key, option in allowed_options(name, command).items():
        assert option.opts[0] == f"--{key}"
        assert option.nargs == 1, "a list in the file is one value each"


def test_every_setting_of_the_file_is_one_of_the_environment():
    assert set(FILE_SETTINGS) <= EnvironmentSettings.model_fields.keys()
    assert set(SETTINGS.values()) == set(FILE_SETTINGS)


def test_config_shows_no_secret(run, monkeypatch):
    monkeypatch.setenv("ALPACA_API_KEY", "PKSECRETKEY")
    monkeypatch.setenv("ALPACA_SECRET_KEY", "hidden-secret")
    monkeypatch.setenv("CRYPTO_ALPACA_DATA_URL", "http://user:hidden-word@localhost:9/hidden-path")
    monkeypatch.setenv("CRYPTO_SOURCE", "hidden-in-the-wrong-place")
    monkeypatch.setenv("CRYPTO_CLUSTER", "hidden-in-the-wrong-place")
    for line in ("", "--json", "trade --notify https://example.com/hidden-hook"):
        done = run(load_command("config"), line)
        assert "hidden" not in done.out + done.err
        assert "PKSECRET" not in done.out + done.err
    document = json.loads(run(load_command("config"), "trade --json --notify https://example.com/x").out)
    assert document["options"]["notify"] == {"value": "set", "from": "command line"}
    assert document["settings"]["ALPACA_API_KEY"] == {"value": "set", "from": "environment"}


def test_config_refuses_what_the_command_would_refuse(invoke):
    assert invoke(load_command("config"), "trade --fee much").code == 2
    assert invoke(load_command("config"), "nothing").code == 2
    assert invoke(load_command("config"), "evaluate").code == 0  # although --targets is missing
