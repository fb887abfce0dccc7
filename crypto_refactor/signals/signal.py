"""One signal, with everything behind it."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from crypto_refactor.features.frame import FeatureFrame
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import Jump
from crypto_refactor.model.artifact import ResidualDecision
from crypto_refactor.model.named_models import ModelChoice
from crypto_refactor.plugins import PluginFile
from crypto_refactor.presentation import Presented
from crypto_refactor.sides import Side
from crypto_refactor.signals.condition_catalogue import FORECAST, volume_hint
from crypto_refactor.signals.conditions import SignalFrame
from crypto_refactor.signals.loop_forecast import LoopForecast

SCHEMA = 1
WALK_FORWARD = "walk-forward"
"""In the place of a name: the model of backtests and of the trading loop."""
_SHOWN_EVIDENCE = (
    *("n", "slope", "slope_se", "shrink", "mean_slope", "mean_slope_se", "mean_shrink"),
    *("hit_rate", "rank_correlation", "rmse_ratio", "mae_ratio", "baselines"),
)


class Advice(StrEnum):
    """What a signal asks for, once its costs are counted."""

    TRADE = "trade"
    NOT_WORTH_TRADING = "not_worth_trading"
    STAY_FLAT = "stay_flat"


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
    """The model that decided and its evidence.  Times are hours since 1970."""

    name: str  # what ``--model`` takes, or `WALK_FORWARD`
    path: Path
    fingerprint: str
    decision: str
    reason: str
    last_trained: str
    trained_from: int
    trained_through: int
    lookback_period: int
    network: str
    residual: ResidualDecision
    stop_loss_ratio: float | None
    rows: int
    seed: int
    exact: bool  # whether the same request gives this model again, whatever is trained in the meantime
    evidence: Mapping[str, Any]
    unbeaten: tuple[str, ...]  # baselines that did better
    forecasts_by: str  # what the forecast is made of, in words

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON."""
        values = asdict(self)
        for name in ("unbeaten", "forecasts_by"):
            del values[name]
        return values | {
            "path": str(self.path),
            "trained_from": to_iso(self.trained_from),
            "trained_through": to_iso(self.trained_through),
        }


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Signal(Presented):
    """A direction for the hour after `decided_at`, with its reasons; hours are since 1970, prices in quote currency."""

    ticker: str
    timeframe: str
    source: str
    simulated: bool
    end: int  # the requested hour
    decided_at: int  # a close
    target_at: int  # the close it forecasts
    signal: int  # 1 long, 0 flat, -1 short
    confidence: float  # 0.5 to 1; 0.5 without evidence for the model
    current_price: float
    predicted_price: float
    interval: tuple[float, float]  # 90 % interval of the next close
    threshold: float
    expected_move: float  # a fraction of the close, like `round_trip_cost`
    round_trip_cost: float
    conditions: Mapping[str, bool]  # for the forecast's side; for long if the forecast is 0
    required: int  # confirmations a signal needs
    indicators: Mapping[str, float]  # at the last bar
    bands: Mapping[str, float]  # Bollinger bands and width, and the mean volatility, for display
    occlusion: Mapping[str, float]  # by how much each input of the model raised the forecast, in log return
    model: ModelInfo
    data: DataFacts
    jumps: tuple[Jump, ...] = ()  # closes of the history that jump
    plugins: tuple[PluginFile, ...] = ()  # where further indicators, conditions and networks come from
    loop: LoopForecast | None = None  # what the trading loop's model says; None where it is not at hand

    @property
    def direction(self) -> str:
        """``long``, ``flat`` or ``short``."""
        return Side(self.signal).label

    @property
    def price_difference(self) -> float:
        """Predicted less current price, in quote currency."""
        return self.predicted_price - self.current_price

    @property
    def forecast_side(self) -> int:
        """1, 0 or -1: the sign of `price_difference`."""
        return (self.price_difference > 0) - (self.price_difference < 0)

    @property
    def passed(self) -> int:
        """How many confirmations hold."""
        return sum(held for name, held in self.conditions.items() if name != FORECAST)

    @property
    def hints(self) -> list[str]:
        """What makes the signal less than it seems."""
        traded = self.data.bars - self.data.synthetic - self.data.zero_volume
        return [] if traded else [volume_hint(self.required, len(self.conditions))]

    @property
    def repeat_note(self) -> str | None:
        """Why the same request may be answered by another model later; None where it cannot."""
        if self.model.exact:
            return None
        return (
            f"gives this signal for as long as {self.model.name} holds these weights: they were trained for another hour, "
            f"or on more hours, and were reused"
        )

    @property
    def worth_a_trade(self) -> bool:
        """Whether the expected move exceeds the cost of a round trip."""
        return self.expected_move > self.round_trip_cost

    @property
    def advice(self) -> Advice:
        """Whether the signal is worth a trade, is one but promises less than it costs, or is none."""
        if not self.signal:
            return Advice.STAY_FLAT
        return Advice.TRADE if self.worth_a_trade else Advice.NOT_WORTH_TRADING

    def to_dict(self) -> dict[str, object]:
        """Return the documented JSON: UTC times, null for undefined values, never NaN."""
        return {
            "schema": SCHEMA,
            "ticker": self.ticker,
            "timeframe": self.timeframe,
            "source": self.source,
            "simulated": self.simulated,
            "end": to_iso(self.end),
            "made_at": to_iso(self.decided_at),
            "target_at": to_iso(self.target_at),
            "signal": self.signal,
            "direction": self.direction,
            "advice": self.advice,
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
            "occlusion": dict(self.occlusion),
            "plugins": [file.to_dict() for file in self.plugins],
            "model_info": self.model.to_dict(),
            "data": {
                **asdict(self.data),
                "first": to_iso(self.data.first),
                "last": to_iso(self.data.last),
            },
            "trading_loop": None if self.loop is None else self.loop.to_dict(),
            "data_quality": {"jumps": [jump.to_dict() for jump in self.jumps]},
            "hints": self.hints,
        }


