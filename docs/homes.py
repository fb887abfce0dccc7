"""Where the scripts of this folder let commands run: a folder of its own, whatever this machine's settings are."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TOOL = (sys.executable, "-m", "crypto_refactor")


def environment_of(work: Path) -> dict[str, str]:
    """Return the environment of commands whose models and accounts lie in `work`."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith(("CRYPTO_", "ALPACA_"))}
    return ours | {"CRYPTO_MODEL_DIR": str(work / "models"), "CRYPTO_STATE_DIR": str(work / "state")}
