"""Audit of who decided which bar: the right model, and one that had seen none of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from crypto_refactor.backtest.audit.findings import (
    AuditCheck,
    Difference,
    failure,
    make_check,
    same_bits,
    value_of,
)
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
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
    """Check 2: every stretch was decided by the model it belongs to, which had learnt from none of it."""
    stretches = result.walk.periods
    found = [
        *_coverage(result),
        *(difference for stretch in stretches for difference in _of_stretch(result, stretch)),
    ]
    count = len({stretch.model.path for stretch in stretches})
    if result.pinned is None:
        fine = (
            f"{_counted(count, 'model')} for {_counted(len(stretches), 'stretch')}: each is the very one that the "
            "bars up to its cut-off give, and its cut-off lies at least an hour before the first bar it decided."
        )
    else:
        fine = "The pinned model had learnt from nothing after the first decision."
    return make_check(
        "models",
        found,
        fine=fine,
        wrong="A bar was decided by a model that is not its own, or that learnt what the bars up to its cut-off "
        "alone do not tell.",
    )


def _counted(count: int, what: str) -> str:
    plural = what + ("es" if what.endswith("h") else "s")
    return f"{count:,} {what if count == 1 else plural}"


def _coverage(result: BacktestResult) -> Iterator[Difference]:
    """Yield where the stretches do not follow each other over the whole window, or decide beyond themselves."""
    expected = int(result.window.closed[0])
    for stretch in result.walk.periods:
        period, made_at = stretch.period, stretch.signals.decided_at
        if period.first != expected:
            yield _moment(expected, "first bar of a stretch", period.first, expected)
        outside = made_at[(made_at < period.first) | (made_at > period.last)]
        if len(outside):
            yield Difference(
                bar=int(outside[0]), column="stretch", run="decided", recomputed="of another stretch"
            )
        expected = period.last + 1
    last = int(result.window.closed[-1])
    if expected != last + 1:
        yield _moment(last, "last bar of the last stretch", expected - 1, last)


def _of_stretch(result: BacktestResult, stretch: PeriodSignals) -> Iterator[Difference]:
    period, card = stretch.period, stretch.model.card
    if result.pinned is not None:
        first = int(result.window.closed[0])
        if card.trained_through > first:
            yield _moment(first, "model learnt through, at most", card.trained_through, first)
        return
    for hour in (period.first, period.last):
        belongs = cutoff_for(hour, result.settings)
        if belongs != period.cutoff:
            yield _moment(hour, "cut-off", period.cutoff, belongs)
    latest = period.first - TRAINING_LEAD_HOURS
    if period.cutoff > latest:
        yield _moment(period.first, "cut-off, at most", period.cutoff, latest)
    if card.trained_through > period.cutoff:
        yield _moment(period.first, "model learnt through, at most", card.trained_through, period.cutoff)
    try:
        yield from _lesson(result, stretch)
    except Exception as error:  # noqa: BLE001 - code that reaches for bars to come may raise anything
        yield Difference(
            bar=period.cutoff, column="what the model learnt", run="computed", recomputed=failure(error)
        )


def _lesson(result: BacktestResult, stretch: PeriodSignals) -> Iterator[Difference]:
    """Yield where the model did not learn what the bars up to its cut-off alone have to teach."""
    period, settings, card = stretch.period, result.settings, stretch.model.card
    start = series_start(period.cutoff, settings)
    known = result.bars.between(0, period.cutoff)
    frame = compute_features(fill_gaps(known.between(start, period.cutoff)))
    alone = RefitPeriod(cutoff=period.cutoff, first=period.first, last=period.last, frame=frame)
    data = training_rows(alone, settings)
    key = model_key(known, data, settings)
    named = stretch.model.path.parent.name
    if named != key:
        difference = _first_difference(training_rows(period, settings), data, period)
        yield difference or Difference(bar=period.cutoff, column="model", run=named, recomputed=key)
    for name, learnt, there in (
        ("trained from", card.trained_from, data.trained_from),
        ("trained through", card.trained_through, data.trained_through),
    ):
        if learnt != there:
            yield _moment(period.cutoff, name, learnt, there)
    if card.rows != len(data):
        yield Difference(bar=period.cutoff, column="rows learnt", run=card.rows, recomputed=len(data))


def _first_difference(run: TrainingSet, alone: TrainingSet, period: RefitPeriod) -> Difference | None:
    """Return the last input or label that differs: the one nearest to the bars to come."""
    if len(run) != len(alone) or run.trained_from != alone.trained_from:
        return Difference(bar=period.cutoff, column="rows to learn", run=len(run), recomputed=len(alone))
    bars = period.frame.bars
    first = int(np.searchsorted(bars.opened, run.trained_from))
    for name in ("returns", "volatility", "close", "atr"):
        ours, theirs = getattr(run, name), getattr(alone, name)
        if not same_bits(ours, theirs):
            row = int(np.flatnonzero(ours != theirs)[-1])
            bar = int(bars.closed[first + run.rows[row]])
            label = "label" if name == "returns" else name
            return Difference(
                bar=bar,
                column=f"{label} of the training",
                run=value_of(ours[row]),
                recomputed=value_of(theirs[row]),
            )
    if not same_bits(run.inputs, alone.inputs):
        row, column = (int(at[-1]) for at in np.nonzero(run.inputs != alone.inputs))
        return Difference(
            bar=int(bars.closed[first + row]),
            column=f"{period.frame.names[column]} of the training",
            run=value_of(run.inputs[row, column]),
            recomputed=value_of(alone.inputs[row, column]),
        )
    return None


def _moment(bar: int, column: str, run: int, recomputed: int) -> Difference:
    return Difference(bar=bar, column=column, run=to_iso(run), recomputed=to_iso(recomputed))
