"""A reconciliation in the terminal."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console

from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.price_text import price_text
from crypto_refactor.report.documents.reconciliation import headline, holdings_agree, is_explained_by_fees
from crypto_refactor.report.formatting import money, percent, simulated_mark
from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, print_table, unit_line
from crypto_refactor.trading.manual.reconcile import HoldingDifference, Reconciliation
from crypto_refactor.trading.reconciliation.causes import CauseHour
from crypto_refactor.trading.reconciliation.result import AccountReconciliation

_HOURS_SHOWN = 12


def print_reconciliation(
    result: AccountReconciliation,
    holdings: Reconciliation | None,
    console: Console,
    *,
    wide: bool = False,
) -> None:
    """Print the headline, the causes with their money, what happened in the first hours of each, and the holdings."""
    if result.tickers:
        _say(console, f"{result.account}{simulated_mark(simulated=result.simulated)}", headline(result), "")
        print_table(console, _table(result), wide=wide)
        _say(console, "", *_hours(result))
    else:
        _say(console, f"{result.account}: nothing could be reconciled.")
    for part in result.tickers:
        if part.unexplained_since is not None:
            _say(
                console,
                f"{part.ticker}: {money(part.unexplained)} has no cause; it begins at {to_iso(part.unexplained_since)}.",
            )
    _say(console, *(f"Not compared, {name}: {why}" for name, why in result.missing.items()))
    _say(console, *(f"Note: {note}." for note in result.notes))
    if holdings is not None:
        print_holdings(result.account, holdings, console, result=result)


def _table(result: AccountReconciliation) -> FittedTable:
    start = result.start
    table = FittedTable(
        Column("cause", left=True, wraps=True),
        Column(f"money{unit_line(part.ticker for part in result.tickers)}", signed=True),
        Column("of\nstart", hide=2, signed=True),
        Column("hours", hide=1),
        all_in="--wide, --csv FILE",
    )
    backtest, account = (
        sum(getattr(part, side) for part in result.tickers) for side in ("backtest", "account")
    )
    table.add("backtest", money(backtest - start), percent(result.backtest_return, signed=True), "")
    for cause in result.causes:
        share = percent(cause.money / start, signed=True)
        table.add(f"  {cause.cause.text}", money(cause.money), share, str(len(cause.hours)))
    if not result.explained:
        table.add(
            "  no cause", money(result.unexplained), percent(result.unexplained / start, signed=True), ""
        )
    table.add("account", money(account - start), percent(result.account_return, signed=True), "")
    return table


def _hours(result: AccountReconciliation) -> Iterator[str]:
    for cause in result.causes:
        hours = result.hours_of(cause.cause)
        spans = _spans(hours)
        for ticker, each, count in spans[:_HOURS_SHOWN]:
            last = "" if count == 1 else f" to {to_iso(each.hour + count - 1)}, {count:,} hours:"
            yield f"{cause.cause}: {ticker} {to_iso(each.hour)}{last} {each.text}"
        told = sum(count for _, _, count in spans[:_HOURS_SHOWN])
        if len(hours) > told:
            yield f"{cause.cause}: and {len(hours) - told:,} more; --csv lists every hour"


def _spans(hours: Sequence[tuple[Ticker, CauseHour]]) -> list[tuple[Ticker, CauseHour, int]]:
    """Return the first of consecutive hours in which the same happened to a ticker, and how many they are."""
    spans: list[tuple[Ticker, CauseHour, int]] = []
    latest: dict[Ticker, int] = {}  # the place of the last span of each ticker
    for ticker, each in hours:
        at = latest.get(ticker)
        if at is not None:
            _, first, count = spans[at]
            if each == replace(first, hour=first.hour + count):
                spans[at] = ticker, first, count + 1
                continue
        latest[ticker] = len(spans)
        spans.append((ticker, each, 1))
    return spans


def print_holdings(
    account: str,
    holdings: Reconciliation,
    console: Console,
    *,
    result: AccountReconciliation | None = None,
    accepted: bool = False,
) -> None:
    """Print how the holdings of ledger and Alpaca compare, and what was booked of their difference."""
    agrees = holdings.agrees if result is None else holdings_agree(holdings, result)
    _say(console, f"{account}: ledger and Alpaca {'agree' if agrees else 'differ'}.")
    _say(console, *(_difference_text(each, result) for each in holdings.differences))
    if result is not None:
        text = f"Cash: {money(holdings.cash)} in the ledger, {money(holdings.buying_power)} at Alpaca to buy with"
        if holdings.accepted:
            text += f"; {money(holdings.accepted)} were booked by --accept, and may not be there"
        missing = holdings.cash_missing
        _say(console, f"{text}; {money(missing)} of the ledger's are missing." if missing else f"{text}.")
    _say(
        console,
        *(f"Order {name} was sent by another ledger of this tool." for name in holdings.foreign_orders),
        *(
            f"{ticker}: booked {fill.quantity:.9g} {ticker.base} as sold at {price_text(fill.price)}."
            for ticker, booked in holdings.booked.items()
            for fill in booked.fills
        ),
    )
    if not agrees and not accepted:
        _say(console, "`crypto-refactor reconcile --accept` takes Alpaca's figures; nothing was changed.")


def _difference_text(difference: HoldingDifference, result: AccountReconciliation | None) -> str:
    base = difference.ticker.base
    text = f"{difference.ticker}: {difference.ledger:.9g} {base} in the ledger, {difference.broker:.9g} {base} at Alpaca"
    if result is not None and is_explained_by_fees(difference, result):
        return f"{text}: fees were lower than assumed."
    return f"{text}."


def _say(console: Console, *lines: str) -> None:
    print_lines(console, lines)
