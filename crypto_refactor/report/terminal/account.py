"""An account, its trades and what was closed in it, as people read them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.formatting import UNDEFINED, money, percent, price
from crypto_refactor.signals.signal import DIRECTIONS
from crypto_refactor.trading.account_status import AccountStatus, TickerStatus
from crypto_refactor.trading.manual_actions import CloseResult


def print_status(overview: AccountStatus, screen: Console) -> None:
    """Print one account: a table of its sub-accounts, then what is to be known of each."""
    row, mark = overview.row, "   SIMULATED" if overview.simulated else ""
    _say(
        screen, f"{row.name}{mark}   opened {_instant(row.opened_at)}, last traded {_instant(row.traded_at)}"
    )
    if overview.tickers:
        screen.print(_status_table(overview))
    else:
        _say(screen, "No ticker has been traded in it yet.")
    for part in overview.tickers:
        for line in _remarks(part):
            _say(screen, line)
    if overview.halt is not None:
        _say(screen, f"{overview.halt}. Run `crypto-refactor resume` to lift the halt.")
    if overview.others:
        _say(screen, f"Other accounts: {', '.join(overview.others)}")


def _status_table(overview: AccountStatus) -> Table:
    table = _table(
        (
            "ticker",
            "position",
            "quantity",
            "entered at",
            "cash",
            "equity",
            "opened with",
            "result",
            "as of (UTC)",
        ),
        left=("ticker", "position", "as of (UTC)"),
    )
    for part in overview.tickers:
        account = part.account
        table.add_row(
            str(part.ticker),
            DIRECTIONS[account.side],
            f"{account.quantity:.9g}" if account.quantity else UNDEFINED,
            price(account.average_price) if account.side else UNDEFINED,
            money(account.cash),
            money(part.equity),
            money(part.opening.balance),
            _result(part.equity, part.opening.balance),
            _hour(part.marked_at),
        )
    if len(overview.tickers) > 1:
        totals = money(overview.cash), money(overview.equity), money(overview.opened_with)
        result = _result(overview.equity, overview.opened_with)
        table.add_section()
        table.add_row("total", "", "", "", *totals, result, "")
    return table


def _result(equity: float, balance: float) -> str:
    return percent(equity / balance - 1 if balance else None, signed=True)


def _remarks(part: TickerStatus) -> list[str]:
    lines = []
    if part.decision is not None:
        lines.append(f"decided {_hour(part.decision['bar'])}: {part.decision.get('reason', UNDEFINED)}")
    if part.pending:
        lines.append(f"waits for the next open: {' and '.join(part.pending)}")
    lines += [
        f"order {order.client_order_id} is UNSETTLED since {_instant(order.sent_at)}: the next run looks it up"
        for order in part.unsettled
    ]
    if part.account.halted:
        peak = money(part.account.peak_equity)
        lines.append(
            f"HALTED by its drawdown from a peak of {peak}: no entries until `crypto-refactor resume`"
        )
    if part.account.ruined:
        lines.append("a short has used up the equity: no trade after")
    if part.account.stopped_side:
        side = DIRECTIONS[part.account.stopped_side]
        lines.append(f"will not re-enter {side} until the target changes (closed manually or stopped out)")
    return [f"{part.ticker}: {line}" for line in lines]


def print_trades(
    account: str, trades: Sequence[tuple[Ticker, Trade]], screen: Console, *, simulated: bool
) -> None:
    """Print the trades of an account, and what they came to."""
    _say(screen, f"{account}{'   SIMULATED' if simulated else ''}")
    if not trades:
        _say(screen, "No trades yet.")
        return
    table = _table(
        (
            "ticker",
            "side",
            "entry (UTC)",
            "at",
            "exit (UTC)",
            "at ",
            "quantity",
            "fees",
            "net",
            "return",
            "reason",
        ),
        left=("ticker", "side", "entry (UTC)", "exit (UTC)", "reason"),
    )
    for ticker, trade in trades:
        table.add_row(
            str(ticker),
            DIRECTIONS[trade.direction],
            _hour(trade.entered),
            price(trade.entry_price),
            _hour(trade.exited),
            price(trade.exit_price),
            f"{trade.quantity:.6g}",
            money(trade.fees),
            f"{trade.net_pnl:+,.2f}",
            percent(trade.net_return, signed=True),
            trade.exit_reason,
        )
    screen.print(table)
    closed = [trade for _, trade in trades if trade.closed]
    fees, net = sum(trade.fees for trade in closed), sum(trade.net_pnl for trade in closed)
    _say(
        screen,
        f"{len(closed)} closed, fees {money(fees)}, net {net:+,.2f}; open and dust are marked, not sold.",
    )


def closing_text(closing: CloseResult) -> list[str]:
    """Return what came of closing one ticker, without its error."""
    ticker = closing.ticker
    lines = [
        f"{'sold' if fill.side < 0 else 'bought back'} {fill.quantity:.9g} {ticker.base} at {price(fill.price)}, "
        f"fee {money(fill.fee)} ({fill.reason})"
        for fill in closing.result.fills
    ]
    lines += [f"net {trade.net_pnl:+,.2f} after fees" for trade in closing.result.trades]
    if closing.waiting:
        lines.append("is closed at the next open, by the next run that finds that bar")
    elif closing.error is None and not closing.result.fills:
        lines.append("flat: there was nothing to sell, and nothing is waiting")
    elif closing.error is None:
        lines.append("is not entered again on that side until the target has changed")
    return [f"{ticker}: {line}" for line in (*lines, *closing.result.notes)]


def _table(names: Sequence[str], left: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        table.add_column(name, justify="left" if name in left else "right", no_wrap=True)
    return table


def _say(screen: Console, text: str) -> None:
    screen.print(escape(text), highlight=False, soft_wrap=True)


def _hour(hour: int) -> str:
    return _instant(to_iso(hour))


def _instant(stamp: str) -> str:
    return stamp[:16].replace("T", " ")
