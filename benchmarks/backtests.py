"""A warm backtest, whole process, audit included, beside the same with Keras predicting all windows.

    python benchmarks/backtests.py --data-dir DIR [--repeats 5] [--hours 720]

The models (documented network, BTC/USD) are trained first; both processes must report the same trades and, to 1e-6,
the same final balance.  The audit of the Keras run fails (exit code 6): Keras forecasts a single window with other last
digits than a batch.  It does the same work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Row, arguments, process, processes, tell

from crypto_refactor.errors import EXIT_AUDIT_FAILED

OURS = [str(ROOT / "models" / "app_backtester.py")]
KERAS = [str(ROOT / "benchmarks" / "keras_baseline.py"), "backtest"]


def measure(data_dir: Path, hours: int, repeats: int) -> list[Row]:
    words = ["--hours", str(hours), "--source", "files", "--data-dir", str(data_dir), "--json"]
    folder = os.environ.get("CRYPTO_MODEL_DIR")
    with tempfile.TemporaryDirectory() as temporary:
        environment = {"CRYPTO_MODEL_DIR": folder or temporary}
        process([*OURS, *words], environment)  # trains what is missing
        _require_one_answer(words, environment)
        found = processes(
            {
                "ours": lambda: process([*OURS, *words], environment),
                "keras": lambda: process([*KERAS, *words], environment, fine=(0, EXIT_AUDIT_FAILED)),
            },
            repeats,
        )
    job, against = f"warm {hours} h backtest, audit included, whole process", "the same, Keras predicting"
    ours, keras = found["ours"], found["keras"]
    return [
        Row(job=job, ours=ours.seconds, against=against, theirs=keras.seconds, goal=5),
        Row(
            job=f"{job}, peak memory",
            ours=ours.mebibytes,
            against=against,
            theirs=keras.mebibytes,
            unit="MiB",
        ),
    ]


def _require_one_answer(words: list[str], environment: dict[str, str]) -> None:
    def metrics(script):
        done = subprocess.run(
            [sys.executable, *script, *words],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | environment,
        )
        if done.returncode not in {0, EXIT_AUDIT_FAILED}:
            sys.exit(done.stderr)
        return json.loads(done.stdout)["metrics"]

    ours, keras = metrics(OURS), metrics(KERAS)
    if ours["trades"] != keras["trades"] or abs(ours["final_balance"] / keras["final_balance"] - 1) > 1e-6:
        sys.exit("not the same answer")


if __name__ == "__main__":
    chosen = arguments(__doc__, repeats=5, hours=720)
    tell(measure(chosen.data_dir, chosen.hours, chosen.repeats), as_json=chosen.json)
