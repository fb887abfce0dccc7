"""`record`, and its last line in `status` and signals, as their users meet them."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from contextlib import closing

import pytest
from support.forecasts import AT, hourly_forecasts

from crypto_refactor.cli.commands.accounts.account import COMMANDS as ACCOUNT
from crypto_refactor.cli.commands.accounts.record import record
from crypto_refactor.execution.stepper import new_state
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.csv_files import FORECAST_COLUMNS
from crypto_refactor.trading.ledger import Ledger

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
DEMO = "demo/alpaca"
SIGNAL = "app_lstm --source sample --network linear --hours 120 --lookback 12"
END = "2024-12-01T00:00Z"


@pytest.fixture
def ledger(home):
    return Ledger(home.folder / "state" / "ledger.sqlite")


@pytest.fixture
def trade(ledger):
    """Trade an account whose forecasts were right `right` times and then wrong `wrong` times."""

    def do(name=DEMO, right=12, wrong=8, source="alpaca", confidence=0.6):
        ledger.open_account(name, "2024-06-01T00:00:00+00:00", {"source": source})
        closes = [100.0]
        for hour in range(right + wrong):
            closes.append(closes[-1] * (1.01 if hour < right else 0.99))
        with ledger.transaction(name, BTC) as writer:
            writer.open(new_state(1000.0, AT))
            for each in hourly_forecasts(closes, confidence=confidence):
                writer.record_forecast(each)

    return do


def document(outcome):
    return json.loads(outcome.out)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """What the ledger does not know is asked of a source that does not answer."""
    monkeypatch.setenv("CRYPTO_ALPACA_DATA_URL", "http://127.0.0.1:9")


def test_where_nothing_was_ever_forecast_it_says_so_and_makes_nothing(run, home):
    assert run(record, "").out == "No forecast has been recorded yet.\n"
    assert document(run(record, "--json")) == {
        "schema": 1,
        "series": None,
        "simulated": False,
        "forecasts": 0,
        "others": [],
        "notes": [],
    }
    assert not (home.folder / "state").exists()


@pytest.mark.slow
def test_the_text_begins_with_how_the_last_forecasts_ended(run, trade):
    trade()
    shown = run(record, "--source alpaca").out
    assert "21 forecasts, 2024-06-01 00:00 to 2024-06-01 20:00 UTC, 20 scored" in shown
    assert (
        "Not yet better than a coin toss: of the last 20 forecasts 12 came true (60 %; the model said 60 %)."
        in shown
    )
    assert "All 21 were made after their hour had closed, as in a replay" in shown
    assert (
        "Evidence          1.50 from 1 unit bet on the stated directions; 50 shows skill: not reached"
        in shown
    )
    assert "Direction         12 of 20 right: 0.600, stated 0.600" in shown
    assert "1 not scored yet: no later bar is known" in shown
    assert "Outcomes are missing, as bars cannot be read: BTC/USD" in shown
    assert max(map(len, shown.splitlines()[:-1])) <= 110
    tables = [line for line in shown.splitlines() if line.startswith(("BTC/USD ", "2024-06 ", "abc "))]
    assert len(tables) == 3
    assert max(map(len, tables)) <= 80


@pytest.mark.slow
def test_the_document_holds_every_figure(run, trade):
    trade()
    found = document(run(record, "--json"))
    assert (found["series"], found["forecasts"], found["scored"]) == (DEMO, 21, 20)
    assert found["recent"] == {"n": 20, "stated": 20, "right": 12, "stated_confidence": pytest.approx(0.6)}
    assert found["evidence"]["product"] == pytest.approx(1.2**12 * 0.8**8)
    assert found["alarm"]["raised_at"] == []
    assert found["score"]["hit_rate"] == 0.6
    assert found["score"]["hit_rate_se"] is None  # less than ten days
    assert [group["name"] for group in found["by_ticker"]] == ["BTC/USD"]
    assert [group["name"] for group in found["by_month"]] == ["2024-06"]
    assert [group["n"] for group in found["by_model"]] == [20]


@pytest.mark.slow
def test_the_file_holds_every_forecast_and_its_outcome(run, trade, tmp_path):
    trade()
    run(record, f"--csv {tmp_path / 'record.csv'}")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "record.csv").read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == FORECAST_COLUMNS
    assert [row["status"] for row in rows] == ["scored"] * 20 + ["waiting"]
    assert [row["right"] for row in rows] == ["1"] * 12 + ["0"] * 8 + [""]
    assert rows[0]["outcome"] == rows[1]["close"]
    assert (rows[0]["bar"], rows[0]["target_at"]) == ("2024-06-01T00:00:00Z", "2024-06-01T01:00:00Z")
    assert re.fullmatch(r"[0-9-]{10}T[0-9:]{8}Z", rows[0]["recorded_at"])


def test_status_shows_the_last_line(run, trade):
    trade()
    assert (
        "Record of forecasts: not yet better than a coin toss: of the last 20 forecasts 12 came true (60 %; the model"
        in run(ACCOUNT["status"], "").out
    )
    found = document(run(ACCOUNT["status"], "--json"))["record"]
    assert (found["series"], found["recent"]["right"]) == (DEMO, 12)


def test_status_of_an_account_without_a_forecast_has_none(run, ledger):
    ledger.open_account(DEMO, "2024-06-01T00:00:00+00:00", {"source": "alpaca"})
    assert "Record" not in run(ACCOUNT["status"], "").out
    assert document(run(ACCOUNT["status"], "--json"))["record"] is None
    assert run(record, "").out == f"No forecast of {DEMO} has been recorded yet.\n"


@pytest.mark.slow
def test_an_account_is_named_as_everywhere(run, trade):
    trade()
    trade("demo/sample", right=5, wrong=0, source="sample")
    assert document(run(record, f"--account {DEMO} --json"))["scored"] == 20
    found = document(run(record, "--demo --source sample --json"))
    assert (found["series"], found["simulated"], found["others"]) == ("demo/sample", True, [DEMO])
    refused = run(record, "--account demo/other", code=5)
    assert "The ledger has no account demo/other" in refused.err


def test_a_damaged_forecast_is_refused(run, trade, ledger):
    trade()
    with closing(sqlite3.connect(ledger.path)) as connection:
        connection.execute("UPDATE forecasts SET confidence = 7")
        connection.commit()
    assert "is damaged" in run(record, "", code=5).err
    assert "is damaged" in run(ACCOUNT["status"], "", code=5).err


# Signals, in processes of their own: they train


@pytest.mark.slow
def test_a_signal_is_recorded_once_and_shows_how_earlier_ones_ended(home):
    first = home.json(f"{SIGNAL} --end 2024-11-30T22:00Z")["record"]
    assert (first["series"], first["forecasts"], first["scored"]) == ("model/lstm_v2/sample", 1, 1)
    home.run(f"{SIGNAL} --end 2024-11-30T22:00Z")
    shown = home.run(f"{SIGNAL} --end {END}").stdout
    assert "the last 2 forecasts" in " ".join(shown.partition("\nRecord  ")[2].split())
    found = home.json("crypto-refactor record --model lstm_v2")
    assert (found["forecasts"], found["scored"], found["simulated"]) == (2, 2, True)
    assert found["after_the_fact"] == 2
    assert "SIMULATED" in home.run("crypto-refactor record").stdout
    refused = home.run("crypto-refactor record --model other", code=5).stderr
    assert "no forecast of a model other" in refused
    assert "model/lstm_v2/sample" in refused


def test_the_last_bar_of_a_source_waits_for_the_next(home):
    found = home.json(SIGNAL)["record"]
    assert (found["waiting"], found["scored"]) == (1, 0)


def test_nothing_is_recorded_where_that_is_not_wanted(home):
    assert home.json(f"{SIGNAL} --end {END} --no-record")["record"] is None
    assert "Record  " not in home.run(f"{SIGNAL} --end {END}", CRYPTO_RECORD="false").stdout
    assert not (home.folder / "state" / "ledger.sqlite").exists()


def test_a_signal_is_not_lost_for_a_ledger_that_cannot_be_used(home):
    ledger = home.folder / "state" / "ledger.sqlite"
    ledger.parent.mkdir(parents=True)
    ledger.write_bytes(b"no database, but long enough to be looked at as if it were one" * 50)
    done = home.run(f"{SIGNAL} --end {END} --json")
    found = json.loads(done.stdout)
    assert (found["record"], found["signal"] in {-1, 0, 1}) == (None, True)
    assert "Not recorded, and earlier forecasts are not told: The ledger" in done.stderr


def test_a_model_on_bars_of_several_sources_is_named_with_its_source(run, ledger):
    for source in ("alpaca", "sample"):
        ledger.record_forecast(f"model/mine/{source}", ETH, hourly_forecasts([10.0])[0])
    assert "several sources" in run(record, "--model mine", code=2).err
    assert document(run(record, "--model mine --source sample --json"))["series"] == "model/mine/sample"
    assert "--account" in run(record, "--model mine --account x", code=2).err
