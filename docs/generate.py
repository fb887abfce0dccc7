"""Write the pages of the documentation that follow from the code: ``make docs``.

`tests/test_generated_docs.py` holds the written pages against what this returns.
"""

from __future__ import annotations

import json
import re
import sys
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from crypto_refactor.backtest.external.target_file import MADE_AT, TARGET
from crypto_refactor.cli.command_table import GROUPS, by_group, load_command
from crypto_refactor.features.catalogue import CATALOGUE, WARMUP
from crypto_refactor.market.bars import COLUMNS
from crypto_refactor.market.frames import STAMP
from crypto_refactor.report.csv_files import (
    COMPARISON_FIGURES,
    FORECAST_COLUMNS,
    RECONCILIATION_COLUMNS,
    TRADE_COLUMNS,
    TRIAL_COLUMNS,
    signal_columns,
)
from crypto_refactor.signals import SignalRules
from crypto_refactor.signals.condition_catalogue import BUILTIN_CONDITIONS, CONDITIONS

DOCS = Path(__file__).parent
_DEFAULT = re.compile(r"\s*\[default: (?P<value>[^\]]*)\]")
_HEAD = """# Commands and options

Written by `make docs` from the commands themselves. Every command shows its own with `-h`; `crypto-refactor config COMMAND`
shows what is in force and where each value comes from. A script named in brackets is the same command.
"""


def commands_page() -> str:
    """Return every command with its help and its options, in Markdown."""
    parts = [_HEAD]
    for title, commands in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += [_command(name, line) for name, (_, line) in commands.items()]
    return "\n".join(parts)


def _command(name: str, line: str) -> str:
    command = load_command(name)
    words = [
        parameter.human_readable_name for parameter in command.params if isinstance(parameter, click.Argument)
    ]
    usage = " ".join(["crypto-refactor", name, *words, "[OPTIONS]"])
    tables = "\n\n".join(
        "\n".join([f"| {title.lower()} | default | |", "|---|---|---|", *map(_row, options)])
        for title, options in by_group(command.params).items()
    )
    return f"### {name}\n\n{line}\n\n```\n{usage}\n```\n\n{_help(command)}\n\n{tables}\n"


def _help(command: click.Command) -> str:
    """Return the help as paragraphs of one line each."""
    paragraphs = (command.help or "").replace("\b", "").split("\n\n")
    return "\n\n".join(" ".join(text.split()) for text in paragraphs)


