"""Write a JSON Schema of each document that `--json` prints, from real runs on simulated bars: `make docs`.

`tests/test_documents.py` holds other runs against what is written here.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from genson import SchemaBuilder
from homes import TOOL, environment_of

SCHEMAS = Path(__file__).parent / "schemas"
DRAFT = "https://json-schema.org/draft/2020-12/schema"
BARS = "--source sample --network linear"

RUNS = (
    ("signal", f"signal {BARS}"),
    ("signal", f"signal {BARS} --hours 480 --end 2024-12-01T00:00Z"),
    ("signal", f"signal {BARS} --plugin PLUGIN --end 2024-12-02T00:00Z"),
    ("signal", f"signal {BARS} --model pinned --end 2024-12-03T00:00Z --no-record"),
    ("backtest", f"backtest {BARS} --hours 240 --signals signals.csv"),
    ("backtest", f"backtest {BARS} --hours 2"),
    ("backtest", f"backtest {BARS} --hours 240 --model pinned --fee 0 --min-confirmations 0"),
    ("backtest", f"backtest {BARS} --hours 2160 --min-confirmations 3 --importance"),
    ("backtest", f"backtest {BARS} --hours 240 --no-journal --plugin PLUGIN"),
    ("backtest", f"backtest {BARS} --hours 720 --min-confirmations 0 --exit opposite --max-drawdown 0.01"),
    ("evaluate", "evaluate --source sample --targets signals.csv --ticker BTC/USD"),
    ("evaluate", "evaluate --source sample --targets targets.csv --ticker BTC/USD --no-journal"),
    ("audit", f"audit {BARS} --hours 48"),
    ("compare", f"compare {BARS} --hours 240 --ticker BTC/USD --ticker ETH/USD --vary exit=neutral,fade"),
    (
        "compare",
        f"compare {BARS} --hours 480 --ticker BTC/USD --vary min-confirmations=0,3 --select-then-test 0.7",
    ),
    ("compare", f"compare {BARS} --hours 48 --ticker BTC/USD --plugin PLUGIN --vary plugin=on,off"),
    ("replay", f"multi {BARS} --mode demo --replay-hours 48 --ticker BTC/USD --ticker ETH/USD"),
    ("replay", f"trade {BARS} --demo --replay-hours 72 --min-confirmations 0"),
    ("status", "status"),
    ("trades", "trades"),
    ("record", "record"),
    ("reconcile", "reconcile"),
    ("pass", f"multi {BARS} --mode sequential --ticker BTC/USD --ticker ETH/USD"),
    ("pass", f"trade {BARS} --demo --once --min-confirmations 0"),
    ("signal", f"signal {BARS} --min-confirmations 0"),
    ("halt", "halt --why schema"),
    ("status", "status --account demo/sample"),
    ("resume", "resume"),
    ("doctor", "doctor --source sample"),
    ("models", "models"),
    ("models", "models --prune"),
    ("trials", "trials"),
    ("import", "import export.csv --ticker BTC/USD --data-dir bars"),
    ("data", "data --source sample"),
    ("data", "data --source files --data-dir bars --end 2024-12-30T00:00Z"),
    ("check-history", "check-history --source sample"),
    ("check-mountain-time", "check-mountain-time"),
    ("check-plugin", "check-plugin PLUGIN"),
    ("config", "config trade"),
    ("error", "signal --ticker NO/USD --source sample"),
    ("error", "backtest --source sample --hours 0"),
)
"""Documents and the command lines that print them; later ones meet what earlier ones left behind."""

OPEN = {
    *(
        "conditions",
        "indicators",
        "occlusion",
        "feature_correlation",
        "input_importance",
        "causes",
        "missing",
        "reasons",
    ),
    *("baselines", "varied", "options", "plugins", "by_reason", "failed", "unavailable", "signals"),
}
"""Objects whose keys are names of things: conditions, indicators, options, tickers, reasons."""


NULL = dict.fromkeys(
    ("pass", "replay-line"), ("signal", "target", "decision", "position", "equity", "price", "bar")
)
"""Fields that are null where nothing could be decided or nothing is traded, which simulated bars do not show."""


def documents() -> Iterator[tuple[str, dict[str, Any]]]:
    """Run every command, and yield each document by its name; lines before the last document are ``<name>-line``."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        plugin = Path(__file__).parents[1] / "examples" / "plugin.py"
        hours = [f"2024-12-{day:02}T{hour:02}:00Z" for day in range(1, 31) for hour in range(24)]
        targets = [f"{at},{(place // 7) % 3 - 1}" for place, at in enumerate(hours)]
        (work / "targets.csv").write_text("made_at,target\n" + "\n".join(targets) + "\n", encoding="utf-8")
        rows = [f"{at},{100 + place % 9},{112},{99},{101 + place % 7},5" for place, at in enumerate(hours)]
        (work / "export.csv").write_text(
            "Date,Open,High,Low,Close,Volume\n" + "\n".join(rows) + "\n", encoding="utf-8"
        )
        (work / "models" / "sample").mkdir(parents=True)
        (work / "models" / "sample" / "btc_usd_damaged.keras").write_text("not a model", encoding="utf-8")
        for name, line in RUNS:
            yield from _run(name, line.replace("PLUGIN", str(plugin)), work)


