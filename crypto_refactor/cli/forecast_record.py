"""The record of forecasts of a signal: whether a command keeps it, and what happens where it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.output import fitted
from crypto_refactor.errors import BrokerError

if TYPE_CHECKING:
    from crypto_refactor.market.sources.base import Source
    from crypto_refactor.signals.signal import Signal
    from crypto_refactor.trading.record.record import SeriesRecord

no_record = options.flag(
    "--no-record", "Neither keep this forecast in the ledger nor tell how earlier ones ended."
)


def recorded_signal(
    values: Mapping[str, Any], signal: Signal, source: Source, model: str
) -> SeriesRecord | None:
    """Keep the forecast of a signal, and return the record of its model and ticker; None without one.

    A signal is never lost for its record: what is wrong with the ledger is said on stderr.
    """
    from crypto_refactor.config import settings
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.account_names import ledger_of
    from crypto_refactor.trading.record.bars_behind import bars_behind
    from crypto_refactor.trading.record.keeping import keep_signal
    from crypto_refactor.trading.record.record import series_record
    from crypto_refactor.trading.record.series_names import model_series

    if values["no_record"] or not settings().record:
        return None
    ledger = ledger_of(values["state_dir"] or settings().state_dir)
    series, ticker = model_series(model, source), Ticker.parse(signal.ticker)
    try:
        keep_signal(ledger, series, signal)
        made = {ticker: ledger.forecasts(series)[ticker]}
    except BrokerError as error:
        click.echo(fitted(f"Not recorded, and earlier forecasts are not told: {error.to_text()}"), err=True)
        return None
    bars, missing = bars_behind(source, made)
    for why in missing:
        click.echo(f"Outcomes of earlier forecasts are missing, as bars cannot be read: {why}", err=True)
    return series_record(series, made, bars)
