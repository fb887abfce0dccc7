"""The status of an account, its trades and its manual closes in the terminal."""

from collections.abc import Sequence

from rich.console import Console

from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.account_notes import (
    account_kind,
    decision_text,
    halt_lines,
    minute,
    ticker_alerts,
)
from crypto_refactor.report.forecast_text import record_line
from crypto_refactor.report.formatting import (
    UNDEFINED,
    amount,
    exit_text,
    money,
    percent,
    price,
    simulated_mark,
)
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, print_table, unit_line
from crypto_refactor.report.verdict_lines import counted
from crypto_refactor.sides import Side
from crypto_refactor.trading.account_names import REPLAY
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.health.decision_age import DecisionAge, length_text
from crypto_refactor.trading.manual.close import CloseResult
from crypto_refactor.trading.record.record import SeriesRecord

_OTHERS_SHOWN = 5


def print_status(
    status: AccountStatus,
    trades: Sequence[tuple[Ticker, Trade]],
    console: Console,
    record: SeriesRecord | None = None,
    *,
    wide: bool = False,
) -> None:
    """Print one account with its `trades`: its result, a table of its sub-accounts, then notes on each."""
    row = status.row
    kind = account_kind(row.name)
    title = _replayed_span(status) or f"{kind[:1].upper()}{kind[1:]}, "
    times = f"opened {minute(row.opened_at)} UTC, last traded {minute(row.traded_at)} UTC"
    print_lines(console, [f"{row.name}{simulated_mark(simulated=status.simulated)}", f"{title}{times}"])
    if status.tickers:
        print_lines(console, [*_result_lines(status, trades), ""])
        print_table(console, _status_table(status), wide=wide)
        print_lines(console, [""])
    else:
        print_lines(console, ["No ticker has been traded in this account yet."])
    print_lines(console, (f"{part.ticker}: {note}" for part in status.tickers for note in _notes(part)))
    if record is not None:
        print_lines(console, [f"Record of forecasts: {record_line(record)}"])
    print_lines(console, halt_lines(status))
    print_lines(console, _other_accounts(status))


def _replayed_span(status: AccountStatus) -> str:
    """Return the hours that a replay has played, as far as the ledger knows them; empty for other accounts."""
    if not status.row.name.startswith(REPLAY) or not status.tickers:
        return ""
    first = min(part.opening.at for part in status.tickers)
    last = max(part.marked_at for part in status.tickers)
    return f"Replay of {minute(to_iso(first))} to {minute(to_iso(last))} UTC; "


def _result_lines(status: AccountStatus, trades: Sequence[tuple[Ticker, Trade]]) -> list[str]:
    """State what the account is worth, what it has earned since it was opened, and how its trades ended."""
    unit = unit_line(part.ticker for part in status.tickers).replace("\n", " ")
    closed = [trade for _, trade in trades if trade.closed]
    held = sum(part.account.side != 0 for part in status.tickers)
    gained = (
        f"{_return(status.equity, status.opened_with)} since it was opened with {money(status.opened_with)}"
    )
    lines = [
        f"Equity {money(status.equity)}{unit}: {gained}",
        f"{_some(held, 'open position')}; {_some(len(closed), 'closed trade')}{_gains(closed, ', ')}",
    ]
    proceeds = sum(-part.account.quantity * part.price for part in status.tickers if part.account.side < 0)
    if proceeds > 0:
        back = f"{money(proceeds)}{unit} of it buys those coins back at the last price"
        lines.append(f"Cash includes what short sales have brought in; {back}.")
    return lines


def _some(count: int, noun: str) -> str:
    return counted(count, noun) if count else f"no {noun}"


def _gains(closed: Sequence[Trade], before: str) -> str:
    """Return after `before` how many of the closed trades have gained; empty where there are none."""
    won = sum(trade.net_pnl > 0 for trade in closed)
    if not closed:
        return ""
    if len(closed) == 1:
        return f"{before}with a {'gain' if won else 'loss'}"
    return f"{before}{percent(won / len(closed), 0)} of them with a gain"


def _other_accounts(status: AccountStatus) -> list[str]:
    names = status.others[:_OTHERS_SHOWN]
    lines = ["Other accounts (--account NAME):"] if names else []
    for name in names:
        mark = " (SIMULATED)" if name in status.simulated_others else ""
        lines.append(f"  {name}{mark}: {account_kind(name)}")
    more = len(status.others) - len(names)
    return [*lines, f"  and {more} more, which --json lists"] if more else lines


def age_text(age: DecisionAge) -> str:
    """Return whether a decision was recorded in the time allowed."""
    allowed = f"{length_text(age.allowed)} allowed"
    if age.age is None or age.at is None:
        return f"No decision was ever recorded ({allowed})."
    last = f"The last decision was recorded at {minute(age.at.isoformat())} UTC"
    if age.is_recent:
        return f"{last}, {length_text(age.age)} ago ({allowed})."
    if age.age.total_seconds() < 0:
        return f"{last}, which lies ahead of this machine's clock: is the clock right?"
    return f"{last}, {length_text(age.age)} ago: too long ({allowed})."


