"""`crypto-refactor models`: list trained models, or prune their cache."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.command_table import grouped_command
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json

if TYPE_CHECKING:
    from crypto_refactor.model.artifact import Card

_GB = 10**9
_DELETE = (
    "To delete a named model, delete <base>_<quote>_<name>.keras, .onnx and .json there or in a folder below. "
    "--prune makes room in the cache alone."
)
_CARD_KEYS = ("ticker", "source", "simulated", "network", "lookback", "rows")


@grouped_command("models")
@options.flag("--prune", "Remove the least recently used models of the cache, and damaged files.")
@options.option(
    "--keep-gb",
    "With --prune: how much of the cache stays.",
    default=2.0,
    type=click.FloatRange(0, 1_000_000),
)
@options.wide
@options.as_json
@options.debug
def command(prune: bool, keep_gb: float, wide: bool, as_json: bool) -> None:
    """List the trained models and the cache of backtests, or make room.

    Named models belong to app_lstm: one of each set of options that was asked for.  They stay until their files are
    deleted.  The cache holds the models of backtests, one per cut-off.  A model that is removed is trained again when it
    is needed.
    """
    from crypto_refactor.config import settings
    from crypto_refactor.model.cache import prune_cache

    if math.isnan(keep_gb):  # it passes every range
        raise click.BadParameter("NaN is no amount.", param_hint="--keep-gb")
    folder = settings().model_dir
    removed = []
    if prune:
        removed = [entry.key for entry in prune_cache(folder, int(keep_gb * _GB), keep=set())]
        removed += _remove_damaged(folder)
    rows = _rows(folder)
    if as_json:
        print_json({"schema": 1, "folder": str(folder), "models": rows, "removed": removed})
        return
    if prune:
        click.echo(f"Removed {len(removed)} model{'' if len(removed) == 1 else 's'} and damaged files.")
    _print(folder, rows, wide=wide)


def _remove_damaged(folder: Path) -> list[str]:
    from crypto_refactor.model.artifact import model_folder_errors

    removed = []
    with model_folder_errors(folder):
        for file in sorted(folder.rglob("*.damaged")):
            file.unlink()
            removed.append(str(file.relative_to(folder)))
    return removed


def _rows(folder: Path) -> list[dict[str, Any]]:
    return [_row(path) for path in sorted(folder.rglob("*.keras"))]


def _row(path: Path) -> dict[str, Any]:
    """Return what is known of a model; one whose card is unreadable or of another model is shown as damaged."""
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.model.artifact import Card, files_of
    from crypto_refactor.model.cache import is_in_ledger

    cached = path.parent.parent.name == "cache"
    row: dict[str, Any] = {
        "name": path.parent.name if cached else path.stem,
        "cached": cached,
        "in_ledger": is_in_ledger(path.parent),
        "bytes": sum(file.stat().st_size for file in files_of(path) if file.exists()),
    }
    try:
        card = Card.from_json(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError, json.JSONDecodeError):
        return row | {"damaged": True}
    if cached and card.data and card.key != path.parent.name:
        return row | {"damaged": True}
    return row | {
        "damaged": False,
        **{name: getattr(card, name) for name in _CARD_KEYS},
        "trained_through": to_iso(card.trained_through),
        "options": _options(card, cached=cached),
        "created_at": card.created_at,
        "shrink": card.evidence.shrink,
        "rmse_ratio": card.evidence.rmse_ratio,
        "fingerprint": card.fingerprint,
    }


def _options(card: Card, *, cached: bool) -> list[str]:
    """Return what sets a model apart from one of the default options; a cached one has as many rows as its bars give."""
    from crypto_refactor.model.named_models import DEFAULT_HOURS, options_of

    named = options_of(card, DEFAULT_HOURS if cached else card.rows, card.plugins)
    return [f"{name} {value}".lstrip() for name, value in named]


def _print(folder: Path, rows: list[dict[str, Any]], *, wide: bool) -> None:
    from crypto_refactor.report.terminal.tables import Column, FittedTable, print_lines, print_table

    screen = console()
    total = sum(row["bytes"] for row in rows)
    count = f"{len(rows)} model{'' if len(rows) == 1 else 's'}"
    print_lines(screen, [f"{count} in {folder}, {total / 10**6:,.1f} MB"])
    if not rows:
        return
    table = FittedTable(
        Column("name", left=True, wraps=True),
        Column("ticker", left=True),
        Column("options", left=True, wraps=True),
        Column("trained through\n(UTC)", left=True),
        Column("skill\nshown", hide=2),
        Column("size\nMB", hide=1),
        all_in="--wide",
    )
    for row in rows:
        table.add(*_cells(row), f"{row['bytes'] / 10**6:.2f}")
    print_table(screen, table, wide=wide)
    if not all(row["cached"] for row in rows):
        print_lines(screen, ["", _DELETE])


def _cells(row: dict[str, Any]) -> list[str]:
    from crypto_refactor.market.ticker import Ticker
    from crypto_refactor.report.formatting import number

    name = str(row["name"])
    if row["cached"]:
        name = f"cache {name[:8]}" + (", in a ledger" if row["in_ledger"] else "")
    if row["damaged"]:
        return [name, "", "damaged", "", ""]
    if not row["cached"]:  # as --model takes it
        name = name.removeprefix(f"{Ticker.parse(row['ticker']).slug}_")
    marks = ["SIMULATED"] if row["simulated"] else [row["source"]] if row["source"] != "alpaca" else []
    return [
        name,
        row["ticker"],
        ", ".join([*marks, *row["options"]]) or "default",
        row["trained_through"][:16].replace("T", " "),
        number(row["shrink"]),
    ]
