"""What should have been decided: the walk-forward signals of a life, on bars and by models as they are now."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from crypto_refactor.backtest.walk_forward import PreparedTicker, group_models, walk_forward_group
from crypto_refactor.errors import DataError, ModelError
from crypto_refactor.execution.rules import ExecutionRules
from crypto_refactor.execution.stepper import BarSignal
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.market.sources.base import Source
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.history import bars_with_history
from crypto_refactor.model.schedule import RefitPeriod, hours_needed, refit_periods, training_rows
from crypto_refactor.signals.conditions import SignalFrame
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals
from crypto_refactor.trading.reconciliation.life import Life
from crypto_refactor.trading.reconciliation.segments import Segment


@dataclass(frozen=True, slots=True, kw_only=True)
class DueDecision:
    """What was due at one close: the signal, the model behind it, its key (None if pinned), and the bars' fingerprint."""

    signal: BarSignal
    model: str
    key: str | None
    bars: str


@dataclass(slots=True, kw_only=True)
class DueDecisions:
    """What was due in a life, and what the models that decided say on the bars as they are now.

    Attributes
    ----------
    bars : Bars
        As they are now, gaps filled; the first closes at the life's first hour, where there is such a bar.
    by_hour : dict
        What was due at each close that can be decided.
    by_used_model : dict
        The signal of the model that decided, at the hours where it is not the one that was due and is still known.
    trained : int
        How many models were trained again for this.
    """

    bars: Bars
    by_hour: dict[int, DueDecision] = field(default_factory=dict)
    by_used_model: dict[int, BarSignal] = field(default_factory=dict)
    trained: int = 0


def due_decisions(life: Life, source: Source, models: Mapping[Segment, ModelProvider]) -> DueDecisions:
    """Decide every hour of `life` as a backtest does.

    Raises
    ------
    DataError
        If the bars cannot be had any more.
    ModelError
        If a model cannot be trained or read.
    """
    due = DueDecisions(bars=_window(life, source))
    ends = [*(part.first - 1 for part in life.segments[1:]), life.end]
    for segment, end in zip(life.segments, ends, strict=True):
        first, last = max(segment.first, life.first), min(end, life.end)
        if first <= last:
            prepared = _prepared(life, segment, source, first, last)
            _decide(due, life, segment, prepared, models[segment])
    return due


def _prepared(life: Life, segment: Segment, source: Source, first: int, last: int) -> PreparedTicker:
    """Return what the decisions from `first` to `last` need."""
    settings = segment.settings
    quoted, quality = bars_with_history(
        source,
        life.ticker,
        max(last - first, 1),
        last,
        settings,
        allow_gaps=True,
        allow_jumps=True,
        option=None,
    )
    bars = trusted(quoted)
    periods = tuple(refit_periods(bars, first, last, settings))
    pinned = segment.model is not None
    return PreparedTicker(
        quoted=quoted,
        bars=bars,
        window=fill_gaps(bars).between(first - 1, last),
        quality=quality,
        periods=periods,
        data=() if pinned else tuple(training_rows(period, settings) for period in periods),
    )


def _window(life: Life, source: Source) -> Bars:
    """Return the bars of the life, and enough before it to know which of them jump."""
    start = life.first - hours_needed(1, life.segments[0].settings)
    bars = trusted(source.bars(life.ticker, start, life.end))
    return fill_gaps(bars).between(life.first - 1, life.end)


def _decide(
    due: DueDecisions, life: Life, segment: Segment, prepared: PreparedTicker, models: ModelProvider
) -> None:
    own = group_models([prepared], models, segment.model)
    due.trained += own.trained
    keys, used = own.keys[life.ticker], own.of(life.ticker)
    walk = walk_forward_group(prepared, used, [segment.signal_rules])[segment.signal_rules]
    for part, key, model in zip(walk.periods, keys, used, strict=True):
        hours = part.signals.decided_at.tolist()
        for row, hour in enumerate(hours):
            due.by_hour[hour] = DueDecision(
                signal=_row(part.signals, row, segment.rules),
                model=model.card.fingerprint,
                key=None if segment.model is not None else key,
                bars=_fingerprint(part.period, hour),
            )
        _decide_by_used(due, life, segment, prepared.bars, models, part.period, hours)


def _decide_by_used(
    due: DueDecisions,
    life: Life,
    segment: Segment,
    bars: Bars,
    models: ModelProvider,
    period: RefitPeriod,
    hours: Iterable[int],
) -> None:
    """Let the models that decided speak at the hours where others were due."""
    by_model: dict[tuple[str, str], list[int]] = {}
    for hour in hours:
        made = life.decisions.get(hour)
        if made is not None and made["key"] is not None and made["model"] != due.by_hour[hour].model:
            by_model.setdefault((made["key"], made["model"]), []).append(hour)
    for (key, fingerprint), wanted in by_model.items():
        model = _used_model(due, life, segment, bars, models, key)
        if model is None or model.card.fingerprint != fingerprint:
            continue
        rows = decidable_rows(period.frame, segment.settings.lookback, wanted[0], wanted[-1])
        signals = decide_signals(model, period.frame, rows, segment.signal_rules)
        for row, hour in enumerate(signals.decided_at.tolist()):
            if hour in wanted:
                due.by_used_model[hour] = _row(signals, row, segment.rules)


def _used_model(
    due: DueDecisions, life: Life, segment: Segment, bars: Bars, models: ModelProvider, key: str
) -> Model | None:
    """Return a model by its key, trained again where it is gone; None where today's bars give another one."""
    model = models.get(key)
    if model is not None:
        return model
    cutoff = next((cutoff for cutoff, used in life.model_keys.items() if used == key), None)
    if cutoff is None:
        return None
    try:
        (period,) = refit_periods(bars, cutoff + 1, cutoff + 1, segment.settings)
        found, job = models.job(bars, period)
        if found != key:
            return None
        due.trained += 1
        return models.get_or_train(key, job)
    except (DataError, ModelError):
        return None


def _row(signals: SignalFrame, row: int, rules: ExecutionRules) -> BarSignal:
    return BarSignal(
        signal=int(signals.signal[row]),
        forecast_side=int(signals.forecast_side[row]),
        exceeds_cost=bool(signals.supported[row] and signals.expected_move[row] > rules.round_trip_cost),
        decidable=True,
        keep=None if rules.exit not in signals.keeps else tuple(signals.keeps[rules.exit][row].tolist()),
    )


def _fingerprint(period: RefitPeriod, hour: int) -> str:
    """Return the fingerprint of the bars behind the decision at `hour`."""
    bars = period.frame.bars
    return (
        bars.rows(0, int(np.searchsorted(bars.closed, hour, side="right"))).without_synthetic().fingerprint()
    )
