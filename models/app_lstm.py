"""Trading signal of one ticker: ``python3 models/app_lstm.py --ticker BTC/USD --hours 240``."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from crypto_refactor.cli.commands.signal import command
from crypto_refactor.cli.runner import run_command

if __name__ == "__main__":
    run_command(command, name="app_lstm.py")
