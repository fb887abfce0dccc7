"""`status`, `close`, `halt`, `resume` and `trades`, as their users meet them."""

from __future__ import annotations

import csv
import io
import itertools
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from support.alpaca_trading_server import KEY, SECRET, AlpacaTradingServer
from support.ledgers import open_sub_account

from crypto_refactor.cli.commands.accounts.account import COMMANDS
from crypto_refactor.cli.commands.accounts.holdings import COMMANDS as HOLDINGS
from crypto_refactor.execution.decisions import Enter, Exit
from crypto_refactor.execution.rules import ExecutionOptions
from crypto_refactor.execution.stepper import SubAccountState, new_state
from crypto_refactor.execution.sub_account import SubAccount, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.csv_files import TRADE_COLUMNS
from crypto_refactor.report.terminal.accounts.account import print_status
from crypto_refactor.trading.account_names import demo_account_name
from crypto_refactor.trading.account_status import account_status
from crypto_refactor.trading.ledger.ledger import Ledger
from crypto_refactor.trading.ledger.order_record import OrderRecord

BTC, ETH = Ticker("BTC", "USD"), Ticker("ETH", "USD")
AT = 477_000  # 2024-06-01T00:00Z
PAPER = "paper/904837e3-3b76-47ec-b432-046db621571b"
LONG = SubAccount(cash=0.0, side=1, quantity=10.0, average_price=90.0, peak_equity=1200.0, entry_hour=AT - 5)
FLAT = SubAccount.open(1000.0)
TRADE = Trade(
    direction=1,
    entry_hour=AT - 9,
    entry_price=100.0,
    exit_hour=AT - 7,
    exit_price=110.0,
    quantity=10.0,
    fees=2.0,
    exit_reason="neutral",
)
ORDER = OrderRecord(
    client_order_id="cr-BTCUSD-2024060100-exit-1a2b3c4d",
    ticker=BTC,
    bar=AT,
    leg="exit",
    side=-1,
    notional=None,
    quantity=10.0,
    reason="neutral",
    sent_at="2024-06-01T00:00:06+00:00",
)


@pytest.fixture
def tool(invoke, monkeypatch):
    """Run one of the five commands: `tool("status --json")`."""
    for name in ("ALPACA_API_KEY", "ALPACA_SECRET_KEY", "ALPACA_PAPER", "CRYPTO_ALPACA_TRADING_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(line, code=0):
        name, _, rest = line.partition(" ")
        done = invoke(COMMANDS[name], rest)
        assert done.code == code, f"{done.out}\n{done.err}"
        return done

    return run


@pytest.fixture
def ledger(home):
    seconds = itertools.count(10)
    return Ledger(
        home.folder / "state" / "ledger.sqlite",
        lambda: datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)),
    )


@pytest.fixture
def put(ledger):
    """Open a sub-account with 1000 that stands as `account`; the account traded last is the last one put."""

    def do(name, account=FLAT, *, ticker=BTC, source="alpaca", pending=(), trades=(), reason="up", **options):
        now = "2024-06-01T00:00:00+00:00"
        ledger.open_account(name, now, {"source": source, "options": asdict(ExecutionOptions(**options))})
        open_sub_account(ledger, name, ticker, new_state(1000.0, AT))
        with ledger.transaction(name, ticker) as writer:
            writer.save_state(SubAccountState(account=account, pending=pending, processed_through=AT))
            writer.record_decision(AT, 1, {"close": 100.0, "reason": reason, "cutoff": AT - 100, "signal": 1})
            writer.record_fills((), trades)

    return do


def document(outcome):
    return json.loads(outcome.out)


# status


@pytest.mark.parametrize("line", ["status", "trades", "close --all", "resume"])
def test_where_nothing_was_ever_traded_a_command_says_so_and_makes_nothing(tool, home, line):
    assert "No account has been traded yet" in tool(line).out or line == "resume"
    assert document(tool(f"{line} --json"))["account"] is None
    assert not (home.folder / "state").exists()


