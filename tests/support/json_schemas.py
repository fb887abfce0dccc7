"""Every document that a test asks for with ``--json``, held against the schemas of the documentation."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import jsonschema

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
SCRIPTS = {
    "app_lstm": "signal",
    "app_backtester": "backtest",
    "run_trading": "trade",
    "run_multi_ticker": "multi",
    "check_history": "check-history",
    "check_mountain_time": "check-mountain-time",
}


def insist_on_schema(words, document):
    """Insist that `document`, printed by the command line `words`, is what the documentation says of it."""
    schema = _schema(_name(words, document))
    if schema is None:
        return
    jsonschema.Draft202012Validator(schema).validate(document)
    assert sorted(set(document) - set(schema["properties"])) == [], (
        "a new field: `make docs`, docs/fields.toml"
    )


def _name(words, document):
    first, *rest = words
    command = rest[0] if first == "crypto-refactor" and rest else SCRIPTS.get(first, first)
    if "error" in document and len(document) == 1:
        return "error"
    if command in {"trade", "multi"}:
        return "replay" if "resumed" in document else "pass"
    return command


@cache
def _schema(name):
    path = SCHEMAS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
