"""The status of an account, its trades and its manual closes in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.account_notes import decision_text, minute, ticker_alerts
from crypto_refactor.report.formatting import UNDEFINED, money, percent, price, simulated_mark
from crypto_refactor.report.terminal.tables import plain_table
from crypto_refactor.sides import Side
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.health.decision_age import DecisionAge, length_text
from crypto_refactor.trading.manual.close import CloseResult


def print_status(status: AccountStatus, console: Console) -> None:
    """Print one account: a table of its sub-accounts, then notes on each."""
    row = status.row
    mark = simulated_mark(simulated=status.simulated)
    lines = [f"{row.name}{mark}   opened {minute(row.opened_at)}, last traded {minute(row.traded_at)}"]
    if not status.tickers:
        lines.append("No ticker has been traded in this account yet.")
    _print_lines(console, *lines)
    if status.tickers:
        console.print(_status_table(status))
    for part in status.tickers:
        _print_lines(console, *(f"{part.ticker}: {note}" for note in _notes(part)))
    if status.halt is not None:
        _print_lines(console, f"{status.halt}. Run `crypto-refactor resume` to lift the halt.")
    if status.others:
        simulated = status.simulated_others
        others = (f"{name} (SIMULATED)" if name in simulated else name for name in status.others)
        _print_lines(console, f"Other accounts: {', '.join(others)}")


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


def _status_table(status: AccountStatus) -> Table:
    names = ("ticker", "position", "quantity", "entry\nprice", "cash", "equity", "opened\nwith", "return")
    table = plain_table(*names, "as of (UTC)", left=("ticker", "position", "as of (UTC)"))
    for part in status.tickers:
        account = part.account
        table.add_row(
            str(part.ticker),
            Side(account.side).label,
            f"{account.quantity:.9g}" if account.quantity else UNDEFINED,
            price(account.average_price) if account.side else UNDEFINED,
            money(account.cash),
            money(part.equity),
            money(part.opening.balance),
            _return(part.equity, part.opening.balance),
            minute(to_iso(part.marked_at)),
        )
    if len(status.tickers) > 1:
        totals = money(status.cash), money(status.equity), money(status.opened_with)
        table.add_section()
        table.add_row("total", "", "", "", *totals, _return(status.equity, status.opened_with), "")
    return table


def _return(equity: float, balance: float) -> str:
    return percent(equity / balance - 1 if balance else None, signed=True)


def _notes(part: TickerStatus) -> list[str]:
    notes = []
    if part.decision is not None:
        notes.append(f"decided {decision_text(part)}")
    if part.pending:
        notes.append(f"pending for the next open: {' and '.join(part.pending)}")
    return notes + ticker_alerts(part)


def print_trades(
    account: str, trades: Sequence[tuple[Ticker, Trade]], console: Console, *, simulated: bool
) -> None:
    """Print the trades of an account and their sum."""
    _print_lines(console, f"{account}{simulated_mark(simulated=simulated)}")
    if not trades:
        _print_lines(console, "No trades yet.")
        return
    left = ("ticker", "side", "entry (UTC)", "exit (UTC)", "exit\nreason")
    figures = ("quantity", "fees", "net", "return")
    table = plain_table(*left[:3], "entry\nprice", left[3], "exit\nprice", *figures, left[4], left=left)
    for ticker, trade in trades:
        table.add_row(
            str(ticker),
            Side(trade.direction).label,
            minute(to_iso(trade.entry_hour)),
            price(trade.entry_price),
            minute(to_iso(trade.exit_hour)),
            price(trade.exit_price),
            f"{trade.quantity:.6g}",
            money(trade.fees),
            f"{trade.net_pnl:+,.2f}",
            percent(trade.net_return, signed=True),
            trade.exit_reason,
        )
    console.print(table)
    closed = [trade for _, trade in trades if trade.closed]
    fees, net = sum(trade.fees for trade in closed), sum(trade.net_pnl for trade in closed)
    _print_lines(
        console,
        f"{len(closed)} closed, fees {money(fees)}, net {net:+,.2f}. "
        "Trades marked open or dust are valued at the last price, not sold.",
    )


def closing_text(closing: CloseResult) -> list[str]:
    """Return the result of closing one ticker, without its error."""
    ticker, executed = closing.ticker, closing.result
    lines = [
        f"{'sold' if fill.side < 0 else 'bought back'} {fill.quantity:.9g} {ticker.base} at {price(fill.price)}, "
        f"fee {money(fill.fee)} ({fill.reason})"
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


def _print_lines(console: Console, *lines: str) -> None:
    for line in lines:
        console.print(escape(line), highlight=False, soft_wrap=True)
