"""What is tried is recorded, listed, and counted in verdicts; a second run still prints the very same JSON."""

from __future__ import annotations

import csv
import io

import pytest
from support.cli_runner import one_document

from crypto_refactor.backtest.journal.store import Journal
from crypto_refactor.cli.commands.audit import command as audit
from crypto_refactor.cli.commands.backtest import command as backtest
from crypto_refactor.cli.commands.compare import command as compare
from crypto_refactor.cli.commands.compare import trials
from crypto_refactor.cli.commands.evaluate import command as evaluate
from crypto_refactor.cli.commands.signal import command as signal

pytestmark = pytest.mark.usefixtures("fits")
MODELS = "--network linear --lookback 12 --train-hours 240 --refit-every 48 --min-confirmations 4"
LINE = f"--source sample --hours 48 --ticker BTC/USD {MODELS}"


@pytest.fixture
def ask(run):
    return lambda command, line: one_document(run(command, f"{line} --json").out)


@pytest.fixture
def journal(home):
    return Journal(home.folder / "state" / "trials.sqlite")


def numbers(rows):
    return [row["number"] for row in rows]


@pytest.mark.slow
def test_a_second_run_prints_the_same_whatever_was_tried_in_between(run, ask):
    first = run(backtest, f"{LINE} --json").out
    tried = run(backtest, f"{LINE} --exit fade --json").out
    assert run(backtest, f"{LINE} --json").out == first
    search = f"{LINE} --vary exit=neutral,opposite,fade --vary fee=0,0.001"
    compared = run(compare, f"{search} --json").out
    tested = run(compare, f"{search} --select-then-test 0.5 --json").out
    for command, line, before in (
        (backtest, LINE, first),
        (backtest, f"{LINE} --exit fade", tried),
        (compare, search, compared),
        (compare, f"{search} --select-then-test 0.5", tested),
    ):
        assert run(command, f"{line} --json").out == before
    assert ask(backtest, LINE)["earlier_trials"]["count"] == 0
    assert ask(backtest, f"{LINE} --exit fade")["earlier_trials"]["count"] == 1


def test_a_backtest_says_how_many_came_before_and_what_is_left_of_it(run, ask):
    assert "no other one on these hours of BTC/USD came before." in run(backtest, f"{LINE} --details").out
    search = ask(compare, f"{LINE} --vary exit=neutral,opposite,fade --vary fee=0,0.002")
    found = ask(backtest, f"{LINE} --fee 0.0005")
    earlier = found["earlier_trials"]
    assert earlier["count"] == 7
    assert earlier["with_sharpe"] == search["luck"]["counted"] + 1
    assert earlier["deflated_sharpe"] < found["significance"]["probabilistic_sharpe"]
    assert found["verdict"]["text"].startswith("8th trial on these hours: not enough data")
    text = " ".join(run(backtest, f"{LINE} --fee 0.0005 --details").out.split())
    assert "Trials: 7 different ones on overlapping hours of BTC/USD came before." in text
    assert f"Deflated Sharpe ratio: {earlier['deflated_sharpe']:.2f}." in text


def test_the_page_says_it_too(run, tmp_path):
    run(backtest, f"{LINE} --fee 0")
    page = tmp_path / "report.html"
    run(backtest, f"{LINE} --report {page}")
    text = " ".join(page.read_text(encoding="utf-8").split())
    assert "2nd trial on these hours: not enough data" in text
    assert "Trials: 1 different one on overlapping hours of BTC/USD came before." in text
    run(backtest, f"{LINE} --report {page} --no-journal")
    assert "came before" not in page.read_text(encoding="utf-8")


def test_a_pinned_model_is_one_setting_whatever_it_is_called_with(run, journal):
    end = "--source sample --network linear --lookback 12 --end"
    run(signal, f"{end} 2024-12-01T00:00Z --hours 240 --ticker BTC/USD --model mine")
    line = f"{end} 2025-01-01T00:00Z --hours 48 --ticker BTC/USD --model mine"
    run(backtest, f"{line} --seed 1")
    run(backtest, f"{line} --seed 2")
    run(compare, f"{line} --vary exit=neutral,fade")
    rows = journal.rows()
    assert sorted(row.runs for row in rows) == [1, 3]
    assert {row.record.settings["model"] for row in rows} == {"mine"}


def test_a_comparison_counts_what_came_before_it(run, ask):
    search = f"{LINE} --vary exit=neutral,opposite"
    alone = ask(compare, f"{search} --no-journal")["luck"]
    assert (alone["earlier"], alone["earlier_counted"]) == (None, None)
    for fee in ("0", "0.005", "0.01"):
        run(backtest, f"{LINE} --fee {fee}")
    found = ask(compare, search)["luck"]
    assert (found["tried"], found["earlier"], found["earlier_counted"]) == (2, 3, 3)
    assert found["expected_best_sharpe"] > alone["expected_best_sharpe"]
    assert found["deflated_sharpe"] < alone["deflated_sharpe"]
    assert "2 trials after 3 earlier ones on overlapping hours." in " ".join(run(compare, search).out.split())
    text = " ".join(run(compare, f"{search} --no-journal").out.split())
    assert "Trials of earlier commands are not counted." in text


def test_a_trial_of_a_comparison_and_the_same_backtest_are_one(run, ask, journal):
    run(compare, f"{LINE} --vary exit=neutral,fade")
    run(backtest, f"{LINE} --exit fade")
    run(backtest, f"{LINE} --fee 0.001")  # the default, said aloud
    assert sorted(row.runs for row in journal.rows()) == [2, 2]
    assert {row.record.command for row in journal.rows()} == {"compare"}


