"""`download --from` and `import --from`: bars of other exchanges, from a server on this machine."""

from __future__ import annotations

import sys

import pytest
from support.cli_runner import one_document
from support.played_venue import NAME, PlayedCoinbase

from crypto_refactor.cli.commands.accounts.account import COMMANDS as ACCOUNT
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.download import command as download
from crypto_refactor.cli.commands.importing import command as import_
from crypto_refactor.cli.commands.signal import command as signal
from crypto_refactor.cli.commands.trade import trade
from crypto_refactor.market.hours import floor_hour, parse_hour, to_iso
from crypto_refactor.market.sources.base import utc_now
from crypto_refactor.market.sources.csv_files import read_csv, write_csv
from crypto_refactor.market.ticker import Ticker

BTC = Ticker("BTC", "USD")
END = parse_hour("2024-06-01T00:00Z")
MODELS = "--network linear --lookback 12 --train-hours 240 --refit-every 48 --min-confirmations 4"


@pytest.fixture
def played(httpserver, monkeypatch):
    return PlayedCoinbase(httpserver, range(END - 1200, END)).install(monkeypatch)


@pytest.fixture
def line(played):
    return f"--from {NAME} --data-dir bars --end 2024-06-01T00:00Z"


def test_bars_are_downloaded_and_what_to_do_with_them_is_said(run, line, home):
    done = run(download, f"{line} --ticker BTC/USD --ticker ETH/USD --hours 48")
    assert (
        "BTC/USD: 48 bars, 2024-05-30T00:00:00Z to 2024-05-31T23:00:00Z, in bars/btc_usd_1h.csv" in done.out
    )
    assert done.out.rstrip().endswith("Use them with --source files --data-dir bars")
    assert len(read_csv(home.work / "bars" / "eth_usd_1h.csv", Ticker("ETH", "USD"))) == 48


def test_json_says_what_came_and_what_was_there(run, line):
    run(download, f"{line} --ticker BTC/USD --hours 48")
    found = one_document(run(download, f"{line} --ticker BTC/USD --hours 2000 --json").out)
    (row,) = found["tickers"]
    assert (found["schema"], found["source"]) == (1, f"files:{NAME}")
    assert (row["bars"], row["received"], row["already_there"], row["revised"]) == (1200, 1200, 0, 0)
    assert (row["missing_before"], row["received_first"]) == (800, to_iso(END - 1200))
    assert row["left_out"] == []
    text = run(download, f"{line} --ticker BTC/USD --hours 2000").out
    assert "gave none before 2024-04-12T00:00:00Z, 800 h fewer than asked" in text


def test_pairs_of_the_list_that_the_exchange_does_not_offer_are_named(run, line):
    done = run(download, f"{line} --hours 24")
    assert "BTC/USD: 24 bars" in done.out
    assert "does not offer SOL/USD" in done.out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ("--from krakn --data-dir b", 2, "did you mean kraken"),
        ("--from ../x --data-dir b", 2, "--from is '../x'"),
        (f"--from {NAME} --source alpaca --data-dir b", 2, "--from and --source were both given"),
        (f"--from {NAME} --data-dir b --ticker SOL/USD", 3, "does not offer SOL/USD"),
        (f"--from {NAME} --data-dir b --ticker BTC/USD --end 2010-01-01T00:00Z", 3, "has no bars of BTC/USD"),
    ],
)
def test_what_cannot_be_done_is_said_in_three_parts(run, played, options, code, said):
    err = run(download, options, code=code).err
    assert said in err
    assert "Expected: " in err


def test_without_ccxt_the_command_that_installs_it_is_named(run, played, monkeypatch):
    monkeypatch.setitem(sys.modules, "ccxt", None)
    assert "pip install 'crypto-refactor[venues]'" in run(download, "--from kraken --data-dir b", code=2).err


# No model, account or file of one source meets another's bars


@pytest.fixture
def two_folders(run, line, home):
    """The same values as an exchange's bars and as files whose source nothing names."""
    run(download, f"{line} --ticker BTC/USD --hours 1200")
    write_csv(read_csv(home.work / "bars" / "btc_usd_1h.csv", BTC), home.work / "plain" / "btc_usd_1h.csv")