def test_status_shows_everything_of_the_account_traded_last(tool, ledger, put, tmp_path):
    put("demo/sample", source="sample")
    put(PAPER, FLAT, ticker=ETH)
    pending = (Exit("opposite"),)
    halted = LONG._replace(halted=True, blocked_side=1)
    put(PAPER, halted, pending=pending, reason="forecast [bold]+0.300 %: exit (opposite)")
    with ledger.transaction(PAPER, BTC) as writer:
        writer.add_intent(ORDER)
    out = tool("status").out
    assert out.splitlines()[:4] == [
        PAPER,
        "Paper account at Alpaca, opened 2024-06-01 00:00 UTC, last traded 2024-06-01 00:00 UTC",
        "Equity 2,000.00 USD: +0.00 % since it was opened with 2,000.00",
        "1 open position; no closed trade",
    ]
    (row,) = [line.split() for line in out.splitlines() if line.startswith("BTC/USD  ")]
    assert row[:9] == ["BTC/USD", "long", "10.000", "90.000", "0.00", "1,000.00", "1,000.00", "+0.00", "%"]
    (total,) = [line.split() for line in out.splitlines() if line.startswith("total")]
    assert total[:4] == ["total", "1,000.00", "2,000.00", "2,000.00"]
    for text in (
        "BTC/USD: decided 2024-06-01 00:00 UTC: forecast [bold]+0.300 %; at the next open: exit (opposite)",
        f"order {ORDER.client_order_id} is UNSETTLED since 2024-06-01 00:00",
        "BTC/USD: HALTED by drawdown from a peak of 1,200.00",
        "BTC/USD: once its position is closed, will not re-enter long until the target changes",
        "  demo/sample (SIMULATED): demo account on the bundled simulation",
    ):
        assert text in out
    assert out.count("SIMULATED") == 1


def test_status_as_json_is_complete_and_utc(tool, ledger, put):
    put(PAPER, LONG, pending=(Enter(1, 1.0),))
    with ledger.transaction(PAPER, BTC) as writer:
        writer.add_intent(ORDER)
    tool("halt --why elections")
    shown = document(tool("status --json"))
    assert (shown["schema"], shown["account"], shown["simulated"], shown["source"]) == (
        1,
        PAPER,
        False,
        "alpaca",
    )
    assert "elections" in shown["halt"]
    assert shown["totals"] == {"opened_with": 1000.0, "cash": 0.0, "equity": 1000.0}
    (part,) = shown["sub_accounts"]
    assert (part["ticker"], part["side"], part["quantity"], part["equity"]) == ("BTC/USD", 1, 10.0, 1000.0)
    assert (part["marked_at"], part["entered_at"]) == ("2024-06-01T00:00:00Z", "2024-05-31T19:00:00Z")
    assert part["decision"]["bar"] == "2024-06-01T00:00:00Z"
    assert part["decision"]["cutoff"] == "2024-05-27T20:00:00Z"
    assert part["pending"] == ["enter long"]
    assert part["unsettled"][0]["client_order_id"] == ORDER.client_order_id


def test_status_changes_nothing(tool, put, ledger):
    put("demo/sample", LONG, source="sample")
    before = ledger.accounts(), ledger.states("demo/sample")
    assert "SIMULATED" in tool("status").out.splitlines()[0]
    assert (ledger.accounts(), ledger.states("demo/sample")) == before


# Which account


def test_accounts_are_chosen_by_their_kind_and_source(tool, put, tmp_path):
    folder = tmp_path / "bars"
    names = ("demo/sample", "demo/alpaca", demo_account_name("files", folder), "live/1", "live/2", PAPER)
    for name in names:
        put(name, source={"demo/sample": "sample", names[2]: "files"}.get(name, "alpaca"))
    for line, name in (
        ("", PAPER),
        ("--demo", "demo/alpaca"),
        ("--demo --source sample", "demo/sample"),
        (f"--demo --source files --data-dir {folder}", names[2]),
        (f"--source files --data-dir {folder}", names[2]),
        ("--source files", names[2]),
        ("--source sample", "demo/sample"),
        ("--live", "live/2"),
        ("--live --account live/1", "live/1"),
        ("--account live/1", "live/1"),
    ):
        assert document(tool(f"status --json {line}"))["account"] == name


