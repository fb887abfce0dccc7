"""Walk-forward signals: each stretch of a window is decided by a model that had seen none of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from crypto_refactor.market.bars import Bars
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import get_models
from crypto_refactor.model.named_models import pinned_model
from crypto_refactor.model.schedule import RefitPeriod, model_key, refit_periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.model.training.observer import TrainingObserver
from crypto_refactor.model.training.parallel import Cluster
from crypto_refactor.signals.conditions import SignalFrame, SignalRules, concatenate
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeriodSignals:
    """One period, the model that decided it, and its signals."""

    period: RefitPeriod
    model: Model
    made: SignalFrame


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WalkForward:
    """Everything decided in a window.

    Attributes
    ----------
    stretches : tuple of PeriodSignals
        In time order.
    trained : int
        Models trained for this run; 0 where all were at hand.
    """

    stretches: tuple[PeriodSignals, ...]
    trained: int

    @property
    def signals(self) -> SignalFrame:
        """All signals, in time order; bars that could not be decided on are missing."""
        return concatenate([stretch.made for stretch in self.stretches])

    @property
    def deciders(self) -> list[str]:
        """The fingerprint of the model behind each of `decide_signals`."""
        return [s.model.card.fingerprint for s in self.stretches for _ in range(len(s.made))]


def walk_forward(
    bars: Bars,
    first: int,
    last: int,
    settings: ModelSettings,
    rules: SignalRules,
    *,
    folder: Path,
    pinned: Path | None,
    watch: TrainingObserver,
    cluster: Cluster | None = None,
) -> WalkForward:
    """Decide at every hour from `first` to `last`.

    Parameters
    ----------
    bars : Bars
        Real bars, with the history `selection.hours_needed` asks for.
    first, last : int
        Closes of the first and the last bar decided on.
    settings : ModelSettings
        Which models.
    rules : SignalRules
        What a signal needs.
    folder : Path
        The model folder.
    pinned : Path or None
        A frozen model that decides everything instead.
    watch : TrainingObserver
        Told about training.
    cluster : Cluster, optional
        Where models are trained; by default on this machine.

    Raises
    ------
    DataError
        If there is too little to learn from.
    ModelError
        If a model cannot be trained, read or used.
    """
    parts = refit_periods(bars, first, last, settings)
    models, trained = _models(
        parts, bars, settings, folder=folder, pinned=pinned, watch=watch, cluster=cluster
    )
    stretches = []
    for period, model in zip(parts, models, strict=True):
        rows = decidable_rows(period.frame, settings.lookback, period.first, period.last)
        made = decide_signals(model, period.frame, rows, rules)
        stretches.append(PeriodSignals(period=period, model=model, made=made))
    return WalkForward(stretches=tuple(stretches), trained=trained)


def _models(
    parts: Sequence[RefitPeriod],
    bars: Bars,
    settings: ModelSettings,
    *,
    folder: Path,
    pinned: Path | None,
    watch: TrainingObserver,
    cluster: Cluster | None,
) -> tuple[Sequence[Model], int]:
    if pinned is not None:
        return [pinned_model(pinned, bars, settings, parts[0].first)] * len(parts), 0
    data = [training_rows(period, settings) for period in parts]
    keys = [model_key(bars, rows, settings) for rows in data]
    # Inside a hole two cut-offs may have the same rows behind them, and so share one model.
    wanted = {key: TrainingJob(data=rows, bars=bars) for key, rows in zip(keys, data, strict=True)}
    cached = get_models(folder, wanted, settings, watch, cluster=cluster)
    by_key = dict(zip(wanted, cached.models, strict=True))
    return [by_key[key] for key in keys], cached.trained


def align_to_bars(made: SignalFrame, window: Bars) -> dict[str, npt.NDArray[Any]]:
    """Lay signals out over the bars of `window`, zeros where nothing was decided.

    Returns
    -------
    dict
        ``signal``, ``forecast_side`` (int8), ``expected_move`` (float64), ``supported`` and
        ``decidable`` (bool), each of shape (n,).
    """
    where = np.searchsorted(window.closed, made.made_at)
    columns: dict[str, npt.NDArray[Any]] = {
        "signal": made.signal,
        "forecast_side": made.forecast_side,
        "expected_move": made.expected_move,
        "supported": made.supported,
        "decidable": np.ones(len(made), dtype=np.bool_),
    }
    laid = {}
    for name, values in columns.items():
        laid[name] = np.zeros(len(window), dtype=values.dtype)
        laid[name][where] = values
    return laid