def test_what_was_chosen_is_recorded_before_what_it_is_held_against(run, ask, journal):
    found = ask(compare, f"{LINE} --vary exit=neutral,opposite,fade --select-then-test 0.5")
    rows = journal.rows()[::-1]
    assert [row.record.last - row.record.first for row in rows] == [24] * 6
    assert len({row.record.first for row in rows[:3]}) == 1
    chosen = found["select_then_test"]["chosen"]["setting"].partition("=")[2]
    assert rows[3].record.settings["exit"] == chosen
    assert rows[3].verdict == found["select_then_test"]["test"]["verdict"]["code"]
    assert found["select_then_test"]["test"]["earlier_trials"]["count"] == 0


@pytest.fixture
def targets(run, tmp_path):
    file = tmp_path / "signals.csv"
    run(backtest, f"{LINE} --signals {file} --no-journal")
    return file


def test_an_evaluation_is_recorded_and_counted(run, ask, targets):
    line = f"--targets {targets} --source sample --ticker BTC/USD"
    assert ask(evaluate, line)["earlier_trials"]["count"] == 0
    found = ask(evaluate, f"{line} --fee 0")
    assert found["earlier_trials"]["count"] == 1
    assert ask(evaluate, f"{line} --fee 0") == found
    (row, _) = ask(trials, "")["trials"]
    assert row["command"] == "evaluate"
    assert "targets" in row["settings"]
    assert "exit" not in row["settings"]


def test_trials_are_listed_and_exported(run, ask, tmp_path):
    run(compare, f"{LINE} --ticker ETH/USD --vary exit=neutral,fade")
    document = ask(backtest, f"{LINE} --long-only")
    listed = ask(trials, "")
    assert list(listed) == ["schema", "trials"]
    newest = listed["trials"][0]
    assert numbers(listed["trials"]) == [5, 4, 3, 2, 1]
    assert newest["window"] == {"first": "2024-12-30T00:00:00Z", "last": "2024-12-31T23:00:00Z", "hours": 48}
    assert newest["data"]["fingerprint"] == document["data"]["fingerprint"]
    assert newest["simulated"] is True
    assert newest["settings"]["long_only"] is True
    assert newest["verdict"] == document["verdict"]["code"]
    for name in ("sharpe", "sharpe_se", "total_return", "trades"):
        assert newest[name] == document["metrics"][name]
    assert newest["hourly_sharpe"] == pytest.approx(newest["sharpe"] / 8760**0.5)
    assert numbers(ask(trials, "--ticker ETH/USD")["trials"]) == [4, 2]
    assert numbers(ask(trials, "--limit 2")["trials"]) == [5, 4]
    file = tmp_path / "trials.csv"
    assert "5 rows written" in run(trials, f"--csv {file}").out
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert [row["number"] for row in rows] == ["5", "4", "3", "2", "1"]
    assert {row["simulated"] for row in rows} == {"SIMULATED"}
    assert rows[0]["sharpe"] == repr(newest["sharpe"])
    text = run(trials, "").out
    assert "long-only=on" in text
    assert "SIMULATED" in text
    assert "lookback=" not in text  # the same everywhere


def test_where_nothing_was_tried_it_says_so_and_writes_nothing(run, ask, home):
    assert "No trial is recorded in" in run(trials, "").out
    assert "No trial of ETH/USD is recorded" in run(trials, "--ticker ETH/USD").out
    assert ask(trials, "") == {"schema": 1, "trials": []}
    assert not (home.folder / "state").exists()


@pytest.mark.parametrize("switch", ["option", "environment"])
def test_without_the_journal_nothing_is_recorded_or_counted(run, ask, home, monkeypatch, switch):
    run(backtest, LINE)
    before = home.tree()
    if switch == "environment":
        monkeypatch.setenv("CRYPTO_JOURNAL", "false")
    off = " --no-journal" if switch == "option" else ""
    found = ask(backtest, f"{LINE} --fee 0{off}")
    assert found["earlier_trials"] is None
    assert found["verdict"]["text"].startswith("Not enough data")
    assert "Trials:" not in run(backtest, f"{LINE} --fee 0{off}").out
    state = {name: content for name, content in before.items() if name.startswith("state")}
    assert {name: content for name, content in home.tree().items() if name.startswith("state")} == state


def test_an_audit_is_no_trial(run, journal):
    run(audit, LINE)
    assert not journal.path.exists()


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (backtest, LINE),
        (compare, f"{LINE} --vary exit=neutral,fade"),
        (compare, f"{LINE} --select-then-test 0.5"),
    ],
)
def test_a_damaged_journal_is_reported_and_the_result_still_comes(run, journal, command, line):
    run(command, f"{line} --no-journal")  # trains what it needs
    expected = one_document(run(command, f"{line} --no-journal --json").out)
    journal.path.parent.mkdir(parents=True, exist_ok=True)
    journal.path.write_bytes(b"no database" * 1000)
    done = run(command, f"{line} --json")
    assert one_document(done.out) == expected
    assert f"The journal of trials {journal.path} is damaged" in done.err
    assert "Expected: " in done.err
    assert "Remedy: " in done.err
    assert journal.path.read_bytes() == b"no database" * 1000
    assert "is damaged" in run(trials, "", code=3).err
