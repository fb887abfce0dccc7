"""Every view at every width: nothing is cut off, no token is broken, and what is hidden is named."""

from __future__ import annotations

import io
import itertools
import re
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console
from support.forecasts import AT, hourly_forecasts

from crypto_refactor.cli.command_table import load_command
from crypto_refactor.execution.stepper import SubAccountState, new_state
from crypto_refactor.execution.sub_account import SubAccount, Trade
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.terminal.comparison import print_comparison
from crypto_refactor.trading.ledger.ledger import Ledger

WIDTHS = (40, 60, 80, 100, 120, 200)
ACCOUNT = "demo/sample"
COMPARE = (
    "compare --source sample --hours 48 --network linear --lookback 12 --train-hours 240 --refit-every 48 "
    "--min-confirmations 4 --ticker BTC/USD --ticker ADA/USD --vary exit=neutral,fade --vary long-only=on,off "
    "--initial-balance 9000000 --select-then-test 0.5"
)
_HIDDEN = re.compile(r"^\d+ columns? hidden.*?--wide(,\s+--csv\s+FILE)?\.", re.DOTALL | re.MULTILINE)
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def plain(text):
    return [line.rstrip() for line in _STYLE.sub("", text).splitlines()]


@pytest.fixture
def ledger(home):
    """An account of three tickers, one of them short, whose figures are long."""
    seconds = itertools.count(10)
    ledger = Ledger(
        home.folder / "state" / "ledger.sqlite",
        lambda: datetime(2024, 6, 1, tzinfo=UTC) + timedelta(seconds=next(seconds)),
    )
    ledger.open_account(ACCOUNT, "2024-06-01T00:00:00+00:00", {"source": "sample"})
    for base, side in (("BTC", 1), ("MATIC", -1), ("SHIB", 0)):
        quantity = {1: 12.3456789, -1: -1_234_567.891, 0: 0.0}[side]
        account = SubAccount(
            cash=9_876_543.21 if side < 1 else 12.34,
            side=side,
            quantity=quantity,
            average_price=61_234.567 if side == 1 else 0.0012345,
            peak_equity=9e6,
            entry_hour=AT - 5,
        )
        trade = Trade(
            direction=side or 1,
            entry_hour=AT - 9,
            entry_price=61_234.567,
            exit_hour=AT - 7,
            exit_price=60_000.25,
            quantity=12.3456789,
            fees=1_234.56,
            exit_reason="take_profit",
        )
        with ledger.transaction(ACCOUNT, Ticker(base, "USD")) as writer:
            writer.open(new_state(9_000_000.0, AT))
            writer.save_state(SubAccountState(account=account, pending=(), processed_through=AT))
            writer.record_decision(
                AT, 1, {"close": 64_000.0, "reason": "up " * 40, "cutoff": AT - 100, "signal": 1}
            )
            writer.record_fills((), (trade, trade))
            for each in hourly_forecasts([100.0 + hour for hour in range(30)]):
                writer.record_forecast(each)
    return ledger


@pytest.fixture
def show(invoke, ledger, fits, monkeypatch):
    """Return what a view prints, as a terminal of some columns shows it or, without columns, a pipe gets it."""

    def do(line, columns=None):
        name, _, rest = line.partition(" ")
        monkeypatch.setattr("rich.console.Console.is_terminal", columns is not None)
        monkeypatch.setenv("COLUMNS", str(columns or 80))
        done = invoke(load_command(name), rest)
        assert done.code == 0, done.err
        return plain(done.out)

    return do


def check(show):
    """Check `show(columns, wide)`, which gives the lines of a view, as a pipe gets it where `columns` is None."""
    whole = show(None)
    tokens = set(" ".join(whole).split())
    assert not any("hidden" in line for line in whole), "a pipe gets everything"
    for columns in WIDTHS:
        lines = show(columns)
        text = _HIDDEN.sub("", "\n".join(lines))
        assert "…" not in text
        assert not set(text.split()) - tokens, f"broken at {columns}"
        assert not [line for line in lines if len(line) > columns and len(line.split()) > 2], (
            f"too long at {columns}"
        )
        assert set(" ".join(show(columns, wide=True)).split()) <= tokens


@pytest.mark.parametrize("view", ["status", "trades", "record", "trials", "models"])
def test_nothing_is_cut_off_and_no_token_is_broken(show, view):
    if view in {"trials", "models"}:
        show(COMPARE)
    check(lambda columns, *, wide=False: show(view + " --wide" * wide, columns))


def test_nothing_of_a_comparison_is_cut_off(show, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "crypto_refactor.report.terminal.comparison.print_comparison", lambda *given, **_: seen.append(given)
    )
    show(COMPARE)
    monkeypatch.undo()
    ((comparison, tz, _, held_out),) = seen

    def shown(columns, *, wide=False):
        console = Console(width=columns or 80, force_terminal=columns is not None, file=io.StringIO())
        print_comparison(comparison, tz, console, held_out, wide=wide)
        return plain(console.file.getvalue())

    check(shown)
