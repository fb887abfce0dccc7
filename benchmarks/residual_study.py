"""Whether a network adds to the linear skip: fit it at many cut-offs, and score it where nothing was chosen.

    python benchmarks/residual_study.py --data-dir DIR [--networks documented small] [--cutoffs 4] [--forms ...]

Each fit trains the residual whatever its gain (as `--residual always`), in several forms of normalisation.  Three
questions are asked of it: does what is served correlate with what was trained, on the rows that were fitted; would the
gate keep it; and what does it gain over the skip on the rows after the fit, which decided nothing.  A gain is a fall of
the Huber loss, per mille of the loss of no forecast; errors are clustered by day over all fits of a form.
"""

from __future__ import annotations

import argparse
import warnings
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from time import perf_counter

import numpy as np
from harness import tickers_of

from crypto_refactor.correlation import hourly_mean, pooled_spearman
from crypto_refactor.market.sources.csv_files import FilesSource
from crypto_refactor.model.dataset import split
from crypto_refactor.model.recipe import huber_loss
from crypto_refactor.model.schedule import refit_periods, series_start, training_rows
from crypto_refactor.model.settings import ModelSettings
from crypto_refactor.model.skip import fit_skip

UNITS = {"documented": (256, 128, 64), "small": (32, 16, 8)}
FORMS = ("batch norm", "moving averages", "batch norm on inputs", "layer norm")
"""As documented; the same served with Keras' moving averages; and two other places or kinds of normalisation."""


@dataclass(frozen=True)
class Fit:
    """What one fit showed; the arrays belong to the rows after the fit."""

    form: str
    network: str
    agreement: float | None
    kept: bool
    seconds: float
    zero: np.ndarray
    skip: np.ndarray
    both: np.ndarray
    skip_forecast: np.ndarray
    both_forecast: np.ndarray
    target: np.ndarray
    hours: np.ndarray


def stack(units, form, keras, x, recipe):
    """Return the documented stack of LSTM layers in one form of normalisation."""
    layers = keras.layers
    if form == "batch norm on inputs":
        x = layers.BatchNormalization()(x)
    for depth, (width, dropout) in enumerate(zip(units, (0.3, 0.3, 0.2), strict=True)):
        regularizer = keras.regularizers.L2(recipe.l2)
        x = layers.LSTM(
            width, return_sequences=depth + 1 < len(units), kernel_regularizer=regularizer, use_cudnn=False
        )(x)
        if form in ("batch norm", "moving averages"):
            x = layers.BatchNormalization()(x)
        elif form == "layer norm":
            x = layers.LayerNormalization()(x)
        x = layers.Dropout(dropout)(x)
    return x


def study(period, settings, network, form):
    """Fit the residual of one cut-off in one form, in this process."""
    from crypto_refactor.model.training import residual as module

    settings = replace(settings, network=network)
    data = training_rows(period, settings)
    parts, target = split(len(data)), data.target
    skip = fit_skip(data.last_inputs[parts.fit], target[parts.fit])
    skip_forecast = skip.forecast(data.last_inputs)
    left = target - skip_forecast
    module.MIN_AGREEMENT = -1.0  # it is what is asked
    exact, start = module.BatchStatistics.keep, perf_counter()
    if form == "moving averages":
        module.BatchStatistics.keep = lambda _statistics: None
    try:
        fitted = module.fit_residual(data, left, skip, parts, settings, lambda _epoch, _loss: None)
    finally:
        module.BatchStatistics.keep = exact
    seconds = perf_counter() - start
    gain = huber_loss(left[parts.stop]) - huber_loss(left[parts.stop] - fitted.forecast)
    t = hourly_mean(gain, data.closed[parts.stop]).t
    part = parts.calibrate
    scaled = skip.scale.apply(data.inputs).astype(np.float32)
    windows = replace(data, inputs=scaled).windows(part)
    both = skip_forecast[part] + fitted.network.predict(windows, verbose=0)[:, 0]
    return Fit(
        form=form,
        network=network,
        agreement=fitted.agreement,
        kept=t is not None and t > 2,
        seconds=seconds,
        zero=huber_loss(target[part]),
        skip=huber_loss(left[part]),
        both=huber_loss(target[part] - both),
        skip_forecast=skip_forecast[part],
        both_forecast=both,
        target=target[part],
        hours=data.closed[part],
    )


