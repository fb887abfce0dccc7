"""What the trading loop forecasts for the same hour: its models are others than those of a single signal."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crypto_refactor.errors import DataError
from crypto_refactor.market.bars import MAX_FILLED_GAP_HOURS, Bars
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.sources.base import Source
from crypto_refactor.model.artifact import read_if_valid
from crypto_refactor.model.cache import ModelProvider, cache_path
from crypto_refactor.model.schedule import cutoff_for, hours_needed, refit_periods
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopForecast:
    """The answer of the model that decides in the trading loop and in backtests; hours are since 1970."""

    fingerprint: str
    trained_from: int
    trained_through: int
    predicted_price: float
    signal: int  # 1 long, 0 flat, -1 short
    confidence: float

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {
            "fingerprint": self.fingerprint,
            "trained_from": to_iso(self.trained_from),
            "trained_through": to_iso(self.trained_through),
            "predicted_price": self.predicted_price,
            "signal": self.signal,
            "confidence": self.confidence,
        }


def loop_forecast(
    source: Source, bars: Bars, now: int, folder: Path, settings: ModelSettings, rules: SignalRules
) -> LoopForecast | None:
    """Return what the loop's model says at the close `now` of `bars`; None where it is not in the cache.

    Nothing is trained for it, and bars are asked for only where the cache holds a model of the ticker and the cut-off.
    """
    wanted = {
        "source": bars.source,
        "ticker": str(bars.ticker),
        "trained_through": cutoff_for(now, settings),
    }
    if not any(wanted.items() <= card.items() for card in _cards(folder)):
        return None
    first = now - hours_needed(1, settings) - MAX_FILLED_GAP_HOURS
    try:
        known = trusted(source.bars(bars.ticker, first, now))
        (period,) = refit_periods(known, now, now, settings)
        key, _ = ModelProvider(folder=folder, settings=settings).job(known, period)
    except DataError:
        return None  # with so short a history the loop cannot decide either
    model = read_if_valid(cache_path(folder, key), key)
    rows = decidable_rows(period.frame, settings.lookback, now, now)
    if model is None or not len(rows):
        return None
    signals = decide_signals(model, period.frame, rows, rules)
    return LoopForecast(
        fingerprint=model.card.fingerprint,
        trained_from=model.card.trained_from,
        trained_through=model.card.trained_through,
        predicted_price=float(signals.predicted[-1]),
        signal=int(signals.signal[-1]),
        confidence=float(signals.confidence[-1]),
    )


def _cards(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the values of the cached models' cards, checked later where they matter."""
    for path in (folder / "cache").glob("*/model.json"):
        try:
            card = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue  # damaged, or removed meanwhile
        if isinstance(card, dict):
            yield card
