"""The public API: a ticker in, a signal out."""

import math
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from crypto_refactor.arguments import is_number, is_whole
from crypto_refactor.arrays import RowArray
from crypto_refactor.errors import DataError, UsageError
from crypto_refactor.features.catalogue import WARMUP
from crypto_refactor.features.frame import FeatureFrame, compute_features
from crypto_refactor.market.bars import Bars, fill_gaps
from crypto_refactor.market.hours import Hour, as_hour, to_iso
from crypto_refactor.market.plausibility import Jump, require_plausible, require_settled, trusted
from crypto_refactor.market.quality import quality_report, require_complete, require_recent
from crypto_refactor.market.sources.base import Source, require_reached
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.market.sources.factory import AnySource, source_of
from crypto_refactor.market.ticker import Ticker
from crypto_refactor.model.cache import ModelProvider
from crypto_refactor.model.dataset import labelled_rows, training_set
from crypto_refactor.model.history import bars_with_history
from crypto_refactor.model.named_models import (
    DEFAULT_HOURS,
    DEFAULT_MODEL_NAME,
    ModelChoice,
    load_or_train,
    model_name,
)
from crypto_refactor.model.reuse_policy import ModelRequest
from crypto_refactor.model.schedule import refit_periods
from crypto_refactor.model.settings import MIN_LABELLED_ROWS, ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver
from crypto_refactor.plugins import AnyPlugin, read_plugins
from crypto_refactor.signals.conditions import SignalRules
from crypto_refactor.signals.loop_forecast import LoopForecast, loop_forecast
from crypto_refactor.signals.occlusion import occlusion
from crypto_refactor.signals.pipeline import decidable_rows, decide_signals
from crypto_refactor.signals.signal import WALK_FORWARD, Signal, last_signal
from crypto_refactor.signals.window_gaps import window_gap

DEFAULT_ROUND_TRIP_COST = 0.002
_MAX_LOADS = 3


