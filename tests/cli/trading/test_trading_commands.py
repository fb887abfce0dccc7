"""`run_trading.py` and `run_multi_ticker.py` as real processes, on simulated bars and on files."""

from __future__ import annotations

import json
import signal
import sqlite3

import pytest
from support.cli_runner import PATIENCE, Home, tree
from support.stub_models import sample_bars

from crypto_refactor.cli.commands import trade
from crypto_refactor.cli.commands.accounts import account as accounts
from crypto_refactor.config import tickers_file
from crypto_refactor.errors import ModelError
from crypto_refactor.market.sources.csv_files import HEADER_LINE, file_path
from crypto_refactor.market.ticker import Ticker, read_tickers
from crypto_refactor.trading.account_names import ledger_of

ALL = [str(ticker) for ticker in read_tickers(tickers_file())]
SMALL = "--network linear --train-hours 240 --min-confirmations 4"
SAMPLE = f"--source sample {SMALL}"
BTC = f"run_trading --ticker BTC/USD --demo {SAMPLE}"


@pytest.fixture(scope="session")
def trader(shared_folder):
    """A folder of models that all tests of this file share; state is each test's own."""
    return shared_folder / "trading-models"


@pytest.fixture
def desk(trader, tmp_path):
    """Return a runner: `desk("run_trading …")`, with models shared and a state folder of its own."""

    class Desk(Home):
        @property
        def models(self):
            return trader

        def documents(self, line, **options):
            return [json.loads(text) for text in self.run(f"{line} --json", **options).stdout.splitlines()]

    return Desk(tmp_path / "desk")


def entry_keys(entry):
    return {key: entry[key] for key in ("ticker", "bar", "signal", "target", "reason", "decision", "price")}


class TestReplay:
    def test_a_replay_of_72_hours_ends_with_a_summary_that_equals_the_backtest(self, desk):
        shown = desk.run(BTC).stdout
        assert shown.splitlines()[0].startswith("Trading in replay/")
        for text in ("SIMULATED", "buy and", "fees", "Equity", "┤", "Equal to the backtest"):
            assert text in shown
        assert "72 hours" in shown

    def test_json_lines_are_the_bars_and_then_the_summary(self, desk):
        *entries, summary = desk.documents(f"{BTC} --replay-hours 30")
        assert len(entries) == 31
        assert [entry["acted"] for entry in entries] == [True] * 31
        assert len({entry["bar"] for entry in entries}) == 31
        (ticker,) = summary["tickers"]
        assert ticker["same_as_backtest"] is True
        assert entries[-1]["equity"] == ticker["equity"]

    @pytest.mark.slow
    def test_an_interrupted_replay_goes_on_and_a_finished_one_starts_afresh(self, desk):
        line = f"{BTC} --replay-hours 40 --json"
        whole = desk.run(line).stdout.splitlines()
        slow = desk.start(f"{line} --replay-delay 0.2 --state-dir {desk.folder / 'other'}")
        begun = [slow.stdout.readline() for _ in range(5)]
        slow.send_signal(signal.SIGTERM)
        rest, errors = slow.communicate(timeout=PATIENCE)
        assert slow.returncode == 143
        assert "Open in replay/" in errors
        done = desk.run(f"{line} --state-dir {desk.folder / 'other'}")
        assert "it goes on at " in done.stderr
        together = [*"".join([*begun, rest]).splitlines(), *done.stdout.splitlines()]
        assert [json.loads(text) for text in together[:-1]] == [json.loads(text) for text in whole[:-1]]
        assert len(done.stdout.splitlines()) < len(whole)
        afresh = desk.run(line).stdout.splitlines()
        assert [json.loads(text) for text in afresh[:-1]] == [json.loads(text) for text in whole[:-1]]

    @pytest.mark.slow
    def test_another_setting_is_another_replay(self, desk):
        accounts = {
            desk.documents(f"{BTC} --replay-hours 6 {more}")[-1]["account"]
            for more in ("", "--long-only", "--end 2024-12-31T00:00Z")
        }
        assert len(accounts) == 3


