"""`crypto-refactor models`: what has been trained, and room for more."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import click

from crypto_refactor.cli import options
from crypto_refactor.cli.output import console
from crypto_refactor.cli.runner import print_json

_GB = 10**9


@click.command("models")
@click.option(
    "--prune",
    is_flag=True,
    help="Remove least recently used models of the cache, and files set aside as damaged.",
)
@click.option(
    "--keep-gb",
    type=click.FloatRange(0, 1_000_000),
    default=2.0,
    show_default=True,
    help="With --prune: how much of the cache stays.",
)
@options.as_json
@options.debug
def command(prune: bool, keep_gb: float, as_json: bool) -> None:
    """List the trained models and the cache of backtests, or make room.

    Named models belong to app_lstm; the cache holds what backtests trained, one model per cut-off.
    Removing any of them costs nothing but the time to train it again.
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
        click.echo(f"Removed {len(removed)} models and damaged files.")
    _print(folder, rows)


def _remove_damaged(folder: Path) -> list[str]:
    from crypto_refactor.model.artifact import model_folder_errors

    removed = []
    with model_folder_errors(folder):
        for file in sorted(folder.rglob("*.damaged")):
            file.unlink()
            removed.append(str(file.relative_to(folder)))
    return removed


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Return one row per card; a model whose card cannot be read is shown as damaged."""
    from crypto_refactor.market.hours import to_iso
    from crypto_refactor.model.artifact import Card, files_of
    from crypto_refactor.model.cache import is_in_ledger

    rows = []
    for path in sorted(folder.rglob("*.keras")):
        row: dict[str, Any] = {
            "name": path.parent.name if path.parent.parent.name == "cache" else path.stem,
            "cached": path.parent.parent.name == "cache",
            "in_ledger": is_in_ledger(path.parent),
            "bytes": sum(file.stat().st_size for file in files_of(path) if file.exists()),
        }
        try:
            card = Card.from_json(path.with_suffix(".json").read_text(encoding="utf-8"))
        except (OSError, ValueError, json.JSONDecodeError):
            rows.append(row | {"damaged": True})
            continue
        rows.append(
            row
            | {
                "damaged": False,
                "ticker": card.ticker,
                "source": card.source,
                "simulated": card.simulated,
                "network": card.network,
                "lookback": card.lookback,
                "rows": card.rows,
                "trained_through": to_iso(card.trained_through),
                "created_at": card.created_at,
                "shrink": card.evidence.shrink,
                "rmse_ratio": card.evidence.rmse_ratio,
                "fingerprint": card.fingerprint,
            }
        )
    return rows


def _print(folder: Path, rows: list[dict[str, Any]]) -> None:
    from rich.table import Table

    from crypto_refactor.report.formatting import number

    screen = console()
    total = sum(row["bytes"] for row in rows)
    screen.print(f"{len(rows)} models in {folder}, {total / 10**6:,.1f} MB", highlight=False, soft_wrap=True)
    if not rows:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in (
        "name",
        "ticker",
        "source",
        "network",
        "lookback",
        "trained through (UTC)",
        "supported",
        "RMSE / zero",
        "MB",
    ):
        table.add_column(name, no_wrap=name in {"name", "ticker", "source", "network"}, overflow="fold")
    for row in rows:
        size = f"{row['bytes'] / 10**6:.1f}"
        if row["damaged"]:
            table.add_row(row["name"], "damaged", "", "", "", "", "", "", size)
            continue
        source = "SIMULATED" if row["simulated"] else row["source"]
        table.add_row(
            _name(row),
            row["ticker"],
            source,
            row["network"],
            str(row["lookback"]),
            row["trained_through"][:16].replace("T", " "),
            number(row["shrink"]),
            number(row["rmse_ratio"], 4),
            size,
        )
    screen.print(table)


def _name(row: dict[str, Any]) -> str:
    if not row["cached"]:
        return str(row["name"])
    return f"cache {row['name'][:8]}" + (", in a ledger" if row["in_ledger"] else "")
