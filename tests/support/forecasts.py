"""Forecasts as tests of their record need them."""

from __future__ import annotations

from crypto_refactor.trading.ledger import ForecastRecord

AT = 477_000  # 2024-06-01T00:00Z


def forecast(bar, *, close=100.0, move=0.01, confidence=0.6, model="abc", width=0.02, made_at=""):
    """Return a forecast of `move` from `close`, with an interval of `width` to both sides."""
    predicted = close * (1 + move)
    return ForecastRecord(
        bar=bar,
        model=model,
        close=close,
        predicted=predicted,
        low=predicted * (1 - width),
        high=predicted * (1 + width),
        confidence=confidence,
        made_at=made_at,
    )


def hourly_forecasts(closes, *, first=AT, moves=None, confidence=0.6, **more):
    """Return a forecast at each of hourly `closes`."""
    return tuple(
        forecast(
            first + hour,
            close=close,
            move=0.01 if moves is None else moves[hour],
            confidence=confidence,
            **more,
        )
        for hour, close in enumerate(closes)
    )
