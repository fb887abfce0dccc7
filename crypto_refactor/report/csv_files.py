"""Trades, signals and comparisons as CSV; simulated ones carry a further column that says so."""

import csv
import io
from collections.abc import Iterable, Sequence

from crypto_refactor.backtest.comparison.parameter_grid import ParameterSet, value_text
from crypto_refactor.backtest.comparison.runner import Comparison
from crypto_refactor.backtest.journal.store import JournalRow
from crypto_refactor.backtest.metrics import Metrics
from crypto_refactor.backtest.result import BacktestResult, RunResult
from crypto_refactor.execution.sub_account import Trade
from crypto_refactor.market.bars import SAMPLE
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.sides import Side
from crypto_refactor.trading.reconciliation.result import AccountReconciliation, HourSide, as_plain
from crypto_refactor.trading.record.realised import RealisedForecast

TRADE_COLUMNS = (
    *(
        "ticker",
        "direction",
        "entry_at",
        "entry_price",
        "exit_at",
        "exit_price",
        "quantity",
        "gross_pnl",
        "fees",
    ),
    *("net_pnl", "net_return", "bars_held", "exit_reason"),
)
COMPARISON_FIGURES = (
    *("return", "at_alpaca_return", "buy_and_hold_return", "sharpe", "sharpe_se", "max_drawdown", "trades"),
    *("win_rate", "fees_paid", "exposure"),
)
"""Columns of a comparison after rank, ticker, setting and the varied options."""


TRIAL_COLUMNS = (
    *(
        "number",
        "first_run_at",
        "last_run_at",
        "runs",
        "command",
        "ticker",
        "source",
        "simulated",
        "first",
        "end",
    ),
    *(
        "data",
        "settings_hash",
        "settings",
        "return",
        "sharpe",
        "sharpe_se",
        "hourly_sharpe",
        "trades",
        "verdict",
    ),
)


RECONCILIATION_COLUMNS = (
    *("ticker", "closed_at", "close"),
    *(f"{side}_{name}" for side in ("backtest", "account") for name in HourSide.__slots__),
    "causes",
)

FORECAST_COLUMNS = (
    *("ticker", "bar", "target_at", "model", "close", "predicted", "low", "high", "confidence"),
    *("forecast", "outcome", "realised", "right", "status", "recorded_at"),
)
"""Columns of the CSV file of a record: times are UTC, `forecast` and `realised` log returns, prices quote currency."""


def trade_row(ticker: Ticker, trade: Trade) -> dict[str, object]:
    """Return a trade under the documented column names; times are ISO-8601 UTC."""
    return {
        "ticker": str(ticker),
        "direction": Side(trade.direction).label,
        "entry_at": to_iso(trade.entry_hour),
        "entry_price": trade.entry_price,
        "exit_at": to_iso(trade.exit_hour),
        "exit_price": trade.exit_price,
        "quantity": trade.quantity,
        "gross_pnl": trade.gross_pnl,
        "fees": trade.fees,
        "net_pnl": trade.net_pnl,
        "net_return": trade.net_return,
        "bars_held": trade.bars_held,
        "exit_reason": trade.exit_reason,
    }


def trades_csv(result: RunResult) -> str:
    """Return one row per trade of a run."""
    trades = ((result.ticker, trade) for trade in result.requested.simulation.trades)
    return trades_text(trades, simulated=result.window.simulated)


def trades_text(trades: Iterable[tuple[Ticker, Trade]], *, simulated: bool) -> str:
    """Return one row per trade."""
    rows = [list(trade_row(ticker, trade).values()) for ticker, trade in trades]
    return _csv_text(TRADE_COLUMNS, rows, simulated=simulated)


def signals_csv(result: BacktestResult) -> str:
    """Return one row per real bar; those that could not be decided have a close, the target 0 and empty cells."""
    signals, window = result.walk.signals, result.window
    targets = dict(zip(window.closed.tolist(), result.requested.simulation.target.tolist(), strict=True))
    columns = zip(
        signals.decided_at.tolist(),
        signals.close.tolist(),
        signals.predicted.tolist(),
        signals.threshold.tolist(),
        signals.confidence.tolist(),
        signals.conditions_met.astype(int).tolist(),
        signals.confirmations.tolist(),
        signals.signal.tolist(),
        result.walk.model_fingerprints,
        strict=True,
    )
    rows: dict[int, list[object]] = {
        at: [to_iso(at), *figures, *conditions, count, signal, targets[at], model]
        for at, *figures, conditions, count, signal, model in columns
    }
    header = signal_columns(signals.conditions)
    blank = [""] * (len(header) - 4)
    real = ~window.synthetic
    for at, close in zip(window.closed[real].tolist(), window.close[real].tolist(), strict=True):
        rows.setdefault(at, [to_iso(at), close, *blank, targets[at], ""])
    return _csv_text(header, [rows[at] for at in sorted(rows)], simulated=window.simulated)