@pytest.mark.parametrize(
    "line",
    [
        "--demo --live",
        "--demo --account demo/sample",
        "--account demo/sample --source sample",
        "--account demo/sample --data-dir x",
        "--live --source sample",
        "--live --data-dir x",
        "--live --account demo/sample",
        "--demo --source files",
        "--demo --source nowhere",
        "--data-dir x",
        "--demo --source sample --data-dir x",
    ],
)
@pytest.mark.parametrize("command", ["status", "trades", "close --all"])
def test_options_that_contradict_each_other_are_refused(tool, put, line, command):
    put("demo/sample", source="sample")
    assert tool(f"{command} {line}", code=2).out == ""


def test_an_unknown_account_is_refused_and_the_known_ones_are_named(tool, put):
    put("demo/sample", source="sample")
    for line in ("--account paper/1", "--live", "--demo", "--source alpaca"):
        assert "one of demo/sample (SIMULATED)." in tool(f"status {line}", code=5).err
    error = document(tool("status --json --account paper/1", code=5))["error"]
    assert (error["code"], error["message"]) == (5, "The ledger has no account paper/1.")


def test_a_named_account_is_refused_even_where_nothing_was_ever_traded(tool, home):
    for command in ("status", "trades", "close --all", "resume"):
        assert "has no account paper/1" in tool(f"{command} --account paper/1", code=5).err
    assert not (home.folder / "state").exists()


@pytest.mark.parametrize("command", ["status", "trades", "close --all", "resume"])
def test_all_account_commands_mean_the_same_account_and_never_a_replay(tool, put, command):
    put("demo/alpaca")
    put(PAPER, FLAT)
    put("replay/1a2b", LONG, source="sample")
    assert document(tool(f"{command} --json"))["account"] == PAPER
    assert document(tool(f"{command} --account demo/alpaca --json"))["account"] == "demo/alpaca"


def test_simulated_accounts_are_marked_wherever_accounts_are_listed(tool, put):
    put("demo/sample", LONG, source="sample")
    put("replay/1a2b", LONG, source="sample")
    put(PAPER, FLAT)
    others = [line for line in tool("status").out.splitlines() if line.startswith("  ")][-2:]
    assert [line.partition(":")[0] for line in others] == [
        "  replay/1a2b (SIMULATED)",
        "  demo/sample (SIMULATED)",
    ]
    shown = document(tool("status --json"))
    assert shown["simulated_others"] == ["replay/1a2b", "demo/sample"]
    assert "demo/sample (SIMULATED) holds something" in tool("close --all", code=5).err
    assert "demo/sample (SIMULATED)" in tool("status --account demo", code=5).err
    resumed = tool("resume --account demo/sample --drawdown --ticker BTC/USD").out
    assert "demo/sample (SIMULATED): BTC/USD was not halted by its drawdown" in resumed


def test_a_manual_close_takes_the_place_of_the_decision_before_it(tool, put):
    put(
        "demo/sample",
        LONG,
        pending=(Exit("close"),),
        reason="forecast +0.300 %: exit (neutral)",
        source="sample",
    )
    assert "UTC: forecast +0.300 %; at the next open: exit (close)\n" in tool("status").out


@pytest.mark.parametrize("account", ["replay/1a2b", "demo/unknown"])
def test_a_panic_that_closes_nothing_says_that_entries_stay_halted(invoke, tool, put, account):
    put("replay/1a2b", LONG, source="sample")
    done = invoke(HOLDINGS["panic"], f"--account {account}")
    assert done.code != 0
    assert "Entries stay halted; `crypto-refactor resume` lifts that." in done.err
    assert "The halt is lifted." in tool("resume").out
    assert "stay halted" not in tool("close --all --account demo/unknown", code=5).err


