"""One signal, with everything that led to it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.named_models import ModelChoice
from crypto_refactor.sides import Side
from crypto_refactor.signals.conditions import CONDITIONS, SignalFrame

SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """The bars behind a signal; `first` and `last` are the opens of the outermost ones."""

    bars: int
    first: int
    last: int
    synthetic: int
    zero_volume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """The model that answered and what it knows.  Times are hours since 1970."""

    path: Path
    fingerprint: str
    decision: str
    reason: str
    last_trained: str
    trained_from: int
    trained_through: int
    lookback_period: int
    network: str
    rows: int
    evidence: Mapping[str, float | int | None]

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        return {
            "path": str(self.path),
            "fingerprint": self.fingerprint,
            "decision": self.decision,
            "reason": self.reason,
            "last_trained": self.last_trained,
            "trained_from": to_iso(self.trained_from),
            "trained_through": to_iso(self.trained_through),
            "lookback_period": self.lookback_period,
            "network": self.network,
            "evidence": dict(self.evidence),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A direction for the hour after `made_at`, with its reasons.

    Attributes
    ----------
    ticker, timeframe, source : str
        What the signal is about and where the bars came from.
    simulated : bool
        Whether the bars are simulated.
    end, made_at, target_at : int
        The hour asked for; the close the signal was made at; the close it forecasts.
    signal : int
        1 long, 0 flat, -1 short.
    confidence : float
        0.5 to 1; 0.5 where the model has shown no evidence.
    current_price, predicted_price, threshold : float
        Quote currency.
    interval : tuple of float
        90 % interval of the next close, quote currency.
    expected_move, round_trip_cost : float
        Fractions of the close.
    conditions : mapping
        Name to whether it holds, for the forecast's side (long's where the forecast is 0).
    required : int
        Confirmations a signal needs.
    indicators : mapping
        Name to value, of the last bar.
    bands : mapping
        Bollinger bands and width, and the mean volatility, for people.
    model : ModelInfo
        Who answered and why.
    data : DataFacts
        The bars behind it.
    """

    ticker: str
    timeframe: str
    source: str
    simulated: bool
    end: int
    made_at: int
    target_at: int
    signal: int
    confidence: float
    current_price: float
    predicted_price: float
    interval: tuple[float, float]
    threshold: float
    expected_move: float
    round_trip_cost: float
    conditions: Mapping[str, bool]
    required: int
    indicators: Mapping[str, float]
    bands: Mapping[str, float]
    model: ModelInfo
    data: DataFacts

    @property
    def direction(self) -> str:
        """``long``, ``flat`` or ``short``."""
        return Side(self.signal).label

    @property
    def price_difference(self) -> float:
        """Predicted less current price, quote currency."""
        return self.predicted_price - self.current_price

    @property
    def forecast_side(self) -> int:
        """1, 0 or -1: the sign of `price_difference`."""
        return (self.price_difference > 0) - (self.price_difference < 0)

    @property
    def passed(self) -> int:
        """How many confirmations hold."""
        return sum(self.conditions[name] for name in CONDITIONS[1:])

    @property
    def worth_a_trade(self) -> bool:
        """Whether the expected move exceeds the cost of a round trip."""
        return self.expected_move > self.round_trip_cost

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON: UTC stamps, null for what is undefined, never NaN."""
        return {
            "schema": SCHEMA,
            "ticker": self.ticker,
            "timeframe": self.timeframe,
            "source": self.source,
            "simulated": self.simulated,
            "end": to_iso(self.end),
            "made_at": to_iso(self.made_at),
            "target_at": to_iso(self.target_at),
            "signal": self.signal,
            "direction": self.direction,
            "confidence": self.confidence,
            "current_price": self.current_price,
            "predicted_price": self.predicted_price,
            "price_difference": self.price_difference,
            "interval": list(self.interval),
            "threshold": self.threshold,
            "expected_move": self.expected_move,
            "round_trip_cost": self.round_trip_cost,
            "conditions": dict(self.conditions),
            "confirmations": {"passed": self.passed, "required": self.required},
            "indicators": {name: finite(value) for name, value in self.indicators.items()},
            "model_info": self.model.to_dict(),
            "data": {
                **asdict(self.data),
                "first": to_iso(self.data.first),
                "last": to_iso(self.data.last),
            },
        }


def finite(value: float | None) -> float | None:
    """Return `value`, or None where it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def model_info(answer: ModelChoice) -> ModelInfo:
    """Describe the model that answered."""
    card = answer.model.card
    known = card.evidence
    return ModelInfo(
        path=answer.model.path,
        fingerprint=card.fingerprint,
        decision=answer.decision,
        reason=answer.reason,
        last_trained=card.created_at,
        trained_from=card.trained_from,
        trained_through=card.trained_through,
        lookback_period=card.lookback,
        network=card.network,
        rows=card.rows,
        evidence={
            "n": known.n,
            "slope": known.slope,
            "slope_se": known.slope_se,
            "shrink": known.shrink,
            "rmse_ratio": known.rmse_ratio,
            "rank_correlation": known.rank_correlation,
            "ridge_rmse_ratio": known.ridge_rmse_ratio,
            "ridge_rank_correlation": known.ridge_rank_correlation,
        },
    )


def last_signal(
    frame: FeatureFrame,
    made: SignalFrame,
    answer: ModelChoice,
    *,
    end: int,
    required: int,
    round_trip_cost: float,
) -> Signal:
    """Return the last of `made` as a signal of its own; its bar is the last one of `frame`."""
    bars = frame.bars
    row = len(bars) - 1
    return Signal(
        ticker=str(bars.ticker),
        timeframe=answer.model.card.timeframe,
        source=bars.source,
        simulated=bars.simulated,
        end=end,
        made_at=int(made.made_at[-1]),
        target_at=int(made.made_at[-1]) + answer.model.card.horizon,
        signal=int(made.signal[-1]),
        confidence=float(made.confidence[-1]),
        current_price=float(made.close[-1]),
        predicted_price=float(made.predicted[-1]),
        interval=(float(made.low[-1]), float(made.high[-1])),
        threshold=float(made.threshold[-1]),
        expected_move=float(made.expected_move[-1]),
        round_trip_cost=round_trip_cost,
        conditions=dict(zip(CONDITIONS, made.held[-1].tolist(), strict=True)),
        required=required,
        indicators={name: float(frame.column(name)[row]) for name in frame.names},
        bands={
            "bollinger_lower": float(frame.extras.bollinger_lower[row]),
            "bollinger_upper": float(frame.extras.bollinger_upper[row]),
            "bollinger_width": float(frame.extras.bollinger_width[row]),
            "volatility_mean": float(frame.extras.volatility_mean[row]),
        },
        model=model_info(answer),
        data=DataFacts(
            bars=len(bars),
            first=int(bars.opened[0]),
            last=int(bars.opened[-1]),
            synthetic=int(bars.synthetic.sum()),
            zero_volume=int(((bars.volume == 0) & ~bars.synthetic).sum()),
        ),
    )
