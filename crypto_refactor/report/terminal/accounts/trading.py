"""The decisions of trading commands in the terminal, one line each."""

from collections.abc import Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.execution.sub_account import Fill, SubAccount, Trade
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.report.account_notes import reason_text
from crypto_refactor.report.formatting import amount, exit_text, money, price, source_name
from crypto_refactor.sides import Side
from crypto_refactor.trading.explanations import tickers_in_words
from crypto_refactor.trading.ledger.order_record import OrderRecord, OrderStatus
from crypto_refactor.trading.outcomes import Failure, TickerOutcome, TickerRow, Unavailable

_UTC = ZoneInfo("UTC")
_TICKER_WIDTH = 9
_STATE_WIDTH = 18
_MONEY_WIDTH = 12
_INDENT = " " * 6


def heading(account: str | None, source: str, tickers: Sequence[Ticker]) -> str:
    """Return the line above a run: the account, None where nothing is traded, the source and the tickers."""
    where = "Signals only, nothing is traded" if account is None else f"Trading in {account}"
    return f"{where}, on bars from {source_name(source)}: {', '.join(map(str, tickers))}"


def outcome_line(row: TickerRow, tz: ZoneInfo, traded: Sequence[Ticker] = ()) -> str:
    """Return one ticker's row: time, ticker, position, equity, fills | reason and what follows.

    Notes follow in lines of their own, indented.  Times are in `tz`; `traded` are all tickers of the run.
    """
    if isinstance(row, Failure):
        text = f"{row.error.what} Remedy: {row.error.remedy}"
        return _unreported(tickers_in_words(row.tickers, traded), "✗ failed", text, tz)
    if isinstance(row, Unavailable):
        return _unreported(str(row.ticker), "– left out", row.why, tz)
    late = ["LATE, more than 10 minutes after the close"] if row.late else []
    exits = iter(row.trades)
    facts = "; ".join([*late, *(_fill(fill, exits, row, tz) for fill in row.fills)])
    columns = [
        to_local_text(row.bar, tz),
        f"{row.ticker!s:<{_TICKER_WIDTH}}",
        f"{_state(row):<{_STATE_WIDTH}}",
        _worth(row),
        *(["SIMULATED"] if row.simulated else []),
        f"{facts + ' ' if facts else ''}| {reason_text(row.reason, row.pending)}",
    ]
    line = "  ".join(columns)
    return "\n".join([line, *(f"{_INDENT}{note}" for note in _notes(row))])


def positions_text(holdings: Mapping[Ticker, SubAccount], tz: ZoneInfo = _UTC) -> list[str]:
    """Return one line per open position."""
    return [
        f"{ticker!s:<{_TICKER_WIDTH}}  {Side(account.side).arrow} {Side(account.side).label} "
        f"{amount(abs(account.quantity))} {ticker.base} since {to_local_text(account.entry_hour, tz)}, "
        f"entry price {price(account.average_price)}"
        for ticker, account in holdings.items()
        if account.side
    ]


def _unreported(tickers: str, state: str, text: str, tz: ZoneInfo) -> str:
    when = " " * len(to_local_text(0, tz))
    return f"{when}  {tickers:<{_TICKER_WIDTH}}  {state:<{_STATE_WIDTH}}  {text}"


def _state(outcome: TickerOutcome) -> str:
    """Return the position and the one before it, or the target where nothing is traded."""
    if outcome.sub_account is None:
        target = outcome.target or 0
        return f"target {Side(target).arrow} {Side(target).label}"
    before = side = outcome.sub_account.side
    if outcome.fills:
        fill = outcome.fills[0]
        before = 0 if fill.reason == "entry" else -fill.side
    change = "" if before == side else f" (was {Side(before).label})"
    return f"{Side(side).arrow} {Side(side).label}{change}"


def _worth(outcome: TickerOutcome) -> str:
    if outcome.equity is None:
        return f"close  {price(outcome.price):>{_MONEY_WIDTH}}"
    return f"equity {money(outcome.equity):>{_MONEY_WIDTH}}"


def _fill(fill: Fill, exits: Iterator[Trade], outcome: TickerOutcome, tz: ZoneInfo) -> str:
    # Most fill an hour before the row, at the open of its bar; a run that catches up reports older fills.
    at = to_local_text(fill.at, tz)
    day, minute, _ = at.split(" ", 2)
    when = f"at {minute}" if to_local_text(outcome.bar, tz).startswith(day) else f"on {at}"
    verb = _VERBS[fill.reason == "entry", fill.side]
    text = f"{when} {verb} {amount(fill.quantity)} at {price(fill.price)}, fee {money(fill.fee)}"
    if fill.reason == "entry":
        return text
    trade = next(exits, None)
    net = "" if trade is None else f", net {trade.net_pnl:+,.2f}"
    return f"{text}{net} ({exit_text(fill.reason)})"


_VERBS = {
    (True, 1): "bought",
    (True, -1): "sold short",
    (False, -1): "sold",
    (False, 1): "bought back",
}
"""By whether the fill is an entry, and by its side."""


def _notes(outcome: TickerOutcome) -> list[str]:
    notes = [*map(_order, outcome.orders), *outcome.notes]
    if outcome.decision is not None and outcome.decision.chosen.late:
        notes.append("decided by the previous model: the new one is not trained yet")
    if outcome.decision is not None and outcome.decision.chosen.revised:
        kept = "" if outcome.decision.chosen.key is None else " until the next refit"
        notes.append(f"the training bars of its model were revised since; the model is kept{kept}")
    return [note for note in notes if note]


def _order(order: OrderRecord) -> str:
    """Return how an order ended, where neither a fill nor a note does."""
    if order.stage is OrderStatus.PARTLY_FILLED:
        base, quote = order.ticker.base, order.ticker.quote
        ordered = (
            f"{money(order.notional)} {quote}"
            if order.quantity is None
            else f"{amount(order.quantity)} {base}"
        )
        return (
            f"order {order.client_order_id} was partly filled ({amount(order.filled_quantity)} {base} of {ordered}): "
            "the rest is decided at the next bar"
        )
    if order.stage is OrderStatus.UNFILLED:
        return f"order {order.client_order_id} was not filled: {order.detail}"
    return ""
