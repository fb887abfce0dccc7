"""The journal counts what was tried: once each, in the order of the first run, by several processes at once."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.cli_runner import PATIENCE, ROOT

from crypto_refactor.backtest.journal.store import Journal
from crypto_refactor.backtest.journal.trial_record import TrialRecord
from crypto_refactor.backtest.significance.earlier_trials import EarlierTrials
from crypto_refactor.errors import DataError

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def trial(name="a", *, ticker="BTC/USD", first=1000, last=1100, sharpe=1.0, **changed):
    record = TrialRecord(
        command="backtest",
        ticker=ticker,
        source="files",
        simulated=False,
        first=first,
        last=last,
        data="f1",
        settings={"exit": name, "stop_loss": None, "fee": 0.001},
        total_return=0.1,
        sharpe=sharpe,
        sharpe_se=None if sharpe is None else 2.0,
        hourly_sharpe=None if sharpe is None else sharpe / 8760**0.5,
        trades=3,
    )
    return replace(record, **changed)


@pytest.fixture
def journal(tmp_path):
    ticks = (NOON + timedelta(hours=hour) for hour in range(1000))
    return Journal(tmp_path / "state" / "trials.sqlite", clock=lambda: next(ticks))


def none_before():
    return EarlierTrials(count=0, sharpes=())


def test_the_first_trial_has_none_before_it(journal):
    assert journal.record([trial()]) == none_before()


def test_different_settings_on_the_same_bars_count(journal):
    for name, sharpe in (("a", 1.0), ("b", -0.5), ("c", None)):
        journal.record([trial(name, sharpe=sharpe)])
    assert journal.record([trial("d")]) == EarlierTrials(count=3, sharpes=(1.0, -0.5))


def test_a_repeated_run_finds_what_it_found_however_much_was_tried_since(journal):
    journal.record([trial("a")])
    before = journal.record([trial("b", sharpe=2.0)])
    for name in "cdefg":
        journal.record([trial(name)])
    assert journal.record([trial("b", sharpe=2.0)]) == before == EarlierTrials(count=1, sharpes=(1.0,))
    assert len(journal.rows()) == 7


def test_the_same_settings_on_the_same_bars_are_one_trial_by_whatever_command(journal):
    journal.record([trial("a")])
    journal.record([trial("a", command="compare")])
    (row,) = journal.rows()
    assert (row.record.command, row.runs) == ("backtest", 2)
    assert (row.first_run_at, row.last_run_at) == ("2024-06-01T12:00:00Z", "2024-06-01T13:00:00Z")


@pytest.mark.parametrize(
    ("other", "counts"),
    [
        ({"first": 1100, "last": 1200}, False),  # begins where the other ends
        ({"first": 900, "last": 1000}, False),
        ({"first": 1099, "last": 1200}, True),
        ({"first": 900, "last": 1001}, True),
        ({"first": 1040, "last": 1050}, True),
        ({"first": 1, "last": 9999}, True),
        ({"ticker": "ETH/USD"}, False),
        ({"simulated": True, "source": "sample"}, False),
        ({"source": "alpaca"}, True),  # the same market
        ({"data": "f2"}, True),  # revised bars
    ],
)
def test_only_trials_on_overlapping_bars_of_the_ticker_count(journal, other, counts):
    journal.record([trial("x", **other)])
    assert journal.record([trial("a")]).count == counts


def test_trials_that_are_looked_at_together_do_not_come_before_each_other(journal):
    journal.record([trial("before", sharpe=0.25)])
    search = [trial(name) for name in "abcd"]
    assert journal.record(search) == EarlierTrials(count=1, sharpes=(0.25,))
    journal.record([trial("after")])
    assert journal.record(search) == EarlierTrials(count=1, sharpes=(0.25,))
    assert journal.record([trial("after")]).count == 5


def test_a_search_that_holds_an_earlier_trial_counts_it_once_and_what_lies_between(journal):
    journal.record([trial("a")])
    journal.record([trial("between", sharpe=0.5)])
    search = [trial(name) for name in "abc"]
    assert journal.record(search) == EarlierTrials(count=1, sharpes=(0.5,))
    assert journal.record(search) == EarlierTrials(count=1, sharpes=(0.5,))


def test_a_search_over_several_tickers_counts_what_came_before_on_each(journal):
    journal.record([trial("a", ticker="ETH/USD", sharpe=0.1), trial("b", ticker="SOL/USD", sharpe=0.2)])
    found = journal.record([trial("z"), trial("z", ticker="ETH/USD")])
    assert found == EarlierTrials(count=1, sharpes=(0.1,))


def test_the_verdict_for_what_came_before_is_recorded_with_the_trial(journal):
    journal.record([trial("a")])
    journal.record([trial("b")], lambda earlier: f"after {earlier.count}")
    newest, oldest = journal.rows()
    assert (newest.verdict, oldest.verdict) == ("after 1", None)


def test_where_the_verdict_fails_nothing_is_recorded(journal):
    with pytest.raises(RuntimeError):
        journal.record([trial("a")], _fail)
    assert journal.rows() == []


def _fail(_earlier):
    raise RuntimeError


def test_rows_are_what_was_recorded_newest_first_and_can_be_narrowed(journal):
    records = [trial("a"), trial("b", ticker="ETH/USD", sharpe=None), trial("c")]
    for each in records:
        journal.record([each])
    assert [row.record for row in journal.rows()] == records[::-1]
    assert [row.number for row in journal.rows()] == [3, 2, 1]
    assert [row.record for row in journal.rows(ticker="BTC/USD", limit=1)] == records[2:]
    assert journal.rows(ticker="ADA/USD") == []


@given(runs=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None)
def test_what_came_before_never_depends_on_repeats(tmp_path_factory, runs):
    journal = Journal(tmp_path_factory.mktemp("journal") / "trials.sqlite")
    firsts = list(dict.fromkeys(runs))
    for name in runs:
        assert journal.record([trial(name)]).count == firsts.index(name)


def test_two_processes_at_once_lose_and_double_nothing(tmp_path):
    path = tmp_path / "trials.sqlite"
    script = (
        "import sys; sys.path[:0] = sys.argv[3:]\n"
        "from pathlib import Path\n"
        "from backtest.journal.test_journal import Journal, trial\n"
        "for each in range(25):\n"
        "    Journal(Path(sys.argv[1])).record([trial(f'shared {each}'), trial(f'{sys.argv[2]} {each}')])\n"
    )
    command = [sys.executable, "-c", script, str(path)]
    folders = [str(ROOT), str(ROOT / "tests")]
    started = [subprocess.Popen([*command, name, *folders]) for name in ("one", "two")]
    assert [process.wait(timeout=PATIENCE) for process in started] == [0, 0]
    rows = Journal(path).rows()
    assert sorted(row.record.settings["exit"] for row in rows) == sorted(
        f"{name} {each}" for name in ("shared", "one", "two") for each in range(25)
    )
    assert [row.number for row in rows] == list(range(75, 0, -1))
    assert sum(row.runs for row in rows) == 100


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to be looked at" * 40, b"\0" * 4096]
)
def test_a_damaged_file_is_named_with_a_remedy_and_stays(tmp_path, content):
    path = tmp_path / "trials.sqlite"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        Journal(path).record([trial()])
    assert str(path) in caught.value.what
    assert "no longer counted" in caught.value.remedy
    assert path.read_bytes() == content


def test_the_file_of_something_else_is_refused(tmp_path):
    path = tmp_path / "trials.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE trials (id)")
    with pytest.raises(DataError, match="not a journal of trials"):
        Journal(path).record([trial()])


@pytest.mark.parametrize(
    ("column", "value"),
    [("settings", "{"), ("settings", "[1]"), ("sharpe", "high"), ("total_return", "much"), ("first", "soon")],
)
def test_a_value_that_makes_no_sense_is_damage(journal, column, value):
    journal.record([trial("a")])
    with closing(sqlite3.connect(journal.path)) as connection, connection:
        connection.execute(f"UPDATE trials SET {column} = ?", (value,))
    with pytest.raises(DataError, match="is damaged: a trial cannot be read"):
        journal.rows()


def test_a_locked_file_is_waited_for_and_then_named(journal):
    journal.record([trial("a")])
    with closing(sqlite3.connect(journal.path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match="stayed locked"):
            Journal(journal.path, busy_seconds=0.1).record([trial("b")])
    assert journal.record([trial("b")]).count == 1


def test_the_file_is_for_its_owner_alone(journal):
    journal.record([trial("a")])
    assert journal.path.stat().st_mode & 0o777 == 0o600


def test_settings_are_the_same_text_in_whatever_order_they_are_given():
    one = trial()
    other = replace(one, settings=dict(reversed(one.settings.items())))
    assert (one.key, one.settings_text) == (other.key, other.settings_text)
    assert json.loads(one.settings_text) == one.settings
