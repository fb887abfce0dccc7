"""A warm signal, whole process: `app_lstm.py` compared with TensorFlow and the `.keras` file.

    python benchmarks/signal_latency.py --data-dir DIR [--repeats 9]

The model (documented network, 240 h of BTC/USD) is trained first.  Both processes must predict the same price.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import ROOT, Row, arguments, print_rows, process, processes

SCRIPT = str(ROOT / "models" / "app_lstm.py")
MEMORY_GOAL = 200


def measure(data_dir: Path, repeats: int) -> list[Row]:
    bars = data_dir / "btc_usd_1h.csv"
    with tempfile.TemporaryDirectory() as folder:
        environment = {"CRYPTO_MODEL_DIR": folder, "CRYPTO_STATE_DIR": f"{folder}/state"}
        signal = [SCRIPT, "--source", "files", "--data-dir", str(data_dir)]
        process(signal, environment)  # trains
        keras = [
            str(ROOT / "benchmarks" / "keras_baseline.py"),
            "signal",
            f"{folder}/btc_usd_lstm_v2.keras",
            str(bars),
        ]
        _require_same_result(signal, keras, environment)
        medians = processes(
            {
                "ours": lambda: process(signal, environment),
                "keras": lambda: process(keras, environment),
                "floor": lambda: process(["-c", "import pandas, ta, onnxruntime"]),
                "help": lambda: process([SCRIPT, "--help"]),
            },
            repeats,
        )
    ours, floor = medians["ours"], medians["floor"]
    job = "warm signal, whole process"
    return [
        Row(
            job=job,
            ours=ours.seconds,
            against="TensorFlow, `.keras`, predict",
            theirs=medians["keras"].seconds,
            goal=8,
        ),
        Row(
            job=job,
            ours=ours.seconds,
            against="`import pandas, ta, onnxruntime`",
            theirs=floor.seconds,
            goal=1.7,
            at_most=True,
        ),
        Row(
            job=f"{job}, peak memory",
            ours=ours.mebibytes,
            against="TensorFlow, `.keras`, predict",
            theirs=medians["keras"].mebibytes,
            unit="MiB",
        ),
        Row(
            job=f"{job}, peak memory",
            ours=ours.mebibytes,
            against="200 MiB",
            theirs=MEMORY_GOAL,
            unit="MiB",
            goal=1,
            at_most=True,
        ),
        Row(job="`--help`", ours=medians["help"].seconds, against="0.5 s", theirs=0.5, goal=1, at_most=True),
    ]


def _require_same_result(signal: list[str], keras: list[str], environment: dict[str, str]) -> None:
    def output(words):
        completed = subprocess.run(
            [sys.executable, *words], capture_output=True, text=True, check=True, env=os.environ | environment
        )
        return completed.stdout

    ours = json.loads(output([*signal, "--json"]))
    theirs = float(output(keras).splitlines()[-1])
    if abs(ours["predicted_price"] / theirs - 1) > 1e-6:
        sys.exit(f"the results differ: {ours['predicted_price']} and {theirs}")


if __name__ == "__main__":
    options = arguments(__doc__, repeats=9)
    print_rows(measure(options.data_dir, options.repeats), as_json=options.json)
