"""A forecast as the ledger records it, and how it is written."""

import sqlite3
from dataclasses import asdict, dataclass

from crypto_refactor.market.ticker import Ticker

FORECAST_COLUMNS = ("bar", "model", "close", "predicted", "low", "high", "confidence", "made_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastRecord:
    """What a model said at one close about the next.

    Attributes
    ----------
    bar : int
        Close at which it was made, in hours since 1970; it is about the close an hour later.
    model : str
        Fingerprint of the model's weights.
    close, predicted : float
        The close it was made from and the one it forecasts, quote currency.
    low, high : float or None
        The 90 % interval of the next close; None in records of before schema 3.
    confidence : float
        Stated probability that the direction of the forecast comes true, 0.5 to 1.
    made_at : str
        When it was recorded, ISO-8601 UTC; empty in records of before schema 3.
    """

    bar: int
    model: str
    close: float
    predicted: float
    low: float | None
    high: float | None
    confidence: float
    made_at: str = ""


def insert_forecast(
    connection: sqlite3.Connection, series: str, ticker: Ticker, forecast: ForecastRecord, now: str
) -> None:
    """Record a forecast made `now`, unless that model has made one at that close in this series."""
    values = {**asdict(forecast), "made_at": now, "series": series, "ticker": str(ticker)}
    connection.execute(
        "INSERT INTO forecasts (series, ticker, bar, model, close, predicted, low, high, confidence, made_at)"
        " VALUES (:series, :ticker, :bar, :model, :close, :predicted, :low, :high, :confidence, :made_at)"
        " ON CONFLICT (series, ticker, bar, model) DO NOTHING",
        values,
    )
