"""Look-ahead check: features, forecasts and signals again, from only the bars that had closed by then."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from crypto_refactor.arrays import FloatArray, HourArray
from crypto_refactor.backtest.audit.sample import Sample
from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.features.equality import different_bits, same_bits, start_tolerance
from crypto_refactor.features.frame import FeatureFrame, compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.market.plausibility import trusted
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.model.schedule import refit_periods, series_start
from crypto_refactor.signals.conditions import SignalFrame
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputedSignal:
    """One close: its recomputed signal (at most one row, None after an error), and how that differs from the run."""

    hour: int
    signals: SignalFrame | None
    difference: Difference | None


def recompute_closes(result: BacktestResult, hours: HourArray) -> list[RecomputedSignal]:
    """Decide again at each of `hours`, from only the bars closed by then."""
    forecasters: dict[Path, Forecaster] = {}
    recomputed = []
    for part in result.walk.periods:
        closes = hours[(hours >= part.period.first) & (hours <= part.period.last)].tolist()
        if closes and part.model.path not in forecasters:
            forecasters[part.model.path] = part.model.forecaster()
        recomputed += [_recompute(result, part, hour, forecasters[part.model.path]) for hour in closes]
    return recomputed


def check_signals(recomputed: list[RecomputedSignal], sample: Sample) -> AuditCheck:
    """Check 1: features, forecast and signal are the same bits when recomputed from the bars known at the time."""
    differences = [close.difference for close in recomputed if close.difference is not None]
    return AuditCheck.of(
        "signals",
        differences,
        passed=f"{len(recomputed):,} of {sample.real_closes:,} closes recomputed from the bars closed by then: features, "
        f"forecasts and signals are identical to the last bit. {_limit_text(sample)}",
        failed=f"{len(differences):,} of {len(recomputed):,} checked closes differ when they are recomputed from the bars "
        "closed by then.",
    )


def _limit_text(sample: Sample) -> str:
    if not sample.limit_of_detection:
        return "No close is left out."
    return (
        f"Among them are all {sample.decisive:,} that led to a fill, and {sample.drawn:,} drawn from the {sample.others:,} "
        f"others: a leak that changes {sample.limit_of_detection * 100:.1f} % of these is found with 99 %."
    )


def check_start(result: BacktestResult, hours: HourArray) -> AuditCheck:
    """Check 3: once warmed up, features do not depend on where the data begin."""
    differences: list[Difference] = []
    compared = 0
    for part in result.walk.periods:
        closes = np.intersect1d(part.signals.decided_at, hours)
        if not len(closes):
            continue
        try:
            count, difference = _compare_with_later_start(result, part, closes)
        except Exception as error:  # noqa: BLE001 - a faulty indicator may raise anything
            count, difference = 0, Difference.not_recomputed(int(closes[0]), "the features", error)
        compared += count
        differences += [] if difference is None else [difference]
    later = f"when the series starts {result.settings.train_hours:,} hours later"
    return AuditCheck.of(
        "start",
        differences,
        passed=f"Features of {compared:,} bars are unchanged {later}.",
        failed=f"Features change by more than a millionth of their interquartile range {later}.",
    )


def _recompute(
    result: BacktestResult, part: PeriodSignals, hour: int, forecaster: Forecaster
) -> RecomputedSignal:
    lookback = result.settings.lookback
    try:
        known = trusted(result.bars.between(0, hour))
        (period,) = refit_periods(known, hour, hour, result.settings)
        rows = decidable_rows(period.frame, lookback, hour, hour)
        signals = decide_signals(part.model, period.frame, rows, result.signal_rules, forecaster=forecaster)
    except Exception as error:  # noqa: BLE001 - code that reaches for later bars may raise anything
        difference = Difference.not_recomputed(hour, "the signal", error)
        return RecomputedSignal(hour=hour, signals=None, difference=difference)
    # The features of a close that jumps may wait for the bars that settle it: nothing is decided on them before.
    unsettled = bool(period.frame.bars.held[-1])
    differences = (
        iter(()) if unsettled else _feature_differences(part.period.frame, period.frame, hour, lookback)
    )
    return RecomputedSignal(
        hour=hour,
        signals=signals,
        difference=next(differences, None) or _signal_difference(part.signals, signals, hour),
    )


def _feature_differences(
    run: FeatureFrame, recomputed: FeatureFrame, hour: int, lookback: int
) -> Iterator[Difference]:
    """Yield the last difference of each column within the window of the bar that closed at `hour`."""
    span, other_span = (_window(frame.bars.closed, hour, lookback) for frame in (run, recomputed))
    closes, other_closes = run.bars.closed[span], recomputed.bars.closed[other_span]
    if not same_bits(closes, other_closes):
        yield Difference(
            bar=hour, column="first bar of the window", run=_first(closes), recomputed=_first(other_closes)
        )
        return
    for (name, column), (_, other) in zip(_columns(run, span), _columns(recomputed, other_span), strict=True):
        if not same_bits(column, other):
            row = int(np.flatnonzero(different_bits(column, other))[-1])
            yield Difference.between(int(closes[row]), name, column[row], other[row])


def _window(closes: HourArray, hour: int, lookback: int) -> slice:
    stop = int(np.searchsorted(closes, hour, side="right"))
    return slice(max(stop - lookback, 0), stop)


def _first(closes: HourArray) -> str:
    return to_iso(int(closes[0])) if len(closes) else "nothing"


def _columns(frame: FeatureFrame, rows: slice) -> Iterator[tuple[str, FloatArray]]:
    for column, name in enumerate(frame.names):
        yield name, frame.values[rows, column]
        yield f"{name}, model input", frame.inputs[rows, column]
    for extra in fields(frame.extras):
        yield extra.name, getattr(frame.extras, extra.name)[rows]


def _signal_difference(run: SignalFrame, recomputed: SignalFrame, hour: int) -> Difference | None:
    row = int(np.searchsorted(run.decided_at, hour))
    decided = row < len(run) and int(run.decided_at[row]) == hour
    if decided != bool(len(recomputed)):
        words = ("not to be decided on", "decided")
        return Difference(bar=hour, column="the bar", run=words[decided], recomputed=words[not decided])
    if not decided:
        return None
    for (name, values), (_, others) in zip(run.columns(), recomputed.columns(), strict=True):
        value, other = np.asarray(values[row]), np.asarray(others[0])
        if not same_bits(value, other):
            return Difference.between(hour, name, value, other)
    return None


def _compare_with_later_start(
    result: BacktestResult, part: PeriodSignals, closes: HourArray
) -> tuple[int, Difference | None]:
    """Return how many bars were compared with a series that has just warmed up, and the first difference."""
    frame, settings = part.period.frame, result.settings
    # The latest start that still warms up the first window is the strictest test.
    start = series_start(part.period.cutoff, settings) + settings.train_hours
    later_bars = fill_gaps(trusted(result.bars).between(start, part.period.last))
    later = compute_features(later_bars, settings.plugins)
    later_rows = np.searchsorted(later.bars.closed, closes)
    warm = later_rows < len(later)
    warm[warm] = later.ready[later_rows[warm]]
    rows, later_rows = np.searchsorted(frame.bars.closed, closes[warm]), later_rows[warm]
    everything = slice(None)
    for (name, values), (_, other) in zip(
        _columns(frame, everything), _columns(later, everything), strict=True
    ):
        moved = np.abs(values[rows] - other[later_rows]) > start_tolerance(values[frame.ready])
        if moved.any():
            first = int(np.argmax(moved))
            difference = Difference.between(
                int(closes[warm][first]), name, values[rows[first]], other[later_rows[first]]
            )
            return len(rows), difference
    return len(rows), None