class SignalGenerator:
    """Keeps one trained LSTM per ticker and turns the last closed bar into a signal.

    Parameters
    ----------
    ticker : Ticker or str
        For example BTC/USD.
    lookback : int
        Bars per window.
    source : AnySource, optional
        Provides the bars: a source, its name, a folder or file, bars or a DataFrame (see `source_of`); by default the source
        of the environment (``CRYPTO_SOURCE``).
    model : str
        Name of the model file, ``<base>_<quote>_<model>.keras``.  Under the default name models of other options have names
        of their own; under any other there is one model, which only `retrain` replaces by one of other options.
    model_dir : Path or str, optional
        By default the tool's model folder.
    network : str
        A name in `NETWORKS`.
    residual : str
        Whether the network's forecast is added to the skip's: a name in `RESIDUALS`.
    plugins : AnyPlugin or iterable of them
        Plug-ins: paths, or names of installed ones.
    seed : int, optional
        If given, a model with another seed is trained anew; otherwise 0 is used for training.
    rules : SignalRules
        What a forecast needs to become a signal.
    min_confirmations, threshold_scale : optional
        Single rules, in place of those of `rules`.
    round_trip_cost : float
        Cost of entering and leaving, a fraction of the price.
    observer : TrainingObserver, optional
        Receives training progress.
    """

    def __init__(
        self,
        ticker: Ticker | str,
        lookback: int = 60,
        *,
        source: AnySource | None = None,
        model: str = DEFAULT_MODEL_NAME,
        model_dir: Path | str | None = None,
        network: str = "documented",
        residual: str = "auto",
        plugins: AnyPlugin | Iterable[AnyPlugin] = (),
        seed: int | None = None,
        rules: SignalRules | None = None,
        min_confirmations: int | None = None,
        threshold_scale: float | None = None,
        round_trip_cost: float = DEFAULT_ROUND_TRIP_COST,
        observer: TrainingObserver | None = None,
    ) -> None:
        from crypto_refactor.config import settings

        self.ticker = Ticker.of(ticker)
        self.settings = ModelSettings(
            lookback=lookback,
            network=network,
            residual=residual,
            seed=seed or 0,
            plugins=read_plugins(plugins),
        )
        self._seed_given = seed is not None
        self._source = source_of(source, self.ticker)
        self._model_name = model_name(model)
        self._model_dir = Path(model_dir or settings().model_dir)
        self._rules = _rules(rules, min_confirmations, threshold_scale)
        self._rules.require_possible(self.settings.plugins)
        if not is_number(round_trip_cost) or not 0 <= round_trip_cost < 1:
            raise UsageError.invalid("round_trip_cost", round_trip_cost, "a fraction from 0 to below 1")
        self._cost = round_trip_cost
        self._observer = observer or TrainingObserver()

    def generate_signals(
        self,
        hours: int = DEFAULT_HOURS,
        retrain_threshold: int = 24,
        *,
        end: datetime | str | Hour | None = None,
        retrain: bool = False,
        allow_gaps: bool = False,
        allow_jumps: bool = False,
    ) -> Signal:
        """Return the signal of the last bar that has closed.

        Parameters
        ----------
        hours : int
            Labelled rows to train on, at least 120.
        retrain_threshold : int
            Greatest age of a model in hours; 0 trains anew whenever a bar has closed.
        end : datetime, str or Hour, optional
            When to decide (see `as_hour`); by default now.
        retrain : bool
            Train in any case.
        allow_gaps : bool
            Accept more than 5 % missing bars.
        allow_jumps : bool
            Accept bad ticks and level breaks in the history, and treat none as a move.

        Raises
        ------
        UsageError, DataError, ModelError
            If the request, the bars or the model folder do not allow a signal.
        """
        _check_request(hours, retrain_threshold)
        end = self._source.now(self.ticker) if end is None else as_hour(end)
        bars, frame, rows = self._history(hours, end)
        require_recent(bars, end)
        quality = quality_report(fill_gaps(bars), int(bars.opened[0]), end)
        require_complete(quality, allow_gaps=allow_gaps)
        require_plausible(quality.jumps, bars, allow_jumps=allow_jumps)
        now = int(bars.closed[-1])
        require_settled(quality.jumps, frame.bars)
        last_row = decidable_rows(frame, self.settings.lookback, now, now)
        if not len(last_row):
            raise self._undecidable(frame, now)
        request = ModelRequest(
            settings=self.settings,
            seed_given=self._seed_given,
            rows=hours,
            retrain_threshold=retrain_threshold,
            retrain=retrain,
            older_bars=lambda since, until: self._source.bars(self.ticker, since, until),
            origin=_origin(self._source),
        )
        choice = load_or_train(
            self._model_dir,
            self._model_name,
            frame.bars.without_synthetic(),
            request,
            lambda: training_set(frame, rows, self.settings.lookback),
            self._observer,
        )
        loop = loop_forecast(self._source, bars, now, self._model_dir, self.settings, self._rules)
        return self._signal(choice, frame, last_row, end=end, jumps=quality.jumps, loop=loop)

    def walk_forward_signal(
        self,
        *,
        end: datetime | str | Hour | None = None,
        allow_gaps: bool = False,
        allow_jumps: bool = False,
    ) -> Signal:
        """Return the signal of the last bar that has closed, by the model that backtests and the trading loop use then.

        That model comes from their cache, and is trained if it is not there; named models play no part.

        Parameters
        ----------
        end, allow_gaps, allow_jumps
            As those of `generate_signals`.

        Raises
        ------
        UsageError, DataError, ModelError
            If the request, the bars or the model folder do not allow a signal.
        """
        end = self._source.now(self.ticker) if end is None else as_hour(end)
        quoted, quality = bars_with_history(
            self._source,
            self.ticker,
            1,
            end,
            self.settings,
            allow_gaps=allow_gaps,
            allow_jumps=allow_jumps,
            option=None,
        )
        bars = trusted(quoted, "last")
        require_settled(quality.jumps, bars)
        now = int(bars.closed[-1])
        (period,) = refit_periods(bars, now, now, self.settings)
        row = decidable_rows(period.frame, self.settings.lookback, now, now)
        if not len(row):
            raise self._undecidable(period.frame, now)
        models = ModelProvider(folder=self._model_dir, settings=self.settings, observer=self._observer)
        key, job = models.job(bars, period)
        decision = "trained" if models.get(key) is None else "reused"
        choice = ModelChoice(
            model=models.get_or_train(key, job),
            name=WALK_FORWARD,
            decision=decision,
            reason=f"backtests and the trading loop decide by it at this hour, cut-off {to_iso(period.cutoff)}",
            exact=True,
        )
        return self._signal(choice, period.frame, row, end=end, jumps=quality.jumps, loop=None)

    def _signal(
        self,
        choice: ModelChoice,
        frame: FeatureFrame,
        row: RowArray,
        *,
        end: int,
        jumps: tuple[Jump, ...],
        loop: LoopForecast | None,
    ) -> Signal:
        """Return what the chosen model says at the one bar of `row`, the last one."""
        forecaster = choice.model.forecaster()
        return last_signal(
            frame,
            decide_signals(choice.model, frame, row, self._rules, forecaster=forecaster),
            choice,
            end=end,
            required=self._rules.min_confirmations,
            round_trip_cost=self._cost,
            jumps=jumps,
            occlusion=occlusion(choice.model, forecaster, frame, int(row[-1])),
            loop=loop,
        )

    def _undecidable(self, frame: FeatureFrame, now: int) -> DataError:
        lookback = self.settings.lookback
        gap = window_gap(frame.bars, now, lookback)
        earlier = decidable_rows(frame, lookback, 0, now)
        remedies = []
        if gap is not None:
            remedies.append(f"wait for the close at {to_iso(gap.decided_from)}, or use that or a later --end")
        if len(earlier):
            remedies.append(f"use --end {to_iso(int(frame.bars.closed[earlier[-1]]))} or earlier")
        return DataError(
            f"The bar that closed at {to_iso(now)} cannot be decided on: too many of the {lookback} bars of its window "
            f"are missing{'' if gap is None else f', because of {gap.text()}'}.",
            expected="at most 6 missing bars in the window, and 500 bars before it without a long gap.",
            remedy=f"{'; or '.join(remedies) or 'choose another --end'}.",
        )

    def _history(self, hours: int, end: int) -> tuple[Bars, FeatureFrame, RowArray]:
        """Return bars, features and the last `hours` labelled rows up to `end`."""
        lookback = self.settings.lookback
        needed = WARMUP + lookback - 1 + hours + 1
        span = needed
        for _ in range(_MAX_LOADS):
            bars = self._source.bars(self.ticker, end - span, end)
            if not len(bars):
                break
            frame = self._features(bars)
            rows = labelled_rows(frame, lookback)
            if len(rows) >= hours:
                return bars, frame, rows[-hours:]
            if int(bars.opened[0]) > end - span + needed:
                break
            # A gap costs the labels it touches and the windows that lose too many bars.
            span += 2 * (hours - len(rows)) + needed
        require_reached(self._source, self.ticker, end)
        raise self._too_few(hours, needed, bars, end)

    def _too_few(self, hours: int, needed: int, bars: Bars, end: int) -> DataError:
        usable = 0
        if len(bars):
            usable = len(labelled_rows(self._features(bars), self.settings.lookback))
        lacking = f"add {math.ceil((needed - len(bars)) / 24):,} days of bars, or choose a later --end"
        if usable >= MIN_LABELLED_ROWS:
            remedy = f"use --hours {usable} at most"
        else:
            remedy = lacking if len(bars) < needed else "choose a later --end"
        return DataError(
            f"Not enough history of {self.ticker} to train on {hours:,} hours: {needed:,} hourly bars are needed, "
            f"{len(bars):,} up to {to_iso(end)} were found.",
            expected=f"{WARMUP} bars to warm up, {self.settings.lookback - 1} before the first row, {hours:,} rows, and "
            "the outcome of the last.",
            remedy=f"{remedy}, or another source.",
        )

    def _features(self, bars: Bars) -> FeatureFrame:
        """Return the features of bars as quoted, in the units they are quoted in now."""
        return compute_features(fill_gaps(trusted(bars, "last")), self.settings.plugins)


