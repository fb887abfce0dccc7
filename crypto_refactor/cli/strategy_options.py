"""Which models decide and by which rules: options that the backtester and everything that trades share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.execution_options import execution_options
from crypto_refactor.cli.options import combined

if TYPE_CHECKING:
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.parallel import Cluster
    from crypto_refactor.signals.conditions import SignalRules

strategy_options = combined(
    options.lookback,
    click.option(
        "--train-hours", type=int, default=2160, show_default=True, help="Hours each model learns from."
    ),
    click.option("--refit-every", type=int, default=720, show_default=True, help="Hours between two models."),
    click.option(
        "--model", metavar="NAME", help="Let this model of app_lstm decide everything; never retrained."
    ),
    execution_options,
    options.min_confirmations,
    options.threshold_scale,
    options.network,
    options.seed,
    options.allow_gaps,
    click.option(
        "--cluster",
        metavar="tcp://HOST:PORT",
        help="Train missing models on this Dask cluster; its workers decide how many at a time.  "
        "[default: on this machine, or CRYPTO_CLUSTER]",
    ),
)


def model_settings(values: Mapping[str, Any]) -> ModelSettings:
    """Return which models `strategy_options` asked for."""
    from crypto_refactor.model.settings import ModelSettings

    return ModelSettings(
        lookback=values["lookback"],
        network=values["network"],
        seed=values["seed"] or 0,
        train_hours=values["train_hours"],
        refit_every=values["refit_every"],
    )


def signal_rules(values: Mapping[str, Any]) -> SignalRules:
    """Return what `strategy_options` asks of a signal."""
    from crypto_refactor.signals.conditions import SignalRules

    return SignalRules(
        min_confirmations=values["min_confirmations"], threshold_scale=values["threshold_scale"]
    )


def training_cluster(values: Mapping[str, Any]) -> Cluster | None:
    """Return where `strategy_options`, or else the environment, asked models to be trained; None for here."""
    from crypto_refactor.config import settings
    from crypto_refactor.model.training.parallel import Cluster

    address = values["cluster"] or settings().cluster
    return None if address is None else Cluster(address)
