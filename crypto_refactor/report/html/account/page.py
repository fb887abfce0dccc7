"""The page of an account: what it is worth, holds, decided and forecast, as one HTML file that loads nothing."""

from collections.abc import Mapping
from functools import partial
from zoneinfo import ZoneInfo

from crypto_refactor.market.hours import to_local_text
from crypto_refactor.report.account_notes import account_alerts, reason_text
from crypto_refactor.report.commentary import change_text
from crypto_refactor.report.forecast_text import outcome_lines, record_line, sentence
from crypto_refactor.report.html.account import charts
from crypto_refactor.report.html.account.history import AccountHistory
from crypto_refactor.report.html.plotly_style import Chart, chart_data, wall_clock
from crypto_refactor.report.html.templating import environment
from crypto_refactor.trading.reconciliation.kept import KeptReconciliation
from crypto_refactor.trading.record.record import SeriesRecord
from crypto_refactor.trading.record.scores import Score

SECTIONS = {
    "summary": "Summary",
    "equity": "Equity",
    "holdings": "Holdings",
    "decisions": "Last decisions",
    "record": "Record of forecasts",
    "prices": "Prices, forecasts and conditions",
    "orders": "Open orders",
    "trades": "Trades",
}
"""Titles of the sections in order; each name is an anchor and that of a template."""
TRADES_SHOWN = 200
_DAY = 24
_FOOTER = (
    "Figures are those of the ledger. The past does not predict the next trade, and nothing here is advice."
)


def account_html(
    history: AccountHistory,
    *,
    tz: ZoneInfo,
    made_at: str,
    record: SeriesRecord | None = None,
    reconciled: KeptReconciliation | None = None,
    refresh: int | None = None,
) -> str:
    """Return an account as one HTML file; the same arguments give the same text.

    Parameters
    ----------
    history : AccountHistory
        The account; see `history.account_history`.
    tz : ZoneInfo
        Time zone of all times in the text and the charts.
    made_at : str
        When the page was made, ISO-8601 UTC.
    record : SeriesRecord or None
        How its forecasts ended.
    reconciled : KeptReconciliation or None
        The account held against the backtest of its own hours.
    refresh : int or None
        Seconds after which a browser loads the page again; None for a page that is not rewritten.
    """
    status = history.status
    drawn = _charts(history, record, {} if reconciled is None else reconciled.backtest, tz)
    absent = _absent(history, drawn) | (set() if record is not None else {"record"})
    sections = {name: title for name, title in SECTIONS.items() if name not in absent}
    return (
        environment()
        .get_template("page.html.jinja")
        .render(
            folder="account",
            footer=_FOOTER,
            simulated_note="No market ever quoted these prices.",
            refresh=refresh,
            title=f"Account {status.row.name}",
            about=_about(history, tz, made_at),
            simulated=status.simulated,
            sections=sections,
            charts=drawn,
            chart_data=chart_data(drawn.values(), {}, simulated=status.simulated),
            tz=tz,
            clock=partial(wall_clock, tz=tz),
            history=history,
            status=status,
            quote=history.quote,
            figures=_figures(history),
            change_text=change_text,
            record=record,
            reconciled=reconciled,
            scores={} if record is None else _scores(record),
            record_line=record_line,
            outcome_lines=outcome_lines,
            sentence=sentence,
            alerts=account_alerts(status),
            reason_text=reason_text,
            chart_name=charts.chart_name,
            trades_shown=TRADES_SHOWN,
        )
    )


def _scores(record: SeriesRecord) -> dict[str, Score]:
    """Return the score of each ticker, and of all where there are several."""
    scores = {group.name: group.score for group in record.by_ticker}
    return scores if len(scores) == 1 else {**scores, "all": record.score}


def _charts(
    history: AccountHistory, record: SeriesRecord | None, backtest: Mapping[int, float], tz: ZoneInfo
) -> dict[str, Chart]:
    drawn = [charts.account_equity_chart(history, backtest, tz)] if len(history.hours) else []
    if record is not None and record.score.calibration.bins:
        drawn.append(charts.record_chart(record.score))
    drawn += [chart for part in history.tickers if (chart := charts.decisions_chart(part, tz)) is not None]
    return {chart.name: chart for chart in drawn}


def _absent(history: AccountHistory, drawn: Mapping[str, Chart]) -> set[str]:
    absent = set()
    if "account-equity" not in drawn:
        absent.add("equity")
    if not any(name.startswith("price-") for name in drawn):
        absent.add("prices")
    if not any(part.status.unsettled for part in history.tickers):
        absent.add("orders")
    return absent if history.tickers else set(SECTIONS) - {"summary"}


def _about(history: AccountHistory, tz: ZoneInfo, made_at: str) -> str:
    row = history.status.row
    source = f", on bars from {row.about['source']}" if "source" in row.about else ""
    hours = history.hours.tolist()
    if not hours:
        return f"Nothing has been traded yet{source}. Written {made_at}."
    return (
        f"{to_local_text(hours[0], tz)} to {to_local_text(hours[-1], tz)}, "
        f"{len(history.tickers)} {'ticker' if len(history.tickers) == 1 else 'tickers'}{source}. Written {made_at}."
    )


def _figures(history: AccountHistory) -> dict[str, float | int | None]:
    """Return the figures of the summary, amounts in quote currency."""
    status, hours = history.status, history.hours
    closed = [trade for part in history.tickers for trade in part.trades if trade.closed]
    day = int(hours.searchsorted(hours[-1] - _DAY, side="right")) - 1 if len(hours) else -1
    start = status.opened_with
    return {
        "total": status.equity / start - 1 if start else None,
        "held": float(history.held[-1]) / start - 1 if len(hours) and start else None,
        "day": status.equity - float(history.equity[day]) if day >= 0 else None,
        "open": sum(part.status.account.side != 0 for part in history.tickers),
        "closed": len(closed),
        "won": sum(trade.net_pnl > 0 for trade in closed),
        "net": sum(trade.net_pnl for trade in closed),
        "fees": sum(fill.fee for part in history.tickers for fill in part.fills),
        "decided_at": max(
            (part.decided[-1]["bar"] for part in history.tickers if part.decided), default=None
        ),
    }
