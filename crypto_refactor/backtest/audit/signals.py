"""Audit of what was said of each bar: again, from nothing but the bars that had closed by then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.arrays import FloatArray, HourArray
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
from crypto_refactor.features.frame import FeatureFrame, compute_features
from crypto_refactor.market.bars import fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.model.schedule import refit_periods, series_start
from crypto_refactor.signals.conditions import CONDITIONS, SignalFrame
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals

START_TOLERANCE = 1e-6
"""Of a column's interquartile range: how much the hour at which the data begin may matter."""
_ROUNDING = 1e-9
_MISSING = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecomputedSignal:
    """What the audit found at one close: the signal made then (none, or one row), and a difference."""

    hour: int
    made: SignalFrame | None
    difference: Difference | None


def recompute_closes(result: BacktestResult, hours: HourArray) -> list[RecomputedSignal]:
    """Decide again at each of `hours`, as a trader does who knows only the bars closed by then."""
    loaded: dict[Path, Forecaster] = {}
    found = []
    for stretch in result.walk.periods:
        period = stretch.period
        mine = hours[(hours >= period.first) & (hours <= period.last)].tolist()
        if mine and stretch.model.path not in loaded:
            loaded[stretch.model.path] = stretch.model.forecaster()
        found += [_replayed(result, stretch, hour, loaded[stretch.model.path]) for hour in mine]
    return found


def check_signals(replayed: list[RecomputedSignal], bars: int) -> AuditCheck:
    """Check 1: features, forecast and signal are the same bits as from the bars known at the time."""
    found = [each.difference for each in replayed if each.difference is not None]
    return make_check(
        "signals",
        found,
        fine=f"{len(replayed):,} of {bars:,} closes decided again from the bars that had closed by then: "
        "every feature of their windows, every forecast and every signal is the same to the last bit.",
        wrong=f"{len(found):,} of {len(replayed):,} closes checked say something else when they are decided "
        "from the bars that had closed by then.",
    )


def check_start(result: BacktestResult, hours: HourArray) -> AuditCheck:
    """Check 3: features do not depend on where the data begin, once they are warmed up."""
    found: list[Difference] = []
    compared = 0
    for stretch in result.walk.periods:
        made_at = np.intersect1d(stretch.signals.decided_at, hours)
        if not len(made_at):
            continue
        try:
            count, difference = _from_a_later_start(result, stretch, made_at)
        except Exception as error:  # noqa: BLE001 - whatever a faulty indicator raises is what is looked for
            count, difference = 0, _unable(int(made_at[0]), "the features", error)
        compared += count
        found += [] if difference is None else [difference]
    return make_check(
        "start",
        found,
        fine=f"The features of {compared:,} bars hold still when their series begins "
        f"{result.settings.train_hours:,} hours later.",
        wrong=f"Features change when their series begins {result.settings.train_hours:,} hours later, by more "
        "than a millionth of their interquartile range.",
    )


def _replayed(
    result: BacktestResult, stretch: PeriodSignals, hour: int, forecaster: Forecaster
) -> RecomputedSignal:
    settings = result.settings
    try:
        (period,) = refit_periods(result.bars.between(0, hour), hour, hour, settings)
        rows = decidable_rows(period.frame, settings.lookback, hour, hour)
        made = decide_signals(stretch.model, period.frame, rows, result.signal_rules, forecaster=forecaster)
    except Exception as error:  # noqa: BLE001 - code that reaches for bars to come may raise anything
        return RecomputedSignal(hour=hour, made=None, difference=_unable(hour, "the signal", error))
    pairs = _feature_pairs(stretch.period.frame, period.frame, hour, settings.lookback)
    difference = next(pairs, None) or _signal_difference(stretch.signals, made, hour)
    return RecomputedSignal(hour=hour, made=made, difference=difference)


def _unable(bar: int, column: str, error: Exception) -> Difference:
    return Difference(bar=bar, column=column, run="computed", recomputed=failure(error))


