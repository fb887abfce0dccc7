"""Try the data client: ``python3 models/data/app.py``."""

import sys
from pathlib import Path

# Runs before the package is installed, and from any folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from crypto_refactor.launch import run

if __name__ == "__main__":
    run("data", "app.py")
