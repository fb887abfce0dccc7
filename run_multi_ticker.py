"""Trade many tickers: ``python3 run_multi_ticker.py --mode sequential``."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from crypto_refactor.launch import run

if __name__ == "__main__":
    run("multi", "run_multi_ticker.py")