class TestOnce:
    def test_the_second_run_at_a_bar_does_nothing_from_whichever_folder(self, desk, tmp_path):
        line = f"{BTC} --once"
        first = desk.json(line)
        assert (first["acted"], first["account"]) == (True, "demo/sample")
        before = tree(desk.folder / "state")
        elsewhere = Home(desk.folder)
        (desk.folder / "work" / "deeper").mkdir(parents=True)
        assert elsewhere.work != desk.folder
        second = desk.json(line)
        assert (second["acted"], second["fills"]) == (False, [])
        assert "already acted on" in second["reason"]
        assert set(tree(desk.folder / "state")) == set(before)

    @pytest.mark.slow
    def test_what_was_decided_fills_at_the_next_open(self, desk):
        """Hour by hour, one process each, is the replay of the same hours."""
        ends = [f"2024-12-30T{hour:02}:00Z" for hour in range(8)]
        *entries, _ = desk.documents(f"{BTC} --replay-hours 7 --end {ends[-1]}")
        steps = [desk.json(f"{BTC} --once --end {end}") for end in ends]
        assert [entry_keys(step) for step in steps] == [entry_keys(entry) for entry in entries]
        assert [step["fills"] for step in steps] == [entry["fills"] for entry in entries]
        assert [step["equity"] for step in steps] == [entry["equity"] for entry in entries]

    def test_a_later_run_keeps_an_open_sub_account_and_says_so(self, desk):
        desk.run(f"{BTC} --once --end 2024-12-30T00:00Z")
        later = desk.json(f"{BTC} --once --end 2024-12-30T01:00Z --initial-balance 500")
        assert later["equity"] > 90_000
        (note,) = [note for note in later["notes"] if "opened with" in note]
        assert "100,000.00" in note
        assert "500.00" in note

    def test_an_earlier_bar_is_refused(self, desk):
        desk.run(f"{BTC} --once")
        done = desk.run(f"{BTC} --once --end 2024-12-31T00:00Z", code=2)
        assert "has traded BTC/USD up to" in done.stderr


@pytest.mark.slow
class TestManyTickers:
    def test_all_four_modes_over_all_tickers_of_the_sample(self, desk):
        multi = f"run_multi_ticker {SAMPLE}"
        parallel = desk.json(f"{multi} --mode parallel --max-workers 4")
        sequential = desk.json(f"{multi} --mode sequential")
        assert parallel["tickers"] == sequential["tickers"]
        assert (parallel["mode"], parallel["failed"]) == ("parallel", [])
        assert [entry["ticker"] for entry in sequential["tickers"]] == ALL
        assert {entry["account"] for entry in sequential["tickers"]} == {None}
        once = desk.json(f"{multi} --mode once --demo")
        assert {entry["account"] for entry in once["tickers"]} == {"demo/sample"}
        assert {entry["equity"] for entry in once["tickers"]} == {100_000 / len(ALL)}
        decisions = [entry["decision"]["predicted"] for entry in once["tickers"]]
        assert decisions == [entry["decision"]["predicted"] for entry in sequential["tickers"]]
        *entries, summary = desk.documents(f"{multi} --mode demo --replay-hours 6")
        assert len(entries) == 7 * len(ALL)
        assert all(ticker["same_as_backtest"] for ticker in summary["tickers"])
        assert summary["total"]["initial_balance"] == pytest.approx(100_000)

    def test_sequential_and_parallel_act_alike_in_the_demo_account(self, desk, tmp_path):
        found = []
        for mode in ("sequential", "parallel"):
            line = f"run_multi_ticker {SAMPLE} --mode {mode} --demo --state-dir {tmp_path / mode}"
            first = desk.json(f"{line} --end 2024-12-30T00:00Z")
            second = desk.json(f"{line} --end 2024-12-30T05:00Z")
            found.append([first["tickers"], second["tickers"]])
        assert found[0] == found[1]


