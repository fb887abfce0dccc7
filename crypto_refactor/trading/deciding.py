"""The decision at one close, from the bars known then: the path a backtest takes, one bar at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.market.bars import Bars
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.cache import cached_models
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.model.library import model_path, pinned_model
from crypto_refactor.model.selection import Period, cutoff_for, model_key, periods, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.watch import TrainingWatch
from crypto_refactor.signals.conditions import SignalFrame, SignalRules
from crypto_refactor.signals.path import decidable_rows, signals


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Decided:
    """What was found at one close.

    Attributes
    ----------
    made : SignalFrame
        One row, or none where the bar cannot be decided on.
    model : Model
        Who answered.
    cutoff : int
        Hour up to which it may have learnt.
    bars : str
        Fingerprint of the bars behind the decision.
    """

    made: SignalFrame
    model: Model
    cutoff: int
    bars: str


@dataclass(frozen=True, slots=True)
class _Ready:
    model: Model
    forecaster: Forecaster


class Decider:
    """Decides bars of one ticker with the model each of them belongs to, and keeps that model at hand.

    Parameters
    ----------
    settings : ModelSettings
        Which models.
    rules : SignalRules
        What a signal needs.
    folder : Path
        The model folder.
    pinned : str or None
        Name of a frozen model that decides everything instead.
    watch : TrainingWatch
        Told about training.
    """

    def __init__(
        self,
        settings: ModelSettings,
        rules: SignalRules,
        *,
        folder: Path,
        pinned: str | None,
        watch: TrainingWatch,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._folder = folder
        self._pinned = pinned
        self._watch = watch
        self._ready: dict[int, _Ready] = {}

    def decide(self, bars: Bars, hour: int) -> Decided:
        """Decide at the close `hour` of the last of `bars`, training first where the model is missing.

        Parameters
        ----------
        bars : Bars
            Real bars known at `hour`, with the history `selection.hours_needed` asks for.
        hour : int
            When the last of them closed.

        Raises
        ------
        DataError
            If there is too little to learn from.
        ModelError
            If the model cannot be trained, read or used.
        """
        (period,) = periods(bars, hour, hour, self._settings)
        ready = self._model(bars, period)
        rows = decidable_rows(period.frame, self._settings.lookback, hour, hour)
        made = signals(ready.model, period.frame, rows, self._rules, forecaster=ready.forecaster)
        return Decided(
            made=made,
            model=ready.model,
            cutoff=period.cutoff,
            bars=period.frame.bars.only_real().fingerprint(),
        )

    def _model(self, bars: Bars, period: Period) -> _Ready:
        cutoff = cutoff_for(period.last, self._settings)
        if cutoff not in self._ready:
            model = self._pin(bars, period.last) if self._pinned is not None else self._cached(bars, period)
            self._ready = {cutoff: _Ready(model, model.forecaster())}
        return self._ready[cutoff]

    def _pin(self, bars: Bars, hour: int) -> Model:
        path = model_path(self._folder, bars.ticker, str(self._pinned), simulated=bars.simulated)
        return pinned_model(path, bars, self._settings, hour)

    def _cached(self, bars: Bars, period: Period) -> Model:
        data = training_rows(period, self._settings)
        key = model_key(bars, data, self._settings)
        return cached_models(self._folder, {key: data}, bars, self._settings, self._watch).models[0]
