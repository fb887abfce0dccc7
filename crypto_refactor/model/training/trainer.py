"""Fits a model and measures what it knows; writes nothing to a shared place."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crypto_refactor.arrays import FloatArray
from crypto_refactor.correlation import hourly_mean
from crypto_refactor.errors import ModelError
from crypto_refactor.model import evidence as ev
from crypto_refactor.model import forecaster
from crypto_refactor.model.artifact import DROPPED, KEPT, NONE, ResidualDecision, TrainedModel
from crypto_refactor.model.dataset import Split, TrainingSet, split
from crypto_refactor.model.recipe import RECIPE, huber_loss
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import BASELINES, RIDGE, Skip, chained_forecasts, fit_skip
from crypto_refactor.model.training.compiled_network import (
    build,
    import_keras,
    set_residual,
    without_bytecode,
)
from crypto_refactor.model.training.export import check_serving, export, keras_output, weights_hash
from crypto_refactor.model.training.phases import Phase
from crypto_refactor.model.training.residual import FittedResidual, Report, fit_residual


def _ignore(epoch: int, loss: float) -> None:
    """Report nothing."""


def _unseen(phase: Phase) -> None:
    """Tell nobody."""


@without_bytecode()
def train(
    data: TrainingSet,
    settings: ModelSettings,
    report: Report = _ignore,
    enter: Callable[[Phase], None] = _unseen,
) -> TrainedModel:
    """Fit a model on `data`: the skip, and the residual of the network of `settings`.

    The first 70 % of the rows are fitted, the next 15 % choose between no forecast, the skip, and the skip with its
    residual, the last 15 % measure a residual that was kept.  A skip alone is fitted again on all rows, and measured by
    its chained forecasts.  The same data, settings and seed give the same weights on the same machine.  `report` receives
    each epoch, `enter` each phase.

    Raises
    ------
    ModelError
        If the loss is not finite, or the exported network does not compute what Keras computes.
    """
    enter(Phase.LOADING)
    keras = import_keras()
    enter(Phase.FITTING)
    choice = _choose(data, settings, report)
    enter(Phase.CHECKING)
    # Collecting garbage here would take four times as long as fitting a skip alone.
    keras.utils.clear_session(free_memory=False)
    keras.utils.set_random_seed(settings.seed)
    model = build(keras, settings, choice.skip)
    if choice.residual is not None:
        set_residual(model, choice.residual.network)
    part = split(len(data)).calibrate
    windows = data.windows(part)
    expected = keras_output(model, windows)  # before the export, which takes no model that was never called
    alone = choice.skip if choice.residual is None else None
    keras_file, onnx_file = export(model, settings.lookback, alone)
    served = forecaster.load(
        onnx_file,
        network=settings.network,
        lookback=settings.lookback,
        volatility_floor=data.volatility_floor,
        name="just trained",
    )
    check_serving(expected, served.raw(windows))
    evidence, threshold_scale = _measure(data, choice, served)
    return TrainedModel(
        keras=keras_file,
        onnx=onnx_file,
        weights=weights_hash(model),
        volatility_floor=data.volatility_floor,
        threshold_scale=threshold_scale,
        evidence=evidence,
        epochs=choice.epochs,
        stop_loss=choice.stop_loss,
        stop_loss_ratio=choice.stop_loss_ratio,
        residual_decision=choice.decision,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Choice:
    """What is served: the skip, and the residual where it is kept."""

    skip: Skip
    residual: FittedResidual | None
    decision: ResidualDecision
    forecasts: bool  # whether the stop slice allows any forecast
    epochs: int
    stop_loss: float
    stop_loss_ratio: float | None  # over that of the zero forecast


def _choose(data: TrainingSet, settings: ModelSettings, report: Report) -> _Choice:
    """Fit the skip and the residual on the fit slice, and let the stop slice choose."""
    parts, target, inputs = split(len(data)), data.target, data.last_inputs
    skip = fit_skip(inputs[parts.fit], target[parts.fit])
    left = target - skip.forecast(inputs)
    residual, decision = _fit_residual(data, left, skip, parts, settings, report)
    kept = residual if decision.decision == KEPT else None
    zero = float(huber_loss(target[parts.stop]).mean())
    error = left[parts.stop] if kept is None else left[parts.stop] - kept.forecast
    loss = float(huber_loss(error).mean())
    if not np.isfinite([loss, zero]).all():
        raise ModelError(
            f"Training ended in no numbers: the loss on the stop slice is {loss}, {zero} without a forecast.",
            expected="finite bars and labels.",
            remedy="look at the bars with `python3 models/data/app.py`.",
        )
    forecasts = loss <= zero
    if not forecasts:
        skip, kept, loss = skip.without_forecast(), None, zero
        decision = ResidualDecision(
            decision=DROPPED if decision.decision == KEPT else decision.decision, t=decision.t
        )
    elif kept is None:
        skip = fit_skip(inputs, target)
    return _Choice(
        skip=skip,
        residual=kept,
        decision=decision,
        forecasts=forecasts,
        epochs=0 if residual is None else len(residual.losses) - 1,
        stop_loss=loss,
        stop_loss_ratio=loss / zero if zero > 0 else None,
    )


def _fit_residual(
    data: TrainingSet, left: FloatArray, skip: Skip, parts: Split, settings: ModelSettings, report: Report
) -> tuple[FittedResidual | None, ResidualDecision]:
    """Fit the network to what the skip leaves, and decide whether it is kept."""
    if not settings.fits_network:
        return None, ResidualDecision(decision=NONE, t=None)
    residual = fit_residual(data, left, skip, parts, settings, report)
    gain = huber_loss(left[parts.stop]) - huber_loss(left[parts.stop] - residual.forecast)
    t = hourly_mean(gain, data.closed[parts.stop]).t if residual.best_epoch else None
    enough = settings.residual == "always" or (t is not None and t > RECIPE.residual_t)
    return residual, ResidualDecision(decision=KEPT if residual.best_epoch and enough else DROPPED, t=t)


def _measure(data: TrainingSet, choice: _Choice, served: forecaster.Forecaster) -> tuple[ev.Evidence, float]:
    """Return the evidence for a model and its threshold scale, from rows that were not fitted before them."""
    inputs = data.last_inputs
    if choice.residual is None:
        part, ridge = chained_forecasts(inputs, data.target)
        forecast = ridge if choice.forecasts else np.zeros_like(ridge)
    else:
        part = split(len(data)).calibrate
        ridge, forecast = choice.skip.forecast(inputs[part]), served.raw(data.windows(part))
    unit = np.maximum(data.volatility[part], data.volatility_floor)
    ridge, forecast = ridge * unit, forecast * unit
    baselines = {name: baseline(inputs[part]) for name, baseline in BASELINES.items()} | {RIDGE: ridge}
    close, atr = data.close[part], data.atr[part]
    evidence = ev.calibrate(forecast, data.returns[part], atr / close, baselines)
    threshold_unit = ev.threshold_unit(atr, data.volatility[part], close)
    return evidence, ev.threshold_scale(forecast, close, threshold_unit)