@pytest.fixture
def files(tmp_path):
    """Four tickers as files: these bars are a simulation, written as if they were a market's."""
    folder = tmp_path / "bars"
    folder.mkdir()
    for base in ("BTC", "ETH", "SOL", "LINK"):
        bars = sample_bars(3_000, Ticker(base, "USD"))
        rows = [
            f"{stamp},{o!r},{h!r},{lo!r},{c!r},{v!r}"
            for stamp, o, h, lo, c, v in zip(
                (bars.opened * 3600).tolist(),
                *(getattr(bars, n).tolist() for n in ("open", "high", "low", "close", "volume")),
                strict=True,
            )
        ]
        file_path(folder, bars.ticker).write_text("\n".join([HEADER_LINE.strip(), *map(iso, rows)]) + "\n")
    return folder


def iso(row):
    from datetime import UTC, datetime

    stamp, rest = row.split(",", 1)
    return f"{datetime.fromtimestamp(int(stamp), UTC):%Y-%m-%dT%H:%M:%SZ},{rest}"


@pytest.fixture
def run(invoke, fits, files):
    """Run a trading command on these files in this process, with planted networks in the place of training."""

    def call(command, line, *, code=0, folder=files):
        outcome = invoke(command, f"--source files --data-dir {folder} {SMALL} {line}")
        assert outcome.code == code, outcome.err
        return outcome.out

    return call


class TestFiles:
    def test_a_corrupted_file_and_absent_ones_leave_the_others_alone(self, run, files):
        (files / "eth_usd_1h.csv").write_text("timestamp,open\nnonsense\n")
        found = json.loads(run(trade.multi, "--mode parallel --json", code=1))
        by_ticker = {row["ticker"]: row for row in found["tickers"]}
        assert found["failed"] == ["ETH/USD"]
        assert by_ticker["ETH/USD"]["error"]["code"] == 3
        assert [name for name, row in by_ticker.items() if "signal" in row] == [
            "BTC/USD",
            "LINK/USD",
            "SOL/USD",
        ]
        assert len([row for row in by_ticker.values() if "unavailable" in row]) == len(ALL) - 4
        text = run(trade.multi, "--mode parallel", code=1)
        assert "ADA/USD" in text
        assert "left out" in text
        assert "there is no ada_usd_1h.csv" in text

    @pytest.mark.parametrize(
        ("tickers", "failed", "code"),
        [("", [], 0), ("BTC/USD ADA/USD", ["ADA/USD"], 1), ("ADA/USD", ["ADA/USD"], 3)],
    )
    def test_tickers_that_are_not_offered_are_no_failure_unless_asked_for(self, run, tickers, failed, code):
        named = " ".join(f"--ticker {ticker}" for ticker in tickers.split())
        found = json.loads(run(trade.multi, f"--mode sequential {named} --json", code=code))
        assert found["failed"] == failed

    def test_a_replay_without_the_corrupted_file_is_not_finished_and_still_sums_up(self, run, files):
        (files / "sol_usd_1h.csv").write_text("")
        lines = run(trade.multi, "--mode demo --replay-hours 5 --json", code=1).splitlines()
        summary = json.loads(lines[-1])
        assert summary["failed"] == ["SOL/USD"]
        assert [row["ticker"] for row in summary["tickers"] if "equity" in row] == [
            "BTC/USD",
            "ETH/USD",
            "LINK/USD",
        ]

    def test_continuous_on_files_is_the_replay_of_the_demo_mode(self, run):
        lines = [
            json.loads(run(trade.multi, f"--mode {mode} --replay-hours 3 --json").splitlines()[-1])
            for mode in ("demo", "continuous --demo")
        ]
        assert lines[0]["account"] == lines[1]["account"]
        assert lines[0]["account"].startswith("replay/")
        assert lines[0]["total"] == lines[1]["total"]

    def test_accounts_of_folders_are_kept_apart(self, run, files, tmp_path):
        other = tmp_path / "other"
        files.rename(other)
        files.mkdir()
        (files / "btc_usd_1h.csv").write_bytes((other / "btc_usd_1h.csv").read_bytes())
        names = {
            json.loads(run(trade.trade, "--demo --once --json", folder=folder))["account"]
            for folder in (files, other)
        }
        assert names == {f"demo/files{folder.resolve()}" for folder in (files, other)}


