"""`reconcile` as its users meet it: accounts of simulated bars, in text, JSON, CSV and HTML."""

from __future__ import annotations

import csv
import io
import re
import sqlite3

import pytest
from support.cli_runner import Home
from support.html_dom import Page
from support.stub_models import BTC

from crypto_refactor.report.documents.reconciliation import headline
from crypto_refactor.report.html.reconciliation import reconciliation_html
from crypto_refactor.report.terminal.accounts.reconciliation import print_reconciliation
from crypto_refactor.trading.reconciliation.causes import Cause, CauseHour, CauseMoney
from crypto_refactor.trading.reconciliation.result import (
    AccountReconciliation,
    HourRow,
    HourSide,
    TickerReconciliation,
)

RULES = "--source sample --network linear --train-hours 240 --lookback 12 --threshold-scale 0 --min-confirmations 3"
NOTHING = dict.fromkeys(("signal", "target", "held", "price", "quantity", "model", "bars"))


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    home = Home(tmp_path_factory.mktemp("reconciled"))
    home.run(f"run_trading --demo --replay-hours 48 {RULES}")
    return home


@pytest.fixture
def home_of_replay(replayed, tmp_path):
    return replayed.copy(tmp_path / "home")


def edit(home, statement):
    connection = sqlite3.connect(home.folder / "state" / "ledger.sqlite")
    connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.slow
def test_a_replay_is_its_backtest_in_every_form(home_of_replay):
    home = home_of_replay
    found = home.json("crypto-refactor reconcile --csv hours.csv --report page.html")
    assert found["schema"] == 1
    assert (found["explained"], found["causes"], found["unexplained"], found["missing"]) == (
        True,
        [],
        0.0,
        {},
    )
    (part,) = found["tickers"]
    assert part["account"] == part["backtest"]
    assert part["account"] != part["start"], "nothing was traded: choose other rules"
    text = home.run("crypto-refactor reconcile").stdout
    assert "no difference" in text
    assert max(map(len, text.splitlines())) <= 80
    rows = list(csv.DictReader(io.StringIO((home.work / "hours.csv").read_text())))
    assert len(rows) == 49
    assert all(row["backtest_equity"] == row["account_equity"] for row in rows)
    assert all(row["simulated"] == "SIMULATED" for row in rows)
    page = Page((home.work / "page.html").read_text())
    assert {"equity", "causes"} <= set(page.sections)
    assert page.scripts == []


@pytest.mark.slow
def test_what_has_no_cause_ends_with_6_and_names_the_hour(home_of_replay):
    edit(home_of_replay, "UPDATE equity SET equity = equity - 3 WHERE bar = (SELECT max(bar) FROM equity)")
    done = home_of_replay.run("crypto-refactor reconcile", code=6)
    assert "-3.00 has no cause; it begins at" in done.stdout
    assert home_of_replay.json("crypto-refactor reconcile", code=6)["tickers"][0]["unexplained_since"]


@pytest.mark.slow
def test_settings_that_make_no_sense_are_a_damaged_ledger(home_of_replay):
    edit(home_of_replay, 'UPDATE settings SET about = \'{"source": "sample"}\'')
    done = home_of_replay.run("crypto-refactor reconcile", code=5)
    assert "make no sense" in done.stdout + done.stderr


@pytest.mark.slow
def test_an_account_without_settings_says_from_when_on(home_of_replay):
    edit(home_of_replay, "DELETE FROM settings")
    done = home_of_replay.run("crypto-refactor reconcile")
    assert "it can be reconciled from its next decision on" in done.stdout


@pytest.mark.slow
def test_what_was_found_is_told_although_it_cannot_be_kept_for_the_page(home_of_replay):
    (home_of_replay.folder / "state" / "reconciled").touch()
    done = home_of_replay.run("crypto-refactor reconcile")
    assert "no difference" in done.stdout
    assert "Not kept for the page of the account" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("stamp", ["yesterday", "2024-06-01T00:30Z"])
def test_a_since_that_is_no_hour_is_refused(home_of_replay, stamp):
    done = home_of_replay.run(f"crypto-refactor reconcile --since {stamp}", code=2)
    assert "--since" in done.stderr


def result(causes, *, unexplained=0.0):
    def side(equity):
        return HourSide(equity=equity, **NOTHING)

    total = sum(cause.money for cause in causes) + unexplained
    rows = tuple(
        HourRow(ticker=BTC, hour=hour, close=1.0, backtest=side(1e4), account=side(1e4 + total), causes=())
        for hour in (400_000, 400_001)
    )
    part = TickerReconciliation(
        ticker=BTC,
        first=400_000,
        end=400_001,
        since_opening=True,
        start=1e4,
        backtest=10_120.0,
        account=10_120.0 + total,
        causes=tuple(causes),
        unexplained=unexplained,
        unexplained_since=400_001 if unexplained else None,
        rows=rows,
        extra_coins=0.0,
        trained=0,
    )
    return AccountReconciliation(account="demo/x", simulated=False, tickers=(part,), missing={}, notes=())


def cause(kind, money, *hours):
    return CauseMoney(
        cause=kind, money=money, hours=tuple(CauseHour(kind, hour, "<b>what</b> happened") for hour in hours)
    )


def test_the_headline_explains_the_money_the_largest_first():
    found = result(
        [
            cause(Cause.MISSED, -21.0, 400_000, 400_001),
            cause(Cause.FILLS, -46.0, 400_001),
            cause(Cause.FEES, -12.0),
            cause(Cause.HALTS, 0.0, 400_001),
        ]
    )
    assert headline(found) == (
        "backtest +1.20 %, account +0.41 %: fills -0.46 %, 2 missed hours -0.21 %, fees -0.12 %"
    )
    assert headline(result([], unexplained=-5.0)).endswith(": no cause -0.05 %")


def test_the_page_shows_every_cause_and_hour_as_text():
    page = Page(reconciliation_html(result([cause(Cause.MISSED, -21.0, 400_000)], unexplained=-1.0)))
    assert "no decision was made" in page.sections["causes"]
    assert "-21.00" in page.sections["causes"]
    assert "no cause" in page.sections["causes"]
    assert "<b>what</b> happened" in page.sections["hours"]
    assert "b" not in {tag for tag, _ in page.tags}


def test_consecutive_hours_of_one_kind_are_one_line():
    from rich.console import Console

    hours = [*range(400_000, 400_155), 400_200]
    console = Console(file=io.StringIO(), width=120)
    print_reconciliation(result([cause(Cause.MISSED, -21.0, *hours)]), None, console)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("missed: ")]
    assert lines == [
        "missed: BTC/USD 2015-08-19T16:00:00Z to 2015-08-26T02:00:00Z, 155 hours: <b>what</b> happened",
        "missed: BTC/USD 2015-08-28T00:00:00Z <b>what</b> happened",
    ]


def test_it_is_whole_at_every_width():
    from rich.console import Console

    found = result(
        [cause(kind, -1_234_567.89, 400_000, 400_001) for kind in list(Cause)[:4]], unexplained=-5.0
    )

    def shown(columns, *, terminal):
        console = Console(width=columns, force_terminal=terminal, no_color=True, file=io.StringIO())
        print_reconciliation(found, None, console)
        return [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in console.file.getvalue().splitlines()]

    tokens = set(" ".join(shown(80, terminal=False)).split())
    for columns in (40, 60, 80, 120):
        lines = shown(columns, terminal=True)
        text = re.sub(r"^\d columns? hidden.*?FILE\.", "", "\n".join(lines), flags=re.DOTALL | re.MULTILINE)
        assert set(text.split()) <= tokens
        assert max(map(len, lines)) <= columns