def test_a_panic_says_where_no_halt_keeps_the_account_flat(invoke, put):
    put("demo/alpaca", FLAT)
    assert "Run `crypto-refactor resume` to allow entries again." in invoke(HOLDINGS["panic"], "").out
    put("demo/sample", FLAT, source="sample")
    assert "a later run may enter again." in invoke(HOLDINGS["panic"], "--account demo/sample").out


# close


def test_close_needs_to_know_what(tool, put):
    put("demo/sample", LONG, source="sample")
    assert "Neither --ticker nor --all" in tool("close", code=2).err
    assert "both given" in tool("close --all --ticker BTC/USD", code=2).err
    assert "is not a ticker" in tool("close --ticker BTC", code=2).err


def test_a_replay_cannot_be_closed(tool, put):
    put("replay/1a2b", LONG, source="sample")
    assert "is a replay" in tool("close --all", code=2).err


def test_a_replay_traded_last_does_not_stand_in_for_an_account(tool, put):
    put("demo/sample", LONG, source="sample")
    put("replay/1a2b", LONG, source="sample")
    assert "demo/sample" in tool("close --all").out


def test_an_account_that_holds_nothing_is_not_closed_in_place_of_one_that_does(tool, put):
    put("demo/files/bars", LONG, source="files")
    put("demo/sample", FLAT, source="sample")
    done = tool("close --all", code=5)
    assert "--account demo/files/bars" in done.err
    assert "Nothing to close" in tool("close --all --account demo/sample").out


def test_closing_on_bars_that_have_passed_says_when_it_happens(tool, put, ledger):
    put("demo/sample", LONG, source="sample")
    put("demo/sample", LONG, ticker=ETH, source="sample")
    out = tool("close --ticker btc/usd --ticker BTC/USD").out
    assert "demo/sample   SIMULATED" in out
    assert out.count("BTC/USD: will be closed at the next open") == 1
    assert ledger.state("demo/sample", BTC).pending == (Exit("close"),)
    assert ledger.state("demo/sample", ETH).pending == ()
    shown = document(tool("close --all --json"))
    assert (shown["simulated"], shown["failed"]) == (True, [])
    assert [row["waiting"] for row in shown["tickers"]] == [True, True]


def test_with_nothing_to_close_close_says_so(tool, put):
    put(PAPER, FLAT)
    assert "Nothing to close." in tool("close --all").out
    assert "Nothing to close." in tool("close --ticker SOL/USD").out


@pytest.fixture
def paper(monkeypatch):
    """A paper account on this machine that holds 10 BTC and 10 ETH; no bars can be had."""
    with AlpacaTradingServer(prices={"BTC/USD": 100, "ETH/USD": 100}, cash=0) as server:
        for ticker in (BTC, ETH):
            server.set_position(str(ticker), 10)
        environment = {
            "CRYPTO_ALPACA_TRADING_URL": server.url,
            "CRYPTO_ALPACA_DATA_URL": server.url,
            "ALPACA_API_KEY": KEY,
            "ALPACA_SECRET_KEY": SECRET,
        }

        def arm():
            for name, value in environment.items():
                monkeypatch.setenv(name, value)
            return server

        yield arm


def test_a_paper_account_is_closed_at_the_broker(tool, put, ledger, paper):
    put(PAPER, LONG)
    server = paper()
    out = tool("close --all").out
    assert "BTC/USD: sold 10 BTC at 100.00, fee 2.50 (closed by hand)" in out
    assert "BTC/USD: will not re-enter this side until the target changes" in out
    assert (server.held("BTC/USD"), server.held("ETH/USD")) == (0, 10)
    assert ledger.state(PAPER, BTC).account.side == 0
    (row,) = document(tool("trades --json"))["trades"]
    assert (row["exit_reason"], row["exit_price"]) == ("close", 100.0)


