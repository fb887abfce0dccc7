"""Trading signal of one ticker: ``python3 models/app_lstm.py --ticker BTC/USD --hours 240``."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crypto_refactor.launch import run

if __name__ == "__main__":
    run("signal", "app_lstm.py")