def test_a_cached_model_of_other_bars_is_never_used(run, two_folders, fits):
    def trained(folder):
        before = fits.trained
        line = f"--source files --data-dir {folder} --hours 48 {MODELS} --allow-jumps --json"
        return one_document(run(backtest, line).out)["source"], fits.trained > before

    assert [trained(folder) for folder in ("plain", "bars", "plain", "bars")] == [
        ("files", True),
        (f"files:{NAME}", True),
        ("files", False),
        (f"files:{NAME}", False),
    ]


def test_a_named_model_of_other_bars_is_refused_until_it_may_be_replaced(run, two_folders, fits):
    line = "--hours 240 --lookback 12 --network linear --allow-jumps --end 2024-05-25T00:00Z --source files"
    run(signal, f"{line} --data-dir plain --model mine")
    assert f"files:{NAME}" in run(signal, f"{line} --data-dir bars --model mine", code=4).err
    found = one_document(run(signal, f"{line} --data-dir bars --model mine --retrain --json").out)
    assert found["source"] == f"files:{NAME}"
    line = f"--source files --hours 24 --model mine {MODELS} --allow-jumps"
    run(backtest, f"{line} --data-dir bars --seed 0")
    refused = run(backtest, f"{line} --data-dir plain", code=4).err
    assert f"files:{NAME}" in refused
    assert "Remedy: " in refused


def test_accounts_of_the_two_are_two(run, two_folders, fits):
    for folder in ("plain", "bars"):
        run(trade, f"--once --demo --source files --data-dir {folder} {MODELS} --allow-jumps")
    status = ACCOUNT["status"]
    own = one_document(run(status, "--data-dir bars --source files --json").out)
    other = one_document(run(status, "--data-dir plain --source files --json").out)
    assert own["account"].startswith(f"demo/files:{NAME}/")
    assert other["account"].startswith("demo/files/")
    assert one_document(run(status, "--source files --json").out)["account"] == own["account"], (
        "the last traded"
    )


def test_commands_that_repeat_a_run_read_the_folder_again(run, two_folders, fits, home):
    run(backtest, f"--source files --data-dir bars --hours 48 {MODELS} --allow-jumps --report page.html")
    page = (home.work / "page.html").read_text(encoding="utf-8")
    told = run(trade, f"--once --demo --source files --data-dir bars {MODELS} --allow-jumps").err
    for shown in (page, told):
        assert "--source files " in shown
        assert f"--source files:{NAME}" not in shown


# Import


def rows(first, count):
    return "timestamp,open,high,low,close,volume\n" + "".join(
        f"{to_iso(hour)},1,2,0.5,1,5\n" for hour in range(first, first + count)
    )


def test_files_of_an_exchange_join_its_folder(run, line, home):
    run(download, f"{line} --ticker BTC/USD --hours 48")
    (home.work / "older.csv").write_text(rows(END - 100, 20))
    run(import_, f"older.csv --ticker BTC/USD --from {NAME} --data-dir bars")
    bars = read_csv(home.work / "bars" / "btc_usd_1h.csv", BTC)
    assert (len(bars), bars.source) == (68, f"files:{NAME}")


@pytest.mark.parametrize("venue", ["", "--from kraken"])
def test_files_of_another_source_are_refused(run, line, home, venue):
    run(download, f"{line} --ticker BTC/USD --hours 48")
    before = (home.work / "bars" / "btc_usd_1h.csv").read_bytes()
    (home.work / "older.csv").write_text(rows(END - 100, 20))
    err = run(import_, f"older.csv --ticker BTC/USD {venue} --data-dir bars", code=3).err
    assert f"holds bars of {NAME}" in err
    assert f"--from {NAME}" in err
    assert (home.work / "bars" / "btc_usd_1h.csv").read_bytes() == before


def test_an_import_can_begin_a_folder(run, home):
    (home.work / "mine.csv").write_text(rows(floor_hour(utc_now()) - 30, 20))
    run(import_, "mine.csv --ticker BTC/USDT --from bitso --data-dir new")
    assert read_csv(home.work / "new" / "btc_usdt_1h.csv", Ticker("BTC", "USDT")).source == "files:bitso"