def studies(data_dir, ticker, cutoffs, settings, networks, forms):
    """Return the fits of one ticker at its last `cutoffs` cut-offs."""
    from crypto_refactor.model.training import compiled_network

    warnings.simplefilter("ignore")
    bars = FilesSource(data_dir).bars(ticker, 0, 10**7)
    last = int(bars.closed[-1])
    periods = refit_periods(bars, last - cutoffs * settings.refit_every + 1, last, settings)[-cutoffs:]
    if series_start(periods[0].cutoff, settings) < int(bars.opened[0]):
        raise SystemExit(f"{ticker} has too few bars for {cutoffs} cut-offs")
    fits = []
    for network, form in product(networks, forms):
        # The registry of this process: that of the main module was pickled.
        compiled_network.NETWORKS[network] = partial(stack, UNITS[network], form)
        compiled_network._compiled.cache_clear()  # noqa: SLF001  # no other network was ever compiled under a name
        fits += [study(period, settings, network, form) for period in periods]
    return fits


def print_form(name, fits):
    hours = np.concatenate([fit.hours for fit in fits])
    loss = np.concatenate([fit.zero for fit in fits]).mean()
    gain = hourly_mean(np.concatenate([fit.skip - fit.both for fit in fits]) / loss * 1000, hours)
    skip = hourly_mean(np.concatenate([fit.zero - fit.skip for fit in fits]) / loss * 1000, hours)
    ranks = [
        pooled_spearman([(getattr(fit, side), fit.target, fit.hours) for fit in fits])
        for side in ("skip_forecast", "both_forecast")
    ]
    agreement = [fit.agreement for fit in fits if fit.agreement is not None]
    print(
        f"| {name} | {len(fits)} | {np.median([fit.seconds for fit in fits]):.1f} s "
        f"| {min(agreement):.3f} / {np.median(agreement):.3f} | {sum(fit.kept for fit in fits)} "
        f"| {skip.value:+.2f} ± {skip.se:.2f} | {gain.value:+.2f} ± {gain.se:.2f} | {gain.t:+.1f} "
        f"| {ranks[0].value:+.4f} ± {ranks[0].se:.4f} | {ranks[1].value:+.4f} ± {ranks[1].se:.4f} |",
        flush=True,
    )


def main():
    from joblib import Parallel, delayed

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", required=True, type=Path)
    parser.add_argument("--networks", nargs="+", choices=tuple(UNITS), default=["small"])
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    parser.add_argument("--cutoffs", type=int, default=4)
    parser.add_argument("--train-hours", type=int, default=2160)
    arguments = parser.parse_args()
    settings = ModelSettings(train_hours=arguments.train_hours, residual="always")
    tickers = tickers_of(arguments.data_dir)
    calls = [
        delayed(studies)(
            arguments.data_dir, ticker, arguments.cutoffs, settings, arguments.networks, arguments.forms
        )
        for ticker in tickers
    ]
    fits = [fit for found in Parallel(n_jobs=2, backend="loky")(calls) for fit in found]
    print("| network, form | fits | a fit | served against trained, least / median | kept by the gate | skip, ‰ | network on top, ‰ | t | rank correlation of the skip | with the network |")  # fmt: skip
    print("|---" * 10 + "|")
    for network in arguments.networks:
        for form in arguments.forms:
            print_form(
                f"{network}, {form}", [fit for fit in fits if (fit.network, fit.form) == (network, form)]
            )


if __name__ == "__main__":
    main()