@pytest.mark.parametrize("line", ["--demo --once", "--demo --replay-hours 5"])
def test_a_run_that_fails_before_its_first_decision_leaves_no_account(run, invoke, files, monkeypatch, line):
    run(trade.trade, "--demo --once")
    (files / "btc_usd_1h.csv").write_text("timestamp,open\nnonsense\n")
    run(trade.trade, f"{line} --state-dir {files.parent / 'other'}", code=3)
    assert not ledger_of(files.parent / "other").accounts()

    def untrainable(jobs, settings, on_progress, *, workers=None, cluster=None):
        raise ModelError("No model can be trained.", expected="one.", remedy="wait.")
        yield

    monkeypatch.setattr("crypto_refactor.model.training.jobs.fit_all", untrainable)
    run(trade.trade, f"{line} --ticker ETH/USD --state-dir {files.parent / 'third'}", code=4)
    assert not ledger_of(files.parent / "third").accounts()
    # The account that was traded is still the one that is meant.
    status = invoke(accounts.COMMANDS["status"], "--json")
    assert json.loads(status.out)["account"] == f"demo/files{files.resolve()}"


REFUSED = [
    ("run_trading --once", 5, "ALPACA_SECRET_KEY"),
    ("run_trading", 5, "add --demo"),
    ("run_multi_ticker --mode once", 5, "without keys"),
    ("run_trading --once --source sample", 2, "requires --source alpaca (got: sample)"),
    ("run_multi_ticker --mode continuous", 5, "without keys"),
    ("run_multi_ticker --mode continuous --source sample", 2, "requires --source alpaca (got: sample)"),
    ("run_multi_ticker --mode continuous --demo --end 2024-05-01T00:00Z", 2, "--end was given"),
    ("run_multi_ticker --mode once --source sample", 2, "requires --source alpaca (got: sample)"),
    ("run_trading --once --demo --live --source sample", 2, "--live was given"),
    ("run_multi_ticker --mode sequential --live", 2, "--live was given"),
    ("run_trading --once --live", 2, "ALPACA_PAPER is not false"),
    ("run_trading --once --demo --end 2024-05-01T00:00Z", 2, "--end was given"),
    ("run_trading --once --end 2024-05-01T00:00Z", 2, "--end was given"),
    ("run_trading --once --demo --source sample --replay-hours 5", 2, "nothing is replayed"),
    ("run_trading --demo --source sample --replay-hours 0", 2, "--replay-hours is 0"),
    ("run_trading --demo --source sample --replay-delay -1", 2, "--replay-delay is -1"),
    ("run_trading --demo --source sample --initial-balance -5", 2, "--initial-balance is -5"),
    ("run_trading --demo --source sample --ticker ADA/USD --venue alpaca", 2, "no venue rules"),
    ("run_trading --demo --source sample --notify ftp://x", 2, "--notify"),
    ("run_multi_ticker --mode all", 2, "--mode is 'all'"),
    ("run_multi_ticker --mode sequential --max-workers 8 --source sample", 2, "with --mode sequential"),
    ("run_trading --demo --source sample --data-dir /tmp", 2, "--data-dir was given with the source sample"),
    ("run_trading --once --venue none", 2, "--venue none was given"),
    ("run_trading --demo --source sample --stop-loss -1", 2, "--stop-loss is -1."),
    ("run_trading --demo --source sample --replay-hours 100000", 3, "use --replay-hours"),
    ("run_multi_ticker --max-workers 0", 2, "--max-workers is 0"),
    ("run_multi_ticker --ticker FOOUSD", 2, "'FOOUSD' is not a ticker"),
]