def test_panic_sells_although_the_halt_cannot_be_written(invoke, put, paper, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    put(PAPER, LONG)
    server = paper()
    monkeypatch.setattr("crypto_refactor.trading.kill_switch.write_atomic", full)
    done = invoke(HOLDINGS["panic"], "")
    assert done.code == 0
    assert "Entries are not halted" in done.err
    assert "NOT HALTED" in done.out
    assert server.held("BTC/USD") == 0


def test_tickers_that_end_differently_give_1_and_the_others_are_closed(tool, put, paper):
    for ticker in (BTC, ETH):
        put(PAPER, LONG, ticker=ticker)
    server = paper()
    server.assets["BTC/USD"]["tradable"] = False
    shown = document(tool("close --all --json", code=1))
    assert shown["failed"] == ["BTC/USD"]
    assert [row.get("error", {}).get("code") for row in shown["tickers"]] == [5, None]
    failed = tool("close --ticker BTC/USD", code=5)
    assert "does not trade BTC/USD" in failed.err
    assert (server.held("BTC/USD"), server.held("ETH/USD")) == (10, 0)


def test_without_keys_or_with_anothers_nothing_is_sent(tool, put, paper, monkeypatch):
    put(PAPER, LONG)
    assert "cannot be used without keys" in tool("close --all", code=5).err
    server = paper()
    put("paper/another", LONG)
    done = tool("close --all", code=5)
    assert "keys belong to" in done.err
    assert KEY not in done.err + done.out
    assert SECRET not in done.err + done.out
    assert server.posted == []


@pytest.mark.parametrize(("line", "paper_only"), [("", "false"), ("--live", "true"), ("--live", None)])
def test_real_positions_are_sold_only_where_both_switches_say_so(tool, put, monkeypatch, line, paper_only):
    put("live/1", LONG)
    if paper_only is not None:
        monkeypatch.setenv("ALPACA_PAPER", paper_only)
    assert "live/1 trades real money" in tool(f"close --all {line}", code=2).err


def test_real_positions_are_never_sold_elsewhere(tool, put, paper, monkeypatch):
    put("live/1", LONG)
    server = paper()
    monkeypatch.setenv("ALPACA_PAPER", "false")
    assert "is set" in tool("close --all --live", code=2).err
    assert server.requests == []


def test_a_switch_that_is_neither_true_nor_false_is_refused(tool, put, monkeypatch):
    monkeypatch.setenv("ALPACA_PAPER", "flase")
    error = tool("status", code=2).err
    assert "ALPACA_PAPER is neither true nor false" in error
    assert "flase" not in error  # it may be a key that was pasted into the wrong line


# halt and resume


def test_a_halt_is_shown_until_it_is_lifted(tool, put):
    put("demo/alpaca")
    assert "elections" in tool("halt --why elections").out
    assert "HALTED since" in tool("status").out
    assert "to lift the halt" in tool("status").out
    put("demo/sample", source="sample")
    assert "This account does not heed the halt" in tool("status --account demo/sample").out
    assert "The halt is lifted." in tool("resume").out
    assert "Entries were not halted." in tool("resume").out
    assert "HALTED" not in tool("status").out
    assert document(tool("halt --json"))["halt"].startswith("HALTED since ")


def test_resume_restarts_what_the_drawdown_of_one_account_has_halted(tool, put, ledger):
    put("demo/sample", LONG._replace(halted=True), source="sample")
    put("demo/alpaca", LONG._replace(halted=True))
    assert "BTC/USD is halted by its drawdown" in tool("resume --demo").out
    assert ledger.state("demo/alpaca", BTC).account.halted
    out = tool("resume --demo --drawdown --ticker BTC/USD").out
    assert "demo/alpaca: BTC/USD may enter again; its drawdown is measured from 1,000.00." in out
    after = ledger.state("demo/alpaca", BTC).account
    assert (after.halted, after.peak_equity) == (False, 1000.0)
    assert ledger.state("demo/sample", BTC).account.halted
    shown = document(tool("resume --account demo/sample --json"))
    assert (shown["peaks_restarted"], shown["halted_by_drawdown"]) == ({}, ["BTC/USD"])
    shown = document(tool("resume --account demo/sample --drawdown --ticker BTC/USD --json"))
    assert (shown["peaks_restarted"], shown["halted_by_drawdown"]) == ({"BTC/USD": 1000.0}, [])
    for wrong in ("--drawdown", "--ticker BTC/USD"):
        tool(f"resume {wrong}", code=2)


def test_a_replay_is_never_resumed(tool, put, ledger):
    put("replay/1", LONG._replace(halted=True), source="sample")
    tool("halt")
    out = tool("resume").out
    assert "The halt is lifted." in out
    assert "its drawdown halts stay" in out
    assert ledger.state("replay/1", BTC).account.halted
    put("replay/2", LONG, source="sample")
    assert tool("resume").out == "Entries were not halted.\n"


@pytest.mark.parametrize("command", ["halt --why", "panic --why"])
def test_a_terminal_gets_lines_that_fit_and_a_pipe_whole_ones(invoke, put, monkeypatch, command):
    name, _, rest = command.partition(" ")
    line = f"{rest} '{'a long reason ' * 8}'"
    run = {**COMMANDS, **HOLDINGS}[name]
    whole = invoke(run, line).out.splitlines()
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "60")
    fitted = invoke(run, line).out.splitlines()
    assert max(map(len, whole)) > 100
    assert max(map(len, fitted)) <= 60
    assert len(fitted) > len(whole)


