"""Trade one ticker: ``python3 run_trading.py --ticker BTC/USD --once``."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parent))

from crypto_refactor.launch import run

if __name__ == "__main__":
    run("trade", "run_trading.py")
