"""Options for models, signals and execution, shared by the backtester and everything that trades."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import completion, options
from crypto_refactor.cli.output import say_hints
from crypto_refactor.execution.options import EXECUTION_OPTIONS, OptionSpec, option_hints

if TYPE_CHECKING:
    from crypto_refactor.backtest.result import BacktestResult
    from crypto_refactor.execution.rules import ExecutionOptions
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.cluster import Cluster
    from crypto_refactor.signals.conditions import SignalRules


def _click_option(field: str, spec: OptionSpec) -> options.Option:
    """Make the option of a command line from its specification."""
    if spec.is_switch:
        name = f"--{spec.name}/--no-{spec.name}" if spec.negatable else f"--{spec.name}"
        return options.flag(name, spec.help, field, default=False, show_default=spec.negatable)
    if spec.choices:
        if spec.extensible:
            names = "|".join((*spec.choices, "NAME"))
            return options.option(
                f"--{spec.name}",
                f"{spec.help}  A plug-in may add others.",
                field,
                default=str(spec.default),
                metavar=f"[{names}]",
            )
        choice = click.Choice(spec.choices)
        return options.option(f"--{spec.name}", spec.help, field, type=choice, default=str(spec.default))
    default: dict[str, Any] = {} if spec.default is None else {"default": spec.default}
    text = f"  [default: {spec.default_text}]" if spec.default_text else ""
    return options.option(
        f"--{spec.name}", spec.help + text, field, type=float, metavar=spec.metavar, **default
    )


execution_options = options.combined(*map(_click_option, EXECUTION_OPTIONS, EXECUTION_OPTIONS.values()))
deciding_options = options.combined(
    options.lookback,
    options.option("--train-hours", "Hours of history that each model is trained on.", default=2160),
    options.option("--refit-every", "Hours between two models.", default=720),
    execution_options,
    options.min_confirmations,
    options.threshold_scale,
    options.network,
    options.plugins,
    options.residual,
    options.seed,
)
"""Every option that decides or trades; `compare --vary` takes each."""
strategy_options = options.combined(
    options.option(
        "--model",
        "Pin this model of app_lstm for every decision; never retrain it.",
        metavar="NAME",
        shell_complete=completion.models,
    ),
    deciding_options,
    options.allow_gaps,
    options.allow_jumps,
    options.option(
        "--cluster",
        "Train missing models on this Dask cluster, as many at a time as it has workers.  "
        "[default: on this machine, or CRYPTO_CLUSTER]",
        metavar="tcp://HOST:PORT",
    ),
)


def rule_options(values: Mapping[str, Any]) -> ExecutionOptions:
    """Return the execution rules asked for; a number that looks like another unit's is pointed out."""
    from crypto_refactor.execution.rules import ExecutionOptions

    options = ExecutionOptions(**{field: values[field] for field in EXECUTION_OPTIONS})
    say_hints(option_hints(options))
    return options


def model_settings(values: Mapping[str, Any]) -> ModelSettings:
    """Return the models asked for."""
    from dataclasses import fields

    from crypto_refactor.model.settings import ModelSettings

    given = {field.name: values[field.name] for field in fields(ModelSettings)}
    return ModelSettings(**given | {"seed": values["seed"] or 0})


def signal_rules(values: Mapping[str, Any]) -> SignalRules:
    """Return what is asked of a signal."""
    from dataclasses import fields

    from crypto_refactor.signals.conditions import SignalRules

    return SignalRules(**{field.name: values[field.name] for field in fields(SignalRules)})


def training_cluster(values: Mapping[str, Any]) -> Cluster | None:
    """Return the cluster that the options, or else the environment, select; None for this machine."""
    from crypto_refactor.config import settings
    from crypto_refactor.model.training.cluster import Cluster, invalid_address, is_address

    address = values["cluster"] or settings().cluster
    if not values["cluster"] and address is not None and not is_address(address):
        raise invalid_address("")  # what the environment holds may be a secret in the wrong place
    return None if address is None else Cluster(address)


def run_backtest(values: Mapping[str, Any], *, assess: bool = True) -> BacktestResult:
    """Backtest with the source, the models, the rules and the window asked for."""
    from crypto_refactor.backtest.backtester import Backtester
    from crypto_refactor.cli.progress import TrainingBars

    backtester = Backtester(
        values["ticker"],
        source=options.open_selected_source(values),
        settings=model_settings(values),
        signal_rules=signal_rules(values),
        options=rule_options(values),
        model=values["model"],
        observer=TrainingBars(),
        cluster=training_cluster(values),
    )
    return backtester.run(
        values["hours"],
        end=values["end"],
        initial_balance=values["initial_balance"],
        allow_gaps=values["allow_gaps"],
        allow_jumps=values["allow_jumps"],
        assess=assess,
        importance=values.get("importance", False),
    )