# trades


def test_trades_as_csv_have_the_columns_of_the_backtest(tool, put, home):
    put("demo/alpaca", LONG, trades=[TRADE])
    put("demo/alpaca", FLAT, ticker=ETH, trades=[TRADE._replace(exit_hour=AT - 8)])
    assert "3 rows written to all.csv" in tool("trades --csv all.csv").out
    rows = list(csv.DictReader(io.StringIO((home.work / "all.csv").read_text(encoding="utf-8"))))
    assert tuple(rows[0]) == TRADE_COLUMNS
    assert [(row["ticker"], row["exit_reason"], float(row["net_pnl"])) for row in rows] == [
        ("ETH/USD", "neutral", 98.0),
        ("BTC/USD", "neutral", 98.0),
        ("BTC/USD", "open", 100.0),
    ]
    assert rows[2]["exit_at"] == "2024-06-01T00:00:00Z"
    assert document(tool("trades --json"))["trades"][2] == {
        "ticker": "BTC/USD",
        "direction": "long",
        "entry_at": "2024-05-31T19:00:00Z",
        "entry_price": 90.0,
        "exit_at": "2024-06-01T00:00:00Z",
        "exit_price": 100.0,
        "quantity": 10.0,
        "gross_pnl": 100.0,
        "fees": 0.0,
        "net_pnl": 100.0,
        "net_return": 100.0 / 900.0,
        "bars_held": 5,
        "exit_reason": "open",
    }


def test_simulated_trades_are_marked(tool, put, home):
    put("demo/sample", source="sample", trades=[TRADE])
    assert "SIMULATED" in tool("trades --csv all.csv").out
    header, row = csv.reader(io.StringIO((home.work / "all.csv").read_text(encoding="utf-8")))
    assert header == [*TRADE_COLUMNS, "simulated"]
    assert row[-1] == "SIMULATED"
    assert document(tool("trades --json"))["simulated"] is True


def test_trades_are_readable_and_add_up(tool, put):
    put(
        "demo/sample",
        LONG,
        source="sample",
        trades=[TRADE, TRADE._replace(direction=-1, exit_reason="stop_loss")],
    )
    out = tool("trades").out
    assert out.splitlines()[0] == "demo/sample   SIMULATED"
    assert (
        "2 closed: 50 % of them with a gain, fees 4.00, net -4.00 USD. 1 open: fees 0.00, net +100.00 USD so far."
        in out
    )
    (row,) = [line.split() for line in out.splitlines() if "short" in line]
    assert row == [
        *["BTC/USD", "short", "2024-05-31", "15:00", "100.00", "2024-05-31", "17:00", "110.00"],
        *["10.000", "2.00", "-102.00", "-10.20", "%", "stop-loss"],
    ]