def _row(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    text = " ".join((option.help or "").split())
    stated = _DEFAULT.search(text)
    value = "" if option.is_flag else f" `{_value(option)}`"
    return f"| {names}{value} | {_default(option, stated)} | {_cell(_DEFAULT.sub('', text))} |"


def _value(option: click.Option) -> str:
    if option.metavar:
        return option.metavar.strip("[]").replace("|", " or ")
    if isinstance(option.type, click.Choice):
        return " or ".join(option.type.choices)
    return {"integer": "N", "integer range": "N", "float": "X", "float range": "X"}.get(
        option.type.name, "TEXT"
    )


def _default(option: click.Option, stated: re.Match[str] | None) -> str:
    if stated is not None:
        return _cell(stated["value"])
    if option.required:
        return "required"
    if option.show_default and isinstance(option.default, int | float | str):
        return _cell(f"{option.default:g}" if isinstance(option.default, float) else str(option.default))
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


_INDICATORS = """# Indicators and conditions

Written by `make docs` from the catalogues themselves. `crypto-refactor signal --details` shows every value of the last bar; `--signals` of a
backtest writes the conditions of every hour. To add your own, write a [plug-in](plugins.md).

## The {count} indicators

A row at an hour depends on bars up to that hour only. The value is what people and conditions see; the input is what the model sees, without
units of price or volume. The first {warmup} bars of a series, and of each stretch after a gap of more than 72 hours, only warm the
indicators up. `0/0` says what stands where nothing moved or nothing was traded.

| name | value | input of the model | source |
|---|---|---|---|
{rows}

## The {conditions} conditions

A signal is long or short when `forecast` holds for that side and at least {required} of the other {others} do (`--min-confirmations`). All comparisons are
strict. Most of the {others} follow the trend; none is evidence by itself, and `forecast` alone carries the model's opinion.

| name | long | short |
|---|---|---|
{condition_rows}
"""


def indicators_page() -> str:
    """Return the catalogues of indicators and conditions, in Markdown."""
    rows = (
        f"| `{each.name}` | {_cell(each.formula)} | {_cell(each.input_formula)} | {each.source} |"
        for each in CATALOGUE
    )
    conditions = (
        f"| `{each.name}` | {_cell(each.long_text)} | {_cell(each.short_text)} |"
        for each in BUILTIN_CONDITIONS
    )
    return _INDICATORS.format(
        count=len(CATALOGUE),
        warmup=WARMUP,
        rows="\n".join(rows),
        conditions=len(BUILTIN_CONDITIONS),
        required=SignalRules().min_confirmations,
        others=len(BUILTIN_CONDITIONS) - 1,
        condition_rows="\n".join(conditions),
    )


CSV_FILES = {
    "bars": (
        "Bars",
        "`<base>_<quote>_1h.csv`, read by `--source files`, written by `import` and `download`; oldest first.",
        (STAMP, *COLUMNS),
    ),
    "targets": (
        "Targets",
        "Read by `evaluate --targets`; other columns are ignored and named.",
        (MADE_AT, TARGET),
    ),
    "trades": (
        "Trades",
        "`--trades` of a backtest or an evaluation, `trades --csv` of an account.",
        TRADE_COLUMNS,
    ),
    "signals": (
        "Signals",
        "`--signals` of a backtest: one row per real bar; `evaluate --targets` reads it.",
        signal_columns(CONDITIONS),
    ),
    "comparison": (
        "Comparisons",
        "`compare --csv`: the trials by rank, then portfolios; after `setting` stand the varied options.",
        ("rank", "ticker", "setting", *COMPARISON_FIGURES),
    ),
    "trials": ("Trials", "`trials --csv`: the journal.", TRIAL_COLUMNS),
    "record": ("Forecasts", "`record --csv`: each forecast, and how it ended.", FORECAST_COLUMNS),
    "reconciliation": (
        "Reconciliations",
        "`reconcile --csv`: each hour of each ticker, in the backtest and in the account.",
        RECONCILIATION_COLUMNS,
    ),
}
"""The title, the command and the columns of each kind of CSV file."""

_FILES = """# Files and JSON

Written by `make docs` from the column lists, from real runs on simulated bars, and from `docs/fields.toml`. Times are UTC, ISO-8601; money is in the quote currency,
quantities in the base currency, returns and fees are fractions (0.001 is 0.1 %). What is undefined is `null` in JSON and empty in CSV.
Which exit codes there are: [settings](settings.md#exit-codes).

## CSV files

Rows of simulated bars have one more column, `simulated`.
{tables}
## JSON documents

Every command takes `--json`. A document that changes in a way that could break a reader gets a higher `schema`. The complete JSON Schemas, from which
these tables are made, are in `docs/schemas/`. What is not explained below a field is an object of figures named as in Python
([results](python.md#results)).
{documents}"""


def files_page() -> str:
    """Return the columns of CSV files and the fields of JSON documents, in Markdown."""
    meanings = field_meanings()
    tables = (
        f"\n### {title}\n\n{text}\n\n"
        + _table(("column", "meaning"), [(f"`{name}`", said[name]) for name in columns])
        for title, text, columns, said in (
            (title, text, columns, meanings["common"] | meanings["csv"].get(key, {}))
            for key, (title, text, columns) in CSV_FILES.items()
        )
    )
    documents = (
        f"\n### {path.stem}\n\n" + _table(("field", "type", "meaning"), _field_rows(path, meanings))
        for path in sorted((DOCS / "schemas").glob("*.json"))
    )
    return _FILES.format(tables="".join(tables), documents="".join(documents))


def field_meanings() -> dict[str, dict[str, Any]]:
    """Return what `docs/fields.toml` says of columns and fields."""
    return tomllib.loads((DOCS / "fields.toml").read_text(encoding="utf-8"))


def _field_rows(path: Path, meanings: dict[str, dict[str, Any]]) -> list[tuple[str, str, str]]:
    said = meanings["common"] | meanings["json"].get(path.stem, {})
    return [
        (f"`{name}`", kind, said.get(name, ""))
        for name, kind in fields(path)
        if "." not in name or name in said
    ]


def fields(path: Path) -> list[tuple[str, str]]:
    """Return the fields of a schema with their types, an inner one as ``outer.inner``."""
    return list(_fields(json.loads(path.read_text(encoding="utf-8")), ""))


def _fields(schema: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for part in schema.get("anyOf", [schema]):
        for name, inner in part.get("properties", {}).items():
            yield prefix + name, _type(inner)
            yield from _fields(inner, f"{prefix}{name}.")
        if "items" in part:
            yield from _fields(part["items"], prefix)


def _type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(each) for each in schema["anyOf"])
    kinds = schema.get("type", "any")
    kinds = kinds if isinstance(kinds, list) else [kinds]
    if "array" in kinds and "items" in schema:
        return f"list of {_type(schema['items'])}"
    return " or ".join(kinds)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *([_cell(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


PAGES = {"commands.md": commands_page, "indicators.md": indicators_page, "files.md": files_page}


def main() -> int:
    for name, page in PAGES.items():
        (DOCS / name).write_text(page(), encoding="utf-8")
        print(f"docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
