"""The end of a replay for people: what came of it, and whether it is what a backtest would have given."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from crypto_refactor.backtest.significance.verdict import MIN_TRADES
from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.commentary import few_trades, still_held
from crypto_refactor.report.formatting import amount, money, percent, price, source_name
from crypto_refactor.report.replay_summary import ReplayFigures, ticker_figures, total_curve, total_figures
from crypto_refactor.report.rules_summary import rules_text
from crypto_refactor.report.terminal.equity_chart import chart
from crypto_refactor.report.terminal.trading import outcome_line
from crypto_refactor.signals.signal import DIRECTIONS
from crypto_refactor.trading.historical.replay import ReplayResult, TickerReplay

MAX_TRADES_LISTED = 20

_COLUMNS = ("", "start", "final", "return", "buy and hold", "trades closed", "win rate", "fees")


def replay_summary(result: ReplayResult, tz: ZoneInfo) -> str:
    """Return the summary, several lines, times in `tz`."""
    others = [outcome_line(row, tz) for row in result.rows]
    if not result.replayed:
        parts = [[f"Replay {result.account}", "No ticker was replayed to its end."], others]
    else:
        parts = [
            _headline(result, tz),
            _figures(result),
            _remarks(result, tz),
            _trades(result, tz),
            _equity(result, tz),
            ["Not replayed", *others] if others else [],
            _parity(result),
        ]
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _headline(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    backtests = [replayed.backtest for replayed in result.replayed]
    window = backtests[0].window
    spans = {
        replayed.ticker: (
            f"{to_local_text(int(replayed.backtest.window.closed[0]), tz)} to "
            f"{to_local_text(replayed.backtest.end, tz)}, {replayed.backtest.hours:,} hours"
        )
        for replayed in result.replayed
    }
    mark = "   SIMULATED" if window.simulated else ""
    names = ", ".join(str(replayed.ticker) for replayed in result.replayed)
    lines = [f"Replay of {names}{mark}"]
    if len(set(spans.values())) == 1:
        lines.append(f"{spans[result.replayed[0].ticker]}, bars from {source_name(window.source)}")
    else:
        lines.append(f"bars from {source_name(window.source)}")
        lines += [f"  {ticker}: {span}" for ticker, span in spans.items()]
    again = " (a replay that had been stopped, played on to its end)" if result.resumed else ""
    return [*lines, f"Account {result.account}{again}", rules_text(backtests[0].requested.rules)]


def _figures(result: ReplayResult) -> list[str]:
    figures = {str(replayed.ticker): ticker_figures(replayed) for replayed in result.replayed}
    if len(figures) > 1:
        figures["Total"] = total_figures(figures.values())
    rows = [_COLUMNS, *(_cells(name, each) for name, each in figures.items())]
    return _aligned(rows)


def _cells(name: str, figures: ReplayFigures) -> tuple[str, ...]:
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
    lines = []
    count = sum(len(replayed.trades) for replayed in result.replayed)
    if 0 < count < MIN_TRADES:
        lines.append(few_trades(count))
    for replayed in result.replayed:
        # What is held is in no row that a replay hands over; where the two agree, the backtest's is the same.
        held = [
            trade
            for trade in replayed.backtest.requested.simulation.trades
            if not trade.closed and replayed.same
        ]
        lines += [still_held(replayed.ticker, trade, tz) for trade in held]
    return lines


def _trades(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    rows = [(replayed.ticker, trade) for replayed in result.replayed for trade in replayed.trades]
    if not rows:
        return ["No trade was closed."]
    if len(rows) > MAX_TRADES_LISTED:
        return [
            (
                f"{len(rows)} trades were closed; "
                f"`crypto-refactor trades --account {result.account} --csv FILE` lists them."
            )
        ]
    rows.sort(key=lambda row: (row[1].exited, row[1].entered))
    header = ("Trades", "", "entered", "at", "left", "at", "quantity", "net", "why it was left")
    cells = [
        (
            str(ticker),
            DIRECTIONS[trade.direction],
            to_local_text(trade.entered, tz),
            price(trade.entry_price),
            to_local_text(trade.exited, tz),
            price(trade.exit_price),
            amount(trade.quantity),
            f"{trade.net_pnl:+,.2f}",
            trade.exit_reason,
        )
        for ticker, trade in rows
    ]
    return _aligned([header, *cells], left=(0, 1, len(header) - 1))


def _equity(result: ReplayResult, tz: ZoneInfo) -> list[str]:
    first, total = total_curve([replayed.equity for replayed in result.replayed])
    ends = to_local_text(first, tz), to_local_text(first + len(total) - 1, tz)
    title = "Equity" if len(result.replayed) == 1 else "Equity, all tickers together"
    return [title, *chart(total.tolist(), label=money, first=ends[0], last=ends[1])]


def _parity(result: ReplayResult) -> list[str]:
    differing = _differing(result.replayed)
    if not differing:
        each = "Equal to the backtest of the same window"
        if len(result.replayed) > 1:
            each = "Each equal to its own backtest of the same window"
        return [f"{each}, to the last cent: models, decisions, fills, fees and equity."]
    return [
        f"WARNING: NOT EQUAL to the backtest of the same window: {', '.join(differing)}.",
        "  The figures above are the replay's own.  Either the bars or the models were changed meanwhile, or it is",
        "  a fault of the tool: play it again, and report it if it stays.",
    ]


def _differing(replayed: Sequence[TickerReplay]) -> list[str]:
    return [str(each.ticker) for each in replayed if not each.same]


def _aligned(rows: Sequence[Sequence[str]], left: tuple[int, ...] = (0,)) -> list[str]:
    """Return the rows of a table, the columns `left` flush left and the others flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            f"{cell:<{width}}" if place in left else f"{cell:>{width}}"
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
