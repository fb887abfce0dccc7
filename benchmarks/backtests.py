"""A warm backtest, whole process, audit included, compared with Keras predicting all windows.

    python benchmarks/backtests.py --data-dir DIR [--repeats 5] [--hours 720]

The models (documented network, BTC/USD) are trained first; both processes must report the same trades and, to 1e-6,
the same final balance.  The audit of the Keras run fails (exit code 6): a single window differs from a
batch in its last digits.  It does the same work.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Row, arguments, print_rows, process, processes

from crypto_refactor.errors import EXIT_AUDIT_FAILED

OURS = [str(ROOT / "models" / "app_backtester.py")]
KERAS = [str(ROOT / "benchmarks" / "keras_baseline.py"), "backtest"]


def measure(data_dir: Path, hours: int, repeats: int) -> list[Row]:
    words = ["--hours", str(hours), "--source", "files", "--data-dir", str(data_dir), "--json"]
    folder = os.environ.get("CRYPTO_MODEL_DIR")
    with tempfile.TemporaryDirectory() as temporary:
        home = folder or temporary
        environment = {"CRYPTO_MODEL_DIR": home, "CRYPTO_STATE_DIR": f"{home}/state"}
        process([*OURS, *words], environment)  # trains what is missing
        _require_same_result(words, environment)
        medians = processes(
            {
                "ours": lambda: process([*OURS, *words], environment),
                "keras": lambda: process([*KERAS, *words], environment, exit_codes=(0, EXIT_AUDIT_FAILED)),
            },
            repeats,
        )
    job, against = f"warm {hours} h backtest, audit included, whole process", "the same, Keras predicting"
    ours, keras = medians["ours"], medians["keras"]
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


def _require_same_result(words: list[str], environment: dict[str, str]) -> None:
    def metrics(script):
        completed = subprocess.run(
            [sys.executable, *script, *words],
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"CRYPTO_JOURNAL": "false"} | environment,
        )
        if completed.returncode not in {0, EXIT_AUDIT_FAILED}:
            sys.exit(completed.stderr)
        return json.loads(completed.stdout)["metrics"]

    ours, keras = metrics(OURS), metrics(KERAS)
    if ours["trades"] != keras["trades"] or abs(ours["final_balance"] / keras["final_balance"] - 1) > 1e-6:
        sys.exit("the results differ")


if __name__ == "__main__":
    options = arguments(__doc__, repeats=5, hours=720)
    print_rows(measure(options.data_dir, options.hours, options.repeats), as_json=options.json)