def _origin(source: Source) -> str:
    """Return the folder of the bars of a source; empty where there is none."""
    if not isinstance(source, FilesSource):
        return ""
    # A name on disk may be other than UTF-8, and the text of a card may not.
    return os.fsencode(source.data_dir.resolve()).decode(errors="backslashreplace")


def _rules(
    rules: SignalRules | None, min_confirmations: int | None, threshold_scale: float | None
) -> SignalRules:
    if not isinstance(rules, SignalRules | None):
        raise UsageError.invalid("rules", rules, "a SignalRules")
    given = {"min_confirmations": min_confirmations, "threshold_scale": threshold_scale}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return replace(rules or SignalRules(), **changes)


def _check_request(hours: int, retrain_threshold: int) -> None:
    if not is_whole(hours) or hours < MIN_LABELLED_ROWS:
        raise UsageError(
            f"--hours is {hours!r}.",
            expected=f"at least {MIN_LABELLED_ROWS}: fewer rows are too few to fit, stop and measure.",
            remedy=f"use --hours {MIN_LABELLED_ROWS} or more.",
        )
    if not is_whole(retrain_threshold) or retrain_threshold < 0:
        raise UsageError(
            f"--retrain-threshold is {retrain_threshold!r}.",
            expected="0 or more hours.",
            remedy="correct --retrain-threshold.",
        )