def finite(value: float | None) -> float | None:
    """Return `value`, or None if it is not a finite number."""
    return value if value is not None and math.isfinite(value) else None


def model_info(choice: ModelChoice) -> ModelInfo:
    """Describe the model that decided."""
    card = choice.model.card
    evidence = asdict(card.evidence)
    return ModelInfo(
        name=choice.name,
        path=choice.model.path,
        fingerprint=card.fingerprint,
        decision=choice.decision,
        reason=choice.reason,
        last_trained=card.created_at,
        trained_from=card.trained_from,
        trained_through=card.trained_through,
        lookback_period=card.lookback,
        network=card.network,
        residual=card.residual_decision,
        stop_loss_ratio=card.stop_loss_ratio,
        rows=card.rows,
        seed=card.seed,
        exact=choice.exact,
        evidence={name: evidence[name] for name in _SHOWN_EVIDENCE},
        unbeaten=tuple(card.evidence.unbeaten),
        forecasts_by=card.forecasts_by,
    )


def last_signal(
    frame: FeatureFrame,
    signals: SignalFrame,
    choice: ModelChoice,
    *,
    end: int,
    required: int,
    round_trip_cost: float,
    jumps: tuple[Jump, ...],
    occlusion: Mapping[str, float],
    loop: LoopForecast | None,
) -> Signal:
    """Return the last of `signals`, which belongs to the last bar of `frame`."""
    bars = frame.bars
    row = len(bars) - 1
    return Signal(
        ticker=str(bars.ticker),
        timeframe=choice.model.card.timeframe,
        source=bars.source,
        simulated=bars.simulated,
        end=end,
        decided_at=int(signals.decided_at[-1]),
        target_at=int(signals.decided_at[-1]) + choice.model.card.horizon,
        signal=int(signals.signal[-1]),
        confidence=float(signals.confidence[-1]),
        current_price=float(signals.close[-1]),
        predicted_price=float(signals.predicted[-1]),
        interval=(float(signals.low[-1]), float(signals.high[-1])),
        threshold=float(signals.threshold[-1]),
        expected_move=float(signals.expected_move[-1]),
        round_trip_cost=round_trip_cost,
        conditions=dict(zip(signals.conditions, signals.conditions_met[-1].tolist(), strict=True)),
        required=required,
        indicators={name: float(frame.column(name)[row]) for name in frame.names},
        bands={
            "bollinger_lower": float(frame.extras.bollinger_lower[row]),
            "bollinger_upper": float(frame.extras.bollinger_upper[row]),
            "bollinger_width": float(frame.extras.bollinger_width[row]),
            "volatility_mean": float(frame.extras.volatility_mean[row]),
        },
        model=model_info(choice),
        data=DataFacts(
            bars=len(bars),
            first=int(bars.opened[0]),
            last=int(bars.opened[-1]),
            synthetic=int(bars.synthetic.sum()),
            zero_volume=int(((bars.volume == 0) & ~bars.synthetic).sum()),
        ),
        jumps=jumps,
        occlusion=occlusion,
        plugins=frame.plugins,
        loop=loop,
    )
