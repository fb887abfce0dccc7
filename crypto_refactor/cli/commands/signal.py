"""`models/app_lstm.py`, `crypto-refactor signal`: train if needed, then give a signal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from crypto_refactor.cli import completion, options
from crypto_refactor.cli.command_table import grouped_command, load_command
from crypto_refactor.cli.forecast_record import no_record, recorded_signal
from crypto_refactor.cli.output import say, text_width
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.strategy_options import signal_rules
from crypto_refactor.errors import CryptoRefactorError, UsageError

if TYPE_CHECKING:
    from crypto_refactor.signals.signal import Signal
    from crypto_refactor.trading.record.record import SeriesRecord

_COLOURS = {1: "green", 0: None, -1: "red"}
"""Of the sides; the words say the same."""
_CLOSING_SECONDS = 15.0
"""How long the notice of a signal may take."""


@grouped_command("signal")
@options.ticker
@options.option("--hours", "Hours of history to train on, at least 120.", default=240)
@options.option(
    "--model",
    "Name of the one model to keep under it.  [default: lstm_v2, and a name of its own for other options]",
    metavar="NAME",
    shell_complete=completion.models,
)
@options.lookback
@options.option("--retrain-threshold", "Retrain a model that is older than this many hours.", default=24)
@options.flag("--retrain", "Retrain in any case; under a --model of your own, replace one of other options.")
@options.flag(
    "--walk-forward",
    "Decide by the model that backtests and the trading loop use at this hour; named models, --hours and "
    "--retrain-threshold play no part.",
)
@options.min_confirmations
@options.threshold_scale
@options.network
@options.plugins
@options.residual
@options.seed
@options.notify
@options.allow_gaps
@options.allow_jumps
@no_record
@options.details
@options.bars
def command(details: bool, **values: Any) -> None:
    """Give a trading signal for the next hour, training an LSTM first if there is none that fits.

    A trained model is reused until it is older than --retrain-threshold; those of other options are kept beside it.
    The output names the model, why it was used, and the evidence for its forecasts.
    """
    from crypto_refactor.report.documents.record import record_summary
    from crypto_refactor.report.terminal.signal import signal_text

    signal, record = _notified(values) if values["notify"] else _generated(values)
    if values["as_json"]:
        print_json({**signal.to_dict(), "record": None if record is None else record_summary(record)})
        return
    say(
        signal_text(
            signal,
            values["tz"],
            width=text_width(),
            now=_present_hour(values, signal),
            record=record,
            commands={"Next": _next(values, signal)},
            repeat=_again(values, signal),
            details=details,
        ),
        _COLOURS[signal.signal],
    )


def _present_hour(values: dict[str, Any], signal: Signal) -> int | None:
    """Return the hour that a signal is for in the reader's mind; None for a past one that was asked for, or simulated."""
    from crypto_refactor.market.hours import floor_hour

    return None if values["end"] is not None or signal.simulated else floor_hour(datetime.now(UTC))


def _next(values: dict[str, Any], signal: Signal) -> list[str]:
    """Return the backtest of what gave the signal."""
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.report.reproduce import related_command

    changed = {} if values["end"] is None else {"--end": to_iso(values["end"])}
    return related_command(load_command("backtest"), signal.source, changed)


def _again(values: dict[str, Any], signal: Signal) -> list[str]:
    """Return the command that gives the same signal again."""
    from crypto_refactor.report.reproduce import repeat_command

    # A model of an hour before would do as well, and is another one.
    instead = {"--retrain-threshold": "0"} if signal.model.exact and not values["walk_forward"] else {}
    return repeat_command("signal", signal.source, signal.end, instead)


def _notified(values: dict[str, Any]) -> tuple[Signal, SeriesRecord | None]:
    """Return the signal and its record, and send the signal, or what has failed, to the receivers."""
    from crypto_refactor.trading.notifications import Notifier, of_failure, of_signal, stamped

    notifier = Notifier(values["notify"])
    try:
        signal, record = _generated(values)
        notifier.post(stamped(of_signal(signal)))
    except CryptoRefactorError as error:
        notifier.post(stamped(of_failure(error, values["ticker"])))
        raise
    finally:
        notifier.close(_CLOSING_SECONDS)
    return signal, record


def _generated(values: dict[str, Any]) -> tuple[Signal, SeriesRecord | None]:
    from crypto_refactor.cli.progress import TrainingBars
    from crypto_refactor.model.named_models import DEFAULT_MODEL_NAME
    from crypto_refactor.signals.generator import SignalGenerator
    from crypto_refactor.trading.record.series_names import LOOP_MODELS

    if values["walk_forward"] and (values["model"] is not None or values["retrain"]):
        raise UsageError(
            "--walk-forward was given with --model or --retrain.",
            expected="one of them: the models of the trading loop have no names, and never change.",
            remedy="leave out --walk-forward, or the other one.",
        )
    source = options.open_selected_source(values)
    model = DEFAULT_MODEL_NAME if values["model"] is None else values["model"]
    generator = SignalGenerator(
        values["ticker"],
        values["lookback"],
        source=source,
        model=model,
        network=values["network"],
        residual=values["residual"],
        plugins=values["plugins"],
        seed=values["seed"],
        rules=signal_rules(values),
        observer=TrainingBars(),
    )
    known = {name: values[name] for name in ("end", "allow_gaps", "allow_jumps")}
    if values["walk_forward"]:
        signal = generator.walk_forward_signal(**known)
        return signal, recorded_signal(values, signal, source, LOOP_MODELS)
    signal = generator.generate_signals(
        values["hours"], values["retrain_threshold"], retrain=values["retrain"], **known
    )
    return signal, recorded_signal(values, signal, source, signal.model.name)
