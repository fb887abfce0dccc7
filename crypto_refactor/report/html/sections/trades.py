"""The list of trades, which sorts by any of its columns."""

from __future__ import annotations

from crypto_refactor.backtest.result import RunResult
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.report.commentary import pending_text, side_remarks
from crypto_refactor.report.formatting import money, percent, price
from crypto_refactor.report.html.charts import wall_clock
from crypto_refactor.report.html.markup import Html, join, tag
from crypto_refactor.report.html.page_context import PageContext, Section
from crypto_refactor.report.html.sections.price_chart import EXIT_REASONS
from crypto_refactor.report.html.tables import Cell, numbers, signed_look, table, words
from crypto_refactor.report.rules_summary import HYPOTHETICAL
from crypto_refactor.signals.signal import DIRECTIONS


def trades_section(context: PageContext[RunResult]) -> Section:
    """Return every trade of this run, and what would be done next."""
    trades = context.result.requested.simulation.trades
    listed = join(_by_side(context), _list(context)) if trades else tag("p", "This run made no trade.")
    body = join(listed, tag("p", pending_text(context.result, context.tz)))
    return Section(name="trades", title=f"Trades ({len(trades)})", body=body)


def _by_side(context: PageContext[RunResult]) -> Html:
    lines = []
    for name, text in side_remarks(context.result.requested.simulation.trades, context.quote):
        mark = f" ({HYPOTHETICAL})" if name == "short" else ""
        lines.append(tag("li", tag("strong", f"{name.capitalize()}s{mark}: "), text))
    return tag("ul", *lines)


def _list(context: PageContext[RunResult]) -> Html:
    quote, base = context.quote, context.result.ticker.base
    columns = (
        words("#"),
        words("Side"),
        words("Entry"),
        numbers("Price", f"entry price, {quote}"),
        words("Exit"),
        numbers("Price", f"exit price, {quote}"),
        numbers(base, f"quantity, {base}"),
        numbers(f"Fees, {quote}"),
        numbers(f"Net, {quote}", "after fees"),
        numbers("Return", "net, of the entry's notional"),
        numbers("Held", "bars from entry to exit"),
        words("Why it ended"),
    )
    rows = [
        _row(position, trade, context)
        for position, trade in enumerate(context.result.requested.simulation.trades, start=1)
    ]
    note = f"Times in {context.tz.key}, prices in {quote}. Click a header to sort by it, once more to turn the order round."
    listed = table("Every trade of this run", columns, rows, sortable=True, name="trade-list")
    return join(listed, tag("p", note, class_="note"))


def _row(position: int, trade: Trade, context: PageContext[RunResult]) -> tuple[Cell, ...]:
    return (
        Cell(text=str(position), order=position),
        Cell(text=DIRECTIONS[trade.direction]),
        Cell(text=wall_clock(trade.entered, context.tz), order=trade.entered),
        Cell(text=price(trade.entry_price), order=trade.entry_price),
        Cell(text=wall_clock(trade.exited, context.tz), order=trade.exited),
        Cell(text=price(trade.exit_price), order=trade.exit_price),
        Cell(text=f"{trade.quantity:,.6g}", order=trade.quantity),
        Cell(text=money(trade.fees), order=trade.fees),
        Cell(text=f"{trade.net_pnl:+,.2f}", order=trade.net_pnl, look=signed_look(trade.net_pnl)),
        Cell(
            text=percent(trade.net_return, signed=True),
            order=trade.net_return,
            look=signed_look(trade.net_return),
        ),
        Cell(text=f"{trade.bars_held} h", order=trade.bars_held),
        Cell(text=EXIT_REASONS.get(trade.exit_reason, trade.exit_reason)),
    )
