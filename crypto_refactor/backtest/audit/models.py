"""Model check: each period was decided by its own model, which had seen none of the period."""

import hashlib
from collections.abc import Iterator

import numpy as np

from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.features.equality import same_bits
from crypto_refactor.features.frame import compute_features
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.model.artifact import Card
from crypto_refactor.model.dataset import TrainingSet, last_bars
from crypto_refactor.model.identity import differences, identity_of
from crypto_refactor.model.named_models import PINNED_PARTS
from crypto_refactor.model.recipe import missing_to_train
from crypto_refactor.model.reuse_policy import mismatches, training_bars_revised
from crypto_refactor.model.schedule import (
    TRAINING_LEAD_HOURS,
    RefitPeriod,
    cutoff_for,
    series_start,
    training_rows,
)

_HOURS = ("trained_from", "trained_through")


def check_models(result: BacktestResult) -> AuditCheck:
    """Check 2: each period was decided by the model that belongs to it by its card, and that model had seen none of it."""
    periods = result.walk.periods
    found = [
        *_coverage_differences(result),
        *(difference for part in periods for difference in _model_differences(result, part)),
        *(difference for part in periods for difference in _file_differences(part)),
    ]
    if result.pinned is None:
        models = _count(len({part.model.path for part in periods}), "model")
        passed = (
            f"{models} for {_count(len(periods), 'period')}: each card names the source, ticker, settings, library versions "
            "and training rows that the bars up to its cut-off give, which lies at least an hour before the first bar it "
            "decided. The networks match the hashes on their cards. Whether training gives these weights is not part of this check."
        )
    else:
        passed = (
            "By its card, the pinned model belongs to this source, ticker, lookback and catalogue and was trained on "
            "nothing after the first decision; its network matches the hash on the card. Whether training gives these weights is not part of this check."
        )
    return AuditCheck.of(
        "models",
        found,
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
        yield from _pinned_differences(result, part.model.card)
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


def _pinned_differences(result: BacktestResult, card: Card) -> Iterator[Difference]:
    """Yield what the card of a pinned model says otherwise than this run asks for."""
    first, bars = int(result.window.closed[0]), trusted(result.bars)
    if card.trained_through > first:
        yield _hour_difference(first, "trained through, at most", card.trained_through, first)
    for name, actual, expected in mismatches(card, bars, result.settings):
        if name in PINNED_PARTS:
            yield _card_difference(first, name, actual, expected)
    if training_bars_revised(card, bars):
        now = last_bars(bars, card.trained_through)
        yield _card_difference(first, "last_bars", card.last_bars, now)


def _file_differences(part: PeriodSignals) -> Iterator[Difference]:
    """Yield where the network that decided is not the one of the card."""
    stated, served = part.model.card.sha256.get(".onnx", ""), hashlib.sha256(part.model.onnx).hexdigest()
    if stated != served:
        yield Difference(bar=part.period.first, column="hash of the network", run=stated, recomputed=served)


def _training_differences(result: BacktestResult, part: PeriodSignals) -> Iterator[Difference]:
    """Yield how the model's card differs from that of a model that sees only the bars up to the cut-off."""
    past, data = training_alone(result, part.period)
    # Where nothing can be trained, the libraries that did are known from the card alone.
    versions = part.model.card.versions if missing_to_train() else None
    wanted = identity_of(past, data, result.settings, versions=versions)
    wrong = differences(part.model.card, wanted)
    if wrong:
        difference = _data_difference(training_rows(part.period, result.settings), data, part.period)
        if difference is not None:
            yield difference
    for name, actual, expected in wrong:
        yield _card_difference(part.period.cutoff, name, actual, expected)


def training_alone(result: BacktestResult, period: RefitPeriod) -> tuple[Bars, TrainingSet]:
    """Return the bars up to the cut-off of `period`, and the training rows that they alone give."""
    settings = result.settings
    past = trusted(result.bars.between(0, period.cutoff))
    known = past.between(series_start(period.cutoff, settings), period.cutoff)
    frame = compute_features(fill_gaps(known), settings.plugins)
    alone = RefitPeriod(cutoff=period.cutoff, first=period.first, last=period.last, frame=frame)
    return past, training_rows(alone, settings)


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


def _card_difference(bar: int, name: str, actual: object, expected: object) -> Difference:
    """Return the difference between what a card says and what it should say."""
    shown = [
        to_iso(value) if name in _HOURS and isinstance(value, int) else str(value)
        for value in (actual, expected)
    ]
    return Difference(
        bar=bar, column=f"{name.replace('_', ' ')} on the card", run=shown[0], recomputed=shown[1]
    )
