"""What trading commands found and did, one line a decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.formatting import amount, money, price, source_name
from crypto_refactor.trading.explanations import SIDES
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable

_ARROWS = {1: "▲", 0: "■", -1: "▼"}
_UTC = ZoneInfo("UTC")
_TICKER_WIDTH = 9
_STATE_WIDTH = 18
_MONEY_WIDTH = 12
_INDENT = " " * 6


def heading(account: str | None, source: str, tickers: Sequence[Ticker]) -> str:
    """Return what stands above the lines of a run: where it acts, on whose bars, and which tickers.

    Parameters
    ----------
    account : str or None
        Name of the account; None where nothing is traded.
    source : str
        Where the bars come from.
    tickers : sequence of Ticker
        What is looked at.
    """
    where = "Signals only, nothing is traded" if account is None else f"Trading in {account}"
    return f"{where}, on bars from {source_name(source)}: {', '.join(map(str, tickers))}"


def outcome_line(row: TickerRow, tz: ZoneInfo) -> str:
    """Return one ticker's row: when, which, what is held, what was filled | why and what follows.

    What else a person should know follows in lines of its own, indented.  Times are in `tz`.
    """
    if isinstance(row, Failure):
        return _unreported(row.ticker, "✗ failed", f"{row.error.what} Remedy: {row.error.remedy}", tz)
    if isinstance(row, Unavailable):
        return _unreported(row.ticker, "– not offered", row.why, tz)
    facts = "; ".join([*_late(row), *_executed(row, tz)])
    columns = [
        to_local_text(row.bar, tz),
        f"{row.ticker!s:<{_TICKER_WIDTH}}",
        f"{_state(row):<{_STATE_WIDTH}}",
        _worth(row),
        *(["SIMULATED"] if row.simulated else []),
        f"{facts + ' ' if facts else ''}| {_why(row)}",
    ]
    line = "  ".join(columns)
    return "\n".join([line, *(f"{_INDENT}{note}" for note in _notes(row))])


def positions_text(holdings: Mapping[Ticker, SubAccount], tz: ZoneInfo = _UTC) -> list[str]:
    """Return a line for every position that is open, or one line that says that none is."""
    lines = [
        f"{ticker!s:<{_TICKER_WIDTH}}  {_ARROWS[account.side]} {SIDES[account.side]} "
        f"{amount(abs(account.quantity))} {ticker.base} since {to_local_text(account.entered, tz)}, "
        f"entered at {price(account.average_price)}"
        for ticker, account in holdings.items()
        if account.side
    ]
    return lines or ["no open position"]


def _unreported(ticker: Ticker, state: str, text: str, tz: ZoneInfo) -> str:
    when = " " * len(to_local_text(0, tz))
    return f"{when}  {ticker!s:<{_TICKER_WIDTH}}  {state:<{_STATE_WIDTH}}  {text}"


def _state(entry: TickerOutcome) -> str:
    """Say what is held and was held before, or, where nothing is traded, what is wanted."""
    if entry.sub_account is None:
        wanted = entry.target or 0
        return f"target {_ARROWS[wanted]} {SIDES[wanted]}"
    before = side = entry.sub_account.side
    if entry.fills:
        fill = entry.fills[0]
        before = 0 if fill.reason == "entry" else -fill.side
    change = "" if before == side else f" (was {SIDES[before]})"
    return f"{_ARROWS[side]} {SIDES[side]}{change}"


def _worth(entry: TickerOutcome) -> str:
    if entry.equity is None:
        return f"close  {price(entry.price):>{_MONEY_WIDTH}}"
    return f"equity {money(entry.equity):>{_MONEY_WIDTH}}"


def _late(entry: TickerOutcome) -> list[str]:
    return ["LATE, more than 10 minutes after the close"] if entry.late else []


def _executed(entry: TickerOutcome, tz: ZoneInfo) -> list[str]:
    exits = iter(entry.trades)
    return [_fill(fill, exits, entry, tz) for fill in entry.fills]


def _fill(fill: Fill, exits: Iterator[Trade], entry: TickerOutcome, tz: ZoneInfo) -> str:
    text = f"{_VERBS[fill.reason == 'entry', fill.side]} {amount(fill.quantity)} at {price(fill.price)}"
    # A bar is filled at its open or at its close; what a later run has caught up with may be much older.
    if fill.at < entry.bar - 1:
        text += f" on {to_local_text(fill.at, tz)}"
    text += f", fee {money(fill.fee)}"
    if fill.reason == "entry":
        return text
    trade = next(exits, None)
    net = "" if trade is None else f", net {trade.net_pnl:+,.2f}"
    return f"{text}{net} ({fill.reason})"


_VERBS = {
    (True, 1): "bought",
    (True, -1): "sold short",
    (False, -1): "sold",
    (False, 1): "bought back",
}
"""By whether the fill is an entry, and its side."""


def _why(entry: TickerOutcome) -> str:
    if not entry.pending:
        return entry.reason
    # The reason of a decision ends with what was decided: said once, with the time it will be done at.
    decided = " and ".join(entry.pending)
    return f"{entry.reason.removesuffix(f': {decided}')}; at the next open: {decided}"


def _notes(entry: TickerOutcome) -> list[str]:
    notes = [*map(_order, entry.orders), *entry.notes]
    if entry.decision is not None and entry.decision.chosen.late:
        notes.append("decided by the model of the cut-off before: the new one is not trained yet")
    if entry.decision is not None and entry.decision.chosen.revised:
        notes.append("the bars its model learnt from read differently now; the model stands")
    return [note for note in notes if note]


def _order(order: OrderRecord) -> str:
    """Say how an order ended, where neither a fill nor a note of its own does."""
    if order.stage is OrderStatus.PARTLY_FILLED:
        base, quote = order.ticker.base, order.ticker.quote
        wanted = (
            f"{money(order.notional)} {quote}"
            if order.quantity is None
            else f"{amount(order.quantity)} {base}"
        )
        return (
            f"order {order.client_order_id} was filled in part only ({amount(order.filled_quantity)} {base} "
            f"of {wanted}): the rest is decided afresh at the next bar"
        )
    if order.stage is OrderStatus.UNFILLED:
        return f"order {order.client_order_id} was not filled: {order.detail}"
    return ""
