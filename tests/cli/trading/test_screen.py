"""What a run shows beside its rows: how far it is, in a terminal and elsewhere."""

from __future__ import annotations

import io
import logging
import shlex
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.stub_models import BTC

from crypto_refactor.cli.command_table import load_command
from crypto_refactor.cli.trading.log_file import SHOWN
from crypto_refactor.cli.trading.rows_in_turn import RowsInTurn
from crypto_refactor.cli.trading.screen import Screen
from crypto_refactor.cli.trading.status_line import StatusLine
from crypto_refactor.errors import DataError
from crypto_refactor.market.hours import zone
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.trading.historical.replay import ReplayStart
from crypto_refactor.trading.outcomes import Failure, TickerOutcome

ETH, SOL, ADA = (Ticker(base, "USD") for base in ("ETH", "SOL", "ADA"))
MIDNIGHT = 477_000  # 2024-06-01T00:00Z
CLEAR = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Make stderr a terminal of 80 columns, from within a test, and return it."""

    def made():
        stream = Terminal()
        monkeypatch.setattr("sys.stderr", stream)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("COLUMNS", "80")
        return stream

    return made


def screen(**more):
    return Screen(
        zone("UTC"),
        **{"as_json": False, "lines": True, "failures": True, "notifier": None, "every_row": False} | more,
    )


def begun(hours, **more):
    """Return the start of a replay of two tickers, one of them short, from midnight."""
    defaults = {
        "account": "replay/x",
        "resumed": False,
        "share": 5_000.0,
        "first": MIDNIGHT,
        "last": MIDNIGHT + hours,
        "first_end": MIDNIGHT + hours,
        "next": MIDNIGHT,
        "played": {BTC: (5_000.0, 0), ETH: (6_000.0, -1)},
    }
    return ReplayStart(**(defaults | more))


def play(shown, hours=50):
    """Play two tickers, one of them short, from midnight."""
    shown.begin_replay(begun(hours), hours)
    for hour in range(hours + 1):
        shown.replayed(MIDNIGHT + hour)
    shown.close()


def test_a_pipe_gets_a_line_a_day_and_one_at_the_end(capsys):
    play(screen())
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{day}  hour {hour} of 50  equity 11,000.00  1 open position"
        for day, hour in (
            ("2024-06-01 00:00 UTC", 0),
            ("2024-06-02 00:00 UTC", 24),
            ("2024-06-03 00:00 UTC", 48),
            ("2024-06-03 02:00 UTC", 50),
        )
    ]
    assert err == ""


def test_a_replay_that_resumes_says_at_which_hour(capsys):
    screen().begin_replay(begun(50, resumed=True, next=MIDNIGHT + 7), 50)
    assert capsys.readouterr().err.splitlines() == [
        "An earlier run of this replay was interrupted; it goes on at 2024-06-01 07:00 UTC, hour 7 of 50."
    ]


def test_a_replay_says_why_it_is_longer_than_the_hours_it_was_asked_for(capsys):
    screen().begin_replay(begun(50, first_end=MIDNIGHT + 40), 40)
    err = capsys.readouterr().err
    assert (
        "end between 2024-06-02 16:00 UTC and 2024-06-03 02:00 UTC. Each is replayed over its own last 40 hours;"
        in err
    )
    assert "from the first to the last it is 50." in err


WORDS = [
    "crypto-refactor",
    "backtest",
    "--ticker",
    "BTC/USD",
    "--hours",
    "720",
    "--data-dir",
    "a folder",
    "--end",
    "x",
]


def test_a_command_can_be_pasted_from_a_terminal_and_is_one_line_in_a_pipe_and_the_log(
    terminal, capsys, caplog
):
    screen().command("Backtest these exact rules", WORDS)
    whole = f"Backtest these exact rules: {shlex.join(WORDS)}"
    assert capsys.readouterr().err == f"{whole}\n"
    caplog.set_level(logging.INFO, logger=SHOWN)
    stream = terminal()
    screen().command("Backtest these exact rules", WORDS)
    label, *lines = stream.getvalue().removeprefix(CLEAR).splitlines()
    assert label == "Backtest these exact rules:"
    assert max(map(len, lines)) <= 80
    assert len(lines) > 1
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == WORDS
    assert whole in caplog.messages


@pytest.mark.parametrize("more", [{"as_json": True}, {"every_row": True}])
def test_json_and_every_row_need_no_such_line(capsys, more):
    play(screen(**more))
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_one_line_that_is_rewritten_and_cleared(terminal, capsys, monkeypatch):
    stream, log, kept = terminal(), logging.getLogger(SHOWN), io.StringIO()
    monkeypatch.setattr(log, "handlers", [logging.StreamHandler(kept)])
    log.setLevel(logging.INFO)
    try:
        play(screen())
    finally:
        log.setLevel(logging.NOTSET)
    assert capsys.readouterr().out == ""
    assert "\n" not in stream.getvalue()
    assert stream.getvalue().startswith(f"{CLEAR}2024-06-01 00:00 UTC  hour 0 of 50  equity 11,000.00")
    assert stream.getvalue().endswith(CLEAR)
    assert len(kept.getvalue().splitlines()) == 4, "a log gets what a pipe would"


def test_a_line_never_comes_after_what_is_left_of_the_status(terminal):
    stream = terminal()
    shown = screen()
    shown.waiting(datetime(2024, 6, 1, 1, 0, 5, tzinfo=UTC), ["no position in demo/alpaca."])
    shown.note("ETH/USD: retrying.")
    before, _, after = stream.getvalue().partition("ETH/USD")
    assert before.endswith(f"demo/alpaca.{CLEAR}")
    assert after == ": retrying.\n"


def test_a_terminal_sees_what_a_loop_waits_for_within_the_hour(terminal, capsys):
    at = datetime(2024, 6, 1, 1, 0, 10, tzinfo=UTC)
    shown = screen()
    shown.retrying(at, (BTC, ETH), (ETH,))
    assert capsys.readouterr() == ("", ""), "a note has said it"
    stream = terminal()
    shown = screen()
    shown.retrying(at, (BTC, ETH), (ETH,))
    assert stream.getvalue() == f"{CLEAR}Next look at 01:00:10 UTC  training ETH/USD  waiting for BTC/USD"


def test_a_loop_tells_a_pipe_once_an_hour_until_when_it_waits(capsys):
    shown = screen()
    for minute in (0, 15, 30):
        shown.waiting(datetime(2024, 6, 1, 1, 0, 5, tzinfo=UTC), [f"no position after {minute} minutes."])
    shown.waiting(datetime(2024, 6, 1, 2, 0, 5, tzinfo=UTC), ["no position."])
    assert capsys.readouterr().err.splitlines() == [
        "Next hour at 01:00:05 UTC; no position after 0 minutes.",
        "Next hour at 02:00:05 UTC; no position.",
    ]


def test_hours_without_an_event_have_no_row_but_count(capsys):
    quiet = TickerOutcome(ticker=BTC, simulated=False, account="demo/x", bar=MIDNIGHT, price=1.0, reason="up")
    shown = screen()
    shown.row(quiet)  # nothing could be decided: told once
    shown.row(replace(quiet, bar=MIDNIGHT + 1))
    assert len(capsys.readouterr().out.splitlines()) == 1
    everything = screen(every_row=True)
    everything.row(quiet)
    everything.row(quiet)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_parts_that_have_no_room_are_left_out_whole(terminal):
    stream = terminal()
    StatusLine().show(["2024-06-01 00:00 UTC", "hour 1 of 2", "x" * 60, "y"])
    assert stream.getvalue() == f"{CLEAR}2024-06-01 00:00 UTC  hour 1 of 2"


@pytest.mark.parametrize("kind", ["dumb", "pipe"])
def test_where_a_line_cannot_be_rewritten_none_is_shown(terminal, monkeypatch, kind):
    stream = terminal()
    if kind == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        monkeypatch.setattr("sys.stderr", io.StringIO())
    line = StatusLine()
    line.show(["hour 1"])
    line.clear()
    assert stream.getvalue() == ""
    assert not line.rewrites


def test_rows_are_broken_between_words_in_a_terminal_alone(terminal, capsys):
    text = "word " * 30
    screen().note(text.strip())
    assert capsys.readouterr().err == text.strip() + "\n"
    stream = terminal()
    screen().note(text.strip())
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line.startswith("    word") for line in lines[1:])


def failure(ticker, what="Alpaca cannot be reached."):
    return Failure(ticker=ticker, error=DataError(what, expected="an answer.", remedy="check the network."))


def test_rows_wait_for_their_turn():
    told = []
    turn = RowsInTurn((BTC, ETH, SOL, ADA), told.append)
    rows = [failure(ticker, f"{ticker} failed.") for ticker in (SOL, BTC, ETH)]
    for row in rows:
        turn.take(row)
    turn.end()
    assert [row.ticker for row in told] == [BTC, ETH, SOL], "the last one was never told"


def test_neighbours_that_failed_for_one_reason_share_a_row(capsys):
    shown = screen()
    shown.heading(None, "alpaca", (BTC, ETH, SOL))
    turn = RowsInTurn((BTC, ETH, SOL), shown.row)
    for ticker in (ETH, SOL, BTC):
        turn.take(failure(ticker))
    turn.end()
    (line,) = capsys.readouterr().out.splitlines()[1:]
    assert "all 3 tickers  ✗ failed" in line


def test_what_a_loop_gives_up_together_is_said_once_and_is_complete_in_json(capsys):
    rows = [failure(BTC), failure(ETH)]
    shown = screen(lasting=True)
    shown.given_up(rows)
    shown.close()
    (line,) = capsys.readouterr().out.splitlines()
    assert "BTC/USD, ETH/USD  ✗ failed" in line
    assert line.endswith("It is tried again each hour.")
    screen(as_json=True).given_up(rows)
    assert len(capsys.readouterr().out.splitlines()) == 2


REPLAY = "--demo --source sample --network linear --train-hours 240 --replay-hours 5"


def test_a_replay_says_what_it_trades_and_shows_every_hour_only_when_asked(run, fits):
    trade = load_command("trade")
    few, every = run(trade, REPLAY), run(trade, f"{REPLAY} --verbose")
    assert "--strict would not enter" in few.err
    assert "--initial-balance 100000 " in few.err, "a round number in the command of the backtest"
    rows = [line for line in every.out.splitlines() if "  BTC/USD    " in line]
    assert len(rows) == 6
    assert len([line for line in few.out.splitlines() if "  BTC/USD    " in line]) < 6
    assert "hour 5 of 5" in few.out
    assert "hour 5 of 5" not in every.out


def test_strict_entries_need_no_warning(run, fits):
    assert "--strict would not enter" not in run(load_command("trade"), f"{REPLAY} --strict").err


def test_who_stops_a_replay_learns_how_to_go_on(run, fits, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("crypto_refactor.cli.trading.screen.Screen.replayed", stop)
    err = run(load_command("trade"), REPLAY, code=130).err
    assert "Run the same command again to go on where it stopped." in err
    assert "\n  crypto-refactor status --account replay/" in err
