"""Cold training of several models with two workers beside the same, one fit at a time.

    python benchmarks/parallel_training.py --data-dir DIR [--models 8] [--hours 720] [--repeats 1]

One model for each of the first tickers there are bars of, documented network; the weights must be the same either
way.  What bounds the gain: each worker imports TensorFlow and compiles its graph once, an odd fit at the end runs
alone, and both cores share one memory.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from harness import Row, answer_of, arguments, labelled_set, tell, tickers_of

LOOKBACK = 60


def fit(data_dir: Path, count: int, hours: int, workers: int) -> dict[str, object]:
    """Fit all of them and return the seconds and the fingerprints."""
    from crypto_refactor.model.settings import ModelSettings
    from crypto_refactor.model.training.parallel import fit_all

    jobs = [labelled_set(data_dir, ticker, hours, LOOKBACK) for ticker in tickers_of(data_dir)[:count]]
    began = time.perf_counter()
    found = dict(fit_all(jobs, ModelSettings(), lambda _progress: None, workers=workers))
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "weights": [found[position].weights for position in range(len(jobs))]}


def measure(data_dir: Path, count: int, hours: int, repeats: int) -> list[Row]:
    best = {1: float("inf"), 2: float("inf")}
    weights = set()
    for _ in range(repeats):
        for workers, least in list(best.items()):
            done = answer_of([__file__, "--fit", data_dir, count, hours, workers])
            best[workers] = min(least, done["seconds"])
            weights.add(tuple(done["weights"]))
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
    chosen = arguments(__doc__, models=8, hours=720, repeats=1)
    tell(measure(chosen.data_dir, chosen.models, chosen.hours, chosen.repeats), as_json=chosen.json)


if __name__ == "__main__":
    main()
