"""The decision at one close from the bars known then: the path a backtest takes, one bar at a time."""

from dataclasses import dataclass
from pathlib import Path

from crypto_refactor.market.bars import Bars
from crypto_refactor.model.artifact import Model
from crypto_refactor.model.forecaster import Forecaster
from crypto_refactor.model.schedule import refit_periods
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.jobs import TrainingJob
from crypto_refactor.signals.conditions import SignalFrame, SignalRules
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals
from crypto_refactor.signals.window_gaps import WindowGap, window_gap
from crypto_refactor.trading.model_choice import ChosenModel, ModelSelector


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelDecision:
    """What the model says at one close.

    Attributes
    ----------
    signals : SignalFrame
        One row, or none where the bar cannot be decided on.
    chosen : ChosenModel
        The model that decided.
    cutoff : int
        Hour up to which that model may have been trained.
    bars : str
        Fingerprint of the bars behind the decision.
    gap : WindowGap or None
        Why the bar cannot be decided on, if it cannot.
    has_volume : bool
        Whether any bar behind the decision has volume.
    """

    signals: SignalFrame
    chosen: ChosenModel
    cutoff: int
    bars: str
    gap: WindowGap | None = None
    has_volume: bool = True

    @property
    def model(self) -> Model:
        """The model that decided."""
        return self.chosen.model


class Decider:
    """Decides bars of one ticker, each with the model that its selector chooses, and keeps that model loaded."""

    def __init__(self, settings: ModelSettings, rules: SignalRules, selector: ModelSelector) -> None:
        self._settings = settings
        self._rules = rules
        self._selector = selector
        self._loaded: tuple[Path, Forecaster] | None = None

    def missing(self, bars: Bars, first: int, last: int) -> dict[str, TrainingJob]:
        """Return the models to train before the closes `first` to `last` can be decided, by cache key."""
        jobs: dict[str, TrainingJob] = {}
        for period in refit_periods(bars, first, last, self._settings):
            jobs |= self._selector.missing(bars, period)
        return jobs

    def decide(self, bars: Bars, hour: int) -> ModelDecision:
        """Decide at the close `hour` of the last of `bars`.

        Parameters
        ----------
        bars : Bars
            Real bars known at `hour`, with the history that `schedule.hours_needed` asks for.
        hour : int
            Close of the last one.

        Raises
        ------
        DataError
            If there are too few bars to train on.
        ModelError
            If the model cannot be trained, read or run.
        """
        (period,) = refit_periods(bars, hour, hour, self._settings)
        chosen = self._selector.choose(bars, period)
        lookback, known = self._settings.lookback, period.frame.bars
        rows = decidable_rows(period.frame, lookback, hour, hour)
        return ModelDecision(
            signals=decide_signals(
                chosen.model, period.frame, rows, self._rules, forecaster=self._forecaster(chosen.model)
            ),
            chosen=chosen,
            cutoff=period.cutoff,
            bars=known.without_synthetic().fingerprint(),
            gap=None if len(rows) else window_gap(known, hour, lookback),
            has_volume=bool(known.volume.any()),
        )

    def _forecaster(self, model: Model) -> Forecaster:
        if self._loaded is None or self._loaded[0] != model.path:
            self._loaded = model.path, model.forecaster()
        return self._loaded[1]
