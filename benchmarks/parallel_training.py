"""Cold training of several models with two workers, compared with one fit at a time.

    python benchmarks/parallel_training.py --data-dir DIR [--models 8] [--hours 720] [--repeats 1]

One model for each of the first tickers with bars, documented network; the weights must be the same either way.  The
gain is limited because each worker imports TensorFlow and compiles its graph once, an odd fit at the end runs alone,
and both cores share one memory.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from harness import Row, arguments, json_of_process, labelled_set, print_rows, tickers_of

LOOKBACK = 60


def fit(data_dir: Path, count: int, hours: int, workers: int) -> dict[str, object]:
    """Fit the models of `count` tickers, and return the seconds and the fingerprints."""
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.parallel import fit_all

    jobs = [labelled_set(data_dir, ticker, hours, LOOKBACK) for ticker in tickers_of(data_dir)[:count]]
    start = time.perf_counter()
    models = dict(fit_all(jobs, ModelSettings(), lambda _progress: None, workers=workers))
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "weights": [models[position].weights for position in range(len(jobs))]}


def measure(data_dir: Path, count: int, hours: int, repeats: int) -> list[Row]:
    best = {1: float("inf"), 2: float("inf")}
    weights = set()
    for _ in range(repeats):
        for workers, fastest in list(best.items()):
            result = json_of_process([__file__, "--fit", data_dir, count, hours, workers])
            best[workers] = min(fastest, result["seconds"])
            weights.add(tuple(result["weights"]))
    if len(weights) != 1:
        sys.exit("the weights differ")
    job = f"cold training of {len(weights.pop())} models ({hours} h each), 2 workers"
    return [
        Row(
            job=job,
            ours=best[2],
            against="one fit at a time",
            theirs=best[1],
            note="2 is ideal; same weights",
        )
    ]


def main() -> None:
    if len(sys.argv) > 1 and sys.argv[1] == "--fit":
        data_dir, count, hours, workers = sys.argv[2:]
        print(json.dumps(fit(Path(data_dir), int(count), int(hours), int(workers))))
        return
    options = arguments(__doc__, models=8, hours=720, repeats=1)
    print_rows(
        measure(options.data_dir, options.models, options.hours, options.repeats), as_json=options.json
    )


if __name__ == "__main__":
    main()