def signal_columns(conditions: Iterable[str]) -> tuple[str, ...]:
    """Return the columns of the signals of a run with these conditions."""
    return (
        *("made_at", "close", "predicted_price", "threshold", "confidence", *conditions),
        *("confirmations", "signal", "target", "model"),
    )


def comparison_csv(comparison: Comparison) -> str:
    """Return one row per trial, ranked, then one per portfolio; undefined figures are empty."""
    varied = [name for name, _ in comparison.request.settings[0].varied]
    rows = [
        [rank, trial.ticker, *_setting_cells(trial.parameter_set), *_figure_cells(*trial.scenarios.metrics)]
        for rank, trial in enumerate(comparison.trials, start=1)
    ]
    rows += [
        [
            "",
            "portfolio",
            *_setting_cells(portfolio.parameter_set),
            *_figure_cells(portfolio.metrics, portfolio.alpaca_metrics, portfolio.hold_metrics),
        ]
        for portfolio in comparison.portfolios
    ]
    header = ("rank", "ticker", "setting", *varied, *COMPARISON_FIGURES)
    return _csv_text(header, rows, simulated=comparison.request.source.name == SAMPLE)


def trials_csv(rows: Iterable[JournalRow]) -> str:
    """Return one row per trial of the journal, settings as JSON; simulated ones say so."""
    cells = [
        [
            row.number,
            row.first_run_at,
            row.last_run_at,
            row.runs,
            record.command,
            record.ticker,
            record.source,
            "SIMULATED" if record.simulated else "",
            to_iso(record.first),
            to_iso(record.last),
            record.data,
            record.settings_hash,
            record.settings_text,
            *(
                "" if figure is None else figure
                for figure in (record.total_return, record.sharpe, record.sharpe_se, record.hourly_sharpe)
            ),
            record.trades,
            row.verdict or "",
        ]
        for row in rows
        for record in [row.record]
    ]
    return _csv_text(TRIAL_COLUMNS, cells, simulated=False)


def forecast_row(row: RealisedForecast) -> dict[str, object]:
    """Return one forecast and its outcome under the documented column names, None where there is none."""
    record = row.record
    return {
        "ticker": str(row.ticker),
        "bar": to_iso(record.bar),
        "target_at": to_iso(record.bar + 1),
        "model": record.model,
        "close": record.close,
        "predicted": record.predicted,
        "low": record.low,
        "high": record.high,
        "confidence": record.confidence,
        "forecast": row.forecast,
        "outcome": row.outcome,
        "realised": row.realised,
        "right": None if row.right is None else int(row.right),
        "status": row.fate.value,
        "recorded_at": f"{record.made_at[:19]}Z" if record.made_at else None,
    }


def forecasts_csv(forecasts: Iterable[RealisedForecast], *, simulated: bool) -> str:
    """Return every forecast of a record and what became of it."""
    rows = ([_blank(value) for value in forecast_row(row).values()] for row in forecasts)
    return _csv_text(FORECAST_COLUMNS, rows, simulated=simulated)


def _blank(value: object) -> object:
    return "" if value is None else value


def _setting_cells(setting: ParameterSet) -> list[object]:
    return [setting.label, *(value_text(name, value) for name, value in setting.varied)]


def _figure_cells(requested: Metrics, alpaca: Metrics | None, buy_and_hold: Metrics) -> list[object]:
    metrics = requested.to_dict()
    figures = (
        requested.total_return,
        None if alpaca is None else alpaca.total_return,
        buy_and_hold.total_return,
        *(metrics[name] for name in COMPARISON_FIGURES[3:]),
    )
    return ["" if figure is None else figure for figure in figures]


def reconciliation_csv(result: AccountReconciliation) -> str:
    """Return one row per hour and ticker with both sides, backtest and account."""
    rows = [
        [
            str(row.ticker),
            to_iso(row.hour),
            row.close,
            *as_plain(row.backtest).values(),
            *as_plain(row.account).values(),
            " ".join(row.causes),
        ]
        for part in result.tickers
        for row in part.rows
    ]
    return _csv_text(RECONCILIATION_COLUMNS, rows, simulated=result.simulated)


def _csv_text(header: Sequence[str], rows: Iterable[Sequence[object]], *, simulated: bool) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*header, "simulated"] if simulated else header)
    writer.writerows([*row, "SIMULATED"] if simulated else row for row in rows)
    return text.getvalue()
