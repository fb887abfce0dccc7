"""Which model decides a bar: a pure function of time and settings, never of the files on disk.

Cut-offs are the multiples of `refit_every` hours since 1970.  A decision belongs to the last cut-off at
least an hour before it (the time to train); its model is trained on the `train_hours` hours up to that
cut-off, and its features are computed on a series that begins at one fixed hour::

    series_start            cut-off - train_hours          cut-off        next cut-off
    |--- lookback + 500 ---|-------- labelled rows --------|--- decisions ---|
"""

from dataclasses import dataclass

from crypto_refactor.errors import DataError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import FeatureFrame, compute_features
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model.dataset import TrainingSet, labelled_rows, training_set
from crypto_refactor.model.identity import identity_of
from crypto_refactor.model.settings import ModelSettings

TRAINING_LEAD_HOURS = 1


def cutoff_for(decision: int, settings: ModelSettings) -> int:
    """Return the cut-off of the model that decides at hour `decision`."""
    return (decision - TRAINING_LEAD_HOURS) // settings.refit_every * settings.refit_every


def series_start(cutoff: int, settings: ModelSettings) -> int:
    """Return the hour at which the feature series of `cutoff` begins."""
    return cutoff - settings.train_hours - settings.lookback - WARMUP


def hours_needed(hours: int, settings: ModelSettings) -> int:
    """Return how many hours of bars a window of `hours` decisions needs, history included."""
    return hours + settings.train_hours + settings.refit_every + settings.lookback + WARMUP


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RefitPeriod:
    """The decisions that belong to one cut-off; all hours are since 1970."""

    cutoff: int  # the hour up to which the model is trained
    first: int  # the closes of the first and the last bar decided on
    last: int
    frame: FeatureFrame  # from `series_start` to the close of the last bar decided on


def refit_periods(bars: Bars, first: int, last: int, settings: ModelSettings) -> list[RefitPeriod]:
    """Divide the decisions at hours ``first … last`` by their cut-offs, in time order.

    `bars` are real ones, from `hours_needed` hours before `last` or earlier.
    """
    periods = []
    start = first
    while start <= last:
        cutoff = cutoff_for(start, settings)
        stop = min(last, cutoff + settings.refit_every + TRAINING_LEAD_HOURS - 1)
        # Cut before filling: a gap that reaches back before the start must look the same wherever `bars` begin.
        frame = compute_features(
            fill_gaps(bars.between(series_start(cutoff, settings), stop)), settings.plugins
        )
        periods.append(RefitPeriod(cutoff=cutoff, first=start, last=stop, frame=frame))
        start = stop + 1
    return periods


def training_rows(period: RefitPeriod, settings: ModelSettings) -> TrainingSet:
    """Return the rows the model of `period` is trained on.

    Raises
    ------
    DataError
        If fewer than half of `train_hours` rows are labelled.
    """
    rows = labelled_rows(period.frame, settings.lookback)
    target_close = period.frame.bars.closed[rows] + 1
    rows = rows[(target_close > period.cutoff - settings.train_hours) & (target_close <= period.cutoff)]
    if len(rows) < settings.train_hours / 2:
        raise DataError(
            f"A model can be trained on only {len(rows)} hours up to {to_iso(period.cutoff)}.",
            expected=f"at least half of --train-hours {settings.train_hours}.",
            remedy="choose a window whose history has fewer gaps, or a shorter --train-hours.",
        )
    return training_set(period.frame, rows, settings.lookback)


def model_key(
    bars: Bars, data: TrainingSet, settings: ModelSettings, *, versions: dict[str, str] | None = None
) -> str:
    """Return the cache key of the model that these rows and settings give, the same in every command.

    `versions` are those of the libraries that fit it, by default the installed ones.
    """
    return identity_of(bars, data, settings, versions=versions).key