def _run(name: str, line: str, work: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    done = subprocess.run(  # noqa: S603 - the command lines above
        [*TOOL, *line.split(), "--json"],
        cwd=work,
        env=environment_of(work),
        capture_output=True,
        text=True,
        check=False,
    )
    texts = done.stdout.strip()
    if (done.returncode != 0) != (name == "error") or not texts:
        raise SystemExit(f"{line}: exit code {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    try:
        yield name, json.loads(texts)
    except json.JSONDecodeError:
        *rows, last = map(json.loads, texts.splitlines())
        for row in rows:
            yield f"{name}-line", row
        yield name, last


def schema_of(documents: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the schema that all `documents` keep: their keys, and the types of their values."""
    builder = SchemaBuilder(schema_uri=None)
    for document in documents:
        builder.add_object(document)
    return _tidy(builder.to_schema())


def _tidy(schema: dict[str, Any], name: str = "", depth: int = 0) -> dict[str, Any]:
    """Return `schema` without the names of things, and open where nothing but null was seen.

    Below the first level a figure or a text may be undefined in another run, and a key may be missing in what an
    earlier release wrote.
    """
    schema = dict(schema)
    if schema.get("type") == "null":
        return {}
    if depth > 1 and schema.get("type") in ("number", "string"):  # it may also be a list
        schema["type"] = ["null", schema["type"]]
    if "anyOf" in schema:
        schema["anyOf"] = [_tidy(each, name, depth) for each in schema["anyOf"]]
    if "items" in schema:
        schema["items"] = _tidy(schema["items"], name, depth + 1)
    if "properties" in schema:
        parts = dict(sorted(schema["properties"].items()))
        if name in OPEN or any("/" in key for key in parts):
            del schema["properties"]
            schema.pop("required", None)
            schema["additionalProperties"] = _tidy(_merged(parts.values()), depth=2)
        else:
            schema["properties"] = {key: _tidy(value, key, depth + 1) for key, value in parts.items()}
            schema["required"] = sorted(schema.get("required", []))
            if depth:
                del schema["required"]
    if isinstance(schema.get("type"), list):
        schema["type"] = sorted(schema["type"])
    return schema


def _merged(schemas: Iterable[dict[str, Any]]) -> dict[str, Any]:
    builder = SchemaBuilder(schema_uri=None)
    for schema in schemas:
        builder.add_schema(schema)
    merged: dict[str, Any] = builder.to_schema()
    return merged


def main() -> int:
    found: dict[str, list[dict[str, Any]]] = {}
    for name, document in documents():
        found.setdefault(name, []).append(document)
    SCHEMAS.mkdir(exist_ok=True)
    for stale in SCHEMAS.glob("*.json"):
        stale.unlink()
    for name, examples in found.items():
        examples += [examples[0] | dict.fromkeys(NULL.get(name, ()))]
        schema = {"$schema": DRAFT, "title": f"crypto-refactor: {name}", **schema_of(examples)}
        (SCHEMAS / f"{name}.json").write_text(json.dumps(schema, indent=1) + "\n", encoding="utf-8")
        print(f"docs/schemas/{name}.json, from {len(examples)} documents")
    return 0


if __name__ == "__main__":
    sys.exit(main())
