"""The end of a replay in the terminal: its result, and whether it equals the backtest."""

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.significance.trade_verdict import MIN_TRADES
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import few_trades, held_back, jump_remarks, rules_text, still_open
from crypto_refactor.report.formatting import (
    amount,
    exit_text,
    money,
    percent,
    price,
    simulated_mark,
    source_name,
)
from crypto_refactor.report.replay_summary import ReplayFigures, ticker_figures, total_curve, total_figures
from crypto_refactor.report.terminal.equity_chart import chart
from crypto_refactor.report.terminal.tables import Column, FittedTable, unit_line, wrapped
from crypto_refactor.sides import Side
from crypto_refactor.trading.historical.replay import ReplayResult, TickerReplay
from crypto_refactor.trading.outcomes import Failure, TickerRow, Unavailable

MAX_TRADES_LISTED = 20

_ALL = "--verbose"
"""What shows every column."""


def replay_summary(result: ReplayResult, tz: ZoneInfo, room: int | None = None) -> str:
    """Return the summary, several lines of at most `room` characters, times in `tz`."""
    others = _others(result.rows)
    if not result.replayed:
        parts = [_fitted([f"Replay {result.account}", "No ticker was replayed to its end.", *others], room)]
    else:
        parts = [
            _fitted(_heading(result, tz), room),
            _figures(result, room),
            _fitted(_remarks(result, tz), room),
            _trades(result, tz, room),
            _equity(result, tz),
            _fitted([*others, *_parity(result.replayed)], room),
        ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _fitted(lines: Sequence[str], room: int | None) -> list[str]:
    return [part for line in lines for part in wrapped(line, room)]


def _others(rows: Sequence[TickerRow]) -> list[str]:
    """Name what was not replayed to its end; why was said when it was found."""
    failed = ", ".join(str(row.ticker) for row in rows if isinstance(row, Failure))
    missing = ", ".join(str(row.ticker) for row in rows if isinstance(row, Unavailable))
    lines = [f"Failed, see above: {failed}."] if failed else []
    return [*lines, f"Left out, see above: {missing}."] if missing else lines


def _heading(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    first = result.replayed[0].backtest
    spans = {
        replayed.ticker: (
            f"{to_local_text(int(replayed.backtest.window.closed[0]), tz)} to "
            f"{to_local_text(replayed.backtest.end, tz)}, {replayed.backtest.hours:,} hours"
        )
        for replayed in result.replayed
    }
    source = f"bars from {source_name(first.window.source)}"
    mark = simulated_mark(simulated=first.window.simulated)
    lines = [f"Replay of {', '.join(map(str, spans))}{mark}"]
    if len(set(spans.values())) == 1:
        lines.append(f"{spans[first.ticker]}, {source}")
    else:
        named = {
            span: [str(ticker) for ticker, own in spans.items() if own == span] for span in spans.values()
        }
        lines += [*(f"{span}: {', '.join(tickers)}" for span, tickers in named.items()), source]
    resumed = " (an interrupted replay, resumed and played to its end)" if result.resumed else ""
    return [*lines, f"Account {result.account}{resumed}", rules_text(first.requested.rules)]


def _figures(result: ReplayResult, room: int | None) -> list[str]:
    figures = {str(replayed.ticker): ticker_figures(replayed) for replayed in result.replayed}
    if len(figures) > 1:
        figures["Total"] = total_figures(figures.values())
    unit = unit_line(replayed.ticker for replayed in result.replayed)
    table = FittedTable(
        Column("", left=True),
        Column(f"start{unit}", hide=2),
        Column(f"final{unit}"),
        Column("return"),
        Column("buy and\nhold", hide=5),
        Column("closed\ntrades", hide=4),
        Column("won", hide=1),
        Column(f"fees{unit}", hide=3),
        all_in=_ALL,
    )
    for name, part in figures.items():
        table.add(*_figure_cells(name, part))
    return table.text(room)


def _figure_cells(name: str, figures: ReplayFigures) -> tuple[str, ...]:
    return (
        name,
        money(figures.initial),
        money(figures.final),
        percent(figures.gain, signed=True),
        percent(figures.hold_gain, signed=True),
        str(figures.trades),
        percent(figures.win_rate, 1),
        money(figures.fees),
    )


def _remarks(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    count = sum(len(replayed.trades) for replayed in result.replayed)
    lines = [remark for replayed in result.replayed for remark in jump_remarks(replayed.backtest)]
    lines += [few_trades(count)] if 0 < count < MIN_TRADES else []
    # A replay lists closed trades only; an open position comes from the backtest, where the two agree.
    return lines + [
        still_open(replayed.ticker, trade, tz)
        for replayed in result.replayed
        for trade in replayed.backtest.requested.simulation.trades
        if not trade.closed and replayed.same
    ]


def _trades(result: ReplayResult, tz: ZoneInfo, room: int | None) -> list[str]:
    rows = [(replayed.ticker, trade) for replayed in result.replayed for trade in replayed.trades]
    if not rows:
        return ["No trade was closed.", *_why_no_trade(result)]
    if len(rows) > MAX_TRADES_LISTED:
        command = f"crypto-refactor trades --account {result.account} --csv FILE"
        return [f"{len(rows)} trades were closed; `{command}` lists them."]
    rows.sort(key=lambda row: (row[1].exit_hour, row[1].entry_hour))
    unit = unit_line(ticker for ticker, _ in rows)
    table = FittedTable(
        Column("Trades", left=True),
        Column("side", left=True),
        Column("entry", hide=5),
        Column(f"entry\nprice{unit}", hide=3),
        Column("exit"),
        Column(f"exit\nprice{unit}", hide=2),
        Column("quantity", hide=1),
        Column(f"net{unit}"),
        Column("exit\nreason", left=True, hide=4),
        all_in=_ALL,
    )
    for ticker, trade in rows:
        table.add(
            str(ticker),
            Side(trade.direction).label,
            to_local_text(trade.entry_hour, tz),
            price(trade.entry_price),
            to_local_text(trade.exit_hour, tz),
            price(trade.exit_price),
            amount(trade.quantity),
            f"{trade.net_pnl:+,.2f}",
            exit_text(trade.exit_reason),
        )
    return table.text(room)


def _why_no_trade(result: ReplayResult) -> list[str]:
    """Say what held back each ticker that was never entered, as its backtest does."""
    return [
        f"{replayed.ticker}: {' '.join(held_back(replayed.backtest)[1])}"
        for replayed in result.replayed
        if not replayed.fills
    ]


def _equity(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    first, total = total_curve([replayed.equity for replayed in result.replayed])
    ends = to_local_text(first, tz), to_local_text(first + len(total) - 1, tz)
    title = "Equity" if len(result.replayed) == 1 else "Equity, all tickers together"
    return [title, *chart(total.tolist(), label=money, first=ends[0], last=ends[1])]


def _parity(replays: Sequence[TickerReplay]) -> list[str]:
    differing = [str(replayed.ticker) for replayed in replays if not replayed.same]
    if not differing:
        equal = "Equal to the backtest" if len(replays) == 1 else "Each equal to its own backtest"
        return [f"{equal} of the same window, to the last cent: models, decisions, fills, fees and equity."]
    return [
        f"WARNING: NOT EQUAL to the backtest of the same window: {', '.join(differing)}.",
        "  The figures above are those of the replay. Either bars or models changed during it, or the tool has a bug:",
        "  run the replay again, and report the difference if it persists.",
    ]
