"""Keep what a model forecasts without an account."""

from crypto_refactor.market.ticker import Ticker
from crypto_refactor.signals.signal import Signal
from crypto_refactor.trading.ledger import ForecastRecord, Ledger


def keep_signal(ledger: Ledger, series: str, signal: Signal) -> None:
    """Record the forecast of a signal.

    Raises
    ------
    BrokerError
        If the ledger cannot be written.
    """
    low, high = signal.interval
    record = ForecastRecord(
        bar=signal.decided_at,
        model=signal.model.fingerprint,
        close=signal.current_price,
        predicted=signal.predicted_price,
        low=low,
        high=high,
        confidence=signal.confidence,
    )
    ledger.record_forecast(series, Ticker.parse(signal.ticker), record)
