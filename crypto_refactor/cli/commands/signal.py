"""`models/app_lstm.py`, `crypto-refactor signal`: train where needed, then give a signal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.runner import print_json

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from crypto_refactor.market.ticker import Ticker


@click.command("signal")
@options.ticker
@click.option(
    "--hours", type=int, default=240, show_default=True, help="Hours of history to train on, at least 120."
)
@click.option("--model", metavar="NAME", help="Name of the model file.  [default: lstm_v2]")
@options.lookback
@click.option(
    "--retrain-threshold",
    type=int,
    default=24,
    show_default=True,
    help="Train anew where the model is older than this many hours.",
)
@click.option("--retrain", is_flag=True, help="Train anew in any case.")
@options.min_confirmations
@options.threshold_scale
@options.network
@options.seed
@options.allow_gaps
@options.bars
def command(
    ticker: Ticker,
    hours: int,
    model: str | None,
    lookback: int,
    retrain_threshold: int,
    retrain: bool,
    min_confirmations: int,
    threshold_scale: float | None,
    network: str,
    seed: int | None,
    allow_gaps: bool,
    source: str | None,
    data_dir: Path | None,
    state_dir: Path | None,
    end: int | None,
    tz: ZoneInfo,
    as_json: bool,
) -> None:
    """Give a trading signal for the next hour, training an LSTM first where none fits.

    A trained model is used again until it is older than --retrain-threshold; the output says which
    model answered, why, and what it has been shown to know.
    """
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.model.named_models import DEFAULT_MODEL_NAME
    from crypto_refactor.report.terminal.signal import signal_text
    from crypto_refactor.signals.conditions import SignalRules
    from crypto_refactor.signals.generator import SignalGenerator

    generator = SignalGenerator(
        ticker,
        lookback,
        source=options.open_selected_source(source, data_dir, state_dir),
        model=DEFAULT_MODEL_NAME if model is None else model,
        network=network,
        seed=seed,
        rules=SignalRules(min_confirmations=min_confirmations, threshold_scale=threshold_scale),
        observer=TrainingBars(),
    )
    signal = generator.generate_signals(
        hours, retrain_threshold, end=end, retrain=retrain, allow_gaps=allow_gaps
    )
    if as_json:
        print_json(signal.to_dict())
    else:
        click.echo(signal_text(signal, tz))
