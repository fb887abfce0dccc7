"""`record`: every forecast that was made, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json
from crypto_refactor.cli.trading.account_selection import account_options, open_ledger, selected_account
from crypto_refactor.errors import BrokerError, CryptoRefactorError, UsageError
from crypto_refactor.storage.output_file import check_writable, write_text

if TYPE_CHECKING:
    from crypto_refactor.market.bars import Bars
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.trading.ledger.forecast_record import ForecastRecord
    from crypto_refactor.trading.ledger.ledger import AccountRow


@grouped_command("record")
@account_options
@options.option(
    "--model", "Name of a model that gives signals without an account (models/app_lstm.py).", metavar="NAME"
)
@options.file_option("--csv", "FILE.csv", "Write every forecast and its outcome.", "file")
@options.wide
def record(model: str | None, file: Path | None, wide: bool, **values: Any) -> None:
    """Score every forecast of an account, or of a model without one, and watch whether its confidence comes true.

    Outcomes come from the ledger, and where it does not know them, from the bars of the account's source.
    """
    from crypto_refactor.market.bars import SAMPLE
    from crypto_refactor.report.csv_files import forecasts_csv
    from crypto_refactor.report.documents.record import record_json
    from crypto_refactor.trading.record.record import series_record
    from crypto_refactor.trading.record.series_names import source_of

    check_writable(file)
    _, ledger, rows = open_ledger(values)
    known = ledger.forecast_series() if ledger.path.exists() else ()
    series = _selected_series(values, model, rows, known)
    forecasts = ledger.forecasts(series) if series in known else {}
    bars, notes = _bars(series, forecasts, values["state_dir"])
    made = series_record(str(series), forecasts, bars) if forecasts else None
    place = None if series is None else source_of(series)
    about = next((row.about for row in rows if row.name == series), {})
    simulated = SAMPLE in {about.get("source"), place and place[0]}
    others = [name for name in known if name != series]
    if file is not None:
        write_text(file, forecasts_csv(() if made is None else made.forecasts, simulated=simulated))
    if values["as_json"]:
        print_json(record_json(made, series=series, others=others, notes=notes, simulated=simulated))
        return
    if made is None:
        click.echo(f"No forecast {f'of {series} ' if series else ''}has been recorded yet.")
    else:
        from crypto_refactor.report.terminal.accounts.record import print_record

        print_record(made, console(), simulated=simulated, wide=wide)
    from crypto_refactor.report.terminal.tables import print_lines

    print_lines(console(), [f"Outcomes are missing, as bars cannot be read: {note}" for note in notes])
    if others:
        print_lines(console(), ["Other series (--account NAME):", *(f"  {name}" for name in others)])


def _selected_series(
    values: Mapping[str, Any], model: str | None, rows: Sequence[AccountRow], known: Sequence[str]
) -> str | None:
    """Return the series that the options select: by default that of the account traded last, else the only one."""
    if model is not None:
        return _series_of_model(values, model, known)
    if values["account"] in known:
        return str(values["account"])
    row = selected_account(values, rows)
    if row is not None:
        return row.name
    return known[0] if len(known) == 1 else None


def _series_of_model(values: Mapping[str, Any], model: str, known: Sequence[str]) -> str:
    from crypto_refactor.trading.record.series_names import model_of, source_of

    if values["account"] or values["demo"] or values["live"]:
        raise UsageError(
            "--model was given with --account, --demo or --live.",
            expected="a model without an account, or an account.",
            remedy="leave out the other one.",
        )
    folder = None if values["data_dir"] is None else values["data_dir"].resolve()
    source = "files" if folder is not None and values["source"] is None else values["source"]
    named = [series for series in known if model_of(series) == model]
    fitting = [
        series
        for series in named
        if (place := source_of(series)) is not None
        and source in {None, place[0]}
        and folder in {None, place[1]}
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise UsageError(
            f"The model {model} has given signals on bars of several sources: {', '.join(fitting)}.",
            expected="one of them.",
            remedy="add --source, and --data-dir for a folder of files.",
        )
    listed = ", ".join(known) or "none"
    raise BrokerError(
        f"The ledger has no forecast of a model {model}{'' if not named else ' on these bars'}.",
        expected=f"one of the series it holds: {listed}.",
        remedy="name one of these models, or give a signal first; --state-dir chooses another ledger.",
    )


def _bars(
    series: str | None, forecasts: Mapping[Ticker, Sequence[ForecastRecord]], state: Path | None
) -> tuple[dict[Ticker, Bars], tuple[str, ...]]:
    """Return the bars that tell what the ledger does not know, and why some cannot be read."""
    from crypto_refactor.market.sources.factory import open_source
    from crypto_refactor.trading.record.bars_behind import bars_behind
    from crypto_refactor.trading.record.series_names import source_of

    place = None if series is None else source_of(series)
    if place is None or not forecasts:
        return {}, ()
    name, folder = place
    try:
        return bars_behind(open_source(name, data_dir=folder, state_dir=state), forecasts)
    except CryptoRefactorError as error:
        return {}, (error.what,)


COMMANDS = {"record": record}