def _feature_pairs(run: FeatureFrame, known: FeatureFrame, hour: int, lookback: int) -> Iterator[Difference]:
    """Yield where the window of the bar that closed at `hour` differs, that bar itself first."""
    spans = []
    for frame in (run, known):
        stop = int(np.searchsorted(frame.bars.closed, hour, side="right"))
        spans.append(slice(max(stop - lookback, 0), stop))
    ours, theirs = (frame.bars.closed[span] for frame, span in zip((run, known), spans, strict=True))
    if not same_bits(ours, theirs):
        yield Difference(
            bar=hour, column="first bar of the window", run=_first(ours), recomputed=_first(theirs)
        )
        return
    for (name, one), (_, other) in zip(_columns(run, spans[0]), _columns(known, spans[1]), strict=True):
        if not same_bits(one, other):
            row = int(np.flatnonzero(_unlike(one, other))[-1])
            yield Difference(
                bar=int(ours[row]), column=name, run=value_of(one[row]), recomputed=value_of(other[row])
            )


def _first(closed: HourArray) -> str:
    return to_iso(int(closed[0])) if len(closed) else _MISSING


def _unlike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    bits = np.dtype(f"i{one.dtype.itemsize}")
    return np.asarray(np.ascontiguousarray(one).view(bits) != np.ascontiguousarray(other).view(bits))


def _columns(frame: FeatureFrame, rows: slice) -> Iterator[tuple[str, FloatArray]]:
    for column, name in enumerate(frame.names):
        yield name, frame.values[rows, column]
        yield f"{name}, model input", frame.inputs[rows, column]
    for extra in fields(frame.extras):
        yield extra.name, getattr(frame.extras, extra.name)[rows]


def _signal_difference(run: SignalFrame, known: SignalFrame, hour: int) -> Difference | None:
    place = int(np.searchsorted(run.decided_at, hour))
    decided = place < len(run) and int(run.decided_at[place]) == hour
    if decided != bool(len(known)):
        words = {True: "decided", False: "not to be decided on"}
        return Difference(bar=hour, column="the bar", run=words[decided], recomputed=words[bool(len(known))])
    if not decided:
        return None
    for name in SignalFrame.__dataclass_fields__:
        one, other = np.asarray(getattr(run, name)[place]), np.asarray(getattr(known, name)[0])
        if same_bits(one, other):
            continue
        if not one.ndim:
            return Difference(bar=hour, column=name, run=value_of(one), recomputed=value_of(other))
        which = int(np.flatnonzero(one != other)[0])
        return Difference(
            bar=hour,
            column=f"{name}: {CONDITIONS[which]}",
            run=value_of(one[which]),
            recomputed=value_of(other[which]),
        )
    return None


def _from_a_later_start(
    result: BacktestResult, stretch: PeriodSignals, made_at: HourArray
) -> tuple[int, Difference | None]:
    """Return how many bars were compared with a series that has just warmed up, and the first difference."""
    frame, settings = stretch.period.frame, result.settings
    # The latest start that still warms the first window up is the strictest.
    start = series_start(stretch.period.cutoff, settings) + settings.train_hours
    later = compute_features(fill_gaps(result.bars.between(start, stretch.period.last)))
    there = np.searchsorted(later.bars.closed, made_at)
    warm = there < len(later)
    warm[warm] = later.ready[there[warm]]
    rows, there = np.searchsorted(frame.bars.closed, made_at[warm]), there[warm]
    everything = slice(None)
    for (name, ours), (_, theirs) in zip(
        _columns(frame, everything), _columns(later, everything), strict=True
    ):
        moved = np.abs(ours[rows] - theirs[there]) > _allowed(ours[frame.ready])
        if moved.any():
            at = int(np.argmax(moved))
            return len(rows), Difference(
                bar=int(made_at[warm][at]),
                column=name,
                run=value_of(ours[rows[at]]),
                recomputed=value_of(theirs[there[at]]),
            )
    return len(rows), None


def _allowed(column: FloatArray) -> float:
    """Return how far a value may move; a column that never varies is allowed its rounding."""
    lower, upper = np.percentile(column, [25, 75])
    return START_TOLERANCE * float(upper - lower) + _ROUNDING * float(np.abs(column).max())