COMMANDS = {"run_trading": trade.trade, "run_multi_ticker": trade.multi}
NOBODY = {"CRYPTO_ALPACA_DATA_URL": "http://127.0.0.1:9", "CRYPTO_ALPACA_TRADING_URL": "http://127.0.0.1:9"}


@pytest.fixture
def refused(invoke, monkeypatch):
    """Run a command line in this process, with the environment given, and return its outcome."""

    def call(line, code, environment):
        for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "ALPACA_PAPER", *NOBODY):
            monkeypatch.delenv(name, raising=False)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        script, _, options = line.partition(" ")
        outcome = invoke(COMMANDS[script], options)
        assert outcome.code == code, outcome.err
        return outcome

    return call


@pytest.mark.parametrize(("line", "code", "says"), REFUSED, ids=[line for line, _, _ in REFUSED])
def test_what_cannot_be_is_refused_before_anything_is_asked(refused, line, code, says):
    # No address but this machine's is reachable here: whoever asked would be told something else.
    assert says in refused(line, code, NOBODY).err
    assert json.loads(refused(f"{line} --json", code, NOBODY).out)["error"]["code"] == code


LIVE = "run_trading --once --live --initial-balance 500 --max-notional 100"


@pytest.mark.parametrize(
    ("line", "more", "says"),
    [
        (LIVE, {"CRYPTO_ALPACA_TRADING_URL": "http://127.0.0.1:9"}, "CRYPTO_ALPACA_TRADING_URL is set"),
        (LIVE, {"CRYPTO_ALPACA_DATA_URL": "http://127.0.0.1:9"}, "is set"),
        ("run_trading --once --live --initial-balance 500", {}, "without --max-notional"),
        ("run_trading --once --live --max-notional 500", {}, "without --initial-balance"),
        ("run_trading --once", {"CRYPTO_ALPACA_DATA_URL": "http://127.0.0.1:9"}, "names this machine"),
        ("run_trading --once", {"CRYPTO_ALPACA_TRADING_URL": "https://example.com"}, "not sent to"),
    ],
)
def test_real_money_and_foreign_hosts_need_more_than_a_slip(refused, line, more, says):
    keys = {"ALPACA_API_KEY": "PKTESTKEY", "ALPACA_SECRET_KEY": "sTestSecret", "ALPACA_PAPER": "false"}
    outcome = refused(line, 2, keys | more)
    assert says in outcome.err
    assert "sTestSecret" not in outcome.err


@pytest.mark.slow
def test_the_equivalent_backtest_is_named_and_trades_the_same(desk):
    options = "--long-only --fee 0.002 --stop-loss 0.01 --initial-balance 5000 --replay-hours 48"
    done = desk.run(f"run_trading --ticker ETH/USD --demo {SAMPLE} {options} --json")
    summary = json.loads(done.stdout.splitlines()[-1])
    (named,) = [line for line in done.stderr.splitlines() if "models/app_backtester.py " in line]
    named = named.partition("models/app_backtester.py ")[2]
    result = desk.json(f"app_backtester {named}")
    assert summary["tickers"][0]["metrics"] == result["metrics"]


def test_a_damaged_ledger_is_refused_and_left_alone(desk):
    desk.run(f"{BTC} --once")
    ledger = desk.folder / "state" / "ledger.sqlite"
    ledger.write_bytes(b"half a ledger" * 400)
    done = desk.run(f"{BTC} --once", code=5)
    assert "is damaged" in done.stderr
    assert ledger.read_bytes() == b"half a ledger" * 400


def test_a_ledger_of_another_version_is_refused(desk):
    desk.run(f"{BTC} --once")
    with sqlite3.connect(desk.folder / "state" / "ledger.sqlite") as connection:
        connection.execute("PRAGMA user_version = 9")
    connection.close()
    assert "has version 9" in desk.run(f"{BTC} --once", code=5).stderr
