"""What the models of a run look at: how much worse they forecast when one input tells of other days.

Permutation importance (L. Breiman, "Random forests", Machine Learning 45 (2001)), out of sample: the windows of one input are
exchanged between the hours of a period, whole days at a time, because neighbouring hours look alike.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import Float32Array, FloatArray, HourArray, RowArray
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.correlation import BLOCK_HOURS, Mean, hourly_mean
from crypto_refactor.model.dataset import labelled_rows, take_windows
from crypto_refactor.model.recipe import huber_loss

REPEATS = 3
"""Exchanges of each input, whose mean is taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputImportance:
    """By what share of the zero forecast's loss the loss of the forecasts rises; its error from blocks of a day.

    Both are None where no forecast could be held against an outcome; the error also below ten days.
    """

    loss_rise: float | None
    se: float | None

    @property
    def clear(self) -> bool:
        """Whether the rise is two of its errors away from none."""
        return self.loss_rise is not None and bool(self.se) and abs(self.loss_rise) > 2 * (self.se or 0.0)


def input_importance(periods: Sequence[PeriodSignals]) -> dict[str, InputImportance]:
    """Return the importance of each input of the models of a run, by name, over all hours with an outcome."""
    names = periods[0].period.frame.names
    parts = [part for part in map(_Outcomes.of, periods) if len(part.rows)]
    if not parts:
        return dict.fromkeys(names, InputImportance(loss_rise=None, se=None))
    hours = np.concatenate([part.hours for part in parts])
    zero = float(np.concatenate([huber_loss(part.outcome) for part in parts]).mean())
    rises = [np.concatenate(columns) for columns in zip(*(part.rises() for part in parts), strict=True)]
    return {name: _share(hourly_mean(rise, hours), zero) for name, rise in zip(names, rises, strict=True)}


def _share(rise: Mean, zero: float) -> InputImportance:
    if not zero:
        return InputImportance(loss_rise=None, se=None)
    return InputImportance(loss_rise=rise.value / zero, se=None if rise.se is None else rise.se / zero)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Outcomes:
    """The decided hours of one period whose outcome is known."""

    part: PeriodSignals
    rows: RowArray
    hours: HourArray
    outcome: FloatArray  # in units of volatility

    @classmethod
    def of(cls, part: PeriodSignals) -> "_Outcomes":
        frame, card = part.period.frame, part.model.card
        bars = frame.bars
        rows = labelled_rows(frame, card.lookback)
        rows = rows[bars.closed[rows] >= part.period.first]
        unit = np.maximum(frame.column("realised_volatility")[rows], card.volatility_floor)
        outcome = np.log(bars.close[rows + 1] / bars.close[rows]) / unit
        return cls(part=part, rows=rows, hours=bars.closed[rows], outcome=outcome)

    def rises(self) -> Iterator[FloatArray]:
        """Yield by how much each hour's loss rises, shape (m,), for each input in turn."""
        frame, model = self.part.period.frame, self.part.model
        forecaster = model.forecaster()
        windows = take_windows(frame.inputs.astype(np.float32), self.rows, model.card.lookback)
        loss = huber_loss(self.outcome - forecaster.raw(windows))
        orders = _day_orders(self.hours)
        for column in range(windows.shape[2]):
            rise = np.zeros(len(self.rows))
            for order in orders:
                rise += huber_loss(self.outcome - forecaster.raw(_exchanged(windows, column, order))) - loss
            yield rise / len(orders)


def _exchanged(windows: Float32Array, column: int, order: RowArray) -> Float32Array:
    exchanged = windows.copy()
    exchanged[:, :, column] = windows[order, :, column]
    return exchanged


def _day_orders(hours: HourArray) -> list[RowArray]:
    """Return which hour's input each hour gets, in each exchange: the days in another order, drawn alike in every run."""
    days = hours // BLOCK_HOURS
    _, first = np.unique(days, return_index=True)
    blocks = np.split(np.arange(len(hours)), first[1:])
    rng = np.random.default_rng(0)
    return [np.concatenate([blocks[block] for block in rng.permutation(len(blocks))]) for _ in range(REPEATS)]
