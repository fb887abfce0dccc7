"""Model check: each period was decided by its own model, which had seen none of the period."""

from collections.abc import Iterator

import numpy as np

from crypto_refactor.backtest.audit.look_ahead import same_bits
from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.schedule import (
    TRAINING_LEAD_HOURS,
    RefitPeriod,
    cutoff_for,
    model_key,
    series_start,
    training_rows,
)


def check_models(result: BacktestResult) -> AuditCheck:
    """Check 2: each period was decided by the model that belongs to it, and that model had seen none of it."""
    periods = result.walk.periods
    differences = [
        *_coverage_differences(result),
        *(difference for part in periods for difference in _model_differences(result, part)),
    ]
    if result.pinned is None:
        models = _count(len({part.model.path for part in periods}), "model")
        passed = (
            f"{models} for {_count(len(periods), 'period')}: each is the one that the bars up to its cut-off yield, and its "
            "cut-off lies at least an hour before the first bar it decided."
        )
    else:
        passed = "The pinned model was trained on nothing after the first decision."
    return AuditCheck.of(
        "models",
        differences,
        passed=passed,
        failed="A period was decided by another model than its own, or its model was trained on more than the bars up to its "
        "cut-off.",
    )


def _count(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _coverage_differences(result: BacktestResult) -> Iterator[Difference]:
    """Yield where the periods leave a gap in the window or overlap, and decisions outside their period."""
    expected = int(result.window.closed[0])
    for part in result.walk.periods:
        period, hours = part.period, part.signals.decided_at
        if period.first != expected:
            yield _hour_difference(expected, "first bar of a period", period.first, expected)
        outside = hours[(hours < period.first) | (hours > period.last)]
        if len(outside):
            yield Difference(
                bar=int(outside[0]), column="period", run="decided", recomputed="of another period"
            )
        expected = period.last + 1
    last = int(result.window.closed[-1])
    if expected != last + 1:
        yield _hour_difference(last, "last bar of the last period", expected - 1, last)


def _model_differences(result: BacktestResult, part: PeriodSignals) -> Iterator[Difference]:
    period, trained_through = part.period, part.model.card.trained_through
    if result.pinned is not None:
        first = int(result.window.closed[0])
        if trained_through > first:
            yield _hour_difference(first, "trained through, at most", trained_through, first)
        return
    for hour in (period.first, period.last):
        cutoff = cutoff_for(hour, result.settings)
        if cutoff != period.cutoff:
            yield _hour_difference(hour, "cut-off", period.cutoff, cutoff)
    latest = period.first - TRAINING_LEAD_HOURS
    if period.cutoff > latest:
        yield _hour_difference(period.first, "cut-off, at most", period.cutoff, latest)
    if trained_through > period.cutoff:
        yield _hour_difference(period.first, "trained through, at most", trained_through, period.cutoff)
    try:
        yield from _training_differences(result, part)
    except Exception as error:  # noqa: BLE001 - code that reaches for later bars may raise anything
        yield Difference.not_recomputed(period.cutoff, "training data", error)


def _training_differences(result: BacktestResult, part: PeriodSignals) -> Iterator[Difference]:
    """Yield how the model's training differs from one that sees only the bars up to the cut-off."""
    period, settings, card = part.period, result.settings, part.model.card
    past = trusted(result.bars.between(0, period.cutoff))
    frame = compute_features(fill_gaps(past.between(series_start(period.cutoff, settings), period.cutoff)))
    alone = RefitPeriod(cutoff=period.cutoff, first=period.first, last=period.last, frame=frame)
    data = training_rows(alone, settings)
    key, used_key = model_key(past, data, settings), part.model.path.parent.name
    if used_key != key:
        difference = _data_difference(training_rows(period, settings), data, period)
        yield difference or Difference(bar=period.cutoff, column="model", run=used_key, recomputed=key)
    if card.trained_from != data.trained_from:
        yield _hour_difference(period.cutoff, "trained from", card.trained_from, data.trained_from)
    if card.trained_through != data.trained_through:
        yield _hour_difference(period.cutoff, "trained through", card.trained_through, data.trained_through)
    if card.rows != len(data):
        yield Difference(bar=period.cutoff, column="training rows", run=card.rows, recomputed=len(data))


def _data_difference(run: TrainingSet, alone: TrainingSet, period: RefitPeriod) -> Difference | None:
    """Return the last input or label that differs: the one nearest to the later bars."""
    if len(run) != len(alone) or run.trained_from != alone.trained_from:
        return Difference(bar=period.cutoff, column="training rows", run=len(run), recomputed=len(alone))
    bars = period.frame.bars
    first = int(np.searchsorted(bars.opened, run.trained_from))
    for name in ("returns", "volatility", "close", "atr"):
        values, other = getattr(run, name), getattr(alone, name)
        if not same_bits(values, other):
            row = int(np.flatnonzero(values != other)[-1])
            label = "label" if name == "returns" else name
            hour = int(bars.closed[first + run.rows[row]])
            return Difference.between(hour, f"{label} in training", values[row], other[row])
    if not same_bits(run.inputs, alone.inputs):
        row, column = (int(at[-1]) for at in np.nonzero(run.inputs != alone.inputs))
        name = f"{period.frame.names[column]} in training"
        hour = int(bars.closed[first + row])
        return Difference.between(hour, name, run.inputs[row, column], alone.inputs[row, column])
    return None


def _hour_difference(bar: int, column: str, run: int, recomputed: int) -> Difference:
    return Difference(bar=bar, column=column, run=to_iso(run), recomputed=to_iso(recomputed))
