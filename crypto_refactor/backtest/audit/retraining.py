"""Retraining check: one model of the run, trained again from the bars up to its cut-off, is the same to the last bit.

It is the only check that a card which names the right rows, and yet belongs to other weights, does not pass.
"""

from collections.abc import Iterator
from dataclasses import asdict

import numpy as np

from crypto_refactor.backtest.audit.models import training_alone
from crypto_refactor.backtest.audit_findings import AuditCheck, Difference
from crypto_refactor.backtest.result import BacktestResult
from crypto_refactor.backtest.walk_forward import PeriodSignals
from crypto_refactor.errors import ModelError, UsageError
from crypto_refactor.market.hours import to_iso
from crypto_refactor.model import forecaster
from crypto_refactor.model.artifact import TrainedModel
from crypto_refactor.model.dataset import TrainingSet
from crypto_refactor.model.recipe import RECIPE
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.training.parallel import TrainingObserver, fit_all
from crypto_refactor.model.training.phases import fit_name

_FIGURES = ("weights", "volatility_floor", "threshold_scale", "epochs", "stop_loss")


def check_retraining(result: BacktestResult, observer: TrainingObserver) -> AuditCheck:
    """Check 6: training gives the weights, the evidence and the forecasts of the model behind most of the fills.

    Raises
    ------
    UsageError
        If a pinned model decided: its training rows are not part of the run.
    ModelError
        If the model cannot be trained.
    """
    if result.pinned is not None:
        raise UsageError(
            "--retrain cannot train the model of --model again.",
            expected="walk-forward models, whose training rows are part of the run.",
            remedy="leave out --model or --retrain.",
        )
    part, fills = _most_filled(result)
    data = training_alone(result, part.period)[1]
    name = fit_name(result.ticker, data.trained_through)
    trained = _train(name, data, result.settings, observer)
    period = f"{to_iso(part.period.first)} to {to_iso(part.period.last)}"
    return AuditCheck.of(
        "retraining",
        list(_differences(part, data, trained)),
        passed=f"The model of {period}, behind {fills} of {len(result.requested.simulation.fills)} fills, was trained again on "
        f"{len(data):,} rows: its weights and evidence, and its forecasts at these rows, are the same to the last bit.",
        failed=f"The model of {period} is another one when it is trained again. On one machine fits are the same to the last "
        "bit. Another processor may round differently, and then nothing stays equal: repeat this on the machine that trained "
        "the model.",
    )


def _most_filled(result: BacktestResult) -> tuple[PeriodSignals, int]:
    """Return the first period whose decisions led to most fills, and their number."""
    fills = np.array([fill.at for fill in result.requested.simulation.fills], dtype=np.int64)
    counts = [
        int(((fills >= part.period.first) & (fills <= part.period.last)).sum())
        for part in result.walk.periods
    ]
    most = int(np.argmax(counts))
    return result.walk.periods[most], counts[most]


def _train(name: str, data: TrainingSet, settings: ModelSettings, observer: TrainingObserver) -> TrainedModel:
    observer.begin([name], RECIPE.max_epochs if settings.fits_network else 0)
    try:
        ((_, trained),) = fit_all([data], settings, observer.progress)
        observer.finished(0, failed=isinstance(trained, ModelError))
    finally:
        observer.end()
    if isinstance(trained, ModelError):
        raise trained
    return trained


def _differences(part: PeriodSignals, data: TrainingSet, trained: TrainedModel) -> Iterator[Difference]:
    """Yield what is not the same: on the card, and in the forecasts of the network that decided."""
    card, cutoff = part.model.card, part.period.cutoff
    for name in _FIGURES:
        if getattr(card, name) != getattr(trained, name):
            yield Difference(
                bar=cutoff,
                column=f"{name.replace('_', ' ')} after training again",
                run=getattr(card, name),
                recomputed=getattr(trained, name),
            )
    again = asdict(trained.evidence)
    for name, value in asdict(card.evidence).items():
        if value != again[name]:
            shown = (str(value), str(again[name])) if isinstance(value, tuple) else (value, again[name])
            yield Difference(
                bar=cutoff, column=f"evidence after training again: {name}", run=shown[0], recomputed=shown[1]
            )
    windows = data.windows()
    other = forecaster.load(
        trained.onnx,
        network=card.network,
        lookback=data.lookback,
        volatility_floor=trained.volatility_floor,
        name="trained again",
    )
    forecast, expected = (network.raw(windows) for network in (part.model.forecaster(), other))
    if not np.array_equal(forecast, expected):
        row = int(np.argmax(forecast != expected))
        yield Difference.between(cutoff, f"forecast at training row {row}", forecast[row], expected[row])