def _status_table(status: AccountStatus) -> FittedTable:
    unit = unit_line(part.ticker for part in status.tickers)
    table = FittedTable(
        Column("ticker", left=True),
        Column("position", left=True),
        Column("quantity", hide=4),
        Column(f"entry\nprice{unit}", hide=3),
        Column(f"cash{unit}", hide=5),
        Column(f"equity{unit}"),
        Column(f"opened\nwith{unit}", hide=1),
        Column("return", signed=True),
        Column("as of (UTC)", left=True, hide=2),
        all_in="--wide",
    )
    for part in status.tickers:
        account = part.account
        table.add(
            str(part.ticker),
            Side(account.side).label,
            amount(account.quantity) if account.quantity else UNDEFINED,
            price(account.average_price) if account.side else UNDEFINED,
            money(account.cash),
            money(part.equity),
            money(part.opening.balance),
            _return(part.equity, part.opening.balance),
            minute(to_iso(part.marked_at)),
        )
    if len(status.tickers) > 1:
        totals = money(status.cash), money(status.equity), money(status.opened_with)
        table.add("total", "", "", "", *totals, _return(status.equity, status.opened_with), "")
    return table


def _return(equity: float, balance: float) -> str:
    return percent(equity / balance - 1 if balance else None, signed=True)


def _notes(part: TickerStatus) -> list[str]:
    decided = [f"decided {decision_text(part)}"] if part.decision is not None or part.pending else []
    return decided + ticker_alerts(part)


def print_trades(
    account: str,
    trades: Sequence[tuple[Ticker, Trade]],
    console: Console,
    *,
    simulated: bool,
    wide: bool = False,
) -> None:
    """Print the trades of an account and their sum."""
    print_lines(console, [f"{account}{simulated_mark(simulated=simulated)}"])
    if not trades:
        print_lines(console, ["No trades yet."])
        return
    print_table(console, _trades_table(trades), wide=wide)
    unit = unit_line(ticker for ticker, _ in trades).replace("\n", " ")
    print_lines(console, ["", *_sums([trade for _, trade in trades], unit)])


def _sums(trades: Sequence[Trade], unit: str) -> list[str]:
    """State what closed trades came to, and what is held beside them: its fees are paid, its net is not yet earned."""
    closed = [trade for trade in trades if trade.closed]
    sums = [f"{len(closed)} closed:{_gains(closed, ' ')}, {_fees_and_net(closed, unit)}."] if closed else []
    for mark in dict.fromkeys(trade.exit_reason for trade in trades if not trade.closed):
        marked = [trade for trade in trades if trade.exit_reason == mark]
        sums.append(f"{len(marked)} {mark}: {_fees_and_net(marked, unit)} so far.")
    lines = [" ".join(sums)]
    if len(closed) < len(trades):
        lines.append("Trades marked open or dust are valued at the last price, not sold.")
    return lines


def _fees_and_net(trades: Sequence[Trade], unit: str) -> str:
    fees, net = sum(trade.fees for trade in trades), sum(trade.net_pnl for trade in trades)
    return f"fees {money(fees)}, net {net:+,.2f}{unit}"


def _trades_table(trades: Sequence[tuple[Ticker, Trade]]) -> FittedTable:
    unit = unit_line(ticker for ticker, _ in trades)
    table = FittedTable(
        Column("ticker", left=True),
        Column("side", left=True),
        Column("entry (UTC)", left=True, hide=7),
        Column(f"entry\nprice{unit}", hide=4),
        Column("exit (UTC)", left=True),
        Column(f"exit\nprice{unit}", hide=3),
        Column("quantity", hide=1),
        Column(f"fees{unit}", hide=2),
        Column(f"net{unit}", signed=True),
        Column("return", signed=True, hide=6),
        Column("exit\nreason", left=True, hide=5),
        all_in="--wide, --csv FILE",
    )
    for ticker, trade in trades:
        table.add(
            str(ticker),
            Side(trade.direction).label,
            minute(to_iso(trade.entry_hour)),
            price(trade.entry_price),
            minute(to_iso(trade.exit_hour)) if trade.closed else trade.exit_reason,
            price(trade.exit_price),
            amount(trade.quantity),
            money(trade.fees),
            f"{trade.net_pnl:+,.2f}",
            percent(trade.net_return, signed=True),
            exit_text(trade.exit_reason),
        )
    return table


def closing_text(closing: CloseResult) -> list[str]:
    """Return the result of closing one ticker, without its error."""
    ticker, executed = closing.ticker, closing.result
    lines = [
        f"{'sold' if fill.side < 0 else 'bought back'} {fill.quantity:.9g} {ticker.base} at {price(fill.price)}, "
        f"fee {money(fill.fee)} ({exit_text(fill.reason)})"
        for fill in executed.fills
    ]
    lines += [f"net {trade.net_pnl:+,.2f} after fees" for trade in executed.trades]
    if closing.waiting:
        lines.append("will be closed at the next open, by the next run that has that bar")
    elif closing.error is None and not executed.fills:
        lines.append("flat: nothing to sell and nothing pending")
    elif closing.error is None:
        lines.append("will not re-enter this side until the target changes")
    return [f"{ticker}: {line}" for line in (*lines, *executed.notes)]