def test_an_open_position_never_looks_like_a_closed_trade(tool, put):
    put("demo/sample", LONG._replace(open_fees=1.5), source="sample", trades=[TRADE])
    out = tool("trades").out
    closed, held = (line.split() for line in out.splitlines() if line.startswith("BTC/USD"))
    assert closed[5:7] == ["2024-05-31", "17:00"]
    assert held[4:7] == ["90.000", "open", "100.00"]
    assert (
        "1 closed: with a gain, fees 2.00, net +98.00 USD. 1 open: fees 1.50, net +98.50 USD so far." in out
    )
    put("demo/sample", LONG, ticker=ETH, source="sample", trades=[TRADE._replace(exit_price=90.0)])
    assert "2 closed: 50 % of them with a gain" in tool("trades").out


def test_an_account_that_has_closed_nothing_counts_no_gain(tool, put):
    put("demo/sample", LONG, source="sample")
    out = tool("trades").out
    assert "\n1 open: fees 0.00, net +100.00 USD so far." in out
    assert "closed:" not in out
    assert "1 open position; no closed trade\n" in tool("status").out


@pytest.mark.parametrize(("exit_price", "words"), [(110.0, "with a gain"), (90.0, "with a loss")])
def test_one_closed_trade_has_no_percentage(tool, put, exit_price, words):
    put("demo/sample", source="sample", trades=[TRADE._replace(exit_price=exit_price)])
    assert f"; 1 closed trade, {words}\n" in tool("status").out


def test_the_status_of_a_replay_names_the_hours_it_has_played(put, ledger, home):
    for ticker in (BTC, ETH):
        put("replay/1", ticker=ticker, source="sample")
    rows = ledger.accounts()
    status = account_status(ledger, home.folder / "state", rows[0], rows)
    ahead, behind = status.tickers
    played = replace(status, tickers=(replace(ahead, marked_at=AT + 30), replace(behind, marked_at=AT + 29)))
    console = Console(file=io.StringIO(), width=120)
    print_status(played, [], console)
    assert console.file.getvalue().splitlines()[1] == (
        "Replay of 2024-06-01 00:00 to 2024-06-02 06:00 UTC; opened 2024-06-01 00:00 UTC, "
        "last traded 2024-06-01 00:00 UTC"
    )


def test_a_side_that_is_blocked_and_still_held_is_not_called_closed(tool, put):
    put("demo/sample", LONG._replace(blocked_side=1), source="sample")
    assert "BTC/USD: once its position is closed, will not re-enter long until" in tool("status").out
    put("demo/alpaca", FLAT._replace(blocked_side=1))
    assert "BTC/USD: will not re-enter long until" in tool("status").out


def test_an_account_without_trades_says_so(tool, put, home):
    put("demo/alpaca")
    assert "No trades yet." in tool("trades").out
    tool("trades --csv none.csv")
    assert (home.work / "none.csv").read_text(encoding="utf-8") == ",".join(TRADE_COLUMNS) + "\n"


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(tool, put):
    put("demo/alpaca")
    assert "cannot be written" in tool("trades --csv missing/all.csv", code=3).err


def test_a_state_folder_may_be_named(tool, put, home, tmp_path):
    put("demo/alpaca")
    folder = tmp_path / "elsewhere"
    assert document(tool(f"status --json --state-dir {folder}"))["account"] is None
    tool(f"halt --state-dir {folder}")
    assert document(tool("status --json"))["halt"] is None
    assert document(tool(f"status --json --state-dir {home.folder / 'state'}"))["account"] == "demo/alpaca"


def test_a_damaged_ledger_is_refused(tool, home):
    state = home.folder / "state"
    state.mkdir(parents=True)
    (state / "ledger.sqlite").write_bytes(b"no database at all, but long enough to be one" * 50)
    for line in ("status", "trades", "close --all", "resume"):
        assert "is damaged" in tool(line, code=5).err
